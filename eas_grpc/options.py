"""What a channel can be told: option records, the two profiles, and the check of raw gRPC options. Pure.

Knows no grpc: it hands out plain data, and `rpc` turns that into channel arguments. grpcio itself accepts a
misspelt name, text where a number belongs, and a float (which it takes for a pointer), all in silence.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real

from eas_grpc._channel_args import FLAGS, NUMBERS, OBJECTS, RIGHT_NAMES, TEXTS
from eas_grpc.errors import ConfigError

__all__ = [
    "PROFILES",
    "ChannelOption",
    "Keepalive",
    "Profile",
    "StreamLimits",
    "check_channel_options",
    "check_seconds",
    "milliseconds",
    "profile_named",
]

# Any: core takes pointers, which grpcio wraps in objects of its own.
ChannelOption = tuple[str, "int | str | bytes | object"]

_INT_MAX = 2**31 - 1
_LONGEST = _INT_MAX // 1000

_KNOWN = FLAGS | NUMBERS | TEXTS | OBJECTS


@dataclass(frozen=True, kw_only=True)
class Keepalive:
    """HTTP/2 pings that notice a dead connection.

    A ping goes out after `time` seconds without a byte, and the connection is given up when nothing comes back
    for `timeout` seconds. `without_calls`: ping an idle connection too. Raises ConfigError.
    """

    time: float
    timeout: float
    without_calls: bool

    def __post_init__(self) -> None:
        check_seconds("Keepalive(time=)", self.time)
        check_seconds("Keepalive(timeout=)", self.timeout)
        _check_flag("Keepalive(without_calls=)", self.without_calls)


@dataclass(frozen=True, kw_only=True)
class StreamLimits:
    """How long a stream of responses may be silent, in seconds: before the first message, and between two.

    None is no limit. Raises ConfigError.
    """

    first_message: float | None = 30.0
    gap: float | None = 60.0

    def __post_init__(self) -> None:
        check_seconds("StreamLimits(first_message=)", self.first_message, allow_none=True)
        check_seconds("StreamLimits(gap=)", self.gap, allow_none=True)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What is known of the way to the service, as one record; copy with `dataclasses.replace`.

    Times in seconds, sizes in bytes; None is no limit, for `client_idle` core's own default (30 minutes).
    After a failed connect the next try comes after `reconnect_initial`, growing to `reconnect_max`.
    `replay_buffer_bytes` is how large a call may be and still be retried. Raises ConfigError.
    """

    name: str
    keepalive: Keepalive
    client_idle: float | None
    reconnect_initial: float = 0.1
    reconnect_max: float = 1.0
    connect_timeout: float = 5.0
    warn_request_bytes: int | None
    max_request_bytes: int | None
    replay_buffer_bytes: int

    def __post_init__(self) -> None:
        if not isinstance(self.keepalive, Keepalive):
            raise ConfigError(
                "Profile(keepalive=) must be a Keepalive(time=..., timeout=..., without_calls=...)"
            )
        for name in ("reconnect_initial", "reconnect_max", "connect_timeout"):
            check_seconds(f"Profile({name}=)", getattr(self, name))
        check_seconds("Profile(client_idle=)", self.client_idle, allow_none=True)
        for name in ("warn_request_bytes", "max_request_bytes"):
            _check_size(f"Profile({name}=)", getattr(self, name), allow_none=True)
        _check_size("Profile(replay_buffer_bytes=)", self.replay_buffer_bytes)
        if self.reconnect_max < self.reconnect_initial:
            raise ConfigError(
                f"Profile(reconnect_max={self.reconnect_max}) is below reconnect_initial="
                f"{self.reconnect_initial}: write at least as much"
            )


def profile_named(profile: str | Profile) -> Profile:
    """The profile of this name (`"gateway"` or `"direct"`), or the one given; a ConfigError otherwise."""
    if isinstance(profile, Profile):
        return profile
    found = PROFILES.get(profile) if isinstance(profile, str) else None
    if found is None:
        shown = repr(profile) if isinstance(profile, str) else type(profile).__name__
        raise ConfigError(f"profile={shown} is unknown: write 'gateway', 'direct' or a Profile of your own")
    return found


def check_seconds(name: str, value: object, *, allow_none: bool = False) -> float | None:
    """`value` when it is a positive, finite number of seconds (None where allowed); a ConfigError otherwise.

    The limit is 24.8 days: core counts milliseconds in 32 bits.
    """
    if value is None and allow_none:
        return None
    otherwise = "write seconds above 0, or None for no limit" if allow_none else "write seconds above 0"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ConfigError(f"{name} must be a number of seconds, not {type(value).__name__}: {otherwise}")
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if math.isnan(seconds):
        raise ConfigError(f"{name} is not a number (NaN): {otherwise}")
    if seconds <= 0:
        raise ConfigError(f"{name} is {seconds:g}, which leaves no time: {otherwise}")
    if seconds > _LONGEST:
        raise ConfigError(f"{name} is above {_LONGEST} seconds, the most that gRPC can count: {otherwise}")
    return seconds


def milliseconds(seconds: float) -> int:
    """Seconds as core counts them: whole milliseconds, at least 1."""
    return max(1, round(seconds * 1000))


