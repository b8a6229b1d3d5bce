"""Clients that others wrote against `eas-grpc serve`: curl and requests over HTTP, grpc-go, grpc-js and buf over gRPC.

They go through what eas-wire.md 9 asks of an emulator, and begin with the vendor's own samples.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import requests
from interop.gateway_process import fault, gateway_with, session
from interop.programs import ROOT, TOKEN, finish, unavailable
from support.gateway_clients import signed

pytestmark = pytest.mark.interop

ECHO = "/api/predict/echo"
GREETING = "/eas_grpc_pb.greeter.v1.GreeterService/SayHello"
HEALTH = "/grpc.health.v1.Health/Check"
REFUSED_BY_THE_SERVICE = "too many"
TOO_LATE = "too late"


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    """One with its page, whose interface puts faults on."""
    with gateway_with("--ui") as address:
        yield address


# curl.


@pytest.fixture(scope="module")
def curl() -> str:
    return shutil.which("curl") or unavailable("no `curl` on the PATH")


@pytest.fixture(params=["--http1.1", "--http2-prior-knowledge"])
def ask(request, curl, gateway):
    """Runs curl; gives status and body."""

    def run(path: str, *arguments: object, token: str | None = TOKEN) -> tuple[int, str]:
        given = () if token is None else ("-H", f"Authorization: {token}")
        done = finish(
            *(curl, "-sS", "--max-time", "20", request.param, *given, *arguments),
            *("-w", "\n%{http_code}", f"http://{gateway}{path}"),
        )
        assert done.returncode == 0, done.stderr
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    return run


def test_curl_is_let_in_with_each_form_of_the_token_and_gets_the_bytes_back(ask):
    assert ask(ECHO, "-d", "x") == (200, "x")
    assert ask(f"{ECHO}/v1/x?y=z", "-d", "x", token=f"Bearer {TOKEN}") == (200, "x")
    headers = [("-H", f"{name}: {value}") for name, value in signed(TOKEN, ECHO, b"x")]
    assert ask(ECHO, "-d", "x", *(part for pair in headers for part in pair), token=None) == (200, "x")
    assert ask(ECHO, token=None)[0] == 401


def test_curl_gets_the_signature_of_a_model_and_what_is_not_there_or_not_allowed(ask):
    status, body = ask("/api/predict/digits")
    assert (status, json.loads(body)["signature_name"]) == (200, "predict_images")
    assert ask("/api/predict/unknown")[0] == 404
    assert ask("/api/predict/digits", "-X", "PUT", "-d", "x")[0] == 405
    assert ask("/api/predict/digits", "-d", "x") == (
        400,
        "the body is no serialized PredictRequest of tf_predict\n",
    )


@pytest.mark.parametrize(
    "path",
    ["/api/v1/servicediscovery/upstreams/echo", "//exported/apis/eas.alibaba-inc.k8s.io/v1/upstreams/echo"],
)
def test_curl_finds_an_instance_without_a_token_and_calls_it(ask, curl, path):
    status, body = ask(f"{path}?internal=true", token=None)
    assert status == 200
    (item,) = json.loads(body)["endpoints"]["items"]
    url = f"http://{item['ip']}:{item['port']}{ECHO}"
    assert finish(curl, "-sS", "-H", f"Authorization: {TOKEN}", "-d", "direct", url).stdout == "direct"


def test_curl_is_refused_above_1_mb(curl, gateway, tmp_path):
    def post(*arguments: object) -> str:
        sent = (curl, "-sS", "--http1.1", "-H", f"Authorization: {TOKEN}", "-o", os.devnull, *arguments)
        return finish(*sent, "-w", "%{http_code}", f"http://{gateway}{ECHO}").stdout

    for size, status in ((1_000_000, "200"), (1_000_001, "413")):
        body = tmp_path / str(size)
        body.write_bytes(b"x" * size)
        assert post("--data-binary", f"@{body}") == status
        assert post("--data-binary", f"@{body}", "-H", "Transfer-Encoding: chunked") == status


@pytest.mark.parametrize("status", [408, 429, 450, 499, 500, 503])
def test_curl_sees_the_status_of_a_fault(ask, gateway, status):
    with fault(gateway, f"status:code={status},details=because,service=echo"):
        # Without a body, of which this curl loses track when HTTP/2 answers before its end.
        assert ask(ECHO) == (status, "because")
    assert ask(ECHO, "-d", "x") == (200, "x")


def test_curl_sees_that_no_instance_is_healthy(ask, gateway):
    with fault(gateway, "no_healthy_upstream"):
        assert ask(ECHO) == (503, "no healthy upstream")


def test_curl_connects_again_after_408_and_not_after_another_status(curl, gateway):
    url = f"http://{gateway}{ECHO}"
    for status, connections in ((450, "1 0 "), (408, "1 1 ")):
        with fault(gateway, f"status:code={status}"):
            once = (
                "-o",
                os.devnull,
                "-w",
                "%{num_connects} ",
                "-H",
                f"Authorization: {TOKEN}",
                "-d",
                "x",
                url,
            )
            assert finish(curl, "-sS", *once, "--next", "-sS", *once).stdout == connections


@pytest.mark.parametrize(
    ("text", "exits"), [("reset", {52, 56}), ("truncated_frame", {18, 56}), ("half_close", {18, 56})]
)
def test_curl_sees_an_early_close(curl, gateway, text, exits):
    with fault(gateway, f"{text}:service=echo"):
        done = finish(curl, "-sS", "-H", f"Authorization: {TOKEN}", "-d", "body", f"http://{gateway}{ECHO}")
    assert done.returncode in exits


def test_curl_names_a_service_by_its_domain(curl, gateway):
    domain = "echo.1234.cn-hangzhou.pai-eas.aliyuncs.com"
    port = gateway.rpartition(":")[2]
    done = finish(
        *(curl, "-sS", "--connect-to", f"{domain}:80:127.0.0.1:{port}"),
        *("-H", f"Authorization: {TOKEN}", "-d", "x", f"http://{domain}/v1"),
    )
    assert done.stdout == "x"


def test_curl_asks_again_until_a_fault_is_over(curl, gateway):
    with fault(gateway, "status:code=503,calls=2"):
        done = finish(
            *(curl, "-sS", "--retry", "5", "--retry-delay", "1", "-H", f"Authorization: {TOKEN}"),
            *("-d", "x", f"http://{gateway}{ECHO}"),
        )
    assert done.stdout.endswith("x")


# requests.


def test_requests_keeps_one_connection_through_answers_of_all_kinds(gateway):
    with session() as client:
        url = f"http://{gateway}{ECHO}"
        client.headers["Authorization"] = TOKEN
        pool = client.get_adapter(url).poolmanager
        for _ in range(3):
            assert client.post(url, data=b"x" * 100_000, timeout=10).content == b"x" * 100_000
            assert client.post(url, data=iter([b"a", b"b"]), timeout=10).content == b"ab"
            assert client.get(url, timeout=10).status_code == 405
            assert client.post(url, headers={"Authorization": "wrong"}, timeout=10).status_code == 401
            assert client.get(f"http://{gateway}/api/predict/unknown", timeout=10).status_code == 404
        [key] = pool.pools.keys()
        assert pool.pools[key].num_connections == 1


def test_requests_sees_a_delay_as_a_time_out_and_an_early_close_as_none(gateway):
    with session() as client:
        client.headers["Authorization"] = TOKEN
        url = f"http://{gateway}{ECHO}"
        with fault(gateway, "latency:seconds=60"), pytest.raises(requests.exceptions.ReadTimeout):
            client.post(url, data="x", timeout=0.2)
        with fault(gateway, "reset"), pytest.raises(requests.exceptions.ConnectionError):
            client.post(url, data="x", timeout=10)
        assert client.post(url, data="x", timeout=10).text == "x"


# gRPC: Go and JavaScript.


@pytest.fixture(params=["go", "js"])
def client(request) -> list[object]:
    """The command that takes an address and a token, and makes every call of the greeter."""
    if request.param == "go":
        return [request.getfixturevalue("go_programs") / "client"]
    node, folder = request.getfixturevalue("node_programs")
    return [node, folder / "client.js"]


def outcomes(
    client: list[object], address: str, token: str = TOKEN
) -> dict[str, tuple[grpc.StatusCode, str]]:
    done = finish(*client, address, token)
    assert done.returncode == 0, done.stderr
    codes = {code.value[0]: code for code in grpc.StatusCode}
    return {path: (codes[each["code"]], each["details"]) for path, each in json.loads(done.stdout).items()}


def nobody() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        return f"127.0.0.1:{held.getsockname()[1]}"


def test_every_call_without_a_backend_is_unavailable(client):
    with gateway_with("--upstream", f"greeter={nobody()}") as address:
        found = outcomes(client, address)
    assert {code for code, _ in found.values()} == {grpc.StatusCode.UNAVAILABLE}
    assert all(details.startswith("upstream connect error") for _, details in found.values())


def test_every_call_is_unavailable_while_no_instance_is_healthy(client, gateway):
    with fault(gateway, "no_healthy_upstream"):
        found = outcomes(client, gateway)
    assert set(found.values()) == {(grpc.StatusCode.UNAVAILABLE, "no healthy upstream")}


def test_every_message_above_the_limit_is_resource_exhausted(client):
    # The message with the name World has 7 bytes, the question for health none.
    with gateway_with("--max-body", "6") as address:
        found = outcomes(client, address)
    assert found.pop(HEALTH)[0] is grpc.StatusCode.OK
    assert found[GREETING] == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "the request is larger than the gateway's limit of 6 bytes",
    )
    del found[REFUSED_BY_THE_SERVICE]
    assert {code for code, _ in found.values()} == {grpc.StatusCode.RESOURCE_EXHAUSTED}


def test_a_call_above_the_keepalive_is_deadline_exceeded_by_the_gateway(client):
    with gateway_with("--keepalive", "0.05") as address:
        found = outcomes(client, address)
    assert found[TOO_LATE] == (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "the service did not answer within its keepalive of 0.05 s",
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("status:code=429", "UNAVAILABLE"),
        ("status:code=503", "UNAVAILABLE"),
        ("status:code=401", "UNAUTHENTICATED"),
        ("status:code=404", "UNIMPLEMENTED"),
        ("status:code=RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED"),
    ],
)
def test_a_status_of_http_is_mapped_and_one_of_grpc_passed_on(client, gateway, text, code):
    with fault(gateway, text):
        found = outcomes(client, gateway)
    assert {each.name for each, _ in found.values()} == {code}


# gRPC: buf.


@pytest.fixture
def buf(tmp_path):
    """Runs `buf curl` with our protos; gives its exit status and what it printed."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which("buf", path=places) or unavailable("no `buf`: install the wheel buf-bin")

    def run(address: str, path: str = GREETING, **message: object) -> tuple[int, str]:
        data = tmp_path / "message.json"
        data.write_text(json.dumps({"name": "World", **message}))
        done = finish(
            *(program, "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--schema", ROOT / "protos"),
            *("--header", f"authorization: Bearer {TOKEN}", "--data", f"@{data}"),
            f"http://{address}{path}",
            HOME=str(tmp_path),
        )
        # The exit status is that of the call, times eight.
        return done.returncode >> 3, done.stdout + done.stderr

    return run


def test_buf_is_greeted_and_sees_each_refusal(buf, gateway):
    assert buf(gateway) == (0, '{\n  "message": "Hello, World!"\n}\n')
    with fault(gateway, "no_healthy_upstream"):
        status, said = buf(gateway)
        assert (status, json.loads(said)["message"]) == (14, "no healthy upstream")
    status, said = buf(gateway, name="x" * 1_000_000)
    assert (status, json.loads(said)["code"]) == (8, "resource_exhausted")
    with gateway_with("--keepalive", "0.05") as address:
        status, said = buf(address, GREETING + "ManyTimes", count=1, interval_ms=60_000)
    assert (status, json.loads(said)["code"]) == (4, "deadline_exceeded")
