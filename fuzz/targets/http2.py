"""The gateway's HTTP/2 connection and its reader of header blocks.

The first byte of an input chooses what reads the rest: a server's connection, a client's with a few calls on it, or the
reader, which an unremembering hpack checks. The second says in what pieces it comes. A broken peer may end its
connection; an owner that hears more after its end and a window that leaks are findings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import hpack

from server_demo.gateway import _frames as f
from server_demo.gateway._http2 import Connection

RATE = 6000
# Bytes to send for each byte that came, and for a connection as such; twelve are what a PING costs at most.
ANSWERED_EACH, ANSWERED_AT_LEAST = 12, 20_000


def check(data: bytes) -> None:
    """Raises whatever may not be raised, and AssertionError for what may not happen."""
    if len(data) < 2:
        return
    (_read_blocks, _serve, _serve_hello, _call)[data[0] % 4](data[1], data[2:])


def _read_blocks(size: int, data: bytes) -> None:
    reader, plain = f.HeaderReader(16_384, list), hpack.Decoder(max_header_list_size=16_384)
    step = size % 32 + 1
    blocks = [data[at : at + step] for at in range(0, len(data), step)]
    for block in [*blocks, *blocks]:
        try:
            wanted = plain.decode(block, raw=True)
        except hpack.HPACKError:
            wanted = None
        try:
            assert reader.read(block) == wanted
        except f.Http2Error:
            assert wanted is None
            return


class _Owner:
    """Keeps every other piece unconfirmed, and answers what is complete."""

    def __init__(self, unconfirmed: list[Callable[[], object]]) -> None:
        self.over = False
        self.answer: Callable[[], object] = lambda: None
        self._unconfirmed = unconfirmed

    def on_headers(self, fields: object, *, end: bool) -> None:  # noqa: ARG002
        assert not self.over
        if end:
            self.on_end()

    def on_data(self, data: bytes, sent: Callable[[], object]) -> None:
        assert not self.over
        if len(data) % 2:
            self._unconfirmed.append(sent)
        else:
            sent()

    def on_end(self) -> None:
        assert not self.over
        self.over = True
        self.answer()

    def on_reset(self, code: int) -> None:  # noqa: ARG002
        self.over = True


def _serve(size: int, data: bytes) -> None:
    _run(size, data, server=True)


def _serve_hello(size: int, data: bytes) -> None:
    block = f.header_block([(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/")])
    opened = f.header_frames(1, block, end=False, largest=16_384)
    _run(size, f.PREFACE + f.settings_frame([]) + opened + data, server=True)


def _call(size: int, data: bytes) -> None:
    _run(size, f.settings_frame([]) + data, server=False)


def _run(size: int, data: bytes, *, server: bool) -> None:
    unconfirmed: list[Callable[[], object]] = []

    def opened(stream, fields, end):  # noqa: ARG001
        owner = _Owner(unconfirmed)

        def answer():
            connection.sender.headers(stream, [(b":status", b"200")])
            connection.sender.data(stream, b"answer" * 100)
            connection.sender.end(stream, [(b"grpc-status", b"0")])

        owner.answer = answer
        if end:
            owner.on_end()
        return owner

    connection = Connection(
        opened=opened if server else None, wake=lambda: None, max_streams=4, max_header_bytes=1024
    )
    if not server:
        for number in range(3):
            stream = connection.open([(b":method", b"POST")], _Owner(unconfirmed))
            connection.sender.data(stream, b"request" * 100)
            if number:
                connection.sender.end(stream)
    written = 0

    def write(piece: bytes) -> bool:
        nonlocal written
        written += len(piece)
        return written % 3 != 0

    step = size or len(data) or 1
    for at in range(0, len(data), step):
        connection.feed(data[at : at + step])
        connection.sender.flush(write)
        if connection.sender.blocked:
            connection.unblocked()
    assert len(connection.streams) <= 4
    connection.sender.flush(write)
    assert written <= ANSWERED_AT_LEAST + ANSWERED_EACH * len(data), f"{written} bytes for {len(data)}"
    connection.lost()
    assert not connection.streams
    for sent in unconfirmed:
        sent()
    # The connection's window is whole, but for what ended it.
    if connection.failed is None:
        credited = connection._window_left + connection._uncredited
        assert abs(credited - 2 * connection._credit_step) <= 1, "a window leaks"


def seeds() -> Iterator[bytes]:
    """Inputs to begin with: a conversation of each kind of frame."""
    request = f.header_block([(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/"), (b"x", b"1")])
    answer = f.header_block([(b":status", b"200")])
    frames = [
        f.settings_frame([(f.INITIAL_WINDOW_SIZE, 10), (f.HEADER_TABLE_SIZE, 0)]),
        f.frame(f.DATA, 0, 1, b"body"),
        f.frame(f.DATA, f.PADDED | f.END_STREAM, 1, b"\2ab\0\0"),
        f.frame(f.PING, 0, 0, b"12345678"),
        f.frame(f.WINDOW_UPDATE, 0, 0, f.word(1000)),
        f.frame(f.WINDOW_UPDATE, 0, 1, f.word(1000)),
        f.frame(f.PRIORITY, 0, 5, f.word(1) + b"x"),
        f.frame(f.RST_STREAM, 0, 3, f.word(8)),
        f.frame(f.GOAWAY, 0, 0, f.word(1) + f.word(0)),
    ]
    requests = [f.header_frames(number, request, end=number > 1, largest=20) for number in (1, 3, 5)]
    answers = [
        f.header_frames(number, block, end=block is not answer, largest=20)
        for number in (1, 3)
        for block in (answer, f.header_block([(b"grpc-status", b"0")]))
    ]
    yield b"\0\7" + b"\x40\1a\1b\xbe\x3f\x21\x82" * 4
    yield b"\1\0" + f.PREFACE + frames[0] + b"".join(requests + frames)
    yield b"\2\5" + b"".join(requests[1:] + frames)
    yield b"\3\0" + b"".join(answers + frames)
