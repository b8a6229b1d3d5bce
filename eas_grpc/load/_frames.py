"""Objects between a run and its worker processes: a length, then a pickle. Both ends are this program."""

from __future__ import annotations

import asyncio
import pickle
import struct
from typing import Any

__all__ = ["frame", "read"]

_LENGTH = struct.Struct("!I")


def frame(message: tuple[str, Any]) -> bytes:
    """The bytes of a message: what it is, and what belongs to it."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


async def read(stream: asyncio.StreamReader) -> tuple[str, Any] | None:
    """The next message; None when the other end is gone."""
    try:
        (length,) = _LENGTH.unpack(await stream.readexactly(_LENGTH.size))
        message: tuple[str, Any] = pickle.loads(await stream.readexactly(length))  # noqa: S301  (our own)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return message
