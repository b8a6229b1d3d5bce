"""What clients ask of the ledger server, and what it writes down: the format of both. Pure.

A request is `<id> <verb>[ <argument>]`, a line break, and filler. Every answer begins with the same id, so that an answer
to another request is noticed. The ledger is a text file of lines `<event> <id> <shape> <attempt> <time>`, where the time is
CLOCK_MONOTONIC, one clock for all processes of a machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "SERVICE",
    "SHAPES",
    "Entry",
    "answer",
    "answers_are_right",
    "method",
    "parse",
    "read_ledger",
    "request",
]

SERVICE = "eas.reliability.Ledger"
SHAPES = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
# How many messages a stream of requests or responses has, unless told otherwise.
STREAM_LENGTH = 3


def method(shape: str, service: str = SERVICE) -> str:
    """The path of the method of this shape."""
    return f"/{service}/{shape}"


def request(id: str, verb: str = "echo", argument: object = "", *, size: int = 0, number: int = 0) -> bytes:
    """A request of at least `size` bytes; those of one stream differ by their `number`, which is in the filler.

    Verbs: `echo` answers the same filler, `size N` of N bytes, `sleep S` waits first, `hold` never answers,
    `count N` answers N messages, `fail CODE` ends with a status, `left` answers the time to the deadline.
    """
    head = f"{id} {verb} {argument}\n".encode()
    return head + bytes((number,)) * max(1, size - len(head))


def parse(data: bytes) -> tuple[str, str, str, bytes]:
    """Id, verb, argument and filler."""
    head, _, filler = data.partition(b"\n")
    id, verb, argument = head.decode().split(" ", 2)
    return id, verb, argument, filler


def answer(id: str, filler: int | bytes = b"") -> bytes:
    """An answer to the request of this id."""
    return id.encode() + b"\n" + (bytes(filler) if isinstance(filler, int) else filler)


def answers_are_right(shape: str, id: str, sent: list[bytes], got: list[bytes]) -> bool:
    """Whether these are all the answers to a call of `echo`, in order.

    A stream comes back message by message, a single response to a stream is all of it; a single request is answered
    with its filler, once or STREAM_LENGTH times.
    """
    fillers = [each.partition(b"\n")[2] for each in sent]
    wanted = {
        "unary_unary": fillers,
        "unary_stream": fillers * STREAM_LENGTH,
        "stream_unary": [b"".join(fillers)],
        "stream_stream": fillers,
    }[shape]
    return got == [answer(id, filler) for filler in wanted]


@dataclass(frozen=True)
class Entry:
    """One line of a ledger; `event` is `run` (a handler began), `end` or `cancel`."""

    event: str
    id: str
    shape: str
    attempt: int
    at: float

    def __str__(self) -> str:
        """The line."""
        return f"{self.event} {self.id} {self.shape} {self.attempt} {self.at:.6f}"


def read_ledger(path: Path) -> Iterator[Entry]:
    """The lines of a ledger; the last one may be cut off where a server was killed."""
    for line in path.read_text().splitlines(keepends=True):
        words = line.split()
        if line.endswith("\n") and len(words) == 5:
            yield Entry(words[0], words[1], words[2], int(words[3]), float(words[4]))
