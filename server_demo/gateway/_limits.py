"""How much may be asked for: calls a second, calls at a time, bytes in a message. Pure; time is passed in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

__all__ = [
    "LEAST_OF_BODY",
    "PATIENCE_SECONDS",
    "MessageSizes",
    "Pace",
    "Patience",
    "RateLimit",
    "Slots",
    "Ticket",
]

# gRPC's length prefix: one byte that says whether the message is compressed, four of its size, big-endian.
_PREFIX = 5

# So long is waited for what a peer has begun: the head of a request, and so much more of a body.
PATIENCE_SECONDS = 60.0
LEAST_OF_BODY = 30_000


class RateLimit:
    """Admits so many calls a second, and those of one second at once; 0 for any number."""

    __slots__ = ("_last", "_per_second", "_tokens")

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._tokens = max(1.0, float(per_second))
        self._last: float | None = None

    def admit(self, now: float) -> bool:
        """Whether a call at `now` (seconds, of any clock that does not go back) may go on."""
        if not self._per_second:
            return True
        if self._last is not None:
            gained = (now - self._last) * self._per_second
            self._tokens = min(max(1.0, self._per_second), self._tokens + max(0.0, gained))
        self._last = now
        # A hair less than one is one: sums of fractions are not exact.
        if self._tokens < 1 - 1e-9:
            return False
        self._tokens -= 1
        return True


class Pace:
    """Slows down what may happen so many times at once, and then so often a second; refuses nothing."""

    __slots__ = ("_at_once", "_last", "_level", "_per_second")

    def __init__(self, per_second: float, at_once: float) -> None:
        self._per_second = per_second
        self._at_once = at_once
        self._level = 0.0
        self._last: float | None = None

    def pause(self, count: int, now: float) -> float:
        """It has happened `count` times more by `now`: how many seconds to wait before it may again."""
        if self._last is not None:
            self._level = max(0.0, self._level - (now - self._last) * self._per_second)
        self._last = now
        self._level += count
        return max(0.0, self._level - self._at_once) / self._per_second


class Patience:
    """Tells when a peer has kept us waiting for too long; asked now and then."""

    __slots__ = ("_done", "_since")

    def __init__(self) -> None:
        self._since: float | None = None
        self._done = 0

    def is_over(self, now: float, *, waiting: bool, done: int = 0, least: int = 1) -> bool:
        """Whether it was `waiting` for PATIENCE_SECONDS, in which `done` did not grow by `least`."""
        if not waiting:
            self._since = None
        elif self._since is None or done - self._done >= least:
            self._since, self._done = now, done
        return self._since is not None and now - self._since >= PATIENCE_SECONDS


class Ticket:
    """A place in `Slots`: `running` from when the request may be worked on."""

    __slots__ = ("_start", "running")

    def __init__(self, start: Callable[[], object]) -> None:
        self._start = start
        self.running = False

    def start(self) -> None:
        """Says so to who has waited."""
        self.running = True
        self._start()


class Slots:
    """The workers of a service (0: any number) and the queue before them, first come first served."""

    __slots__ = ("_starting", "_waiting", "_workers", "_working", "max_queue_size")

    def __init__(self, worker_threads: int, max_queue_size: int) -> None:
        self.max_queue_size = max_queue_size
        self._workers = worker_threads
        self._working: set[Ticket] = set()
        self._waiting: OrderedDict[Ticket, None] = OrderedDict()
        self._starting = False

    @property
    def busy(self) -> int:
        """How many requests are worked on."""
        return len(self._working)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def arrive(self, start: Callable[[], object]) -> Ticket | None:
        """A place for one more request; None if the queue is full.

        It may be worked on at once if the ticket is `running`. Otherwise `start` is called when it is its turn:
        never from within `arrive`, so that whoever asks holds the ticket first.
        """
        ticket = Ticket(start)
        if not self._workers or len(self._working) < self._workers:
            ticket.running = True
            self._working.add(ticket)
        elif len(self._waiting) < self.max_queue_size:
            self._waiting[ticket] = None
        else:
            return None
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """The request is over, or waits no longer; the next one starts. A second time does nothing."""
        self._waiting.pop(ticket, None)
        self._working.discard(ticket)
        # One that is over before its `start` returns comes here again; the loop keeps the stack flat.
        if self._starting:
            return
        self._starting = True
        try:
            while self._waiting and len(self._working) < self._workers:
                following, _ = self._waiting.popitem(last=False)
                self._working.add(following)
                following.start()
        finally:
            self._starting = False


class MessageSizes:
    """Follows the messages in a gRPC body, however it is cut into pieces; keeps none of it.

    `messages` counts those that are complete. A limit of None is none.
    """

    __slots__ = ("_left", "_limit", "_prefix", "messages")

    def __init__(self, limit: int | None) -> None:
        self.messages = 0
        self._limit = limit
        self._left = 0
        self._prefix = b""

    def feed(self, chunk: bytes) -> int | None:
        """Reads on; the size of the first message that begins in this piece and is above the limit."""
        size = len(chunk)
        # The middle of a message, and a message alone: nearly every piece is one of these.
        if size < self._left:
            self._left -= size
            return None
        if not self._left and not self._prefix and size >= _PREFIX:
            length = int.from_bytes(chunk[1:_PREFIX], "big")
            if size == _PREFIX + length and (self._limit is None or length <= self._limit):
                self.messages += 1
                return None
        return self._walk(chunk, None)[1]

    def end_of(self, chunk: bytes, message: int) -> int | None:
        """Where in a piece that was not fed yet the message of this number (from 1) ends; None if later.

        0 if it has ended before.
        """
        if self.messages >= message:
            return 0
        before = self._left, self._prefix, self.messages
        at, _ = self._walk(chunk, message)
        reached = self.messages >= message
        self._left, self._prefix, self.messages = before
        return at if reached else None

    def _walk(self, chunk: bytes, until: int | None) -> tuple[int, int | None]:
        """Reads to the end or until so many are complete; how far, and the first size above the limit."""
        at, size = 0, len(chunk)
        too_large = None
        while at < size and self.messages != until:
            if not self._left:
                missing = _PREFIX - len(self._prefix)
                self._prefix += chunk[at : at + missing]
                at += missing
                if at > size:
                    break
                self._left = int.from_bytes(self._prefix[1:], "big")
                self._prefix = b""
                if too_large is None and self._limit is not None and self._left > self._limit:
                    too_large = self._left
            step = min(self._left, size - at)
            self._left -= step
            at += step
            if not self._left:
                self.messages += 1
        return min(at, size), too_large
