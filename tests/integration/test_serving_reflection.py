"""Reflection, v1 and v1alpha, with descriptors from the default pool and from one of the caller's own."""

from __future__ import annotations

import sys

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection, reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from support.serving import COLOURS, SERVICE, Gate, call, dial, records, refused, register, running

from eas_grpc.serving import ServerOptions
from server_demo import app

VERSIONS = ["v1", "v1alpha"]
SERVICES = {
    "GreeterService",
    "eas_grpc_pb.greeter.v1.GreeterService",
    "eas_grpc_pb.tensor.v1.TensorService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "helloworld.GreeterService",
    "inference.GRPCInferenceService",
    "tensorflow.serving.ModelService",
    "tensorflow.serving.PredictionService",
}


@pytest.fixture(params=COLOURS)
def colour(request):
    return request.param


@pytest.fixture
def demo(colour):
    adding = app.register if colour == "sync" else app.register_async
    with running(colour, adding, pool=app.descriptors()) as server, dial(server) as channel:
        yield channel


def ask(channel, version, *requests):
    """A hand-made call: the messages of both versions are the same on the wire."""
    method = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    return list(method(iter(requests), timeout=10))


def files(channel, version, symbol):
    (answer,) = ask(channel, version, reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol))
    found = answer.file_descriptor_response.file_descriptor_proto
    return [FileDescriptorProto.FromString(data) for data in found]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_service_is_listed(demo, version):
    (answer,) = ask(demo, version, reflection_pb2.ServerReflectionRequest(list_services=""))
    assert {service.name for service in answer.list_services_response.service} == SERVICES


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("service", sorted(SERVICES))
def test_every_listed_service_is_described_completely(demo, version, service):
    # A pool takes a file only when everything that it refers to is there.
    pool = DescriptorPool()
    for file in reversed(files(demo, version, service)):
        pool.Add(file)
    assert pool.FindServiceByName(service).methods


@pytest.mark.parametrize("service", ["helloworld.GreeterService", "GreeterService"])
def test_the_vendors_spellings_are_described_in_their_own_package(demo, service):
    (file,) = files(demo, "v1", service)
    (declared,) = file.service
    package = service.rpartition(".")[0]
    assert file.package == package
    assert [m.name for m in declared.method] == ["SayHello", "SayHelloManyTimes", "SayHelloToAll", "Chat"]
    assert declared.method[0].input_type == (f".{package}.HelloRequest" if package else ".HelloRequest")
    assert [m.name for m in file.message_type] == ["HelloRequest", "HelloResponse", "HelloManyTimesRequest"]


@pytest.mark.parametrize(
    ("service", "method", "request_type"),
    [
        ("inference.GRPCInferenceService", "ModelInfer", "inference.ModelInferRequest"),
        ("tensorflow.serving.PredictionService", "Predict", "tensorflow.serving.PredictRequest"),
        ("tensorflow.serving.ModelService", "GetModelStatus", "tensorflow.serving.GetModelStatusRequest"),
    ],
)
def test_the_services_of_others_are_described_under_the_names_that_travel(
    demo, service, method, request_type
):
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(demo))
    found = pool.FindServiceByName(service).FindMethodByName(method)
    assert found.input_type.full_name == request_type
    assert all("eas_grpc_pb" not in file.name for file in found.input_type.file.dependencies)


def test_the_reflection_client_of_grpc_reads_it(demo):
    database = ProtoReflectionDescriptorDatabase(demo)
    assert set(database.get_services()) == SERVICES
    pool = DescriptorPool(database)
    service = pool.FindServiceByName("helloworld.GreeterService")
    assert service.FindMethodByName("SayHello").input_type.full_name == "helloworld.HelloRequest"


def test_the_users_own_helloworld_stays_free():
    app.descriptors()
    from google.protobuf import descriptor_pool

    for symbol in ("helloworld.HelloRequest", "HelloRequest"):
        with pytest.raises(KeyError):
            descriptor_pool.Default().FindMessageTypeByName(symbol)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_not_there_is_not_found(demo, version):
    requests = [
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="no.Such"),
        reflection_pb2.ServerReflectionRequest(file_by_filename="no/such.proto"),
        reflection_pb2.ServerReflectionRequest(all_extension_numbers_of_type="no.Such"),
        reflection_pb2.ServerReflectionRequest(
            file_containing_extension={"containing_type": "helloworld.HelloRequest", "extension_number": 1}
        ),
    ]
    codes = [answer.error_response.error_code for answer in ask(demo, version, *requests)]
    assert codes == [grpc.StatusCode.NOT_FOUND.value[0]] * 4


def test_a_message_has_its_extension_numbers_whichever_pool_it_is_in(demo):
    requests = [
        reflection_pb2.ServerReflectionRequest(all_extension_numbers_of_type=name)
        for name in ("helloworld.HelloRequest", "eas_grpc_pb.greeter.v1.HelloRequest")
    ]
    answers = ask(demo, "v1", *requests)
    assert [a.WhichOneof("message_response") for a in answers] == ["all_extension_numbers_response"] * 2


def test_it_can_be_turned_off(colour):
    with running(colour, options=ServerOptions(reflection=False)) as server, dial(server) as channel:
        method = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        assert refused(channel, "stream_stream", b"", method=method)[0] is grpc.StatusCode.UNIMPLEMENTED


def test_without_the_package_the_server_serves_and_says_so_once(colour, monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc_reflection.v1alpha", None)
    with records("eas_grpc.serving") as log, running(colour) as server, dial(server) as channel:
        assert "grpcio-reflection is not installed" in log.next().getMessage()
        assert call(channel, "unary_unary", b"hi") == b"hi"
        method = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        assert refused(channel, "stream_stream", b"", method=method)[0] is grpc.StatusCode.UNIMPLEMENTED


def test_a_service_without_a_descriptor_is_listed_all_the_same(colour):
    with running(colour) as server, dial(server) as channel:
        (answer,) = ask(channel, "v1", reflection_pb2.ServerReflectionRequest(list_services=""))
        assert SERVICE in {service.name for service in answer.list_services_response.service}


def test_a_register_that_turns_reflection_on_itself_is_no_second_one():
    def adding(server):
        register("sync", Gate())(server)
        reflection.enable_server_reflection([SERVICE], server)

    with running("sync", adding) as server, dial(server) as channel:
        assert call(channel, "unary_unary", b"hi") == b"hi"
