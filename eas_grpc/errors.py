"""Everything that can go wrong, as one tree. Knows neither grpc nor any I/O.

    EasError
    ├── ConfigError (ValueError)    what was passed in cannot work; nothing was sent
    ├── SchemaError                 a .proto file, descriptor or generated file cannot be used
    ├── WireError   (ValueError)    bytes are not the message that they claim to be
    └── CallError                   a call failed; says with which status, who said so, and what to do

Whoever makes a call through a channel of ours gets a CallError that is a `grpc.RpcError` as well
(asyncio: a `grpc.aio.AioRpcError`), so code written for plain grpc keeps working.
Every class holds plain data and survives pickling. The one warning is PlaintextTokenWarning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import grpc

__all__ = [
    "CallError",
    "CallFailure",
    "ConfigError",
    "EasError",
    "Origin",
    "PlaintextTokenWarning",
    "SchemaError",
    "WireError",
]


class EasError(Exception):
    """The root: catch it to catch everything that this package raises on purpose."""


class ConfigError(EasError, ValueError):
    """What was passed in cannot work; the message says why and what to write instead. Nothing was sent."""


class SchemaError(EasError):
    """A .proto file, a descriptor or a generated file cannot be used as it is.

    `diagnostics` says the same as data, one `eas_grpc.codegen.Diagnostic` per place; empty if there is no place.
    """

    def __init__(self, message: str, diagnostics: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.diagnostics = tuple(diagnostics)


class WireError(EasError, ValueError):
    """Bytes that arrived are not the message that they claim to be."""


class PlaintextTokenWarning(UserWarning):
    """A token is sent unencrypted over a public network; warned once per host."""


class Origin(str, Enum):
    """Who decided that a call failed."""

    SERVER = "server"  # the service's own program answered with this status
    GATEWAY = "gateway"  # something in front of the service answered with an HTTP status
    CLIENT = "client"  # we did: deadline, cancellation, no connection, a limit on this side
    UNKNOWN = "unknown"  # grpc does not let anybody tell


@dataclass(frozen=True)
class CallFailure:
    """What is known of a failed call, as plain data.

    `status` is the gRPC status by name (`"UNAVAILABLE"`); `hint` says what it means on EAS and what to do,
    empty when there is nothing to add. `http_status` is set when a gateway answered instead of the service.
    """

    status: str
    details: str
    origin: Origin = Origin.UNKNOWN
    hint: str = ""
    method: str = ""
    http_status: int | None = None
    initial_metadata: tuple[tuple[str, str | bytes], ...] = ()
    trailing_metadata: tuple[tuple[str, str | bytes], ...] = ()
    debug: str = ""

    def __str__(self) -> str:
        """One line for the status, one for the hint."""
        text = f"{self.status}: {self.details}" if self.details else self.status
        if self.method:
            text = f"{self.method} failed with {text}"
        return f"{text}\n  hint: {self.hint}" if self.hint else text

    def with_hint(self, hint: str) -> CallFailure:
        """The same failure with another hint."""
        return replace(self, hint=hint)


class CallError(EasError):
    """A call failed. `failure` is all that is known; `hint` and `origin` are short ways to it."""

    def __init__(self, failure: CallFailure) -> None:
        # Not super(): between this class and Exception stand grpc's own errors, which want other arguments.
        Exception.__init__(self, failure)
        self.failure = failure

    @property
    def hint(self) -> str:
        """What the failure means on EAS and what to do about it; may be empty."""
        return self.failure.hint

    @property
    def origin(self) -> Origin:
        """Who said so: the service, a gateway, or this side."""
        return self.failure.origin

    if TYPE_CHECKING:
        # A channel raises classes that are grpc's errors as well, and have grpc's methods.
        def code(self) -> grpc.StatusCode: ...
        def details(self) -> str: ...
        def initial_metadata(self) -> Any: ...
        def trailing_metadata(self) -> Any: ...
        def debug_error_string(self) -> str: ...

    def __str__(self) -> str:
        """The failure, without metadata."""
        return str(self.failure)

    def __reduce__(self) -> tuple[type[CallError], tuple[CallFailure]]:
        """Plain data, so that the real error crosses process pools."""
        return type(self), (self.failure,)
