"""The pure parts of serving: who may call, what is logged, what a service list is, renamed descriptors."""

from __future__ import annotations

import logging
import pickle

import grpc
import pytest
from eas_grpc_pb.greeter.v1 import greeter_pb2
from google.protobuf import descriptor_pb2, timestamp_pb2
from google.protobuf.descriptor_pool import DescriptorPool

from eas_grpc.errors import ConfigError
from eas_grpc.serving import Health, ServerOptions
from eas_grpc.serving._access import CallRecord, failure_text, printable
from eas_grpc.serving._gate import refusal
from eas_grpc.serving._registry import Registry, collect
from eas_grpc.serving.descriptors import repackaged, repackaged_together

METHOD = "/a.B/C"


def ask(*values, tokens=("alpha-1", "beta-2"), method=METHOD):
    return refusal(ServerOptions(tokens=tokens), method, [("authorization", v) for v in values])


def test_without_tokens_everybody_may_call():
    assert ask(tokens=()) is None


def test_an_open_method_opens_itself_and_an_open_service_all_of_its_methods():
    options = ServerOptions(tokens=("alpha-1",), open_methods=("/p.S/Get", "/p.Open/"))
    opened = [m for m in ("/p.S/Get", "/p.Open/Any") if refusal(options, m, []) is None]
    assert opened == ["/p.S/Get", "/p.Open/Any"]
    for near in ("/p.S/GetSecrets", "/p.S/", "/p.OpenAdmin/Wipe", "/p.Open"):
        assert refusal(options, near, []) is not None


def test_each_token_opens_and_the_scheme_has_no_case():
    for value in ("Bearer alpha-1", "bearer beta-2", "BEARER alpha-1"):
        assert ask(value) is None


@pytest.mark.parametrize(
    "value", ["alpha-1", "Beareralpha-1", "Basic alpha-1", "", "EAS alpha-1", b"Bearer alpha-1"]
)
def test_another_form_is_named_as_such(value):
    assert "Bearer" in ask(value)
    assert "wrong token" not in ask(value)


@pytest.mark.parametrize(
    "value",
    ["Bearer alpha-", "Bearer alpha-1 ", "Bearer  alpha-1", "Bearer ALPHA-1", "Bearer gamma-3", "Bearer é"],
)
def test_a_wrong_token_is_not_repeated(value):
    text = ask(value)
    assert text.startswith("wrong token")
    assert value.removeprefix("Bearer ").strip() not in text


def test_only_what_starts_with_an_open_prefix_is_open():
    assert ask(method="/grpc.health.v1.Health/Check") is None
    assert ask(method="/grpc.health.v1.HealthX/Check") is not None
    assert ask(method="/x/grpc.health.v1.Health/Check") is not None


RECORD = CallRecord(METHOD, "OK", "ipv6:%5B::1%5D:1234", 0.01234567)


def test_a_record_reads_well_and_has_fields_that_logging_allows():
    assert str(RECORD) == "OK /a.B/C from ipv6:[::1]:1234 in 0.0123 s"
    assert RECORD.fields() == {
        "method": METHOD,
        "status": "OK",
        "peer": "ipv6:[::1]:1234",
        "duration_seconds": 0.012346,
    }
    record = logging.getLogger("x").makeRecord("x", 20, "", 0, "", (), None, extra=RECORD.fields())
    assert record.status == "OK"


def test_a_path_of_the_callers_making_stays_on_one_short_line():
    assert printable("/a\nb\x1b[31m") == "/a?b?[31m"
    assert len(printable("x" * 1000)) < 210


@pytest.mark.parametrize(
    ("method", "status", "level"),
    [
        (METHOD, "OK", logging.INFO),
        (METHOD, "UNKNOWN", logging.INFO),
        ("/grpc.health.v1.Health/Check", "OK", logging.DEBUG),
        ("/grpc.health.v1.Health/Watch", "CANCELLED", logging.DEBUG),
        ("/grpc.health.v1.Health/Check", "NOT_FOUND", logging.INFO),
    ],
)
def test_only_probes_that_go_well_are_quiet(method, status, level):
    assert CallRecord(method, status, "", 0).level() == level


def test_a_failure_names_its_id():
    assert failure_text("12ab").endswith("error id 12ab")


def generic_handler(name):
    return grpc.method_handlers_generic_handler(name, {})


def twice(server):
    for _ in range(2):
        server.add_registered_method_handlers("a.B", {})


def twice_generic(server):
    for _ in range(2):
        server.add_generic_rpc_handlers((generic_handler("a.B"),))


def add(name, **methods):
    return lambda server: server.add_registered_method_handlers(name, methods)


async def add_later(server):
    pass


BAD_REGISTERS = [
    (lambda server: None, "added no service"),
    (add_later, "is a coroutine function"),
    (add("grpc.health.v1.Health"), "which the server brings"),
    (lambda server: server.add_insecure_port("[::]:1"), r"used server\.add_insecure_port"),
    (lambda server: server.start(), r"used server\.start"),
    (twice, r"added a\.B twice"),
    (twice_generic, r"added a\.B twice"),
    (None, "register must be a function that adds the services, not NoneType"),
]


