"""From the bytes of a request to the bytes of its answer, whatever the protocol and the colour. Pure.

    read: bytes -> Request      find: Request -> Job      Job.answer: run the model, encode

What can be refused is refused here, by status name and text; anything else that is raised is a mistake of the
author, which the server's guard logs and hides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from eas_grpc.errors import ConfigError, WireError
from eas_grpc.serving._models._model import DEFAULT_SIGNATURE, VERSION, Model
from eas_grpc.serving._models._refusals import Refused
from eas_grpc.tensors import Request
from eas_grpc.tensors._arrays import Array
from eas_grpc.tensors._dtypes import Element, element_of
from eas_grpc.tensors._wire import Buffer

__all__ = ["Catalog", "Format", "Job", "Outputs", "read"]

Outputs = Mapping[str, Array]

# Clients of TensorFlow Serving and of OpenVINO send version 0 when they mean any.
_ANY_VERSION = frozenset(("", "0"))


class Format(NamedTuple):
    """How one protocol reads requests and writes answers.

    `lacks` says which element types it has no name for. `closing` gives what follows the last part of a result,
    `failed` the message that reports a failure within a stream, for protocols that have such messages.
    """

    title: str
    decode: Callable[[Buffer], Request]
    encode: Callable[[Job, Outputs], bytes]
    lacks: Callable[[Element], bool]
    closing: Callable[[Job], Iterator[bytes]] = lambda _: iter(())
    failed: Callable[[Request | None, str], bytes] = lambda _request, text: text.encode()


class Job(NamedTuple):
    """A request that has found its model."""

    format: Format
    model: Model[..., Any]
    request: Request

    def answer(self) -> bytes:
        """Runs the model and encodes the whole result."""
        return self.encoded(self.model.run(self.request.inputs, self.request.outputs))

    def answers(self) -> Iterator[bytes]:
        """Runs the model and encodes each part of the result as it becomes ready."""
        for part in self.model.parts(self.request.inputs, self.request.outputs):
            yield self.encoded(part)
        yield from self.format.closing(self)

    def encoded(self, outputs: Outputs) -> bytes:
        """The message that carries these outputs; Refused for a dtype that the protocol does not have."""
        try:
            return self.format.encode(self, outputs)
        except ConfigError:
            for name, array in outputs.items():
                element = element_of(array.dtype)
                if self.format.lacks(element):
                    raise Refused(
                        "FAILED_PRECONDITION",
                        f"output {name[:100]!r} of model {self.model.name[:100]!r} is {element.name}, which"
                        f" {self.format.title} cannot carry: call eas_grpc_pb.tensor.v1.TensorService",
                    ) from None
            raise


def read(format_: Format, data: Buffer) -> Request:
    """The request in these bytes; Refused when there is none."""
    try:
        return format_.decode(data)
    except WireError as error:
        raise Refused("INVALID_ARGUMENT", str(error)) from None
    except ConfigError as error:
        # A dtype of the package ml_dtypes, which this machine lacks.
        raise Refused("FAILED_PRECONDITION", f"this server cannot read the request: {error}") from None


class Catalog:
    """The models of a server by name."""

    def __init__(self, models: Mapping[str, Model[..., Any]]) -> None:
        self._models = dict(models)

    def job(self, format_: Format, data: Buffer) -> Job:
        """Reads a request and finds its model. Raises Refused."""
        return self.find(format_, read(format_, data))

    def find(self, format_: Format, request: Request) -> Job:
        """The job that a request asks for. Raises Refused."""
        return Job(format_, self.model(request.model, request.version, request.signature), request)

    def model(self, name: str, version: str = "", signature: str = "") -> Model[..., Any]:
        """The model of this name; "" is whichever version and signature there is. Raises Refused.

        So is the name that a signature has in TensorFlow by default.
        """
        found = self._models.get(name)
        if found is None:
            raise Refused(
                "NOT_FOUND",
                f"there is no model {name[:100]!r}; this server has {', '.join(sorted(self._models))}",
            )
        if version not in _ANY_VERSION and version != VERSION:
            raise Refused(
                "NOT_FOUND",
                f"there is no version {version[:100]!r} of model {name[:100]!r}; this server has {VERSION!r}",
            )
        if signature not in {"", DEFAULT_SIGNATURE, found.spec.signature}:
            raise Refused(
                "INVALID_ARGUMENT",
                f"model {name[:100]!r} has no signature {signature[:100]!r}; its only one is"
                f" {found.spec.signature!r}",
            )
        return found
