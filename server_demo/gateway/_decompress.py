"""Bodies that a client has compressed, as the service's configuration says and no header tells. Pure."""

from __future__ import annotations

import gzip
import importlib
import io
import zlib
from types import ModuleType
from typing import Any

from eas_grpc.errors import ConfigError

__all__ = ["BadBody", "TooLarge", "check_available", "decompress"]

_OF_PYTHON = ("zlib", "gzip")

# How many times its size a body has, mostly at most.
_USUAL_DENSITY = 16

# The densest element of a snappy block: three bytes for 64.
_SNAPPY_DENSEST = 64


class BadBody(ValueError):
    """The body is not what its decompressor takes; one sentence."""


class TooLarge(BadBody):
    """The body would be larger than the limit."""


def check_available(how: str) -> None:
    """Refuses, with a ConfigError, a decompressor whose library is not installed."""
    if how not in _OF_PYTHON:
        _cramjam()


def decompress(body: bytes, how: str, *, limit: int | None) -> bytes:
    """The body before it was compressed with `how`, one of `options.DECOMPRESSORS`; an empty one as it is.

    gzip, zstd and lz4 (both frames) may be several in a row; snappy is a raw block, without a frame. `limit` is
    in bytes; a body that would exceed it is given up there, however large it claims to be. Raises BadBody.
    """
    if not body:
        return body
    if how in _OF_PYTHON:
        return _inflated(body, how, limit)
    library = _cramjam()
    try:
        if how == "snappy":
            return _unsnapped(library, body, limit)
        if limit is None:
            return bytes(getattr(library, how).decompress(body))
        return _into_room(getattr(library, how), library.DecompressionError, body, limit)
    except library.DecompressionError:
        raise _malformed(how) from None


def _into_room(codec: Any, failure: type[Exception], body: bytes, limit: int) -> bytes:
    """Into as little room as the body needs, found by doubling."""
    size = min(limit, _USUAL_DENSITY * len(body))
    while True:
        room = bytearray(size)
        try:
            written: int = codec.decompress_into(body, room)
        except failure as error:
            # What the library says when the room is not enough.
            if "whole buffer" not in str(error):
                raise
            if size == limit:
                raise _too_large(limit) from None
            size = min(limit, 2 * size)
        else:
            return bytes(memoryview(room)[:written])


def _inflated(body: bytes, how: str, limit: int | None) -> bytes:
    # One byte more than there is room for shows that it is not enough.
    most = -1 if limit is None else limit + 1
    try:
        if how == "gzip":
            plain = gzip.GzipFile(fileobj=io.BytesIO(body)).read(most)
            whole = True
        else:
            reader = zlib.decompressobj()
            plain = reader.decompress(body, max(most, 0))
            whole = reader.eof and not reader.unused_data
    except (zlib.error, EOFError, OSError):
        raise _malformed(how) from None
    if limit is not None and len(plain) > limit:
        raise _too_large(limit)
    if not whole:
        raise _malformed(how)
    return plain


def _unsnapped(library: ModuleType, body: bytes, limit: int | None) -> bytes:
    # The size is claimed at the beginning, and would be allocated before anything is read.
    size: int = library.snappy.decompress_raw_len(body)
    if size > len(body) * _SNAPPY_DENSEST:
        raise _malformed("snappy")
    if limit is not None and size > limit:
        raise _too_large(limit)
    return bytes(library.snappy.decompress_raw(body))


def _malformed(how: str) -> BadBody:
    return BadBody(
        f"the body is not compressed with {how}, as this service is configured, or is not complete"
    )


def _too_large(limit: int | None) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes when it is decompressed")


def _cramjam() -> ModuleType:
    try:
        return importlib.import_module("cramjam")
    except ImportError:
        raise ConfigError("snappy, zstd and lz4 need a library: run pip install 'eas-grpc[serve]'") from None