def check_channel_options(options: Iterable[tuple[str, object]]) -> tuple[ChannelOption, ...]:
    """The options as grpc takes them, each name known and each value of its type; a ConfigError otherwise.

    True and False become 1 and 0. A name outside the namespace `grpc.` is passed on as it is, unless it looks
    like one that belongs there.
    """
    if isinstance(options, Mapping):
        raise ConfigError("options= must be a list of (name, value) pairs: write list(options.items())")
    try:
        entries: list[object] = list(options)
    except TypeError:
        raise ConfigError(
            "options= must be a list of (name, value) pairs such as [('grpc.keepalive_time_ms', 30000)], "
            f"not {type(options).__name__}"
        ) from None
    checked: dict[str, object] = {}
    for position, entry in enumerate(entries):
        if not isinstance(entry, tuple | list) or len(entry) != 2 or not isinstance(entry[0], str):
            raise ConfigError(
                f"entry {position} of options= is not a (name, value) pair: "
                "write ('grpc.keepalive_time_ms', 30000)"
            )
        name, given = entry
        value = _check_option(name, given)
        if name in checked and checked[name] != value:
            raise ConfigError(f"options= gives {name!r} two different values: leave one of them out")
        checked[name] = value
    return tuple(checked.items())


def _check_option(name: str, value: object) -> object:
    if name in FLAGS:
        return _flag_value(name, value)
    if name in NUMBERS:
        return _number_value(name, value)
    if name in TEXTS:
        return _text_value(name, value)
    if name in OBJECTS:
        # Anything else with __int__ would be followed as an address.
        if value is None or isinstance(value, str | bytes | Real):
            raise ConfigError(f"{name!r} takes an object of grpcio's, not {type(value).__name__}")
        return value
    right = _right_name(name)
    if right:
        raise ConfigError(f"gRPC knows no option {name!r}: write {right!r}")
    if name.startswith("grpc."):
        raise ConfigError(f"gRPC knows no option {name!r}: leave it out, gRPC would ignore it in silence")
    return value


def _right_name(name: str) -> str | None:
    """The known name that was probably meant."""
    tidy = name.strip().lower().replace("grpc_arg_", "grpc.").replace("-", "_")
    if not tidy.startswith("grpc."):
        # Only a whole name counts here: outside the namespace a name may be anybody's.
        full = f"grpc.{tidy}"
        if full in RIGHT_NAMES or full in _KNOWN:
            return RIGHT_NAMES.get(full, full)
        cutoff = 0.85
    else:
        cutoff = 0.75
    if tidy in RIGHT_NAMES:
        return RIGHT_NAMES[tidy]
    lower = {known.lower(): known for known in sorted(_KNOWN)}
    import difflib

    close = difflib.get_close_matches(tidy, lower, n=1, cutoff=cutoff)
    return lower[close[0]] if close else None


def _whole(value: object) -> int | None:
    """The value of an int, or of what counts as one (numpy's); grpcio would take the latter for a pointer."""
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def _flag_value(name: str, value: object) -> int:
    number = _whole(value)
    if number not in (0, 1):
        shown = type(value).__name__ if number is None else str(number)
        raise ConfigError(f"{name!r} takes 1 or 0, not {shown}")
    return number


def _number_value(name: str, value: object) -> int:
    number = None if isinstance(value, bool) else _whole(value)
    if number is None:
        hint = ": write whole milliseconds" if name.endswith("_ms") else ""
        if isinstance(value, float) and value.is_integer():
            hint = f": write {int(value)}"
        elif isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,10}", value):
            hint = f": write {value} without quotation marks"
        raise ConfigError(f"{name!r} takes an int, not {type(value).__name__}{hint}")
    if not -_INT_MAX - 1 <= number <= _INT_MAX:
        raise ConfigError(f"{name!r} takes a 32-bit integer: write at most {_INT_MAX}")
    return number


def _text_value(name: str, value: object) -> str | bytes:
    if not isinstance(value, str | bytes):
        hint = ": write json.dumps(...)" if isinstance(value, Mapping) else ""
        raise ConfigError(f"{name!r} takes a str, not {type(value).__name__}{hint}")
    if "\0" in value if isinstance(value, str) else b"\0" in value:
        raise ConfigError(f"{name!r} holds a NUL character, where gRPC would cut it off: remove it")
    return value


def _check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ConfigError(f"{name} must be True or False, not {type(value).__name__}")


def _check_size(name: str, value: object, *, allow_none: bool = False) -> None:
    if value is None and allow_none:
        return
    otherwise = "write bytes above 0" + (", or None for no limit" if allow_none else "")
    number = None if isinstance(value, bool) else _whole(value)
    if number is None:
        raise ConfigError(f"{name} must be a whole number of bytes, not {type(value).__name__}: {otherwise}")
    if not 0 < number <= _INT_MAX:
        raise ConfigError(f"{name} must be from 1 to {_INT_MAX}: {otherwise}")


# Where the numbers come from: the vendor closes a connection that is idle for 600 s and asks for a heartbeat
# (hence pings at 30 s and going idle at 500 s), and takes requests of at most 1 MB; a stock gRPC server counts
# a ping as abuse when the last one is less than 300 s ago (gRFC A8).
PROFILES: Mapping[str, Profile] = {
    "gateway": Profile(
        name="gateway",
        keepalive=Keepalive(time=30.0, timeout=10.0, without_calls=True),
        client_idle=500.0,
        warn_request_bytes=512 * 1024,
        max_request_bytes=1_000_000,
        replay_buffer_bytes=4 * 1024 * 1024,
    ),
    "direct": Profile(
        name="direct",
        keepalive=Keepalive(time=330.0, timeout=20.0, without_calls=False),
        client_idle=None,
        warn_request_bytes=None,
        max_request_bytes=None,
        replay_buffer_bytes=64 * 1024 * 1024,
    ),
}
