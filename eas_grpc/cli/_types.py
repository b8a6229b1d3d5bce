"""What people write on a command line, as values: lengths of time, sizes, metadata."""

from __future__ import annotations

import re
from typing import Any

import click

__all__ = ["Duration", "Metadatum", "Size"]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?\Z", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(k|m|g|ki|mi|gi)?b?\Z", re.ASCII | re.IGNORECASE)
_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
# The gRPC protocol over HTTP/2: Header-Name, and ASCII-Value without spaces at its ends.
_KEY = re.compile(r"[0-9a-z_.-]+\Z", re.ASCII)
_VALUE = re.compile(r"[\x20-\x7e]*\Z", re.ASCII)


class Duration(click.ParamType):  # type: ignore[type-arg]  # click 8.1 has no type argument
    """A length of time such as `500ms`, `2s`, `1m`; a bare number is seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, float):
            return value
        match = _DURATION.match(str(value).strip())
        if match is None or float(match[1]) == 0:
            self.fail(f"{value!r} is not a length of time: write 500ms, 2s or 1m", param, ctx)
        return float(match[1]) * _SECONDS[match[2]]


class Size(click.ParamType):  # type: ignore[type-arg]
    """A number of bytes such as `900k`, `64MiB`; a bare number is bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes."""
        if isinstance(value, int):
            return value
        match = _SIZE.match(str(value).strip())
        size = int(float(match[1]) * _BYTES[(match[2] or "").lower()]) if match else 0
        if not 0 < size < 2**31:
            self.fail(f"{value!r} is not a size: write 900k, 4MB or 64MiB, below 2GiB", param, ctx)
        return size


class Metadatum(click.ParamType):  # type: ignore[type-arg]
    """One `name: value` of a call's metadata; the value of a name that ends in `-bin` is base64."""

    name = "metadata"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str | bytes]:
        """Name, in lower case as HTTP/2 wants it, and value. A message never repeats the value: it may be a token."""
        if isinstance(value, tuple):
            return value
        name, colon, text = str(value).partition(":")
        name, text = name.strip().lower(), text.strip()
        if not colon or not _KEY.match(name):
            shown = f"{name!r} is no name" if colon else "there is no colon"
            self.fail(f"{shown}: write 'name: value', with a name of letters, digits, - _ .", param, ctx)
        if name.startswith("grpc-") or name == "te":
            self.fail(f"{name!r} belongs to gRPC itself: choose another name", param, ctx)
        if name.endswith("-bin"):
            return name, self._decoded(name, text, param, ctx)
        if not _VALUE.match(text):
            self.fail(
                f"the value of {name!r} has characters outside printable ASCII: send it as '{name}-bin: <base64>'",
                param,
                ctx,
            )
        return name, text

    def _decoded(
        self, name: str, text: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        import base64
        import binascii

        # gRPC leaves the padding out or in (its protocol over HTTP/2, Binary-Header).
        padded = text.rstrip("=")
        try:
            return base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True)
        except binascii.Error:
            self.fail(
                f"the value of {name!r} is not base64, as every name that ends in -bin wants", param, ctx
            )
