"""The servers that ours is compared with: bare grpc that answers with what it got, as bytes or through protobuf.

`python -m benchmarks.tensor_server [--keep] [--asyncio]`: with the allocator settings of eas_grpc.serving, and on
grpc.aio (raw bytes alone).
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
from eas_grpc_pb.open_inference.v2 import open_inference_pb2 as oip
from eas_grpc_pb.tensor.v1 import tensor_pb2 as native

from eas_grpc.tensors import keep_large_buffers

SERVICE = "bench.Echo"
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def raw(request: bytes, _: Any) -> bytes:
    """The request."""
    return request


def bytes_field(request: native.PredictRequest, _: Any) -> native.PredictResponse:
    """Each tensor as an array, and back into protobuf's field of bytes."""
    outputs = []
    for tensor in request.inputs:
        array = np.frombuffer(tensor.data, np.float32).reshape(tuple(tensor.shape))
        outputs.append(
            native.Tensor(name=tensor.name, dtype=tensor.dtype, shape=array.shape, data=array.tobytes())
        )
    return native.PredictResponse(model=request.model, outputs=outputs)


def repeated_field(request: oip.ModelInferRequest, _: Any) -> oip.ModelInferResponse:
    """Each tensor as an array, and back into protobuf's repeated field of numbers."""
    outputs = []
    for tensor in request.inputs:
        array = np.array(tensor.contents.fp32_contents, np.float32).reshape(tuple(tensor.shape))
        outputs.append(
            oip.ModelInferResponse.InferOutputTensor(
                name=tensor.name,
                datatype=tensor.datatype,
                shape=array.shape,
                contents=oip.InferTensorContents(fp32_contents=array.ravel()),
            )
        )
    return oip.ModelInferResponse(model_name=request.model_name, outputs=outputs)


def main() -> None:
    """Prints its address and serves until killed."""
    if "--keep" in sys.argv:
        assert keep_large_buffers()
    if "--asyncio" in sys.argv:
        asyncio.run(serve_async())
        return
    method = grpc.unary_unary_rpc_method_handler
    server = grpc.server(ThreadPoolExecutor(32), options=UNLIMITED)
    handlers = {
        "Raw": method(raw),
        "BytesField": method(
            bytes_field, native.PredictRequest.FromString, native.PredictResponse.SerializeToString
        ),
        "RepeatedField": method(
            repeated_field, oip.ModelInferRequest.FromString, oip.ModelInferResponse.SerializeToString
        ),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"ready on 127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


async def serve_async() -> None:
    """The same on grpc.aio, for raw bytes."""

    async def raw_async(request: bytes, _: Any) -> bytes:
        return request

    server = grpc.aio.server(options=UNLIMITED)
    handlers = {"Raw": grpc.unary_unary_rpc_method_handler(raw_async)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"ready on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    main()
