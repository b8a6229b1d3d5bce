"""Which calls are tried again, and when: our policy as gRPC's own service config. Pure.

The attempts are made inside gRPC core (gRFC A6), below every interceptor: only it knows whether a request
left the machine. UNAVAILABLE is the one code retried, because the vendor tells clients to resend when the
gateway closes a connection. That means at least once: core cannot tell a request that was lost from one
whose answer was lost, so a method that must not run twice belongs into `exclude`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from eas_grpc.errors import ConfigError
from eas_grpc.options import check_seconds

__all__ = ["RetryPolicy", "Throttle", "backoff", "covers", "service_config"]

# gRFC A6: core accepts 2 to 5 attempts; 1 makes every call fail, more than 5 are cut off in silence.
_FEWEST_ATTEMPTS, _MOST_ATTEMPTS = 2, 5

# gRFC A6 throttling: each failure takes one token, each success gives `ratio` back, and nothing is retried
# at or below half. 1000 is A6's ceiling: it lets every call in flight through a server's restart (64 calls of
# 4 attempts take 192) and still adds at most 500 attempts to a service that is down.
_THROTTLE: dict[str, float] = {"maxTokens": 1000, "tokenRatio": 0.1}

_METHOD = re.compile(r"/?(?P<service>[A-Za-z_][\w.]*)(?:/(?P<method>[A-Za-z_]\w*))?\Z")


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """When a call that came back UNAVAILABLE is tried again.

    `attempts` counts the first (2 to 5). Waits start at `initial_backoff` seconds, grow by `multiplier` up
    to `max_backoff`, each with 20 % of jitter, and all of it happens within the call's deadline.
    `exclude` names what is never retried: methods (`"pkg.Service/Method"`) or whole services
    (`"pkg.Service"`). In an excluded service a method whose .proto states an `idempotency_level` is
    still retried: its author has said that it may run twice. Raises ConfigError.
    """

    attempts: int = 4
    initial_backoff: float = 0.1
    multiplier: float = 2.0
    max_backoff: float = 1.0
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses what core would refuse later, or worse, accept."""
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int):
            raise ConfigError(f"attempts must be a whole number, not {type(self.attempts).__name__}")
        if not _FEWEST_ATTEMPTS <= self.attempts <= _MOST_ATTEMPTS:
            raise ConfigError(
                f"attempts={self.attempts} is outside 2 to 5 (the first attempt counts): for no retries"
                " write retry=None"
            )
        for name in ("initial_backoff", "max_backoff"):
            check_seconds(name, getattr(self, name))
        if self.max_backoff < self.initial_backoff:
            raise ConfigError(
                f"max_backoff={self.max_backoff} is shorter than initial_backoff={self.initial_backoff}"
            )
        if isinstance(self.multiplier, bool) or not isinstance(self.multiplier, int | float):
            raise ConfigError(f"multiplier must be a number, not {type(self.multiplier).__name__}")
        if not 1 <= self.multiplier < float("inf"):
            raise ConfigError(f"multiplier={self.multiplier} must be at least 1, so that waits do not shrink")
        if isinstance(self.exclude, str):
            raise ConfigError(f"exclude must be a sequence of names: write exclude=({self.exclude!r},)")
        for name in self.exclude:
            if not isinstance(name, str) or not _METHOD.match(name):
                raise ConfigError(
                    f"exclude names methods ('pkg.Service/Method') or services ('pkg.Service'), not {name!r}"
                )
        object.__setattr__(self, "exclude", tuple(self.exclude))


def service_config(
    policy: RetryPolicy | None, idempotent_methods: Callable[[str], tuple[str, ...]] = lambda _: ()
) -> str | None:
    """The policy as the JSON text of `grpc.service_config`; None where nothing is retried.

    `idempotent_methods` names the methods of a service that its .proto declares safe to run twice.
    """
    if policy is None:
        return None
    retried = {
        "retryPolicy": {
            "maxAttempts": policy.attempts,
            "initialBackoff": _duration(policy.initial_backoff),
            "maxBackoff": _duration(policy.max_backoff),
            "backoffMultiplier": policy.multiplier,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
    }
    excluded = {_parts(entry) for entry in policy.exclude}
    services = sorted(service for service, method in excluded if method is None)
    believed: set[tuple[str, str | None]] = {
        (service, name) for service in services for name in idempotent_methods(service)
    }
    config: list[dict[str, object]] = [{"name": [{}, *_names(believed - excluded)], **retried}]
    if excluded:
        config.append({"name": _names(excluded)})
    return json.dumps({"methodConfig": config, "retryThrottling": _THROTTLE})


def covers(
    policy: RetryPolicy, method: str, idempotent_methods: Callable[[str], tuple[str, ...]] = lambda _: ()
) -> bool:
    """Whether the policy retries `/package.Service/Method`: what core decides by the service config."""
    service, _, name = method.removeprefix("/").rpartition("/")
    excluded = {_parts(entry) for entry in policy.exclude}
    if (service, name) in excluded:
        return False
    return (service, None) not in excluded or name in idempotent_methods(service)


def backoff(policy: RetryPolicy, attempts: int, chance: float) -> float:
    """Seconds to wait after so many attempts; `chance`, from 0 to 1, spreads them by 20 % (gRFC A6)."""
    wait = policy.initial_backoff * policy.multiplier ** (attempts - 1)
    return min(wait, policy.max_backoff) * (0.8 + 0.4 * chance)


class Throttle:
    """gRFC A6's bucket: whether failures have not outrun successes by too much to be tried again.

    Threads may lose a count against each other; the bucket needs no exact ones.
    """

    def __init__(self) -> None:
        self._most: float = _THROTTLE["maxTokens"]
        self._tokens = self._most

    def failed(self) -> bool:
        """Notes a failed attempt; whether another one may follow."""
        self._tokens = max(0.0, self._tokens - 1)
        return self._tokens > self._most / 2

    def succeeded(self) -> None:
        """Notes a call that was answered."""
        self._tokens = min(self._most, self._tokens + _THROTTLE["tokenRatio"])


def _parts(entry: str) -> tuple[str, str | None]:
    """Service and method of an entry of `exclude`; a service as a whole has no method."""
    match = _METHOD.match(entry)
    assert match is not None
    return match["service"], match["method"]


def _names(methods: set[tuple[str, str | None]]) -> list[dict[str, str]]:
    """As the service config names them; core refuses a name that comes twice."""
    ordered = sorted(methods, key=lambda name: (name[0], name[1] or ""))
    return [
        {"service": service} if method is None else {"service": service, "method": method}
        for service, method in ordered
    ]


def _duration(seconds: float) -> str:
    """As protobuf's JSON writes a Duration: decimal, never with an exponent."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"
