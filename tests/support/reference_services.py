"""Tensor services written with protobuf's own messages, as somebody else's server would be; no encoder of ours.

Every model gives its inputs back, but for `sum`, which has one output of one element. An input `do` says what
happens first: `fail:<STATUS>:<text>`, `hold` (until the call ends), `gate` (until the test opens it); in an Open
Inference stream also `error:<text>`, `twice` and `never`. The model `digits` describes its inputs, `missing` does not exist.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np

from support.reference_protocols import (
    Arrays,
    doing,
    model_methods,
    native_methods,
    open_inference_methods,
    prediction_methods,
)

NATIVE = "eas_grpc_pb.tensor.v1.TensorService"
OPEN_INFERENCE = "inference.GRPCInferenceService"
PREDICTION = "tensorflow.serving.PredictionService"
MODELS = "tensorflow.serving.ModelService"


@dataclass
class Seen:
    """One call as the server saw it; `sizes` are those of its messages in bytes."""

    method: str
    metadata: dict[str, Any]
    remaining: float | None
    sizes: list[int] = field(default_factory=list)
    requests: list[Any] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


class ReferenceServer:
    """`with ReferenceServer() as server:` serves the three protocols on `server.address`."""

    def __init__(self) -> None:
        self.calls: list[Seen] = []
        self.started: queue.SimpleQueue[Seen] = queue.SimpleQueue()
        self.gate = threading.Event()
        self.under_way = self.most_under_way = 0
        self._lock = threading.Lock()
        self._server = grpc.server(
            futures.ThreadPoolExecutor(32),
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)],
        )
        for service, methods in (
            (NATIVE, native_methods(self)),
            (OPEN_INFERENCE, open_inference_methods(self)),
            (PREDICTION, prediction_methods(self)),
            (MODELS, model_methods(self)),
        ):
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> ReferenceServer:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self._server.stop(0).wait()

    @property
    def last(self) -> Seen:
        return self.calls[-1]

    def begin(self, method: str, context: grpc.ServicerContext) -> Seen:
        remaining = context.time_remaining()
        # grpc reports "no deadline" as centuries.
        seen = Seen(method, dict(context.invocation_metadata()), None if remaining > 1e8 else remaining)
        if not context.add_callback(seen.ended.set):
            seen.ended.set()
        self.calls.append(seen)
        self.started.put(seen)
        return seen

    def handler(self, shape: str, run: Callable[..., Any], request: Any, response: Any) -> Any:
        """A method whose `run(request, context, seen)` knows neither bytes nor bookkeeping."""
        many = shape.startswith("stream")

        def parsed(data: bytes) -> tuple[Any, int]:
            return request.FromString(data), len(data)

        def note(pair: tuple[Any, int], seen: Seen) -> Any:
            seen.sizes.append(pair[1])
            seen.requests.append(pair[0])
            return pair[0]

        def behave(given: Any, context: grpc.ServicerContext) -> Any:
            seen = self.begin(run.__name__, context)
            messages = (note(pair, seen) for pair in given) if many else note(given, seen)
            return run(messages, context, seen)

        def counted(given: Any, context: grpc.ServicerContext) -> Any:
            with self._lock:
                self.under_way += 1
                self.most_under_way = max(self.most_under_way, self.under_way)
            try:
                return behave(given, context)
            finally:
                with self._lock:
                    self.under_way -= 1

        make = getattr(grpc, f"{shape}_rpc_method_handler")
        return make(
            counted if shape == "unary_unary" else behave,
            request_deserializer=parsed,
            response_serializer=response.SerializeToString,
        )

    def answer(self, model: str, inputs: Arrays, context: grpc.ServicerContext, seen: Seen) -> Arrays:
        """What a model gives."""
        if model == "missing":
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no model 'missing'")
        verb, _, rest = doing(inputs).partition(":")
        if verb == "fail":
            status, _, text = rest.partition(":")
            context.abort(grpc.StatusCode[status], text)
        elif verb == "hold":
            seen.ended.wait(30)
        elif verb == "gate":
            self.gate.wait(30)
        if model == "sum":
            return {"total": np.array([sum(float(array.sum()) for array in inputs.values())], np.float32)}
        return inputs


if __name__ == "__main__":  # in a process of its own, until its standard input ends
    with ReferenceServer() as alone:
        print(f"ready on {alone.address}", flush=True)
        sys.stdin.read()
