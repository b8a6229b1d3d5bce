"""No request without a valid token reaches a service, whatever it asks, however it comes, whatever it brings.

It is counted where the services are: they note every connection, byte and call that arrives.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from support.gateway_access import (
    CLOUD,
    FORMS,
    GOOD_FORMS,
    NOWHERE,
    RIGHT,
    VERBS,
    WAYS,
    WRONG,
    World,
    a_world,
    bare,
    bearer,
    refusals,
    without_secrets,
)
from support.gateway_clients import Http1, Http2, request_bytes, signed

from server_demo.gateway import Gateway, demo


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with a_world() as found:
        yield found


@pytest.fixture(scope="module")
def methods() -> list[str]:
    """Every method of the demo, as reflection tells through a gateway."""
    with Gateway() as gateway:
        demo.add_demo(gateway, [RIGHT])
        with grpc.insecure_channel(gateway.address) as channel:
            database = ProtoReflectionDescriptorDatabase(grpc.intercept_channel(channel, WithToken()))
            found = []
            for service in database.get_services():
                package, _, name = service.rpartition(".")
                file = database.FindFileContainingSymbol(service)
                assert file.package == package
                described = next(each for each in file.service if each.name == name)
                found += [f"/{service}/{method.name}" for method in described.method]
        return found


class WithToken(grpc.StreamStreamClientInterceptor):
    def intercept_stream_stream(self, continuation, client_call_details, request_iterator):
        details = grpc.aio.ClientCallDetails(
            client_call_details.method, 10, [("authorization", f"Bearer {RIGHT}")], None, None
        )
        return continuation(details, request_iterator)


@pytest.mark.parametrize("verb", VERBS)
def test_over_http_1_nothing_arrives_with_a_bad_token(world, verb):
    before = world.arrived()
    for way in WAYS + NOWHERE:
        with Http1(way.address(world)) as client:
            for what, headers in refusals(way.path(), verb):
                client.send(way.bytes(verb, headers))
                answer = without_secrets(client.receive(verb))
                assert answer.status == 401 or (way in NOWHERE and answer.status in {400, 404}), (way, what)
                if answer.closes:
                    client.close()
    assert world.arrived() == before


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("verb", VERBS)
def test_over_http_1_each_of_these_ways_leads_to_the_service_with_the_right_token(world, way, verb):
    for form in GOOD_FORMS:
        before = len(world.http.heads)
        with Http1(way.address(world)) as client:
            client.send(way.bytes(verb, FORMS[form](RIGHT, verb, way.path())))
            answer = without_secrets(client.receive(verb))
            assert answer.status == (101 if way.name == "a websocket" else 200), form
            assert len(world.http.heads) == before + 1


def test_a_websocket_that_was_refused_is_no_way_around(world):
    before = world.arrived()
    asked = request_bytes(
        "GET", "/api/predict/mine", [*bare(WRONG), ("Connection", "Upgrade"), ("Upgrade", "websocket")]
    )
    with Http1(world.gateway.address) as client:
        client.send(asked + b"\x81\x85\0\0\0\0hello\r\n\r\n")
        assert client.receive("GET").status == 401
        assert client.receive("GET").status == 400
        assert client.ended()
    assert world.arrived() == before


HTTP2_WAYS = [
    ("/api/predict/mine/v1?x=y", "localhost"),
    ("//api//predict//mine", "localhost"),
    ("/%61pi/predict/mine", "localhost"),
    ("/v1", "mine.localhost"),
    ("/eas_grpc_pb.greeter.v1.GreeterService/SayHello", f"mine.{CLOUD}"),
]


@pytest.mark.parametrize("verb", VERBS)
def test_over_http_2_nothing_arrives_with_a_bad_token(world, verb):
    before = world.arrived()
    with Http2(world.gateway.address) as client:
        for target, host in HTTP2_WAYS:
            asked = []
            for what, headers in refusals(target, verb):
                # Connection-specific headers make the request malformed (RFC 9113, 8.2.2).
                if "Connection" not in dict(headers):
                    asked.append((what, client.begin_request(verb, target, headers, b"body", host)))
            for what, number in asked:
                assert without_secrets(client.answer(number)).status in refused_http2(what), (target, what)
        assert client.goaway is None
    assert world.arrived() == before


def refused_http2(what: str) -> set[int]:
    # Blanks around a value make it malformed over HTTP/2 (RFC 9113, 8.2.1): a reset is right as well.
    return {401, 0} if "blanks" in what else {401}


@pytest.mark.parametrize("verb", VERBS)
def test_over_http_2_each_of_these_ways_leads_to_the_service_with_the_right_token(world, verb):
    before = len(world.http.heads)
    with Http2(world.gateway.address) as client:
        for target, host in HTTP2_WAYS:
            for form in ("bare", "bearer", "signature"):
                headers = FORMS[form](RIGHT, verb, target)
                assert client.request(verb, target, headers, b"body", host).status == 200
    assert len(world.http.heads) == before + 3 * len(HTTP2_WAYS)


def grpc_refusals(path: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    for what, pairs in refusals(path, "POST"):
        # Content-Type is gRPC's own here; see above for Connection.
        headers = [(n.lower(), v) for n, v in pairs if n not in {"Content-Type", "Connection"}]
        if pairs and dict(pairs).get("Connection"):
            continue
        yield what, headers
    # What is good over HTTP is not good over gRPC.
    yield "the right token, bare", [("authorization", RIGHT)]
    yield "the right token's signature", [("authorization", dict(signed(RIGHT, path))["Authorization"])]
    yield (
        "the right token in a binary header",
        [("authorization-bin", base64.b64encode(RIGHT.encode()).decode())],
    )


PLACES = ["gateway", "host", "instance"]


def place_of(world: World, place: str) -> tuple[str, str]:
    address = world.instance if place == "instance" else world.gateway.address
    return address, "mine.localhost" if place == "host" else "localhost"


@pytest.mark.parametrize("place", PLACES)
def test_no_method_of_grpc_is_reached_with_a_bad_token(world, methods, place):
    before = world.arrived()
    address, host = place_of(world, place)
    with Http2(address) as client:
        for path in [*methods, "/any/thing", "/"]:
            asked = [
                (what, client.begin_call(path, headers, b"message", host=host))
                for what, headers in grpc_refusals(path)
            ]
            for what, number in asked:
                answer = without_secrets(client.answer(number))
                assert answer.grpc_status == "16" or "blanks" in what, (path, what)
        assert client.goaway is None
    assert world.arrived() == before


@pytest.mark.parametrize("place", PLACES)
def test_every_method_of_grpc_is_reached_with_the_right_token(world, methods, place):
    before = len(world.grpc.calls)
    address, host = place_of(world, place)
    with Http2(address) as client:
        for path in methods:
            assert client.call(path, bearer(RIGHT), b"message", host=host).grpc_status == "0"
    assert world.grpc.calls[before:] == methods


def test_the_methods_are_those_of_all_services_in_all_four_shapes(methods):
    for path in (
        "/GreeterService/SayHello",
        "/helloworld.GreeterService/SayHello",
        "/eas_grpc_pb.greeter.v1.GreeterService/SayHelloManyTimes",
        "/eas_grpc_pb.greeter.v1.GreeterService/SayHelloToAll",
        "/eas_grpc_pb.greeter.v1.GreeterService/Chat",
        "/eas_grpc_pb.tensor.v1.TensorService/PredictUpload",
        "/inference.GRPCInferenceService/ModelInfer",
        "/tensorflow.serving.PredictionService/Predict",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ):
        assert path in methods


@pytest.mark.parametrize(
    "kind", ["application/grpc", "application/grpc+proto", "application/grpc-web", "text/plain"]
)
@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_and_no_content_type_gets_a_call_past_the_token(world, kind, verb):
    before = world.arrived()
    head = [(":method", verb), (":scheme", "http"), (":authority", "mine.localhost"), (":path", "/a.b/c")]
    with Http2(world.gateway.address) as client:
        for what, headers in grpc_refusals("/a.b/c"):
            # Plain HTTP takes what gRPC does not.
            if kind == "text/plain" and what.startswith("the right token"):
                continue
            number = client.begin([*head, ("content-type", kind), ("te", "trailers"), *headers])
            client.send(number, b"\0\0\0\0\1x", end=True)
            answer = without_secrets(client.answer(number))
            assert answer.grpc_status == "16" or answer.status in {401, 0}, what
    assert world.arrived() == before
