"""TensorFlow Serving's PredictionService and ModelService: their methods, and what is said about models."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from eas_grpc_pb.tf_serving.v1 import (
    model_pb2,
    model_service_pb2,
    prediction_service_pb2,
    tensor_pb2,
    types_pb2,
)
from google.protobuf import any_pb2, wrappers_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from eas_grpc.serving._models._answers import Catalog, Format, Job, Outputs
from eas_grpc.serving._models._control import parsed
from eas_grpc.serving._models._model import DEFAULT_SIGNATURE, VERSION, Model
from eas_grpc.serving._models._refusals import Refused
from eas_grpc.serving.descriptors import repackaged_together
from eas_grpc.tensors import Response, TensorSpec, tf_serving
from eas_grpc.tensors._dtypes import element_named

__all__ = ["MODEL_SERVICE", "PREDICTION_SERVICE", "descriptors", "model_methods", "prediction_methods"]

PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"

_SIGNATURES = "signature_def"
_SIGNATURES_TYPE = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
_METHOD_NAME = "tensorflow/serving/predict"


def _encode(job: Job, outputs: Outputs) -> bytes:
    signature = job.model.spec.signature
    return tf_serving.encode_response(
        Response(job.request.model, outputs, VERSION, signature=signature, typed=job.request.typed)
    )


FORMAT = Format(
    "TensorFlow Serving", tf_serving.decode_request, _encode, lacks=lambda element: element.tf is None
)


def prediction_methods(shell: Any, catalog: Catalog) -> dict[str, Any]:
    """The handlers of PredictionService by name, of the shell's colour."""
    return {
        "Predict": shell.once(FORMAT),
        "GetModelMetadata": shell.control(partial(model_metadata, catalog)),
    }


def model_methods(shell: Any, catalog: Catalog) -> dict[str, Any]:
    """The handlers of ModelService by name, of the shell's colour."""
    return {"GetModelStatus": shell.control(partial(model_status, catalog))}


def model_metadata(catalog: Catalog, data: bytes) -> bytes:
    """The answer to a GetModelMetadataRequest. Raises Refused."""
    request = parsed(prediction_service_pb2.GetModelMetadataRequest, data)
    model = _model(catalog, request.model_spec)
    if not request.metadata_field:
        raise Refused("INVALID_ARGUMENT", f"metadata_field is empty: ask for {_SIGNATURES!r}")
    for field in request.metadata_field:
        if field != _SIGNATURES:
            raise Refused(
                "INVALID_ARGUMENT", f"there is no metadata_field {field[:100]!r}: ask for {_SIGNATURES!r}"
            )
    # Under its own name, and the one under which clients look when they are not told of any.
    names = {model.spec.signature, DEFAULT_SIGNATURE}
    found = prediction_service_pb2.SignatureDefMap(signature_def=dict.fromkeys(names, _signature(model)))
    # Not Pack: the name of the message in that URL is not the one that it has here.
    packed = any_pb2.Any(type_url=_SIGNATURES_TYPE, value=found.SerializeToString())
    return prediction_service_pb2.GetModelMetadataResponse(
        model_spec=_spec(model), metadata={_SIGNATURES: packed}
    ).SerializeToString()


def model_status(catalog: Catalog, data: bytes) -> bytes:
    """The answer to a GetModelStatusRequest. Raises Refused."""
    request = parsed(model_service_pb2.GetModelStatusRequest, data)
    _model(catalog, request.model_spec)
    status = model_service_pb2.ModelVersionStatus(
        version=int(VERSION),
        state=model_service_pb2.ModelVersionStatus.AVAILABLE,
        status=model_service_pb2.StatusProto(error_code=model_service_pb2.OK),
    )
    return model_service_pb2.GetModelStatusResponse(model_version_status=[status]).SerializeToString()


def descriptors() -> list[FileDescriptorProto]:
    """What reflection says about the services under their names on the wire."""
    shared = []
    for file in (any_pb2.DESCRIPTOR, wrappers_pb2.DESCRIPTOR):
        shared.append(FileDescriptorProto())
        file.CopyToProto(shared[-1])
    ours = (types_pb2, tensor_pb2, model_pb2, prediction_service_pb2, model_service_pb2)
    return [
        *shared,
        *repackaged_together(
            [module.DESCRIPTOR for module in ours],
            package="tensorflow.serving",
            folder="tensorflow/serving",
        ),
    ]


def _model(catalog: Catalog, spec: model_pb2.ModelSpec) -> Model[..., Any]:
    version = str(spec.version.value) if spec.HasField("version") else spec.version_label
    return catalog.model(spec.name, version, spec.signature_name)


def _spec(model: Model[..., Any]) -> model_pb2.ModelSpec:
    version = wrappers_pb2.Int64Value(value=int(VERSION))
    return model_pb2.ModelSpec(name=model.name, version=version, signature_name=model.spec.signature)


def _signature(model: Model[..., Any]) -> prediction_service_pb2.SignatureDef:
    spec = model.spec
    return prediction_service_pb2.SignatureDef(
        inputs=_tensors(spec.inputs),
        outputs=_tensors(spec.outputs),
        method_name=_METHOD_NAME,
        # That there is a default is what a caller has to know; its value stays with the function.
        defaults={name: tensor_pb2.TensorProto() for name in spec.optional},
    )


def _tensors(specs: Mapping[str, TensorSpec] | None) -> dict[str, prediction_service_pb2.TensorInfo]:
    return {
        name: prediction_service_pb2.TensorInfo(name=name, dtype=_dtype(spec), tensor_shape=_shape(spec))
        for name, spec in (specs or {}).items()
    }


def _dtype(spec: TensorSpec) -> types_pb2.DataType.ValueType:
    number = None if spec.dtype is None else element_named(spec.dtype).tf
    return types_pb2.DT_INVALID if number is None else number  # type: ignore[return-value]


def _shape(spec: TensorSpec) -> tensor_pb2.TensorShapeProto:
    if spec.shape is None:
        return tensor_pb2.TensorShapeProto(unknown_rank=True)
    dims = [tensor_pb2.TensorShapeProto.Dim(size=-1 if size is None else size) for size in spec.shape]
    return tensor_pb2.TensorShapeProto(dim=dims)
