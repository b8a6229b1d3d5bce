"""A gateway with its page, and calls to it in every form of authentication."""

from __future__ import annotations

import base64
import hashlib
import hmac
import sys
from contextlib import AbstractContextManager

import grpc
import requests
from eas_grpc_pb.greeter.v1 import greeter_pb2, greeter_pb2_grpc
from interop.programs import serving

TOKEN = "canary-token-3f9b1c"
ECHO = "/api/predict/echo"

_CALL_SECONDS = 20


def gateway(port: int | str = 0) -> AbstractContextManager[str]:
    """Runs `eas-grpc serve` with its page; gives the address."""
    command = (sys.executable, "-m", "eas_grpc.cli", "serve", "--port", port)
    return serving(*command, "--ui", "--admin-port", 0, "--token", TOKEN)


def say_hello(address: str, token: str = TOKEN) -> str:
    """Calls the greeter over gRPC; gives the name of the status."""
    with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        stub = greeter_pb2_grpc.GreeterServiceStub(channel)
        try:
            stub.SayHello(
                greeter_pb2.HelloRequest(name="page"),
                metadata=(("authorization", f"Bearer {token}"),),
                timeout=_CALL_SECONDS,
            )
        except grpc.RpcError as error:
            return error.code().name
    return "OK"


def call_path(address: str, path: str) -> None:
    """Calls a gRPC method that there is not."""
    with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        try:
            channel.unary_unary(path)(
                b"", metadata=(("authorization", f"Bearer {TOKEN}"),), timeout=_CALL_SECONDS
            )
        except grpc.RpcError:
            return


def post(address: str, body: bytes = b"hello", authorization: str | None = TOKEN) -> int:
    """Posts to the echo service; gives the status."""
    headers = {"content-type": "text/plain"}
    if authorization is not None:
        headers["authorization"] = authorization
    return (
        _session().post(f"http://{address}{ECHO}", body, headers=headers, timeout=_CALL_SECONDS).status_code
    )


def post_signed(address: str, body: bytes = b"hello") -> int:
    """Posts to the echo service with a signature in place of the token; gives the status."""
    headers = {
        "content-md5": hashlib.md5(body).hexdigest(),
        "content-type": "text/plain",
        "date": "Tue, 02 Jan 2024 03:04:05 GMT",
    }
    signed = "\n".join(("POST", *headers.values(), ECHO)).encode()
    signature = base64.b64encode(hmac.digest(TOKEN.encode(), signed, "sha1")).decode()
    headers["authorization"] = f"EAS {signature}"
    return (
        _session().post(f"http://{address}{ECHO}", body, headers=headers, timeout=_CALL_SECONDS).status_code
    )


def fetch(address: str, path: str, *, with_headers: bool = False) -> str:
    """What the gateway answers to a GET."""
    answer = _session().get(f"http://{address}{path}", timeout=_CALL_SECONDS)
    assert answer.status_code == 200, answer.text
    return f"{answer.headers}\n{answer.text}" if with_headers else answer.text


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # no proxy on the way to loopback
    return session
