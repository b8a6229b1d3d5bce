"""The three protocols as data: where each method is called, what travels, and how a model's description reads.

Knows no channel. Each protocol is put together when a client of it is made: who calls one need not load the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, TypeVar

from google.protobuf.message import DecodeError, Message

from eas_grpc.errors import WireError
from eas_grpc.inference._records import ServerMetadata, VersionStatus
from eas_grpc.tensors._dtypes import ELEMENTS
from eas_grpc.tensors._messages import Request, Response
from eas_grpc.tensors._parts import Part
from eas_grpc.tensors._specs import ModelSpec, TensorSpec
from eas_grpc.tensors._wire import fields

__all__ = ["Protocol", "Question", "native", "open_inference", "tf_serving"]

M = TypeVar("M", bound=Message)


class Question(NamedTuple):
    """A call about a model or the server: from (model, version, signature) to bytes, and what the answer says."""

    path: str
    encode: Callable[[str, str, str], bytes]
    decode: Callable[[bytes], Any]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A tensor protocol. `keywords` are the parts of a request that it has a place for, beyond model and tensors.

    `methods` are those that carry tensors: name in a client, shape, path. `read_stream` gives what one message of
    a stream holds: the response, and an error's text, which is mostly empty. `describe` gives one spec for each
    signature; under "" the one that is meant when none is named.
    """

    service: str
    methods: Mapping[str, tuple[str, str]]
    encode: Callable[[Request], bytes]
    parts: Callable[[Request], list[Part]]
    decode: Callable[[bytes], Response]
    questions: Mapping[str, Question]
    keywords: frozenset[str] = frozenset()
    read_stream: Callable[[bytes], tuple[Response | None, str]] | None = None
    chunks: Callable[[list[Part], int], Iterator[bytes]] | None = None
    # Whether a stream has exactly one answer for each request.
    one_to_one: bool = False


@cache
def native() -> Protocol:
    """Our own TensorService."""
    from eas_grpc_pb.tensor.v1 import tensor_pb2 as pb

    from eas_grpc.tensors import native as codec
    from eas_grpc.tensors import upload

    service = "/eas_grpc_pb.tensor.v1.TensorService/"

    def encode(model: str, _version: str, _signature: str) -> bytes:
        return pb.DescribeRequest(model=model).SerializeToString()

    def described(data: bytes) -> dict[str, ModelSpec]:
        answer = _parsed(pb.DescribeResponse, data)
        if answer.any_inputs:
            return {"": ModelSpec(name=answer.model)}
        inputs, outputs = (
            {
                each.name: TensorSpec(_NATIVE.get(each.dtype), None if each.any_shape else _shape(each.shape))
                for each in side
            }
            for side in (answer.inputs, answer.outputs)
        )
        optional = frozenset(each.name for each in answer.inputs if each.optional)
        return {"": ModelSpec(name=answer.model, inputs=inputs, outputs=outputs, optional=optional)}

    return Protocol(
        service="TensorService",
        methods={
            "infer": ("unary_unary", service + "Predict"),
            "partial": ("unary_stream", service + "PredictPartial"),
            "stream": ("stream_stream", service + "PredictStream"),
            "upload": ("stream_unary", service + "PredictUpload"),
        },
        encode=codec.encode_request,
        parts=codec.request_parts,
        decode=codec.decode_response,
        questions={
            "describe": Question(service + "Describe", encode, described),
            "model_ready": Question(service + "Describe", encode, lambda data: bool(described(data))),
        },
        read_stream=lambda data: (codec.decode_response(data), ""),
        chunks=upload.chunks,
        one_to_one=True,
    )


@cache
def open_inference() -> Protocol:
    """The Open Inference Protocol v2. Its service is called so on every server, whatever our proto's package."""
    from eas_grpc_pb.open_inference.v2 import open_inference_pb2 as pb

    from eas_grpc.tensors import open_inference as codec

    service = "/inference.GRPCInferenceService/"

    def about_server(request: type[Message]) -> Callable[[str, str, str], bytes]:
        return lambda _model, _version, _signature: request().SerializeToString()

    def about_model(request: Any) -> Callable[[str, str, str], bytes]:
        return lambda model, version, _signature: request(name=model, version=version).SerializeToString()

    def described(data: bytes) -> dict[str, ModelSpec]:
        answer = _parsed(pb.ModelMetadataResponse, data)
        # Many servers leave out what they do not know: then nothing can be checked.
        inputs, outputs = (
            {
                each.name: TensorSpec(_OPEN_INFERENCE.get(each.datatype), _shape(each.shape) or None)
                for each in side
            }
            or None
            for side in (answer.inputs, answer.outputs)
        )
        return {
            "": ModelSpec(
                name=answer.name,
                inputs=inputs,
                outputs=outputs,
                # Which of them may be left out, Triton knows and does not say.
                optional=frozenset(inputs or ()),
                versions=tuple(answer.versions),
                platform=answer.platform,
            )
        }

    def read_stream(data: bytes) -> tuple[Response | None, str]:
        # MLServer's stream has plain responses, which have fields that this message lacks.
        if any(found >> 3 > _LAST_FIELD for found, _, _ in fields(data, (0, len(data)))):
            return codec.decode_response(data), ""
        return codec.decode_stream_response(data)

    def server_metadata(data: bytes) -> ServerMetadata:
        answer = _parsed(pb.ServerMetadataResponse, data)
        return ServerMetadata(answer.name, answer.version, tuple(answer.extensions))

    return Protocol(
        service="the Open Inference Protocol",
        keywords=frozenset(("version", "id", "parameters")),
        methods={
            "infer": ("unary_unary", service + "ModelInfer"),
            "stream": ("stream_stream", service + "ModelStreamInfer"),
        },
        encode=codec.encode_request,
        parts=_whole(codec.encode_request),
        decode=codec.decode_response,
        read_stream=read_stream,
        questions={
            "live": Question(
                service + "ServerLive",
                about_server(pb.ServerLiveRequest),
                lambda data: _parsed(pb.ServerLiveResponse, data).live,
            ),
            "server_ready": Question(
                service + "ServerReady",
                about_server(pb.ServerReadyRequest),
                lambda data: _parsed(pb.ServerReadyResponse, data).ready,
            ),
            "model_ready": Question(
                service + "ModelReady",
                about_model(pb.ModelReadyRequest),
                lambda data: _parsed(pb.ModelReadyResponse, data).ready,
            ),
            "server_metadata": Question(
                service + "ServerMetadata", about_server(pb.ServerMetadataRequest), server_metadata
            ),
            "describe": Question(service + "ModelMetadata", about_model(pb.ModelMetadataRequest), described),
            "model_config": Question(
                service + "ModelConfig",
                about_model(pb.ModelConfigRequest),
                lambda data: _parsed(pb.ModelConfigResponse, data).config,
            ),
        },
    )


