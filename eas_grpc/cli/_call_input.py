"""Where the requests of a call come from: -d, files, a pipe, a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eas_grpc.cli._call_json import JsonValues
from eas_grpc.errors import ConfigError, EasError, SchemaError

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from eas_grpc.cli._call_schema import CallSchema
    from eas_grpc.schema._payload import Attachments

__all__ = ["Requests", "Source", "attachment", "sources", "typed_by_hand", "unread"]

_PIECE = 1 << 20
_STDIN = "standard input"

Pieces = Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class Source:
    """One place that requests are read from: `text`, or else the `pieces` that come out of it."""

    where: str
    text: str | None = None
    pieces: Pieces | None = None
    typed: bool = False

    def values(self) -> Iterator[str]:
        """Its JSON values, each as soon as it is complete."""
        if self.text is not None:
            cut = JsonValues(self.where)
            yield from (*cut.feed(self.text.encode("utf-8", "surrogateescape")), *cut.finish())
        elif self.pieces is not None:
            cut = JsonValues(self.where)
            for piece in self.pieces():
                yield from cut.feed(piece)
            yield from cut.finish()


def attachment(option: str, text: str) -> tuple[str, Path]:
    """Name and path of a `NAME=@PATH` or `@PATH`; ConfigError for anything else."""
    name, sign, path = text.partition("@")
    name = name.removesuffix("=")
    if not sign or not path or (text[0] != "@" and "=@" not in text):
        raise ConfigError(f"{option} {text!r}: write NAME=@PATH")
    return name, Path(path)


def sources(data: Sequence[str], *, streams: bool, attached: bool) -> list[Source]:
    """What -d names, opened. Raises ConfigError, and SchemaError for a file that cannot be read.

    Without -d: nothing, which is an empty request; but a method that takes a stream of requests reads standard
    input, unless something else is `attached`, which makes one request.
    """
    if not data and streams and not attached:
        return [_standard_input(required=False)]
    if "" in data:
        raise ConfigError("-d is empty: write {} for an empty request")
    found = [_source(text) for text in data]
    if sum(each.where == _STDIN for each in found) > 1:
        raise ConfigError("standard input can be read once: leave one of the -d - out")
    return found


def unread() -> bool:
    """Whether something waits on standard input, which a method with one request reads only for `-d -`."""
    import fcntl
    import stat
    import termios

    try:
        number = sys.stdin.fileno()
        kind = os.fstat(number).st_mode
        if stat.S_ISREG(kind):
            return os.fstat(number).st_size > 0
        waiting = fcntl.ioctl(number, termios.FIONREAD, bytes(4)) if stat.S_ISFIFO(kind) else bytes(4)
    except (AttributeError, OSError, ValueError):  # closed, or somebody's own object
        return False
    return any(waiting)


def _source(text: str) -> Source:
    if text in {"-", "@-"}:
        return _standard_input(required=True)
    if not text.startswith("@"):
        return Source("-d", text=text)
    path = Path(text[1:])
    if path.is_dir() or not os.access(path, os.R_OK):
        why = (
            "it is a folder"
            if path.is_dir()
            else "permission denied"
            if path.exists()
            else "there is no such file"
        )
        raise SchemaError(f"-d {text} cannot be read: {why}")
    return Source(str(path), pieces=lambda: _file(path))


def _file(path: Path) -> Iterator[bytes]:
    try:
        # Unbuffered: it may be a pipe, whose pieces are wanted as they come.
        with path.open("rb", buffering=0) as file:
            while piece := file.read(_PIECE):
                yield piece
    except OSError as error:
        raise SchemaError(f"{path} cannot be read: {error.strerror}") from None


def _standard_input(*, required: bool) -> Source:
    if sys.stdin is None:
        # Its number may belong to another file by now.
        if required:
            raise ConfigError("standard input is closed: give the data with -d JSON or -d @FILE")
        return Source(_STDIN, text="")
    typed = sys.stdin.isatty() and not required
    try:
        number = sys.stdin.fileno()
    except OSError:  # somebody's own object, which is no file
        stream: Any = sys.stdin.buffer
        return Source(_STDIN, pieces=lambda: iter(lambda: stream.read(_PIECE), b""), typed=typed)
    # Not by `sys.stdin`: a thread that waits in it holds its lock, and with it the end of the program.
    return Source(_STDIN, pieces=lambda: iter(lambda: _read(number), b""), typed=typed)


def _read(number: int) -> bytes:
    try:
        return os.read(number, _PIECE)
    except OSError as error:
        raise SchemaError(f"{_STDIN} cannot be read: {error.strerror}") from None


def typed_by_hand(pieces: Iterator[bytes], prompt: Callable[[], None]) -> Iterator[str]:
    """The lines that somebody types, up to Ctrl-D; `prompt` is called before each."""
    prompt()
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace")
        if lines:
            prompt()
    if rest:
        yield rest.decode("utf-8", "replace")


class Requests:
    """The requests of one call, made one by one when they are asked for, on whatever thread that is.

    `error` is what ended them before their end; `sent` and `size` count what has been handed out.
    """

    def __init__(
        self,
        schema: CallSchema,
        found: Sequence[Source],
        attachments: Attachments,
        *,
        prompt: Callable[[], None] = lambda: None,
        complain: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._schema = schema
        self._method = schema.method
        self._sources = found
        self._attachments = attachments
        self._prompt = prompt
        self._complain = complain
        self.error: Exception | None = None
        self.sent = 0
        self.size = 0

    @property
    def open_ended(self) -> bool:
        """Whether they come from somewhere that takes its time."""
        return self._method.client_streaming and any(each.pieces is not None for each in self._sources)

    @property
    def typed(self) -> bool:
        """Whether somebody types them."""
        return any(each.typed for each in self._sources)

    def check(self) -> None:
        """Makes those that are known already, so that what is wrong with them is said before anything is sent."""
        if not self._method.client_streaming:
            self._sources = [self._single()]
        for each in self._sources:
            if each.text is not None:
                for _ in self._messages(each):
                    pass

    def messages(self) -> Iterator[Message]:
        """The messages. Raises ConfigError for what is none."""
        if not self._sources:
            if not self._method.client_streaming or self._attachments:
                yield self._message("{}", "the request")
            return
        for source in self._sources:
            yield from self._typed(source) if source.typed else self._messages(source)

    def __iter__(self) -> Iterator[bytes]:
        try:
            for message in self.messages():
                data = message.SerializeToString()
                self.sent += 1
                self.size += len(data)
                yield data
        except Exception as error:
            self.error = error
            raise

    def _single(self) -> Source:
        """The one request that the method takes; ConfigError where there are more."""
        values = [(each.where, value) for each in self._sources for value in each.values()]
        if len(values) > 1:
            where = " and ".join(dict.fromkeys(where for where, _ in values))
            raise ConfigError(
                f"{self._method.service}/{self._method.name} takes one request, and {where} has {len(values)}"
            )
        if not values and self._sources:
            where = " and ".join(dict.fromkeys(each.where for each in self._sources))
            raise ConfigError(f"{where} is empty: write {{}} for an empty request")
        return Source(values[0][0], text=values[0][1]) if values else Source("the request", text="{}")

    def _messages(self, source: Source) -> Iterator[Message]:
        for number, value in enumerate(source.values(), 1):
            where = f"{source.where}, message {number}" if self._method.client_streaming else source.where
            yield self._message(value, where)

    def _typed(self, source: Source) -> Iterator[Message]:
        assert source.pieces is not None
        for line in typed_by_hand(source.pieces(), self._prompt):
            for value in Source("", text=line).values():
                try:
                    message = self._message(value, "this line")
                except EasError as error:
                    self._complain(str(error))
                else:
                    yield message

    def _message(self, text: str, where: str) -> Message:
        from eas_grpc.schema._payload import attach

        message = self._schema.parse(text, where=where)
        attach(self._method, message, self._attachments)
        return message
