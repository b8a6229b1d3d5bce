"""One call described without grpc's types, and what a caller's metadata may look like. No I/O.

Metadata rules: gRPC over HTTP/2, "Custom-Metadata" (doc/PROTOCOL-HTTP2.md of the gRPC project). grpc itself
answers a broken pair with INTERNAL "Invalid metadata", which names neither the key nor the cause.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import Any

from eas_grpc.errors import ConfigError

__all__ = ["CallShape", "Metadata", "check_metadata", "has_key", "with_compression"]

Metadata = tuple[tuple[str, "str | bytes"], ...]

_KEY = re.compile(r"[0-9a-z_.-]+\Z")
# grpc turns `compression=` into this key, before interceptors see a call; the values in the order of grpc.Compression.
_ASKS_FOR_COMPRESSION = "grpc-internal-encoding-request"
_COMPRESSIONS = ("identity", "deflate", "gzip")
_TEXT_VALUE = re.compile(r"[\x20-\x7e]*\Z")


class CallShape(Enum):
    """The four shapes of a call, as (many requests, many responses)."""

    UNARY_UNARY = (False, False)
    UNARY_STREAM = (False, True)
    STREAM_UNARY = (True, False)
    STREAM_STREAM = (True, True)

    @property
    def many_requests(self) -> bool:
        """Whether the caller sends a stream."""
        return self.value[0]

    @property
    def many_responses(self) -> bool:
        """Whether the service answers with a stream."""
        return self.value[1]


def check_metadata(pairs: Iterable[tuple[str, str | bytes]]) -> Metadata:
    """The caller's metadata as a tuple, or a ConfigError that names the pair and the fix.

    A value never appears in the message: it may be a secret.
    """
    return tuple(_checked(pair) for pair in pairs)


def has_key(pairs: Metadata, key: str) -> bool:
    """Whether `key` (lower case) is among the pairs."""
    return any(name == key for name, _ in pairs)


def with_compression(pairs: Iterable[tuple[str, str | bytes]] | None, compression: int | None) -> Any:
    """The caller's metadata, asking for a `grpc.Compression` in the way in which grpc does."""
    if compression is None:
        return pairs
    return (*(pairs or ()), (_ASKS_FOR_COMPRESSION, _COMPRESSIONS[compression]))


def _checked(pair: tuple[str, str | bytes]) -> tuple[str, str | bytes]:
    try:
        key, value = pair
    except (TypeError, ValueError):
        raise ConfigError(
            "metadata must be a sequence of (key, value) pairs, such as (('x-trace', 'abc'),)"
        ) from None
    if not isinstance(key, str):
        raise ConfigError(f"a metadata key must be a str, not {type(key).__name__}")
    if not _KEY.match(key):
        if _KEY.match(key.lower()):
            raise ConfigError(f"metadata key {key!r} must be lower case: write {key.lower()!r}")
        raise ConfigError(f"metadata key {key!r} may hold only a-z, 0-9, '_', '-' and '.'")
    if key.startswith("grpc-") and key != _ASKS_FOR_COMPRESSION:
        raise ConfigError(f"metadata key {key!r} is reserved for gRPC itself: choose a name without 'grpc-'")
    if key.endswith("-bin"):
        if not isinstance(value, bytes):
            raise ConfigError(f"metadata key {key!r} ends in '-bin', so its value must be bytes")
        return key, value
    if isinstance(value, bytes):
        try:
            text = value.decode("ascii")
        except UnicodeDecodeError:
            raise ConfigError(
                f"the value of metadata key {key!r} holds binary data: name the key {key + '-bin'!r}"
            ) from None
    elif isinstance(value, str):
        text = value
    else:
        raise ConfigError(f"the value of metadata key {key!r} must be a str, not {type(value).__name__}")
    if not _TEXT_VALUE.match(text):
        raise ConfigError(
            f"the value of metadata key {key!r} holds a line break or a character outside printable ASCII:"
            f" strip it, or send it as bytes under {key + '-bin'!r}"
        )
    return key, value
