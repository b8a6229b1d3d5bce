"""What a gateway allows, and what it knows of a service: plain values, checked when they are made. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from eas_grpc.auth import check_token, hides_tokens
from eas_grpc.errors import ConfigError
from eas_grpc.options import check_seconds

__all__ = ["DECOMPRESSORS", "GatewayOptions", "Service"]

# metadata.rpc.decompressor of a service's JSON ("Parameters of model services").
DECOMPRESSORS = ("zlib", "gzip", "snappy", "zstd", "lz4")

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\Z")
_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):[0-9]{1,5}\Z")


@hides_tokens
@dataclass(frozen=True, kw_only=True)
class Service:
    """A service behind the gateway: its name, where it runs, who may call it, and its own limits.

    `name` is what stands behind `/api/predict/` and in front of the domain; one in a group is written
    `group.name`. `grpc` and `http` are where calls of each protocol go, `host:port` or `unix:/path`; None means that
    the service does not speak it. `tokens` are all valid at once; without any, everybody may call.

    The rest is what `metadata.rpc` of a service's JSON says, with its names. `keepalive`: seconds that a request may
    take (None: as the gateway has it). `rate_limit`: calls a second, 0 for any number (None: as the gateway has
    it). `worker_threads`: requests that are worked on at a time, 0 for any number; further ones wait,
    `max_queue_size` of them at most. `decompressor`: how request bodies over HTTP are compressed.

    Raises ConfigError for a value that cannot work.
    """

    name: str
    grpc: str | None = None
    http: str | None = None
    tokens: tuple[str, ...] = field(default=(), repr=False)
    keepalive: float | None = None
    rate_limit: int | None = None
    worker_threads: int = 0
    max_queue_size: int = 64
    decompressor: str | None = None

    def __post_init__(self) -> None:
        """Checks every value; strips what surrounds a token."""
        if not isinstance(self.name, str) or not _NAME.match(self.name) or ".." in self.name:
            raise ConfigError(
                f"{self.name!r} is no name of a service: letters, digits, - _ and, in a group, dots"
            )
        for place, value in (("grpc", self.grpc), ("http", self.http)):
            if value is not None:
                _check_address(f"{place} of service {self.name!r}", value)
        if self.keepalive is not None:
            check_seconds("keepalive", self.keepalive)
        if self.rate_limit is not None:
            _check_count("rate_limit", self.rate_limit, least=0)
        _check_count("worker_threads", self.worker_threads, least=0)
        _check_count("max_queue_size", self.max_queue_size, least=0)
        if self.decompressor is not None and self.decompressor not in DECOMPRESSORS:
            raise ConfigError(f"decompressor={self.decompressor!r} is none of {', '.join(DECOMPRESSORS)}")
        # Frozen for everybody else; here the value is still being made.
        object.__setattr__(self, "tokens", checked_tokens(self.tokens))


@dataclass(frozen=True, kw_only=True)
class GatewayOptions:
    """The limits of a gateway. Times are in seconds, sizes in bytes; None for a size or a count means no limit.

    The defaults are those of EAS's shared gateway; `GatewayOptions.dedicated()` gives those of a dedicated one.
    `max_body_bytes` holds for a body over HTTP and for each message over gRPC. `keepalive` is the time that a
    request may take, `rate_limit` calls a second for each service (0: any number). `idle_timeout` closes a client's
    connection without calls, `backend_idle_timeout` one to a service. `strict_auth` accepts over HTTP only what the
    vendor documents for it: the bare token or a signature, whose Content-MD5 must be the body's.
    """

    max_body_bytes: int | None = 1_000_000
    max_header_bytes: int = 60 * 1024
    max_concurrent_streams: int = 100
    keepalive: float = 5.0
    rate_limit: int = 1000
    idle_timeout: float = 180.0
    backend_idle_timeout: float = 30.0
    strict_auth: bool = False

    def __post_init__(self) -> None:
        """Checks every value."""
        if self.max_body_bytes is not None:
            _check_count("max_body_bytes", self.max_body_bytes, least=1)
        _check_count("max_header_bytes", self.max_header_bytes, least=1024)
        _check_count("max_concurrent_streams", self.max_concurrent_streams, least=1)
        _check_count("rate_limit", self.rate_limit, least=0)
        for name in ("keepalive", "idle_timeout", "backend_idle_timeout"):
            check_seconds(name, getattr(self, name))

    @classmethod
    def dedicated(cls) -> GatewayOptions:
        """A dedicated gateway: a request may take 600 s, no rate limit, idle connections close after 600 s."""
        return cls(keepalive=600.0, rate_limit=0, idle_timeout=600.0)

    @classmethod
    def of_kind(cls, kind: Literal["shared", "dedicated"]) -> GatewayOptions:
        """The options of a kind of gateway by its name."""
        return cls.dedicated() if kind == "dedicated" else cls()


def checked_settings(settings: Mapping[str, object]) -> dict[str, Any]:
    """The settings of a Service by name; a ConfigError, with the one that was probably meant, for one that it has not."""
    known = [each.name for each in fields(Service)]
    for name in settings:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            meant = f"write {close[0]!r}" if close else f"there are {', '.join(known)}"
            raise ConfigError(f"a service has no setting {name!r}: {meant}")
    return dict(settings)


def checked_tokens(tokens: Iterable[str]) -> tuple[str, ...]:
    """The tokens without what surrounds them; a ConfigError, without the text, for one that cannot be sent."""
    if isinstance(tokens, str):
        raise ConfigError("tokens must be a tuple of str, for example tokens=(token,); it is a single str")
    return tuple(check_token(token) for token in tokens)


def _check_address(what: str, text: str) -> None:
    if text.startswith("unix:/"):
        return
    if not _ADDRESS.match(text) or not 0 < int(text.rpartition(":")[2]) <= 65535:
        raise ConfigError(f"{what} is {text!r}: write host:port, for example 127.0.0.1:9000")


def _check_count(name: str, value: object, *, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{name}={value!r} must be a whole number from {least} up")
