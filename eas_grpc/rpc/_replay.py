"""Retries of calls whose requests stream, made here because core (1.71 to 1.85) must not be trusted with them.

When an attempt of such a call fails while requests are on their way, core's retry can leave out the last request
and still half-close: the service answers OK to a stream that it received in part. Measured on bare grpcio under
killed connections: 3 of 147 retried client streams; under GOAWAYs that leave calls out, which core sends again without
any policy: 10 of 10,997 bidi calls. So these calls go over a channel on which core retries nothing (with a connection
of its own: core shares none between channels that differ in this), and are begun again from what is kept here, by the
same rules (gRFC A6): UNAVAILABLE alone, before the first response is read, within the deadline, throttled, as long as
all requests so far fit into the replay buffer. What cannot be done from here is to tell the service which attempt it
is: core takes `grpc-previous-rpc-attempts` out.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from typing import Any

from eas_grpc.retry import RetryPolicy, Throttle, backoff, covers
from eas_grpc.rpc._idempotent import idempotent_methods

__all__ = ["EXPIRED", "Attempts", "Kept", "Replays"]

# A timeout with which grpc sends nothing and says DEADLINE_EXCEEDED: for a call whose deadline comes before its next attempt.
EXPIRED = -1.0

_PUSHBACK_KEY = "grpc-retry-pushback-ms"
_MILLISECONDS = re.compile(r"[0-9]{1,9}\Z")
# Of memory, for a request however small.
_REQUEST_BYTES = 64


class Replays:
    """What a channel knows for its calls with streamed requests. `room` is how many bytes of a call are kept."""

    def __init__(self, policy: RetryPolicy, room: int) -> None:
        self.room = room
        self._policy = policy
        self._throttle = Throttle()
        self._covered: dict[str, bool] = {}

    def covers(self, method: str) -> bool:
        """Whether a call of this method may be tried again; looked up once for each."""
        if method not in self._covered:
            self._covered[method] = covers(self._policy, method, idempotent_methods)
        return self._covered[method]

    def attempts(self, method: str) -> Attempts | None:
        """For a call of this method; None where it is not to be tried again."""
        return Attempts(self._policy, self._throttle) if self.covers(method) else None


class Attempts:
    """The attempts of one call, counted."""

    def __init__(self, policy: RetryPolicy, throttle: Throttle) -> None:
        self._policy = policy
        self._throttle = throttle
        self._made = 1

    def wait(self, initial: Iterable[Any] | None, trailing: Iterable[Any] | None) -> float | None:
        """Seconds until the next attempt after one that was UNAVAILABLE; None when there is none.

        A service that has sent metadata has begun to answer; of one that sends none this is known only when a response
        has been read. Its own wish, in the trailers, replaces our pace (A6).
        """
        allowed = self._throttle.failed()
        if not allowed or tuple(initial or ()) or self._made >= self._policy.attempts:
            return None
        wish = dict(trailing or ()).get(_PUSHBACK_KEY)
        wait = backoff(self._policy, self._made, random.random())  # noqa: S311
        if wish is not None:
            if not (isinstance(wish, str) and _MILLISECONDS.match(wish)):
                return None
            wait = int(wish) / 1000
        self._made += 1
        return wait

    def succeeded(self) -> None:
        """The call was answered."""
        self._throttle.succeeded()


class Kept:
    """The requests of a call by their number, as long as all of them fit into `room` bytes. Pure."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._requests: list[Any] = []
        # The numbers of the first that is kept, and of the one that the present attempt takes next.
        self._first = self._next = 0
        # Whether the call can be sent again from its first request on.
        self.whole = room > 0

    @property
    def end(self) -> int:
        """The number of the next request."""
        return self._first + len(self._requests)

    def add(self, payload: Any) -> None:
        """One more; too much is the end of replays."""
        self._requests.append(payload)
        if self.whole:
            self._room -= len(payload) + _REQUEST_BYTES
            self.whole = self._room >= 0

    def take(self, number: int) -> Any:
        """The request of this number; where there are no replays, it and those before it are let go."""
        payload = self._requests[number - self._first]
        self._next = number + 1
        if not self.whole:
            self._let_go()
        return payload

    def commit(self) -> None:
        """There are no replays."""
        self.whole = False
        self._let_go()

    def _let_go(self) -> None:
        del self._requests[: self._next - self._first]
        self._first = self._next
