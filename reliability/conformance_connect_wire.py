"""What both programs under test share: messages on standard input and output, headers, errors.

Works only where the generated modules of the conformance protos are on the path.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable
from typing import Any, BinaryIO

from connectrpc.conformance.v1 import config_pb2, service_pb2
from google.rpc.status_pb2 import Status

__all__ = ["error_of", "headers_of", "metadata_of", "read", "status_bytes", "write"]

_DETAILS = "grpc-status-details-bin"


def read(stream: BinaryIO, kind: Any) -> Any:
    """The next message, each behind four bytes that say how long it is; None at the end."""
    size = stream.read(4)
    if len(size) < 4:
        return None
    return kind.FromString(stream.read(struct.unpack(">I", size)[0]))


def write(stream: BinaryIO, message: Any) -> None:
    """Writes one."""
    data = message.SerializeToString()
    stream.write(struct.pack(">I", len(data)) + data)
    stream.flush()


def metadata_of(headers: Iterable[Any]) -> list[tuple[str, str | bytes]]:
    """Headers as the suite writes them, as metadata; values of `-bin` are base64 there."""
    return [
        (each.name.lower(), _decoded(value) if each.name.lower().endswith("-bin") else value)
        for each in headers
        for value in each.value
    ]


def headers_of(metadata: Iterable[tuple[str, str | bytes]] | None) -> list[Any]:
    """Metadata as headers of the suite, values of one name together."""
    values: dict[str, list[str]] = {}
    for name, value in metadata or ():
        text = base64.b64encode(value).decode() if isinstance(value, bytes) else value
        values.setdefault(name, []).append(text)
    return [service_pb2.Header(name=name, value=each) for name, each in values.items()]


def error_of(code: int, text: str, trailers: Iterable[tuple[str, Any]] | None) -> Any:
    """A failed call's status as the suite writes it, with its details."""
    details: Iterable[Any] = ()
    for name, value in trailers or ():
        if name == _DETAILS:
            details = Status.FromString(value).details
    return service_pb2.Error(code=config_pb2.Code.Name(code), message=text, details=details)


def status_bytes(error: Any) -> tuple[str, bytes]:
    """The trailer that carries an error's details."""
    status = Status(code=error.code, message=error.message, details=error.details)
    return _DETAILS, status.SerializeToString()


def _decoded(value: str) -> bytes:
    return base64.b64decode(value + "=" * (-len(value) % 4))
