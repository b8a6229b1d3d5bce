"""The Open Inference Protocol v2 as Triton serves it: its methods, and what is said about server and models.

Where the protocol leaves a choice, Triton's source decides: the status and the texts of a stream
(src/grpc/stream_infer_handler.cc), and that an unknown model is not ready instead of not found (src/server.cc).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from eas_grpc_pb.open_inference.v2 import model_config_pb2, open_inference_pb2
from eas_grpc_pb.open_inference.v2 import open_inference_pb2 as pb
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from eas_grpc._version import __version__
from eas_grpc.serving._models._answers import Catalog, Format, Job, Outputs
from eas_grpc.serving._models._control import parsed
from eas_grpc.serving._models._model import PLATFORM, VERSION
from eas_grpc.serving._models._refusals import Refused
from eas_grpc.serving.descriptors import repackaged_together
from eas_grpc.tensors import Parameter, Request, Response, TensorSpec, open_inference
from eas_grpc.tensors._dtypes import Element, element_named, element_of

__all__ = ["SERVICE", "descriptors", "methods"]

SERVICE = "inference.GRPCInferenceService"

# Set on every message of a stream, and asked for by a client that wants to know when a model has no more to
# say: Triton's docs, "Decoupled Backends and Models", section on knowing when a request is complete.
_IS_FINAL = "triton_final_response"
_WANTS_FINAL = "triton_enable_empty_final_response"

_EXTENSIONS = ("model_configuration",)
_RAW_ALONE = frozenset({"float16", "bfloat16"})
_DATA_TYPES = {"BYTES": "TYPE_STRING"}


def _response(job: Job, outputs: Outputs, parameters: Mapping[str, Parameter] | None = None) -> Response:
    request = job.request
    # In kind: one value at a time if the request was; but the protocol has no such values of 16-bit floats.
    typed = request.typed and not any(
        element_of(array.dtype).name in _RAW_ALONE for array in outputs.values()
    )
    return Response(request.model, outputs, VERSION, request.id, parameters=parameters or {}, typed=typed)


def _encode(job: Job, outputs: Outputs) -> bytes:
    return open_inference.encode_response(_response(job, outputs))


def _encode_in_stream(job: Job, outputs: Outputs) -> bytes:
    final = {_IS_FINAL: not job.model.partial}
    return open_inference.encode_stream_response(_response(job, outputs, final))


def _closing(job: Job) -> Iterator[bytes]:
    if job.model.partial and job.request.parameters.get(_WANTS_FINAL) is True:
        yield open_inference.encode_stream_response(_response(job, {}, {_IS_FINAL: True}))


def _failed(request: Request | None, text: str) -> bytes:
    # The id alone tells the caller which request has failed.
    response = Response("", {}, id=request.id) if request else None
    return open_inference.encode_stream_response(response, text)


def _lacks(element: Element) -> bool:
    return element.open_inference is None


_TITLE = "the Open Inference Protocol"
FORMAT = Format(_TITLE, open_inference.decode_request, _encode, _lacks)
STREAM = Format(_TITLE, open_inference.decode_request, _encode_in_stream, _lacks, _closing, _failed)


def methods(shell: Any, catalog: Catalog, ready: Callable[[], bool]) -> dict[str, Any]:
    """The handlers by name, of the shell's colour; `ready` says whether the server takes requests."""
    return {
        "ServerLive": shell.control(lambda _: pb.ServerLiveResponse(live=True).SerializeToString()),
        "ServerReady": shell.control(lambda _: pb.ServerReadyResponse(ready=ready()).SerializeToString()),
        "ModelReady": shell.control(partial(model_ready, catalog, ready)),
        "ServerMetadata": shell.control(server_metadata),
        "ModelMetadata": shell.control(partial(model_metadata, catalog)),
        "ModelConfig": shell.control(partial(model_config, catalog)),
        "ModelInfer": shell.once(FORMAT),
        "ModelStreamInfer": shell.whatever_happens(STREAM, f"/{SERVICE}/ModelStreamInfer"),
    }


def model_ready(catalog: Catalog, ready: Callable[[], bool], data: bytes) -> bytes:
    """The answer to a ModelReadyRequest. Raises Refused for bytes that are none."""
    request = parsed(pb.ModelReadyRequest, data)
    try:
        catalog.model(request.name, request.version)
    except Refused:
        return pb.ModelReadyResponse(ready=False).SerializeToString()
    return pb.ModelReadyResponse(ready=ready()).SerializeToString()


def server_metadata(_data: bytes) -> bytes:
    """The answer to a ServerMetadataRequest."""
    return pb.ServerMetadataResponse(
        name=PLATFORM, version=__version__, extensions=_EXTENSIONS
    ).SerializeToString()


def model_metadata(catalog: Catalog, data: bytes) -> bytes:
    """The answer to a ModelMetadataRequest. Raises Refused.

    What is not known stays empty: the lists, for inputs of any names; the datatype; the shape, which Triton, whose
    tensors have at least one dimension, never leaves empty otherwise.
    """
    request = parsed(pb.ModelMetadataRequest, data)
    spec = catalog.model(request.name, request.version).spec
    return pb.ModelMetadataResponse(
        name=spec.name,
        versions=spec.versions,
        platform=spec.platform,
        inputs=_tensors(spec.inputs),
        outputs=_tensors(spec.outputs),
    ).SerializeToString()


def model_config(catalog: Catalog, data: bytes) -> bytes:
    """The answer to a ModelConfigRequest: no batching, so that `dims` are whole shapes. Raises Refused."""
    request = parsed(pb.ModelConfigRequest, data)
    model = catalog.model(request.name, request.version)
    spec = model.spec
    config = model_config_pb2.ModelConfig(
        name=spec.name,
        platform=spec.platform,
        input=[
            model_config_pb2.ModelInput(
                name=name, data_type=_data_type(each), dims=_shape(each), optional=name in spec.optional
            )
            for name, each in (spec.inputs or {}).items()
        ],
        output=[
            model_config_pb2.ModelOutput(name=name, data_type=_data_type(each), dims=_shape(each))
            for name, each in (spec.outputs or {}).items()
        ],
        model_transaction_policy=model_config_pb2.ModelTransactionPolicy(decoupled=model.partial),
    )
    return pb.ModelConfigResponse(config=config).SerializeToString()


def descriptors() -> list[FileDescriptorProto]:
    """What reflection says about the service under its name on the wire."""
    return repackaged_together(
        (model_config_pb2.DESCRIPTOR, open_inference_pb2.DESCRIPTOR), package="inference", folder="inference"
    )


def _tensors(specs: Mapping[str, TensorSpec] | None) -> list[pb.ModelMetadataResponse.TensorMetadata]:
    return [
        pb.ModelMetadataResponse.TensorMetadata(name=name, datatype=_datatype(spec), shape=_shape(spec))
        for name, spec in (specs or {}).items()
    ]


def _datatype(spec: TensorSpec) -> str:
    return "" if spec.dtype is None else element_named(spec.dtype).open_inference or ""


def _data_type(spec: TensorSpec) -> model_config_pb2.DataType.ValueType:
    name = _datatype(spec)
    return model_config_pb2.DataType.Value(_DATA_TYPES.get(name, f"TYPE_{name}") if name else "TYPE_INVALID")


def _shape(spec: TensorSpec) -> list[int]:
    return [-1 if size is None else size for size in spec.shape or ()]
