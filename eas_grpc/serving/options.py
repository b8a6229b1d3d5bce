"""What a server allows and for how long, checked when it is made. Pure: knows no grpc and no socket."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from eas_grpc.auth import check_token, hides_tokens
from eas_grpc.errors import ConfigError
from eas_grpc.options import check_seconds, milliseconds

__all__ = ["ServerOptions"]

_MIB = 1024 * 1024

# What gRPC can carry in a channel argument and in a message's length prefix.
_LARGEST_INT = 2**31 - 1

_SERVICE_OR_METHOD = re.compile(r"/[\w.]+/\w*\Z")


@hides_tokens
@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """The limits and habits of a server. The defaults keep one hostile connection from starving the others.

    Times are in seconds, sizes in bytes. `max_concurrent_streams` counts the calls of one connection, whose
    client keeps further ones back until there is room, and has to stay below `max_workers`, or that one connection
    could occupy every worker: threads, made when they are needed. `max_concurrent_rpcs` counts all calls, those
    above it are refused with RESOURCE_EXHAUSTED. Clients may ping every
    `min_ping_interval`, idle or not; one that pings faster more than `max_ping_strikes` times is
    disconnected. `tokens` turns the token check on: a call has to bring one of them, except to `open_methods`,
    each a service (`/package.Service/`) or one method (`/package.Service/Method`). `grace` is how long calls may go on after a stop.
    `keep_large_buffers` makes large messages cheaper and holds for the whole process, for good: see
    `eas_grpc.tensors.keep_large_buffers`.

    Raises ConfigError for a value that cannot work.
    """

    max_message_bytes: int = 64 * _MIB
    max_workers: int = 128
    max_concurrent_streams: int = 100
    max_concurrent_rpcs: int = 400
    min_ping_interval: float = 10.0
    max_ping_strikes: int = 2
    keepalive_interval: float = 60.0
    keepalive_timeout: float = 20.0
    grace: float = 10.0
    tokens: tuple[str, ...] = field(default=(), repr=False)
    open_methods: tuple[str, ...] = ("/grpc.health.v1.Health/",)
    reflection: bool = True
    keep_large_buffers: bool = True

    def __post_init__(self) -> None:
        """Checks every value; strips what surrounds a token."""
        for name in ("max_message_bytes", "max_workers", "max_concurrent_streams", "max_concurrent_rpcs"):
            _check_count(name, getattr(self, name), least=1)
        _check_count("max_ping_strikes", self.max_ping_strikes, least=0)
        for name in ("reflection", "keep_large_buffers"):
            _check_flag(name, getattr(self, name))
        for name in ("min_ping_interval", "keepalive_interval", "keepalive_timeout"):
            check_seconds(name, getattr(self, name))
        if self.grace != 0 or isinstance(self.grace, bool):
            check_seconds("grace", self.grace)
        if self.max_concurrent_streams >= self.max_workers:
            raise ConfigError(
                f"max_concurrent_streams={self.max_concurrent_streams} must be below"
                f" max_workers={self.max_workers}: otherwise the calls of one connection can occupy every worker"
            )
        # Frozen for everybody else; here the value is still being made.
        object.__setattr__(self, "tokens", _checked_tokens(self.tokens))
        object.__setattr__(self, "open_methods", _checked_prefixes(self.open_methods))

    @classmethod
    def behind_gateway(cls) -> ServerOptions:
        """For a server behind a gateway, which sends the calls of all callers over few connections."""
        return cls(max_workers=192, max_concurrent_streams=160)

    @property
    def watch_limit(self) -> int:
        """How many health Watch streams are served at once; each holds a thread of a synchronous server."""
        return self.max_concurrent_streams

    @property
    def health_workers(self) -> int:
        """Threads kept for health checks, so that a busy service does not look dead.

        Enough for all watchers, for one connection that opens checks and never finishes them, and for a
        few more.
        """
        return self.watch_limit + self.max_concurrent_streams + 4


def checked_options(options: object) -> ServerOptions:
    """The options of a server, the defaults for None; a ConfigError for anything else."""
    if options is None:
        return ServerOptions()
    if not isinstance(options, ServerOptions):
        raise ConfigError(
            f"options must be a serving.ServerOptions, not {type(options).__name__}:"
            " options=ServerOptions(max_workers=200)"
        )
    return options


def channel_args(options: ServerOptions) -> list[tuple[str, int]]:
    """The options as gRPC core's own arguments, in milliseconds and bytes."""
    return [
        ("grpc.max_receive_message_length", options.max_message_bytes),
        ("grpc.max_send_message_length", options.max_message_bytes),
        ("grpc.max_concurrent_streams", options.max_concurrent_streams),
        # Otherwise core counts a call until its memory is free, some moments after the client has the answer and begins
        # the next, and refuses that one: UNAVAILABLE, under load, for a client that keeps to the limit.
        ("grpc.http.overload_protection", 0),
        # Two servers sharing a port by accident would share the calls at random as well.
        ("grpc.so_reuseport", 0),
        # The C macro is called ..MIN_RECV_PING_INTERVAL..; an argument spelt like it is ignored in silence.
        ("grpc.http2.min_ping_interval_without_data_ms", milliseconds(options.min_ping_interval)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_ping_strikes", options.max_ping_strikes),
        ("grpc.keepalive_time_ms", milliseconds(options.keepalive_interval)),
        ("grpc.keepalive_timeout_ms", milliseconds(options.keepalive_timeout)),
        # keepalive_timeout_ms alone does not end the wait for a ping's answer: core then waits 60 s.
        ("grpc.http2.ping_timeout_ms", milliseconds(options.keepalive_timeout)),
    ]


def _check_count(name: str, value: object, *, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(f"{name} must be a whole number, not {value!r}")
    if not least <= value <= _LARGEST_INT:
        raise ConfigError(f"{name}={value} must be from {least} to {_LARGEST_INT}")


def _check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ConfigError(f"{name} must be True or False, not {value!r}")


def _checked_tokens(tokens: object) -> tuple[str, ...]:
    if isinstance(tokens, str):
        raise ConfigError("tokens must be a tuple of str, for example tokens=(token,); it is a single str")
    return tuple(check_token(token) for token in _items("tokens", tokens))


def _checked_prefixes(prefixes: object) -> tuple[str, ...]:
    if isinstance(prefixes, str):
        raise ConfigError("open_methods must be a tuple of str; it is a single str")
    checked = tuple(_items("open_methods", prefixes))
    for prefix in checked:
        if not isinstance(prefix, str) or not _SERVICE_OR_METHOD.match(prefix):
            raise ConfigError(
                f"open_methods holds {prefix!r}: write '/package.Service/' for a service or '/package.Service/Method'"
            )
    return checked  # type: ignore[return-value]


def _items(name: str, value: object) -> Iterator[object]:
    try:
        return iter(value)  # type: ignore[call-overload,no-any-return]
    except TypeError:
        raise ConfigError(f"{name} must be a tuple of str, not {type(value).__name__}") from None
