"""Our own TensorService (eas_grpc_pb/tensor/v1/tensor.proto): which methods it has, and what Describe says."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from eas_grpc_pb.tensor.v1 import tensor_pb2 as pb

from eas_grpc.serving._models._answers import Catalog, Format, Job, Outputs
from eas_grpc.serving._models._control import parsed
from eas_grpc.tensors import Response, TensorSpec, native
from eas_grpc.tensors._dtypes import element_named

__all__ = ["SERVICE", "methods"]

SERVICE = "eas_grpc_pb.tensor.v1.TensorService"


def _encode(job: Job, outputs: Outputs) -> bytes:
    return native.encode_response(Response(job.request.model, outputs))


FORMAT = Format("TensorService", native.decode_request, _encode, lacks=lambda _: False)


def methods(shell: Any, catalog: Catalog) -> dict[str, Any]:
    """The handlers by name, of the shell's colour."""
    return {
        "Predict": shell.once(FORMAT),
        "PredictPartial": shell.in_parts(FORMAT),
        "PredictStream": shell.one_by_one(FORMAT),
        "PredictUpload": shell.uploaded(FORMAT),
        "Describe": shell.control(partial(describe, catalog)),
    }


def describe(catalog: Catalog, data: bytes) -> bytes:
    """The answer to a DescribeRequest. Raises Refused."""
    spec = catalog.model(parsed(pb.DescribeRequest, data).model).spec
    return pb.DescribeResponse(
        model=spec.name,
        inputs=_specs(spec.inputs, spec.optional),
        outputs=_specs(spec.outputs),
        any_inputs=spec.inputs is None,
    ).SerializeToString()


def _specs(
    specs: Mapping[str, TensorSpec] | None, optional: frozenset[str] = frozenset()
) -> list[pb.TensorSpec]:
    return [
        pb.TensorSpec(
            name=name,
            dtype=0 if spec.dtype is None else element_named(spec.dtype).native,  # type: ignore[arg-type]
            shape=[-1 if size is None else size for size in spec.shape or ()],
            any_shape=spec.shape is None,
            optional=name in optional,
        )
        for name, spec in (specs or {}).items()
    ]
