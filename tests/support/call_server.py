"""A server of the service in `call_schema`, which does as its callers say, and a client in a process of its own."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from eas_grpc.schema import from_files
from support.call_schema import all_files, files, schema

SERVICE = "acme.call.v1.Store"
MODULE = [sys.executable, "-m", "eas_grpc.cli", "call"]
SECONDS = 30


class StoreServer:
    """`with StoreServer() as server:`; what arrives is in `seen`, `cancelled` is set when a caller gives up.

    A caption tells what to do: `fail:STATUS:text`, `rich`, `echo`, `echo:ok`, `extra`, `hold`, or to send it back.
    """

    def __init__(self) -> None:
        self.seen: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.cancelled = threading.Event()
        self.metadata: list[tuple[str, Any]] = []
        self.deadline: float | None = None
        self.released = threading.Event()
        found = schema()
        kinds = {
            method.name: (method.client_streaming, method.server_streaming, method)
            for method in found.methods(SERVICE)
        }
        handlers = {name: self._handler(*kind) for name, kind in kinds.items()}
        self._server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self._server.add_generic_rpc_handlers((_reflection(),))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> StoreServer:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.stop(0).wait()

    def next_seen(self) -> str:
        """What arrives next."""
        return self.seen.get(timeout=SECONDS)

    def _handler(self, many_in: bool, many_out: bool, method: Any) -> Any:
        def answers(requests: Iterator[Any], context: Any) -> Iterator[Any]:
            context.add_callback(
                lambda: None if context.code() == grpc.StatusCode.OK else self.cancelled.set()
            )
            self.metadata = list(context.invocation_metadata())
            left = context.time_remaining()
            self.deadline = None if left is None or left > 1e8 else left
            context.send_initial_metadata((("x-first", "hello"), ("x-bytes-bin", b"\xff")))
            for request in requests:
                self.seen.put(getattr(request, "caption", ""))
                yield from self._act(request, context, method)
            context.set_trailing_metadata((("x-last", "bye"),))

        def stream(request: Any, context: Any) -> Iterator[Any]:
            yield from answers(request if many_in else iter([request]), context)

        def single(request: Any, context: Any) -> Any:
            found = list(answers(request if many_in else iter([request]), context))
            if many_in:
                return method.response(caption="+".join(each.caption for each in found))
            return found[0] if found else method.response()

        kinds = ("unary", "stream")
        make = getattr(grpc, f"{kinds[many_in]}_{kinds[many_out]}_rpc_method_handler")
        return make(
            stream if many_out else single,
            request_deserializer=method.request.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )

    def _act(self, request: Any, context: Any, method: Any) -> Iterator[Any]:
        verb, _, rest = getattr(request, "caption", "").partition(":")
        if verb == "fail":
            status, _, text = rest.partition(":")
            context.set_trailing_metadata((("x-last", "bye"),))
            context.abort(grpc.StatusCode[status], text)
        elif verb == "rich":
            _fail_richly(context)
        elif verb == "extra":
            answer = method.response()
            answer.anything.type_url = "type.example/acme.other.v1.Extra"
            answer.anything.value = b"\n\x02hi"
            yield answer
        elif verb == "echo":
            sent = dict(context.invocation_metadata()).get("authorization", "")
            context.set_trailing_metadata((("x-echo", sent),))
            if rest != "ok":
                context.abort(grpc.StatusCode.INTERNAL, f"you sent {sent}")
            yield request
        elif verb == "hold":
            yield request
            self.released.wait(SECONDS)
        else:
            for _ in range(max(getattr(request, "count", 0), 1) if method.server_streaming else 1):
                yield request


def _reflection() -> Any:
    """The stock servicer, which knows v1alpha alone."""
    pool = from_files(all_files().file, origin="all").pool
    servicer: Any = reflection.ReflectionServicer([SERVICE], pool=pool)
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    name = "grpc.reflection.v1alpha.ServerReflection"
    return grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler})


def _fail_richly(context: Any) -> None:
    violation = error_details_pb2.BadRequest.FieldViolation(field="caption", description="too rich")
    details = any_pb2.Any()
    details.Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    status = status_pb2.Status(code=3, message="not like this", details=[details])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not like this")


def write_schema(folder: Path) -> Path:
    """The descriptor set of the service."""
    path = folder / "call.binpb"
    path.write_bytes(files().SerializeToString())
    return path


def environment(**more: str) -> dict[str, str]:
    """Without anybody's settings and proxies."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("EAS_") and not name.lower().endswith("_proxy")
    }
    return kept | more


@contextmanager
def started(*args: str, **words: Any) -> Iterator[subprocess.Popen[str]]:
    """`eas-grpc call ARGS` in a process, with pipes, stopped at the end."""
    pipe = subprocess.PIPE
    given = {"stdin": pipe, "stdout": pipe, "stderr": pipe, "text": True, "env": environment()} | words
    with subprocess.Popen([*MODULE, *args], **given) as process:
        try:
            yield process
        finally:
            process.kill()