@pytest.mark.parametrize(("register", "text"), BAD_REGISTERS)
def test_a_register_that_cannot_work_is_refused(register, text):
    with pytest.raises(ConfigError, match=text):
        collect(register)


def test_services_are_listed_once_in_order():
    def register(server):
        for name in ("b.B", "a.A"):
            server.add_generic_rpc_handlers((generic_handler(name),))
            server.add_registered_method_handlers(name, {"Do": name})

    registry = collect(register)
    assert registry.services == ("b.B", "a.A")
    assert dict(registry.methods()) == {"/b.B/Do": "b.B", "/a.A/Do": "a.A"}


def test_a_stopped_board_stays_not_serving_and_tells_once_more():
    health, told = Health(("a.B",)), []
    with health.listening(lambda: told.append(1), limit=1) as admitted:
        assert admitted
        with health.listening(lambda: None, limit=1) as another:
            assert not another
        health.set("a.B", serving=True)
        health.stop()
        health.set("a.B", serving=True)
    health.stop()
    assert told == [1, 1]
    assert [health.status(s) for s in ("", "a.B", "x")] == ["NOT_SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]


def test_a_renamed_file_stands_alone_and_means_the_same_on_the_wire():
    for package in ("helloworld", "", "a.b.c"):
        pool = DescriptorPool()
        pool.Add(repackaged(greeter_pb2.DESCRIPTOR, package=package, name="x.proto"))
        prefix = f"{package}." if package else ""
        renamed = pool.FindMessageTypeByName(f"{prefix}HelloManyTimesRequest")
        original = greeter_pb2.HelloManyTimesRequest.DESCRIPTOR
        assert [(f.number, f.name, f.type) for f in renamed.fields] == [
            (f.number, f.name, f.type) for f in original.fields
        ]
        method = pool.FindServiceByName(f"{prefix}GreeterService").FindMethodByName("SayHello")
        assert method.output_type.full_name == f"{prefix}HelloResponse"


def test_nested_types_extensions_and_foreign_types_are_renamed_or_kept():
    file = descriptor_pb2.FileDescriptorProto(name="old.proto", package="old", syntax="proto2")
    file.dependency.append("google/protobuf/timestamp.proto")
    outer = file.message_type.add(name="Outer")
    outer.nested_type.add(name="Inner").field.add(
        name="back", number=1, type=11, label=1, type_name=".old.Outer"
    )
    outer.field.add(name="inner", number=1, type=11, label=1, type_name=".old.Outer.Inner")
    outer.field.add(name="at", number=2, type=11, label=1, type_name=".google.protobuf.Timestamp")
    outer.extension_range.add(start=100, end=200)
    file.extension.add(name="more", number=100, type=5, label=1, extendee=".old.Outer")
    source, target = DescriptorPool(), DescriptorPool()
    for pool in (source, target):
        time_file = descriptor_pb2.FileDescriptorProto()
        timestamp_pb2.DESCRIPTOR.CopyToProto(time_file)
        pool.Add(time_file)
    source.Add(file)
    target.Add(repackaged(source.FindFileByName("old.proto"), package="new.pkg", name="new.proto"))
    renamed = target.FindMessageTypeByName("new.pkg.Outer")
    assert renamed.fields_by_name["inner"].message_type.full_name == "new.pkg.Outer.Inner"
    assert renamed.fields_by_name["at"].message_type.full_name == "google.protobuf.Timestamp"
    assert target.FindExtensionByName("new.pkg.more").containing_type is renamed


def test_files_that_import_each_other_are_renamed_together():
    time_file, one, two = (descriptor_pb2.FileDescriptorProto() for _ in range(3))
    timestamp_pb2.DESCRIPTOR.CopyToProto(time_file)
    one.name, one.package, one.syntax = "old/v1/one.proto", "old.v1", "proto3"
    one.message_type.add(name="One")
    two.name, two.package, two.syntax = "old/v1/two.proto", "old.v1", "proto3"
    two.dependency.extend([time_file.name, one.name])
    two.message_type.add(name="Two").field.add(
        name="one", number=1, type=11, label=1, type_name=".old.v1.One"
    )
    source, target = DescriptorPool(), DescriptorPool()
    for file in (time_file, one, two):
        source.Add(file)
    target.Add(time_file)
    files = [source.FindFileByName(file.name) for file in (one, two)]
    for file in repackaged_together(files, package="new", folder="new/folder"):
        target.Add(file)
    assert target.FindMessageTypeByName("new.Two").fields_by_name["one"].message_type.full_name == "new.One"
    renamed = target.FindFileByName("new/folder/two.proto")
    assert [file.name for file in renamed.dependencies] == [time_file.name, "new/folder/one.proto"]


def test_services_can_bring_descriptors_and_ask_for_the_health():
    registry, pool = Registry(), DescriptorPool()
    assert registry.is_serving()
    assert registry.pools == ()
    registry.describe(pool)
    registry.follow(lambda service: "NOT_SERVING" if service == "a.B" else "SERVING")
    assert registry.pools == (pool,)
    assert (registry.is_serving(), registry.is_serving("a.B")) == (True, False)


def test_options_survive_a_pickle_for_programs_that_start_servers_in_processes():
    options = ServerOptions(max_workers=200)
    assert pickle.loads(pickle.dumps(options)) == options