@cache
def tf_serving() -> Protocol:
    """TensorFlow Serving, whose models have signatures."""
    from eas_grpc_pb.tf_serving.v1 import model_pb2, model_service_pb2
    from eas_grpc_pb.tf_serving.v1 import prediction_service_pb2 as pb

    from eas_grpc.tensors import tf_serving as codec

    predictions = "/tensorflow.serving.PredictionService/"

    def about(model: str, version: str) -> model_pb2.ModelSpec:
        spec = model_pb2.ModelSpec(name=model)
        if version.isdecimal():
            spec.version.value = int(version)
        elif version:
            spec.version_label = version
        return spec

    def tensors(side: Mapping[str, pb.TensorInfo]) -> dict[str, TensorSpec]:
        return {name: tensor(info) for name, info in side.items()}

    def tensor(info: pb.TensorInfo) -> TensorSpec:
        known = info.HasField("tensor_shape") and not info.tensor_shape.unknown_rank
        shape = _shape(dim.size for dim in info.tensor_shape.dim) if known else None
        return TensorSpec(_TF.get(info.dtype), shape)

    def described(data: bytes) -> dict[str, ModelSpec]:
        answer = _parsed(pb.GetModelMetadataResponse, data)
        # Not Unpack: the name in the type URL is not the one that this message has here.
        signatures = _parsed(pb.SignatureDefMap, answer.metadata["signature_def"].value).signature_def
        version = answer.model_spec.version
        found = {
            name: ModelSpec(
                name=answer.model_spec.name,
                # A signature without inputs is one that says nothing: there is no model without.
                inputs=tensors(each.inputs) or None,
                outputs=tensors(each.outputs) or None,
                optional=frozenset(each.defaults),
                versions=(str(version.value),) if answer.model_spec.HasField("version") else (),
                signature=name,
            )
            for name, each in signatures.items()
        }
        usual = _DEFAULT if _DEFAULT in found else _only(name for name in found if not name.startswith("__"))
        return found if usual is None else found | {"": found[usual]}

    def statuses(data: bytes) -> tuple[VersionStatus, ...]:
        answer = _parsed(model_service_pb2.GetModelStatusResponse, data)
        names = model_service_pb2.ModelVersionStatus.State
        return tuple(
            VersionStatus(
                str(each.version),
                names.Name(each.state) if each.state in names.values() else str(each.state),
                each.status.error_message,
            )
            for each in answer.model_version_status
        )

    status = Question(
        "/tensorflow.serving.ModelService/GetModelStatus",
        lambda model, version, _signature: model_service_pb2.GetModelStatusRequest(
            model_spec=about(model, version)
        ).SerializeToString(),
        statuses,
    )
    return Protocol(
        service="TensorFlow Serving",
        keywords=frozenset(("version", "signature")),
        methods={"infer": ("unary_unary", predictions + "Predict")},
        encode=codec.encode_request,
        parts=_whole(codec.encode_request),
        decode=codec.decode_response,
        questions={
            "describe": Question(
                predictions + "GetModelMetadata",
                lambda model, version, _signature: pb.GetModelMetadataRequest(
                    model_spec=about(model, version), metadata_field=["signature_def"]
                ).SerializeToString(),
                described,
            ),
            "model_status": status,
            "model_ready": status._replace(
                decode=lambda data: any(each.state == "AVAILABLE" for each in statuses(data))
            ),
        },
    )


_NATIVE = {element.native: element.name for element in ELEMENTS}
_OPEN_INFERENCE = {element.open_inference: element.name for element in ELEMENTS if element.open_inference}
_TF = {element.tf: element.name for element in ELEMENTS if element.tf}

# TensorFlow's name for it. Names with two underscores in front are its own, such as __saved_model_init_op.
_DEFAULT = "serving_default"

# Of ModelStreamInferResponse: an error's text and a response.
_LAST_FIELD = 2


def _whole(encode: Callable[[Request], bytes]) -> Callable[[Request], list[Part]]:
    return lambda request: [encode(request)]


def _only(names: Iterable[str]) -> str | None:
    """The one name that there is."""
    found = list(names)
    return found[0] if len(found) == 1 else None


def _shape(sizes: Any) -> tuple[int | None, ...]:
    return tuple(None if size < 0 else int(size) for size in sizes)


def _parsed(message: type[M], data: bytes) -> M:
    try:
        return message.FromString(data)
    except DecodeError as error:
        raise WireError(f"the answer is not a {message.DESCRIPTOR.name}: {error}") from None
