"""Which service a call reaches, what that service sees of it, and how each kind of failure looks (eas-wire.md 9, 1, 2, 9)."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloManyTimesRequest, HelloRequest, HelloResponse
from support.gateway_clients import Http1, Http2, ask, request_bytes, signed
from support.gateway_upstreams import GrpcUpstream, HttpUpstream

from server_demo.gateway import Gateway, GatewayOptions, Service, demo

TOKEN = "dG9rZW4tb2YtYWxs"
NAMES = ["svc", "svc_1", "group.svc", "group", "Upper-Case"]
CLOUD = "1234.cn-hangzhou.pai-eas.aliyuncs.com"


@pytest.fixture(scope="module")
def upstreams() -> Iterator[dict[str, tuple[HttpUpstream, GrpcUpstream]]]:
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield {
            name: (stack.enter_context(HttpUpstream()), stack.enter_context(GrpcUpstream())) for name in NAMES
        }


@pytest.fixture(scope="module")
def gateway(upstreams) -> Iterator[Gateway]:
    services = [
        Service(name=name, http=http.address, grpc=rpc.address, tokens=(TOKEN,))
        for name, (http, rpc) in upstreams.items()
    ]
    with Gateway(*services, options=GatewayOptions(rate_limit=0)) as running:
        yield running


@pytest.fixture(scope="module")
def demos() -> Iterator[Gateway]:
    with Gateway() as running:
        demo.add_demo(running, [TOKEN])
        yield running


def bearer(token: str = TOKEN) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


def seen(upstreams) -> dict[str, list[bytes]]:
    """The requests that came to each service, which then forgets them."""
    found = {}
    for name, (http, _) in upstreams.items():
        if http.heads:
            found[name] = [head.partition(b" HTTP/1.1")[0] for head in http.heads]
            http.heads.clear()
    return found


@pytest.mark.parametrize(
    ("target", "host", "service", "sees"),
    [
        ("/api/predict/svc", "localhost", "svc", b"/"),
        ("/api/predict/svc/", "localhost", "svc", b"/"),
        ("/api/predict/svc/v1/chat/completions", "localhost", "svc", b"/v1/chat/completions"),
        ("/api/predict/svc/a%2fb/%E4%BD%A0?q=%20&q=2&r", "localhost", "svc", b"/a%2fb/%E4%BD%A0?q=%20&q=2&r"),
        ("/api/predict/svc?token=x", "localhost", "svc", b"/?token=x"),
        ("/api/predict/svc_1", "localhost", "svc_1", b"/"),
        ("/api/predict/group.svc/x", "localhost", "group.svc", b"/x"),
        ("/api/predict/group/svc", "localhost", "group", b"/svc"),
        ("/api/predict/Upper-Case", "localhost", "Upper-Case", b"/"),
        ("//api//predict//svc//x//", "localhost", "svc", b"/x/"),
        ("http://localhost/api/predict/svc/x", "somewhere.else", "svc", b"/x"),
        ("/", f"svc.{CLOUD}", "svc", b"/"),
        ("/v1/x?y", f"svc-1.{CLOUD}:80", "svc_1", b"/v1/x?y"),
        ("/x", "svc.1234.vpc.cn-hangzhou.pai-eas.aliyuncs.com", "svc", b"/x"),
        ("/x", f"group.svc.{CLOUD}", "group.svc", b"/x"),
        ("/x", "group.svc.localhost", "group.svc", b"/x"),
        ("/x", "group.localhost", "group", b"/x"),
        ("/x", "upper-case.localhost:1", "Upper-Case", b"/x"),
        ("/api/predict/svc/x", "svc.localhost", "svc", b"/x"),
        ("/api/predict/group/x", "svc.localhost", "svc", b"/api/predict/group/x"),
    ],
)
def test_a_request_reaches_the_service_that_is_named_which_sees_the_rest(
    gateway, upstreams, target, host, service, sees
):
    headers = [("Authorization", TOKEN)]
    assert ask(gateway.address, "POST", target, headers, b"x", host=host).status == 200
    assert seen(upstreams) == {service: [b"POST " + sees]}
    if "://" not in target:
        with Http2(gateway.address) as client:
            assert client.request("PUT", target, headers, b"x", host).status == 200
        assert seen(upstreams) == {service: [b"PUT " + sees]}


@pytest.mark.parametrize("form", ["bare", "bearer", "signed", "signed with the query"])
def test_three_forms_of_the_token_open_a_service(gateway, upstreams, form):
    resource = "/api/predict/svc/v1"
    headers = {
        "bare": [("Authorization", TOKEN)],
        "bearer": [("Authorization", f"Bearer {TOKEN}")],
        "signed": signed(TOKEN, resource, b"body"),
        "signed with the query": signed(TOKEN, f"{resource}?k=v", b"body"),
    }[form]
    answer = ask(gateway.address, "POST", f"{resource}?k=v", headers, b"body")
    assert (answer.status, answer.body) == (200, b"served")
    assert gateway.calls()[-1].auth == {"bare": "bare", "bearer": "bearer"}.get(form, "signature")
    assert seen(upstreams) == {"svc": [b"POST /v1?k=v"]}


def test_what_a_service_answers_comes_back_byte_for_byte():
    async def handler(request):
        from server_demo.gateway import Response

        return Response(int(request.query["status"]), bytes(range(256)), "x/y", {"x-one": "1"})

    with Gateway() as running:
        running.add(Service(name="any", http=running.serve_http(handler)))
        for status in (200, 201, 302, 400, 404, 422, 500, 512):
            answer = ask(running.address, "GET", f"/api/predict/any?status={status}")
            assert (answer.status, answer.body) == (status, bytes(range(256)))
            assert (answer.headers["content-type"], answer.headers["x-one"]) == ("x/y", "1")
            assert running.calls()[-1].ok is (status < 400)


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("/api/predict/unknown", "localhost"),
        ("/api/predict/svc2/v1", "localhost"),
        ("/api/predict/", "localhost"),
        ("/api/predict", "localhost"),
        ("/", "localhost"),
        ("/v1/svc", "127.0.0.1:80"),
        ("/api/predict/svc", f"unknown.{CLOUD}"),
        ("/api/predict/svc", "unknown.localhost"),
    ],
)
def test_a_service_that_is_not_there_is_404_with_or_without_a_token(gateway, upstreams, target, host):
    for headers in ([], [("Authorization", TOKEN)]):
        answer = ask(gateway.address, "POST", target, headers, b"x", host=host)
        assert answer.status == 404
        assert answer.body.startswith(b"no such service behind this gateway, where there are: svc, ")
    assert seen(upstreams) == {}


@pytest.mark.parametrize(
    "path", ["/api/predict/svc/../group", "/api/predict/svc/%2E%2e/x", "/./api/predict/svc"]
)
def test_a_path_that_could_be_read_in_two_ways_is_400(gateway, upstreams, path):
    assert ask(gateway.address, "POST", path, [("Authorization", TOKEN)], b"x").status == 400
    assert seen(upstreams) == {}


def test_a_head_request_gets_the_length_and_no_body(gateway):
    for target, status in (("/api/predict/svc", 200), ("/api/predict/unknown", 404)):
        with Http1(gateway.address) as http, Http2(gateway.address) as http2:
            answers = [
                http.ask("HEAD", target, [("Authorization", TOKEN)]),
                http2.request("HEAD", target, [("Authorization", TOKEN)]),
            ]
            # The connection is still in step.
            assert http.ask("POST", "/api/predict/svc", [("Authorization", TOKEN)], b"x").status == 200
        for answer in answers:
            assert (answer.status, answer.body) == (status, b"")
            assert int(answer.headers["content-length"]) > 0


@pytest.mark.parametrize(
    "extra",
    [
        [("content-length", "two")],
        [("content-length", "+1")],
        [("content-length", "2")],
        [("content-length", "0")],
        [("content-length", "1"), ("content-length", "2")],
        [("transfer-encoding", "chunked")],
        [("connection", "close")],
        [("upgrade", "websocket")],
        [("Upper", "x")],
        [("x", "a\r\nx-injected: b")],
        [("x-\r\ninjected", "b")],
    ],
    ids=str,
)
def test_a_malformed_request_over_http_2_ends_its_stream_alone_and_reaches_nothing(gateway, upstreams, extra):
    with Http2(gateway.address) as client:
        pseudo = [(":method", "POST"), (":scheme", "http"), (":authority", "svc.localhost"), (":path", "/x")]
        number = client.begin([*pseudo, ("authorization", TOKEN), *extra])
        client.send(number, b"x", end=True)
        assert client.answer(number).status in {0, 400}
        assert not client.closed
        assert client.request("POST", "/api/predict/svc/y", [("authorization", TOKEN)], b"x").status == 200
    assert seen(upstreams).pop("svc")[-1] == b"POST /y"


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: y", "*", "", "relative", "/a\0b", "/a#b", "/#"])
def test_a_target_over_http_2_that_no_request_line_can_carry_reaches_nothing(gateway, upstreams, target):
    with Http2(gateway.address) as client:
        pseudo = [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "svc.localhost"),
            (":path", target),
        ]
        number = client.begin([*pseudo, ("authorization", TOKEN)], end=True)
        assert client.answer(number).status in {0, 400, 404}
    assert seen(upstreams) == {}


def test_a_body_that_looks_like_a_request_is_a_body(gateway, upstreams):
    inner = request_bytes("DELETE", "/api/predict/group/all", [("Authorization", TOKEN)])
    with Http1(gateway.address) as client:
        for options in ({}, {"chunked": True}):
            answer = client.ask("POST", "/api/predict/svc", [("Authorization", TOKEN)], inner, **options)
            assert answer.status == 200
        assert client.ask("POST", "/api/predict/svc", [], inner).status == 401
        assert client.ask("GET", "/api/predict/svc/after", [("Authorization", TOKEN)]).status == 200
    assert seen(upstreams) == {"svc": [b"POST /", b"POST /", b"GET /after"]}


# gRPC.


@pytest.mark.parametrize(
    ("authority", "service"),
    [
        ("localhost", "svc"),
        ("127.0.0.1:80", "svc"),
        (f"group.{CLOUD}:80", "group"),
        (f"group.svc.{CLOUD}", "group.svc"),
        (f"svc-1.{CLOUD}", "svc_1"),
        ("svc-1.1234.vpc.cn-hangzhou.pai-eas.aliyuncs.com", "svc_1"),
        ("GROUP.localhost", "group"),
        ("group.svc.example.org:1", "group.svc"),
        ("unknown.example.org", "svc"),
    ],
)
def test_the_authority_names_the_service_of_a_grpc_call(gateway, upstreams, authority, service):
    options = [("grpc.default_authority", authority), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(gateway.address, options) as channel:
        assert channel.unary_unary("/a.B/C")(b"x", metadata=bearer(), timeout=10) == b"x"
    assert {name: rpc.calls for name, (_, rpc) in upstreams.items() if rpc.calls} == {service: ["/a.B/C"]}
    upstreams[service][1].calls.clear()


@pytest.mark.parametrize("authority", ["unknown.localhost", f"unknown.{CLOUD}", f"svc.group.{CLOUD}"])
def test_the_own_domain_of_a_service_that_is_not_there_is_unimplemented(gateway, upstreams, authority):
    with Http2(gateway.address) as client:
        answer = client.call("/a.B/C", bearer(), b"x", host=authority)
    assert (answer.status, answer.grpc_status) == (200, "12")
    assert not any(rpc.calls for _, rpc in upstreams.values())


@pytest.mark.parametrize(
    "path",
    [
        "/GreeterService/SayHello",
        "/helloworld.GreeterService/SayHello",
        "/eas_grpc_pb.greeter.v1.GreeterService/SayHello",
    ],
)
@pytest.mark.parametrize("service", ["greeter", "echo", "digits"])
def test_the_greeter_of_the_page_answers_on_each_of_its_paths(demos, service, path):
    options = [("grpc.default_authority", f"{service}.{CLOUD}"), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(demos.address, options) as channel:
        call = channel.unary_unary(
            path,
            request_serializer=HelloRequest.SerializeToString,
            response_deserializer=HelloResponse.FromString,
        )
        assert call(HelloRequest(name="World"), metadata=bearer(), timeout=10).message == "Hello, World!"
    assert gateway_service(demos) == service


def gateway_service(gateway: Gateway) -> str:
    return gateway.calls()[-1].service


def code_of(call) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code()


def test_without_a_backend_a_call_is_unavailable_and_a_request_503():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as held:
        nobody = f"127.0.0.1:{held.getsockname()[1]}"
    with Gateway(Service(name="gone", http=nobody, grpc=nobody, tokens=(TOKEN,))) as running:
        with grpc.insecure_channel(running.address) as channel:
            call = channel.unary_unary("/a.B/C")
            assert code_of(lambda: call(b"x", metadata=bearer(), timeout=10)) is grpc.StatusCode.UNAVAILABLE
        answer = ask(running.address, "POST", "/api/predict/gone", [("Authorization", TOKEN)], b"x")
        assert answer.status == 503
        assert answer.body.startswith(b"upstream connect error or disconnect/reset before headers")
        with running.faults.no_healthy_upstream():
            answer = ask(running.address, "POST", "/api/predict/gone", [("Authorization", TOKEN)], b"x")
            assert (answer.status, answer.body) == (503, b"no healthy upstream")


def test_a_service_that_comes_up_later_is_reached():
    with Gateway(Service(name="later", tokens=(TOKEN,))) as running:
        answer = ask(running.address, "POST", "/api/predict/later", [("Authorization", TOKEN)], b"x")
        assert (answer.status, answer.body) == (404, b"service 'later' is not served over HTTP")
        with HttpUpstream() as http, GrpcUpstream() as rpc:
            running.configure("later", http=http.address, grpc=rpc.address)
            answer = ask(running.address, "POST", "/api/predict/later", [("Authorization", TOKEN)], b"x")
            assert answer.status == 200
            with Http2(running.address) as client:
                assert client.call("/a/b", bearer(), b"x").grpc_status == "0"


@pytest.mark.parametrize("use_asyncio", [False, True])
def test_a_handler_that_is_too_slow_is_deadline_exceeded_by_the_keepalive_and_by_the_clients_own(use_asyncio):
    with Gateway() as running:
        demo.add_demo(running, [TOKEN], use_asyncio=use_asyncio)
        slowly = HelloManyTimesRequest(name="World", count=1, interval_ms=60_000)
        with grpc.insecure_channel(running.address) as channel:
            call = channel.unary_stream(
                "/eas_grpc_pb.greeter.v1.GreeterService/SayHelloManyTimes",
                request_serializer=HelloManyTimesRequest.SerializeToString,
                response_deserializer=HelloResponse.FromString,
            )
            clients_own = code_of(lambda: list(call(slowly, metadata=bearer(), timeout=0.2)))
            running.configure("greeter", keepalive=0.1)
            keepalive = code_of(lambda: list(call(slowly, metadata=bearer(), timeout=30)))
        assert {clients_own, keepalive} == {grpc.StatusCode.DEADLINE_EXCEEDED}
        last = running.calls()[-1]
        assert (last.status, last.ok) == ("DEADLINE_EXCEEDED", False)
