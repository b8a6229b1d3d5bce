"""The small messages about a server and its models, which protobuf reads and writes."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from eas_grpc.serving._models._refusals import Refused

__all__ = ["parsed"]

M = TypeVar("M", bound=Message)


def parsed(kind: type[M], data: bytes) -> M:
    """The message in these bytes. Raises Refused."""
    try:
        return kind.FromString(data)
    except DecodeError:
        raise Refused("INVALID_ARGUMENT", f"the request is not a {kind.DESCRIPTOR.name}") from None
