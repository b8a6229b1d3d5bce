"""The short form of faults, and the gateway's admin interface, which takes them as JSON.

An input that begins with NUL is a request: verb and path in its first line, the body after it. A finding is also a fault
whose text means another one, and an answer of the admin interface that blames itself.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from functools import cache

from eas_grpc.errors import ConfigError
from server_demo.gateway._core import Core
from server_demo.gateway._faults import parse
from server_demo.gateway._http_service import Request
from server_demo.gateway._local import Admin
from server_demo.gateway.options import GatewayOptions, Service

RATE = 20000
LONGEST_MESSAGE = 20_000


def check(data: bytes) -> None:
    """Only ConfigError is allowed."""
    if data.startswith(b"\0"):
        _ask(data[1:])
        return
    text = data.decode("utf-8", "replace")
    try:
        fault = parse(text)
    except ConfigError as error:
        assert len(str(error)) < LONGEST_MESSAGE
        return
    assert parse(fault.text()) == fault, fault.text()
    fault.applies("grpc", "demo", "/a.B/C")
    fault.applies("http", None, "POST /api/predict/demo")


class _Loop(asyncio.SelectorEventLoop):
    """One on which nothing happens later."""

    def call_later(self, delay, callback, *args, context=None):  # noqa: ARG002
        return None


@cache
def _core() -> Core:
    core = Core(_Loop(), GatewayOptions())
    core.put(Service(name="demo", tokens=("token",)))
    return core


def _ask(data: bytes) -> None:
    line, _, body = data.partition(b"\n")
    method, _, path = line.decode("utf-8", "replace").partition(" ")
    path, _, after = path.partition("?")
    headers = {"host": "localhost", "content-type": "application/json"}
    core = _core()
    answer = Admin(core, "127.0.0.1:1", tls=False).handle(
        Request(method, path, {"after": after}, headers, body)
    )
    assert answer.status in {200, 201, 202, 204, 400, 404}
    assert answer.status == 204 or answer.status == 202 or json.loads(answer.body) is not None
    core.end_faults()


def seeds() -> Iterator[bytes]:
    """Every kind of fault, and every question."""
    for text in (
        "latency:seconds=0.2,jitter=0.1,calls=3",
        'status:code=UNAVAILABLE,details="a, \\"b\\" \\\\",after_messages=2,share=0.5,seed=7',
        "status:code=503,service=demo,method=*/SayHello",
        "reset:after=headers,connection=true",
        "half_close",
        "black_hole:direction=to_client",
        "drip:size=3,interval=0.5",
        "bandwidth:bytes_per_second=10",
        "restart:down=1",
        "html:status=502",
        "content_type:value=text/html",
        "giant_message:size=10",
        "goaway:grace=false",
        "no_healthy_upstream",
    ):
        yield text.encode()
        yield b"\0POST /faults\n" + json.dumps({"fault": text}).encode()
    yield b'\0POST /faults\n{"kind": "latency", "seconds": 1e308, "calls": 1, "share": 0.5}'
    yield b"\0GET /state\n"
    yield b"\0GET /calls?12\n"
    yield b"\0GET /trace\n"
    yield b"\0DELETE /faults/1\n"
    yield b'\0PUT /services/demo/tokens\n{"tokens": ["a", "Bearer b"]}'
    yield b'\0PUT /services/demo/instances\n[{"ip": "127.0.0.1", "port": 9000, "weight": 100}]'
    yield b'\0POST /restart\n{"down": 0.5}'
    yield b"\0POST /restart\n" + b"[" * 3000
