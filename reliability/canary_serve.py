"""The walk of row F3 past `eas-grpc serve`: the process as a user runs it, and everything that it answers."""

from __future__ import annotations

import base64
import hmac
import http.client
import json
import signal
import subprocess
import sys
import tempfile
from contextlib import closing, suppress
from typing import Any

import grpc

from reliability.child import ROOT, clean_environment

__all__ = ["walk"]

_API = ("state", "calls", "trace", "faults", "nothing")
_TIMEOUT = 10.0


def walk(secret: str) -> str:
    """All that the process printed and answered, in one text."""
    command = ["serve", "--port", "0", "--admin-port", "0", "--ui", "-v", "--token", secret]
    upstream = f"mine=127.0.0.1:1,token={secret}"
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "eas_grpc.cli", *command, "--upstream", upstream],
            cwd=ROOT,
            env=clean_environment(GRPC_VERBOSITY="debug", PYTHONDEVMODE="1"),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        try:
            texts = _talk(process, secret)
            process.send_signal(signal.SIGTERM)
            texts.append(process.communicate(timeout=_TIMEOUT)[0])
        finally:
            process.kill()
            process.wait(_TIMEOUT)
        errors.seek(0)
        return "\n".join([*texts, errors.read()])


def _talk(process: subprocess.Popen[str], secret: str) -> list[str]:
    texts, address, admin = [], "", ""
    assert process.stdout is not None
    # It says where it is, and where the rest is, before it waits for calls.
    while not (address and admin):
        line = process.stdout.readline()
        assert line, f"eas-grpc serve ended: {process.poll()}"
        texts.append(line)
        words = line.split()
        if line.startswith("ready on"):
            address = words[2]
        if "admin" in line:
            admin = next(word for word in words if "127.0.0.1:" in word).removeprefix("http://").rstrip("/,")
    texts += _calls(address, secret)
    for token in (secret, f"{secret}-wrong"):
        for headers in _headers(token):
            for path in (
                "/api/predict/echo",
                "/api/predict/digits",
                "/api/predict/mine",
                "/nothing",
                "/_eas",
            ):
                texts.append(_http(address, "POST", path, b"x", headers))
    for path in _API:
        texts += [_http(admin, "GET", f"/{path}"), _http(address, "GET", f"/_eas/api/{path}")]
    texts.append(_http(address, "GET", "/_eas"))
    typed = {"content-type": "application/json"}
    for body in ({"tokens": [secret, "x y"]}, {"tokens": secret}, {"token": [secret]}, {"tokens": [secret]}):
        for name in ("echo", "no-such", secret[:20]):
            texts.append(_http(admin, "PUT", f"/services/{name}/tokens", json.dumps(body).encode(), typed))
    texts.append(_http(admin, "PUT", "/services/echo/tokens", secret.encode(), typed))
    texts.append(_http(admin, "POST", "/faults", b'{"fault": "latency:seconds=0"}', typed))
    texts += _calls(address, secret)
    return texts


def _headers(token: str) -> list[dict[str, str]]:
    digest = base64.b64encode(hmac.digest(token.encode(), b"POST", "sha1")).decode()
    return [
        {"Authorization": value} for value in (token, f"Bearer {token}", f"Basic {token}", f"EAS {digest}")
    ]


def _http(address: str, verb: str, path: str, body: bytes | None = None, headers: Any = None) -> str:
    """The answer, head and body."""
    with closing(http.client.HTTPConnection(*address.rsplit(":", 1), timeout=_TIMEOUT)) as connection:
        connection.request(verb, path, body, headers or {})
        answer = connection.getresponse()
        return f"{answer.status} {answer.getheaders()} {answer.read()!r}"


def _calls(address: str, secret: str) -> list[str]:
    """gRPC calls that go well and wrong, as their callers see them."""
    texts = []
    with grpc.insecure_channel(address) as channel:
        for method in ("/eas_grpc_pb.greeter.v1.GreeterService/SayHello", "/no.Such/Method"):
            for token in (f"Bearer {secret}", f"Bearer {secret}-wrong", secret):
                with suppress(grpc.RpcError):
                    texts.append(_call(channel.unary_unary(method), token))
    return texts


def _call(method: Any, token: str) -> str:
    try:
        answer, call = method.with_call(b"", timeout=_TIMEOUT, metadata=(("authorization", token),))
    except grpc.RpcError as error:
        return f"{error!r} {error.trailing_metadata()}"
    return f"{answer!r} {call.initial_metadata()} {call.trailing_metadata()}"
