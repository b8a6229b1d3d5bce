"""The three services of tests/interop/protos/kinds on stock grpcio and its reflection, as a program.

`python kinds_server.py SCHEMA` reads a descriptor set, prints `ready on ADDRESS` and serves until SIGTERM.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection

SERVICES = ("kinds.v1.KindsService", "kinds.older.v1.OlderService", "kinds.newer.v1.NewerService")

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_SHAPES = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class Kinds:
    """What the methods do; the same for every service, since only the messages differ."""

    def __init__(self, pool: DescriptorPool) -> None:
        self._status = GetMessageClass(pool.FindMessageTypeByName("google.rpc.Status"))

    def handler(self, method: MethodDescriptor) -> grpc.RpcMethodHandler:
        request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        shape = (method.client_streaming, method.server_streaming)
        behaviour = {
            (False, False): self._echo,
            (False, True): self._repeat,
            (True, False): self._collect,
            (True, True): self._chat,
        }[shape]

        def behave(given: Any, context: grpc.ServicerContext) -> Any:
            return behaviour(response, given, context)

        return _SHAPES[shape](_begin(behave), request.FromString, response.SerializeToString)

    def _echo(self, response: type[Any], request: Any, context: grpc.ServicerContext) -> Any:
        self._end(request, context)
        return _back(response, request)

    def _repeat(self, response: type[Any], request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        for _ in range(request.times):
            yield _back(response, request)
        self._end(request, context)

    def _collect(self, response: type[Any], requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        collected, last = response(), None
        for request in requests:
            if request.HasField("everything"):
                collected.everything.append(request.everything)
            if request.HasField("failure"):
                last = request
        self._end(last, context)
        return collected

    def _chat(
        self, response: type[Any], requests: Iterator[Any], context: grpc.ServicerContext
    ) -> Iterator[Any]:
        for request in requests:
            self._end(request, context)
            yield _back(response, request)

    def _end(self, request: Any, context: grpc.ServicerContext) -> None:
        """Ends the call as the request wants it, if it does."""
        if request is None or "failure" not in request.DESCRIPTOR.fields_by_name:
            return
        if not request.HasField("failure"):
            return
        failure = request.failure
        status = self._status(code=failure.code, message=failure.message)
        status.details.extend(failure.details)
        trailers = context.trailing_metadata() or ()
        context.set_trailing_metadata((*trailers, ("grpc-status-details-bin", status.SerializeToString())))
        context.abort(_CODES[failure.code], failure.message)


def _back(response: type[Any], request: Any) -> Any:
    """The answer with all that it can hold of the request."""
    answer = response()
    for field in answer.DESCRIPTOR.fields:
        if request.HasField(field.name):
            getattr(answer, field.name).CopyFrom(getattr(request, field.name))
    return answer


def _begin(behaviour: Callable[[Any, grpc.ServicerContext], Any]) -> Callable[[Any, Any], Any]:
    """Sends headers and trailers with the answer; the trailers say what the caller asked them to."""

    def begun(given: Any, context: grpc.ServicerContext) -> Any:
        said = {"x-kinds-say": "x-kinds-said", "x-kinds-say-bin": "x-kinds-said-bin"}
        seen = [(said[key], value) for key, value in context.invocation_metadata() if key in said]
        context.set_trailing_metadata((("x-kinds-end-bin", b"\xfe\x00\xff"), *seen))
        context.send_initial_metadata((("x-kinds-language", "python"), ("x-kinds-begin-bin", b"\x00\xff")))
        return behaviour(given, context)

    return begun


def _handlers(service: ServiceDescriptor, kinds: Kinds) -> grpc.GenericRpcHandler:
    methods = {method.name: kinds.handler(method) for method in service.methods}
    return grpc.method_handlers_generic_handler(service.full_name, methods)


def main(schema: str) -> None:
    """Serves the services of the descriptor set until SIGTERM."""
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(Path(schema).read_bytes()).file:
        pool.AddSerializedFile(file.SerializeToString())
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    server = grpc.server(ThreadPoolExecutor(8))
    kinds = Kinds(pool)
    server.add_generic_rpc_handlers([_handlers(pool.FindServiceByName(name), kinds) for name in SERVICES])
    reflection.enable_server_reflection(SERVICES, server, pool)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"ready on 127.0.0.1:{port}", flush=True)
    stop.wait()
    server.stop(None).wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
