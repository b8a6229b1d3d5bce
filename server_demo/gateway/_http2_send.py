"""The sending half of an HTTP/2 connection: what may go now, what waits for windows and for the transport. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from server_demo.gateway import _frames as f
from server_demo.gateway._exchange import Headers, Sent
from server_demo.gateway._frames import Http2Error
from server_demo.gateway._http2_rules import Fields

__all__ = ["STREAM_WINDOW", "Sender", "Stream", "StreamOwner"]

# What a peer may send ahead on one stream.
STREAM_WINDOW = 512 * 1024
# So much of bodies collects before the transport is asked whether it takes more.
_BURST = 256 * 1024


class StreamOwner(Protocol):
    """Hears what comes on a stream."""

    def on_headers(self, fields: Fields, *, end: bool) -> None:
        """A client's owner: the headers, 1xx first, then trailers with `end`. A server's: trailers. Not to be changed."""

    def on_data(self, data: bytes, sent: Sent) -> None:
        """A piece of the body; `sent` lets the peer send as much again."""

    def on_end(self) -> None:
        """The peer's half is complete, without trailers."""

    def on_reset(self, code: int) -> None:
        """The peer broke the stream off, or the connection is over; the stream is gone."""


class Stream:
    """The state of one stream."""

    __slots__ = (
        "ending",
        "headed",
        "id",
        "length",
        "local_closed",
        "owner",
        "patient",
        "queue",
        "remote_closed",
        "uncredited",
        "window",
        "window_left",
    )

    def __init__(self, number: int, window: int) -> None:
        self.id = number
        self.owner: StreamOwner | None = None
        # What may be sent, and what the peer may still send.
        self.window = window
        self.window_left = STREAM_WINDOW
        self.uncredited = 0
        self.queue: deque[tuple[bytes | memoryview, Sent | None]] = deque()
        # None: goes on. Otherwise the trailers that end it once the queue is empty.
        self.ending: Headers | None = None
        self.local_closed = False
        self.remote_closed = False
        # The peer's headers have come: what follows are trailers.
        self.headed = False
        # The peer may finish what it sends, though it is answered.
        self.patient = False
        # What content-length promised and has not come yet.
        self.length: int | None = None


class Sender:
    """Collects bytes to send. `closed(stream)` hears that this side's half of a stream is complete.

    What is sent on a stream whose half is complete goes nowhere, and counts as sent.
    """

    def __init__(self, closed: Callable[[Stream], object]) -> None:
        self.out: list[bytes | memoryview] = []
        # True while the transport takes no more: bodies wait, everything else goes on.
        self.blocked = False
        self.window = f.DEFAULT_WINDOW
        self.initial_window = f.DEFAULT_WINDOW
        self.max_frame = f.SMALLEST_MAX_FRAME
        self._closed = closed
        self._waiting: dict[int, Stream] = {}
        self._collected = 0
        self._before_block = b""
        self._has_table = True

    def flush(self, write: Callable[[bytes], bool]) -> None:
        """Gives what has collected to `write`, which tells whether the transport takes more; if so, bodies go on."""
        while self.out:
            data = b"".join(self.out)
            self.out.clear()
            self._collected = 0
            waited, self.blocked = self.blocked, not write(data)
            if waited and not self.blocked:
                self.pump_all()

    def change_windows(self, initial: int, streams: Iterable[Stream]) -> None:
        """Gives these streams, and those to come, another window to begin with (RFC 9113, 6.9.2)."""
        change = initial - self.initial_window
        self.initial_window = initial
        for stream in streams if change else ():
            stream.window += change
            if stream.queue and stream.window > 0:
                self._waiting[stream.id] = stream
            if stream.window > f.LARGEST_WINDOW:
                raise Http2Error(f.FLOW_CONTROL_ERROR, "a window above 2^31-1")

    def give_up_table(self) -> None:
        """The peer wants a smaller table: it has to be told that there is none (RFC 7541, 4.2)."""
        if self._has_table:
            self._has_table = False
            self._before_block = f.NO_TABLE

    def headers(self, stream: Stream, headers: Headers, *, end: bool = False) -> None:
        """Sends headers at once, or trailers of a stream without waiting data."""
        if stream.local_closed:
            return
        block = f.header_block(headers)
        if self._before_block:
            block, self._before_block = self._before_block + block, b""
        self.out.append(f.header_frames(stream.id, block, end=end, largest=self.max_frame))
        if end:
            self._closed(stream)

    def data(self, stream: Stream, data: bytes, sent: Sent | None = None) -> None:
        """Sends a piece of a body as the windows allow."""
        if stream.local_closed:
            if sent is not None:
                sent()
            return
        stream.queue.append((data, sent))
        self.pump(stream)

    def end(self, stream: Stream, trailers: Headers | None = None) -> None:
        """Ends this side's half, after what waits."""
        if not stream.local_closed:
            stream.ending = trailers or []
            self.pump(stream)

    def forget(self, stream: Stream) -> None:
        """Sends nothing more of a stream; what was never sent is credited to whoever sent it, since others need that room."""
        self._waiting.pop(stream.id, None)
        queue, stream.queue = stream.queue, deque()
        for _, sent in queue:
            if sent is not None:
                sent()

    def pump(self, stream: Stream) -> None:
        """Sends what may be sent of a stream."""
        queue, out = stream.queue, self.out
        while queue:
            room = min(self.window, stream.window, self.max_frame)
            if room <= 0 or self.blocked:
                # Where its own window is shut, its own update wakes it, and nobody else's asks in vain.
                if stream.window > 0:
                    self._waiting[stream.id] = stream
                else:
                    self._waiting.pop(stream.id, None)
                return
            data, sent = queue[0]
            last = False
            piece: bytes | memoryview = data
            if len(data) > room:
                view = memoryview(data)
                piece, queue[0] = view[:room], (view[room:], sent)
                sent = None
            else:
                queue.popleft()
                last = not queue and stream.ending is not None and not stream.ending
            size = len(piece)
            self.window -= size
            stream.window -= size
            self._collected += size
            if self._collected >= _BURST:
                self.blocked = True
            out.append(f.frame_head(f.DATA, f.END_STREAM if last else 0, stream.id, size))
            out.append(piece)
            if sent is not None:
                sent()
            if last:
                self._closed(stream)
                return
        self._waiting.pop(stream.id, None)
        if stream.ending is not None and not stream.local_closed:
            if stream.ending:
                self.headers(stream, stream.ending, end=True)
            else:
                out.append(f.frame(f.DATA, f.END_STREAM, stream.id))
                self._closed(stream)

    def pump_all(self) -> None:
        """Sends what may be sent, beginning with the stream that has waited longest."""
        for number in tuple(self._waiting):
            # The others keep their places in front of those that have just had their turn.
            if self.window <= 0 or self.blocked:
                return
            stream = self._waiting.pop(number, None)
            if stream is not None:
                self.pump(stream)
