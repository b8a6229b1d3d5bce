"""The methods of three tensor services, on protobuf's own messages; `reference_services` serves them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
import numpy as np
from eas_grpc_pb.open_inference.v2 import open_inference_pb2 as oip
from eas_grpc_pb.tensor.v1 import tensor_pb2 as native
from eas_grpc_pb.tf_serving.v1 import model_service_pb2, prediction_service_pb2, tensor_pb2, types_pb2

Arrays = dict[str, np.ndarray]

# dtype, then what each protocol calls it.
_TYPES = [
    ("bool", native.DTYPE_BOOL, "BOOL", types_pb2.DT_BOOL),
    ("int8", native.DTYPE_INT8, "INT8", types_pb2.DT_INT8),
    ("int32", native.DTYPE_INT32, "INT32", types_pb2.DT_INT32),
    ("int64", native.DTYPE_INT64, "INT64", types_pb2.DT_INT64),
    ("uint8", native.DTYPE_UINT8, "UINT8", types_pb2.DT_UINT8),
    ("float32", native.DTYPE_FLOAT32, "FP32", types_pb2.DT_FLOAT),
    ("float64", native.DTYPE_FLOAT64, "FP64", types_pb2.DT_DOUBLE),
    ("object", native.DTYPE_BYTES, "BYTES", types_pb2.DT_STRING),
]
_NATIVE = {name: number for name, number, _, _ in _TYPES}
_OPEN_INFERENCE = {name: text for name, _, text, _ in _TYPES}
_TF = {name: number for name, _, _, number in _TYPES}


def doing(inputs: Mapping[str, np.ndarray]) -> str:
    return inputs["do"].reshape(-1)[0].decode() if "do" in inputs else ""


def wanted(outputs: Arrays, names: Any) -> Arrays:
    return {name: outputs[name] for name in names} if names else outputs


def from_items(items: Any, shape: Any) -> np.ndarray:
    array = np.empty(len(items), object)
    array[:] = list(items)
    return array.reshape(tuple(shape))


# Our own TensorService


def from_native(tensors: Any) -> Arrays:
    names = {number: name for name, number in _NATIVE.items()}
    return {
        each.name: from_items(each.items, each.shape)
        if each.dtype == native.DTYPE_BYTES
        else np.frombuffer(each.data, names[each.dtype]).reshape(tuple(each.shape))
        for each in tensors
    }


def to_native(arrays: Arrays) -> list[Any]:
    return [
        native.Tensor(
            name=name,
            dtype=_NATIVE[array.dtype.name],
            shape=array.shape,
            **({"items": array.reshape(-1).tolist()} if array.dtype == object else {"data": array.tobytes()}),
        )
        for name, array in arrays.items()
    ]


def native_methods(server: Any) -> dict[str, Any]:
    def answered(request: Any, context: grpc.ServicerContext, seen: Any) -> Any:
        outputs = server.answer(request.model, from_native(request.inputs), context, seen)
        return native.PredictResponse(
            model=request.model, outputs=to_native(wanted(outputs, request.outputs))
        )

    def predict(request: Any, context: grpc.ServicerContext, seen: Any) -> Any:
        return answered(request, context, seen)

    def partial(request: Any, context: grpc.ServicerContext, seen: Any) -> Iterator[Any]:
        """Row by row."""
        outputs = server.answer(request.model, from_native(request.inputs), context, seen)
        for row in range(max(len(array) for array in outputs.values())):
            yield native.PredictResponse(
                outputs=to_native({name: array[row : row + 1] for name, array in outputs.items()})
            )

    def stream(requests: Iterator[Any], context: grpc.ServicerContext, seen: Any) -> Iterator[Any]:
        for count, request in enumerate(requests):
            if request.model == "short" and count == 2:
                return
            yield answered(request, context, seen)

    def upload(chunks: Iterator[Any], context: grpc.ServicerContext, seen: Any) -> Any:
        data, crc, total = bytearray(), 0, 0
        for count, chunk in enumerate(chunks):
            total = chunk.total if count == 0 else total
            data += chunk.data
            crc = zlib.crc32(chunk.data, crc)
            if crc != chunk.crc32:
                context.abort(grpc.StatusCode.DATA_LOSS, "wrong checksum")
        if len(data) != total:
            context.abort(grpc.StatusCode.DATA_LOSS, "wrong size")
        return answered(native.PredictRequest.FromString(bytes(data)), context, seen)

    def describe(request: Any, context: grpc.ServicerContext, seen: Any) -> Any:
        if request.model == "missing":
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no model 'missing'")
        if request.model != "digits":
            return native.DescribeResponse(model=request.model, any_inputs=True)
        return native.DescribeResponse(
            model="digits",
            inputs=[native.TensorSpec(name="images", dtype=native.DTYPE_FLOAT32, shape=[-1, 784])],
            outputs=[native.TensorSpec(name="scores", any_shape=True)],
        )

    one, many = native.PredictRequest, native.PredictResponse
    return {
        "Predict": server.handler("unary_unary", predict, one, many),
        "PredictPartial": server.handler("unary_stream", partial, one, many),
        "PredictStream": server.handler("stream_stream", stream, one, many),
        "PredictUpload": server.handler("stream_unary", upload, native.UploadChunk, many),
        "Describe": server.handler("unary_unary", describe, native.DescribeRequest, native.DescribeResponse),
    }


# Open Inference Protocol


def _raw(array: np.ndarray) -> bytes:
    if array.dtype != object:
        return array.tobytes()
    return b"".join(len(item).to_bytes(4, "little") + item for item in array.reshape(-1).tolist())


def _from_raw(data: bytes, dtype: str, shape: Any) -> np.ndarray:
    if dtype != "object":
        return np.frombuffer(data, dtype).reshape(tuple(shape))
    items, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        items.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return from_items(items, shape)


def from_open_inference(request: Any) -> Arrays:
    names = {text: name for name, text in _OPEN_INFERENCE.items()}
    arrays = {}
    for position, each in enumerate(request.inputs):
        dtype = names[each.datatype]
        if request.raw_input_contents:
            arrays[each.name] = _from_raw(request.raw_input_contents[position], dtype, each.shape)
        elif dtype == "object":
            arrays[each.name] = from_items(each.contents.bytes_contents, each.shape)
        else:
            (values,) = (list(value) for _, value in each.contents.ListFields())
            arrays[each.name] = np.array(values, dtype).reshape(tuple(each.shape))
    return arrays


def to_open_inference(request: Any, outputs: Arrays) -> Any:
    response = oip.ModelInferResponse(model_name=request.model_name, id=request.id)
    for name, array in wanted(outputs, [each.name for each in request.outputs]).items():
        response.outputs.add(name=name, datatype=_OPEN_INFERENCE[array.dtype.name], shape=array.shape)
        response.raw_output_contents.append(_raw(array))
    return response


def open_inference_methods(server: Any) -> dict[str, Any]:
    def infer(request: Any, context: grpc.ServicerContext, seen: Any) -> Any:
        inputs = from_open_inference(request)
        return to_open_inference(request, server.answer(request.model_name, inputs, context, seen))

    def stream(requests: Iterator[Any], context: grpc.ServicerContext, seen: Any) -> Iterator[Any]:
        for request in requests:
            inputs = from_open_inference(request)
            verb, _, rest = doing(inputs).partition(":")
            if verb == "error":
                yield oip.ModelStreamInferResponse(error_message=rest)
                continue
            response = to_open_inference(request, server.answer(request.model_name, inputs, context, seen))
            if request.model_name == "mlserver":
                yield response
                continue
            for _ in range({"twice": 2, "never": 0}.get(verb, 1)):
                yield oip.ModelStreamInferResponse(infer_response=response)

    def either(message: Any) -> bytes:
        return message.SerializeToString()

    class Streamed:
        SerializeToString = staticmethod(either)

    def server_live(request: Any, context: grpc.ServicerContext, seen: Any) -> Any:
        return oip.ServerLiveResponse(live=True)

    def server_ready(request: Any, context: grpc.ServicerContext, seen: Any) -> Any:
        return oip.ServerReadyResponse(ready=server.gate.is_set())

    def model_ready(request: Any, context: grpc.ServicerContext, seen: Any) -> Any:
        if request.name == "missing":
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no model 'missing'")
        return oip.ModelReadyResponse(ready=request.name != "loading")

    def server_metadata(request: Any, context: grpc.ServicerContext, seen: Any) -> Any:
        return oip.ServerMetadataResponse(name="reference", version="1", extensions=["a", "b"])

    def metadata(request: Any, context: grpc.ServicerContext, seen: Any) -> Any:
        if request.name == "missing":
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no model 'missing'")
        response = oip.ModelMetadataResponse(name=request.name, versions=["1", "2"], platform="reference")
        if request.name == "digits":
            response.inputs.add(name="images", datatype="FP32", shape=[-1, 784])
            response.outputs.add(name="scores", datatype="TYPE_OF_TOMORROW", shape=[-1, 10])
        return response

    def config(request: Any, context: grpc.ServicerContext, seen: Any) -> Any:
        response = oip.ModelConfigResponse()
        response.config.name = request.name
        return response

    def handler(run: Any, name: str) -> Any:
        return server.handler(
            "unary_unary", run, getattr(oip, f"{name}Request"), getattr(oip, f"{name}Response")
        )

    return {
        "ModelInfer": handler(infer, "ModelInfer"),
        "ModelStreamInfer": server.handler("stream_stream", stream, oip.ModelInferRequest, Streamed),
        "ServerLive": handler(server_live, "ServerLive"),
        "ServerReady": handler(server_ready, "ServerReady"),
        "ModelReady": handler(model_ready, "ModelReady"),
        "ServerMetadata": handler(server_metadata, "ServerMetadata"),
        "ModelMetadata": handler(metadata, "ModelMetadata"),
        "ModelConfig": handler(config, "ModelConfig"),
    }


# TensorFlow Serving


def from_tf(tensors: Any) -> Arrays:
    names = {number: name for name, number in _TF.items()}
    arrays = {}
    for name, each in tensors.items():
        shape = [dim.size for dim in each.tensor_shape.dim]
        if each.dtype == types_pb2.DT_STRING:
            arrays[name] = from_items(each.string_val, shape)
        else:
            arrays[name] = np.frombuffer(each.tensor_content, names[each.dtype]).reshape(shape)
    return arrays


def to_tf(array: np.ndarray) -> Any:
    shape = tensor_pb2.TensorShapeProto(
        dim=[tensor_pb2.TensorShapeProto.Dim(size=size) for size in array.shape]
    )
    if array.dtype == object:
        return tensor_pb2.TensorProto(
            dtype=types_pb2.DT_STRING, tensor_shape=shape, string_val=array.reshape(-1).tolist()
        )
    return tensor_pb2.TensorProto(
        dtype=_TF[array.dtype.name], tensor_shape=shape, tensor_content=array.tobytes()
    )


def prediction_methods(server: Any) -> dict[str, Any]:
    def predict(request: Any, context: grpc.ServicerContext, seen: Any) -> Any:
        outputs = server.answer(request.model_spec.name, from_tf(request.inputs), context, seen)
        return prediction_service_pb2.PredictResponse(
            model_spec=request.model_spec,
            outputs={name: to_tf(array) for name, array in wanted(outputs, request.output_filter).items()},
        )

    def metadata(request: Any, context: grpc.ServicerContext, seen: Any) -> Any:
        name = request.model_spec.name
        if name == "missing":
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no model 'missing'")
        assert list(request.metadata_field) == ["signature_def"]
        signatures = prediction_service_pb2.SignatureDefMap()
        key = "predict_images" if name == "unusual" else "serving_default"
        signature = signatures.signature_def[key]
        rows = tensor_pb2.TensorShapeProto.Dim(size=-1)
        images = signature.inputs["images"]
        images.dtype = types_pb2.DT_FLOAT
        images.tensor_shape.dim.extend([rows, tensor_pb2.TensorShapeProto.Dim(size=784)])
        signature.inputs["temperature"].dtype = types_pb2.DT_FLOAT
        signature.inputs["temperature"].tensor_shape.SetInParent()
        signature.defaults["temperature"].dtype = types_pb2.DT_FLOAT
        signature.outputs["scores"].tensor_shape.unknown_rank = True
        response = prediction_service_pb2.GetModelMetadataResponse()
        response.model_spec.name = name
        response.model_spec.version.value = 7
        packed = response.metadata["signature_def"]
        packed.type_url = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
        packed.value = signatures.SerializeToString()
        return response

    messages = prediction_service_pb2
    return {
        "Predict": server.handler("unary_unary", predict, messages.PredictRequest, messages.PredictResponse),
        "GetModelMetadata": server.handler(
            "unary_unary", metadata, messages.GetModelMetadataRequest, messages.GetModelMetadataResponse
        ),
    }


def model_methods(server: Any) -> dict[str, Any]:
    def status(request: Any, context: grpc.ServicerContext, seen: Any) -> Any:
        name = request.model_spec.name
        if name == "missing":
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no model 'missing'")
        states = model_service_pb2.ModelVersionStatus
        response = model_service_pb2.GetModelStatusResponse()
        if name == "loading":
            response.model_version_status.add(version=3, state=states.LOADING)
            return response
        response.model_version_status.add(version=2, state=states.AVAILABLE)
        broken = response.model_version_status.add(version=1, state=states.END)
        broken.status.error_message = "out of memory"
        return response

    messages = model_service_pb2
    return {
        "GetModelStatus": server.handler(
            "unary_unary", status, messages.GetModelStatusRequest, messages.GetModelStatusResponse
        )
    }
