"""Files and arrays as parts of a request, and the arrays of an answer.

An array goes into the request of a tensor protocol as the bytes that `eas_grpc.tensors` makes of it, never as JSON.
numpy is loaded where there are arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eas_grpc.errors import ConfigError, EasError, SchemaError
from eas_grpc.schema._payload_fields import put_array, put_bytes, put_text, text_field

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from eas_grpc.schema import Method, Schema
    from eas_grpc.tensors._arrays import Array

__all__ = ["Attachments", "arrays", "attach", "decoded", "fill", "has_tensors", "read", "strip_tensors"]

_NATIVE, _OPEN_INFERENCE, _OPEN_INFERENCE_STREAM, _TF_SERVING = "native", "open", "open stream", "tf"

# By full name: ours, and the upstream names under which servers offer the same messages.
_REQUESTS = {
    "eas_grpc_pb.tensor.v1.PredictRequest": _NATIVE,
    "eas_grpc_pb.open_inference.v2.ModelInferRequest": _OPEN_INFERENCE,
    "inference.ModelInferRequest": _OPEN_INFERENCE,
    "eas_grpc_pb.tf_serving.v1.PredictRequest": _TF_SERVING,
    "tensorflow.serving.PredictRequest": _TF_SERVING,
}
_RESPONSES = {
    "eas_grpc_pb.tensor.v1.PredictResponse": _NATIVE,
    "eas_grpc_pb.open_inference.v2.ModelInferResponse": _OPEN_INFERENCE,
    "inference.ModelInferResponse": _OPEN_INFERENCE,
    "eas_grpc_pb.open_inference.v2.ModelStreamInferResponse": _OPEN_INFERENCE_STREAM,
    "inference.ModelStreamInferResponse": _OPEN_INFERENCE_STREAM,
    "eas_grpc_pb.tf_serving.v1.PredictResponse": _TF_SERVING,
    "tensorflow.serving.PredictResponse": _TF_SERVING,
}

# Where requests of model services have the model's name, in the order in which they are tried.
_MODEL_FIELDS = ("model_name", "model", "model_spec.name")
# What says what a tensor of TensorFlow is; all else of it are its elements.
_TF_KEPT = frozenset({"dtype", "tensor_shape", "version_number"})

_NPY, _ZIP = b"\x93NUMPY", b"PK"


@dataclass(frozen=True)
class Attachments:
    """What has been read from files to be put into requests: contents by field, arrays by name."""

    contents: tuple[tuple[str, Path, bytes], ...] = ()
    arrays: tuple[tuple[str, Array], ...] = field(default=(), repr=False)
    model: str = ""

    def __bool__(self) -> bool:
        return bool(self.contents or self.arrays or self.model)


def fill(
    schema: Schema,
    method: Method,
    json_text: str | None,
    *,
    files: Sequence[tuple[str, Path]] = (),
    tensors: Sequence[tuple[str, Path]] = (),
    model: str = "",
) -> Message:
    """The request of this JSON (None: an empty one) with files, arrays and the model's name put in.

    `files`: the bytes of a file by the field they go into, a dotted path; text goes into a string field.
    `tensors`: .npy files by the name of the tensor, or of the field where the request is of no tensor protocol; an
    .npz file without a name brings all its arrays by their names. Raises ConfigError for what does not fit the
    request, and SchemaError for a file that cannot be read.
    """
    text = "{}" if json_text is None else json_text
    message = schema.parse(method.request, text, where="the request")
    attach(method, message, read(files, tensors, model))
    return message


def read(
    files: Sequence[tuple[str, Path]], tensors: Sequence[tuple[str, Path]], model: str = ""
) -> Attachments:
    """Reads every file, once for any number of requests. Raises SchemaError, ConfigError."""
    contents = tuple((name, path, _content(path)) for name, path in files)
    found: dict[str, Array] = {}
    for name, path in tensors:
        for each, array in _load(name, path).items():
            if each in found:
                raise ConfigError(f"two tensors are called {each!r}: leave one of them out")
            found[each] = array
    return Attachments(contents, tuple(found.items()), model)


def attach(method: Method, message: Message, attachments: Attachments) -> None:
    """Puts them into a request of this method. Raises ConfigError for what does not fit."""
    for name, path, content in attachments.contents:
        put_bytes(message, name, content, path)
    protocol = _REQUESTS.get(method.request.DESCRIPTOR.full_name)
    if protocol is None:
        for name, array in attachments.arrays:
            put_array(message, name, array)
    elif attachments.arrays:
        _merge(protocol, message, dict(attachments.arrays))
    if attachments.model:
        _put_model(message, attachments.model)


def has_tensors(method: Method) -> bool:
    """Whether its answers are of a tensor protocol."""
    return method.response.DESCRIPTOR.full_name in _RESPONSES


def arrays(method: Method, response: Message) -> dict[str, Array]:
    """The arrays of an answer by name; none where it is of no tensor protocol. Raises WireError."""
    return decoded(method, response.SerializeToString()) if has_tensors(method) else {}


def decoded(method: Method, data: bytes) -> dict[str, Array]:
    """The same of an answer as it came: the arrays are read-only views of it. Raises WireError."""
    protocol = _RESPONSES.get(method.response.DESCRIPTOR.full_name)
    if protocol is None:
        return {}
    from eas_grpc import tensors

    if protocol == _NATIVE:
        return dict(tensors.native.decode_response(data).outputs)
    if protocol == _TF_SERVING:
        return dict(tensors.tf_serving.decode_response(data).outputs)
    if protocol == _OPEN_INFERENCE:
        return dict(tensors.open_inference.decode_response(data).outputs)
    response, _ = tensors.open_inference.decode_stream_response(data)
    return {} if response is None else dict(response.outputs)


def strip_tensors(response: Any) -> None:
    """Takes the elements out of an answer; names, types and shapes stay."""
    protocol = _RESPONSES.get(response.DESCRIPTOR.full_name)
    if protocol == _NATIVE:
        response.ClearField("padding")
        for tensor in response.outputs:
            _clear(tensor, ("data", "items"))
    elif protocol == _OPEN_INFERENCE:
        response.ClearField("raw_output_contents")
        for tensor in response.outputs:
            tensor.ClearField("contents")
    elif protocol == _OPEN_INFERENCE_STREAM:
        if response.HasField("infer_response"):
            strip_tensors(response.infer_response)
    elif protocol == _TF_SERVING:
        for tensor in response.outputs.values():
            _clear(tensor, [each.name for each, _ in tensor.ListFields() if each.name not in _TF_KEPT])


def _clear(message: Message, names: Sequence[str]) -> None:
    for name in names:
        message.ClearField(name)


def _merge(protocol: str, message: Any, found: dict[str, Array]) -> None:
    from eas_grpc import tensors

    request = tensors.Request("", found)
    if protocol == _NATIVE:
        message.MergeFromString(tensors.native.encode_request(request))
        # It aligned the elements of that piece of the message, not those of the whole.
        message.ClearField("padding")
    elif protocol == _TF_SERVING:
        message.MergeFromString(tensors.tf_serving.encode_request(request))
    else:
        # All tensors of a request have raw contents, or none has.
        typed = any(each.HasField("contents") for each in message.inputs)
        message.MergeFromString(tensors.open_inference.encode_request(request._replace(typed=typed)))


def _put_model(message: Message, model: str) -> None:
    for path in _MODEL_FIELDS:
        if text_field(message.DESCRIPTOR, path):
            put_text(message, path, model)
            return
    raise ConfigError(
        f"a model cannot be named in {message.DESCRIPTOR.full_name}: it has none of {', '.join(_MODEL_FIELDS)}"
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SchemaError(f"{path} cannot be read: {error.strerror}") from None


def _load(name: str, path: Path) -> dict[str, Array]:
    """The arrays of a file, by the names that they are to have."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_NPY))
    except OSError as error:
        raise SchemaError(f"{path} cannot be read: {error.strerror}") from None
    if start.startswith(_ZIP):
        return _named(name, path, _loaded(path, _archive))
    if not start.startswith(_NPY):
        raise SchemaError(
            f"{path} is neither an .npy nor an .npz file: write it with numpy.save or numpy.savez"
        )
    if not name:
        raise ConfigError(f"{path} holds one array without a name: write NAME=@{path}")
    return {name: _loaded(path, lambda found: found)}


def _named(name: str, path: Path, found: dict[str, Array]) -> dict[str, Array]:
    if not name:
        return found
    if len(found) != 1:
        raise ConfigError(
            f"{path} holds {len(found)} arrays ({', '.join(found)}), which have names: write @{path} without {name}="
        )
    return {name: next(iter(found.values()))}


def _archive(found: Any) -> dict[str, Array]:
    with found:
        return {name: found[name] for name in found.files}


def _loaded(path: Path, take: Callable[[Any], Any]) -> Any:
    import numpy as np

    try:
        # Opened here, since numpy leaves a broken archive open.
        with path.open("rb") as file:
            # A pickle is a program; a file of arrays has no need of one.
            return take(np.load(file, allow_pickle=False))
    except EasError:
        raise
    except OSError as error:
        raise SchemaError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:
        if "allow_pickle" in str(error):
            raise SchemaError(
                f"{path} holds Python objects, which are not read: save an array of numbers, or of bytes as dtype S"
            ) from None
        # Whatever numpy, zipfile and zlib say of a file that is cut off or broken.
        raise SchemaError(
            f"{path} is broken: {str(error).splitlines()[0][:200] or type(error).__name__}"
        ) from None
