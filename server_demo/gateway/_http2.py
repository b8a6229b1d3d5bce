"""One HTTP/2 connection, of either side (RFC 9113): bytes in, calls on streams; calls on streams, bytes out.

No I/O. Why not a library: the gateway has to be quick enough to be left in front of every test, and has to break
the protocol in the middle of a frame when it is told to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from server_demo.gateway import _frames as f
from server_demo.gateway._exchange import Headers
from server_demo.gateway._frames import Http2Error
from server_demo.gateway._http2_read import OUR_MAX_FRAME, FrameReader
from server_demo.gateway._http2_rules import Fields, sort_out, wrong_request, wrong_response, wrong_trailers
from server_demo.gateway._http2_send import STREAM_WINDOW, Sender, Stream, StreamOwner

__all__ = ["Connection"]

# A header list up to so many times the announced limit is read, to be refused politely.
_PATIENCE_WITH_HEADERS = 4
# Streams that are over: what their peer sent before it heard of a reset is no mistake of theirs.
_ENDED_REMEMBERED = 256
# In what comes at once.
_MOST_SETTINGS = 100


class Connection:
    """The protocol's state for one connection.

    `opened(stream, fields, end)` hears of a stream that the peer opens (on the server's side only) and gives its
    owner. Bytes to send collect in `sender`, whose `flush` the owner of the transport calls after it has fed or told
    something; `wake` says that there are some from elsewhere. Raises nothing: a peer that breaks the protocol finds a
    GOAWAY, and `failed` says why.
    """

    def __init__(
        self,
        *,
        opened: Callable[[Stream, Fields, bool], StreamOwner] | None,
        wake: Callable[[], object],
        max_streams: int = 100,
        max_header_bytes: int = 60 * 1024,
        window: int | None = None,
    ) -> None:
        """`window` is what the peer may send ahead over all streams; without it, as much as its streams together."""
        self._server = opened is not None
        self._opened = opened
        self._wake = wake
        self.sender = Sender(self._close_local)
        self.streams: dict[int, Stream] = {}
        self.failed: str | None = None
        self._settings_heard = 0
        self.settings_acknowledged = False
        # How many streams the peer has reset that were not answered yet.
        self.broken_off = 0
        self.peer_max_streams = f.LARGEST_WINDOW
        # The last stream that the peer will answer; None as long as it has not said goodbye.
        self.peer_goaway: int | None = None
        self._max_streams = max_streams
        largest = max_header_bytes * _PATIENCE_WITH_HEADERS
        self._blocks = f.HeaderReader(largest, sort_out)
        self.frames = FrameReader(
            {
                f.DATA: self._on_data,
                f.HEADERS: self._on_headers,
                f.PRIORITY: self._on_priority,
                f.RST_STREAM: self._on_reset,
                f.SETTINGS: self._on_settings,
                f.PUSH_PROMISE: self._on_push_promise,
                f.PING: self._on_ping,
                f.GOAWAY: self._on_goaway,
                f.WINDOW_UPDATE: self._on_window_update,
            },
            preface=self._server,
            largest_block=largest,
        )
        self.last_peer_stream = 0
        self._next_stream = 1
        self._refuse_above: int | None = None
        # A stream that stands still must not stop another: their own windows are to be the bound.
        window = max_streams * STREAM_WINDOW if window is None else window
        self._window_left = window
        self._credit_step = window // 2
        self._uncredited = 0
        self._ended: deque[int] = deque(maxlen=_ENDED_REMEMBERED)
        self._reset_by_us: deque[int] = deque(maxlen=_ENDED_REMEMBERED)
        settings = [
            (f.INITIAL_WINDOW_SIZE, STREAM_WINDOW),
            (f.MAX_FRAME_SIZE, OUR_MAX_FRAME),
            (f.MAX_HEADER_LIST_SIZE, max_header_bytes),
        ]
        settings.append((f.MAX_CONCURRENT_STREAMS, max_streams) if self._server else (f.ENABLE_PUSH, 0))
        self._say((b"" if self._server else f.PREFACE) + f.settings_frame(settings))
        self._say(f.frame(f.WINDOW_UPDATE, 0, 0, f.word(window - f.DEFAULT_WINDOW)))

    @property
    def greeted(self) -> bool:
        """Whether the peer's settings are known."""
        return self.frames.greeted

    @property
    def may_open(self) -> bool:
        """Whether the peer takes one more stream, as far as is known."""
        return (
            self.peer_goaway is None
            and self.failed is None
            and len(self.streams) < self.peer_max_streams
            and self._next_stream <= f.LARGEST_WINDOW
        )

    # What this side does.

    def open(self, headers: Headers, owner: StreamOwner) -> Stream:
        """Opens a stream with a request's headers, as a client."""
        stream = self.streams[self._next_stream] = Stream(self._next_stream, self.sender.initial_window)
        self._next_stream += 2
        stream.owner = owner
        self.sender.headers(stream, headers)
        return stream

    def reset(self, stream: Stream, code: int) -> None:
        """Breaks a stream off; its owner hears nothing more."""
        if self.streams.get(stream.id) is stream:
            self._say_reset(stream.id, code)
            self._forget(stream)

    def goaway(self, code: int = f.NO_ERROR, *, refuse_above: int | None = None, text: bytes = b"") -> None:
        """Says goodbye: streams above `refuse_above` are not answered (none of those that are still to come)."""
        last = self.last_peer_stream if refuse_above is None else refuse_above
        # Never more than was said before (RFC 9113, 6.8).
        self._refuse_above = last if self._refuse_above is None else min(last, self._refuse_above)
        self._say(f.frame(f.GOAWAY, 0, 0, f.word(self._refuse_above) + f.word(code) + text))

    def unblocked(self) -> None:
        """The transport takes bytes again."""
        self.sender.blocked = False
        self.sender.pump_all()

    def lost(self) -> None:
        """The transport is gone: every owner hears of it."""
        for stream in tuple(self.streams.values()):
            self._tell_reset(stream, f.CANCEL)

    # What the peer does.

    def feed(self, data: bytes, most: int | None = None) -> bool:
        """Takes bytes of the peer, in pieces of any size; deals with so many frames at most, and says if there are more."""
        if self.failed is not None:
            return False
        self._settings_heard = 0
        try:
            return self.frames.feed(data, most)
        except Http2Error as error:
            self.failed = str(error)
            self.goaway(error.code, text=self.failed.encode())
            self.lost()
            return False

    def _on_data(self, flags: int, number: int, payload: bytes) -> None:
        size = len(payload)
        self._window_left -= size
        if self._window_left < 0:
            raise Http2Error(f.FLOW_CONTROL_ERROR, "more DATA than the connection's window allows")
        data = f.unpadded(payload, flags)
        stream = self.streams.get(number)
        if stream is None or stream.remote_closed:
            self._credit(None, size)
            self._data_on_closed(number, stream)
            return
        end = bool(flags & f.END_STREAM)
        stream.window_left -= size
        if stream.length is not None:
            stream.length -= len(data)
        if stream.window_left < 0 or self._is_misplaced(stream, end=end):
            self._credit(None, size)
            self.break_off(stream, f.FLOW_CONTROL_ERROR if stream.window_left < 0 else f.PROTOCOL_ERROR)
            return
        owner = stream.owner
        assert owner is not None
        if data:
            owner.on_data(data, partial(self._credit, None if end else stream, size))
        else:
            self._credit(stream, size)
        if end and not stream.remote_closed:
            self._close_remote(stream)
            owner.on_end()

    def _is_misplaced(self, stream: Stream, *, end: bool) -> bool:
        """Whether DATA came before the headers, or more or less of it than content-length promised."""
        left = stream.length
        return not stream.headed or (left is not None and (left < 0 or (end and left > 0)))

    def _on_headers(self, flags: int, number: int, block: bytes) -> None:
        # Read in any case: the table is the connection's.
        fields = self._blocks.read(block)
        end = bool(flags & f.END_STREAM)
        stream = self.streams.get(number)
        if stream is not None:
            self._later_headers(stream, fields, end=end)
        elif self._server and number % 2 and number > self.last_peer_stream:
            self._open(number, fields, end=end)
        else:
            self._headers_on_closed(number)

    def _later_headers(self, stream: Stream, fields: Fields, *, end: bool) -> None:
        if stream.remote_closed:
            self.break_off(stream, f.STREAM_CLOSED)
            return
        if stream.headed:
            problem = wrong_trailers(fields) or (None if end else "trailers that are not the end")
        else:
            problem = wrong_response(fields)
            if problem is None and fields.pseudo[b":status"][:1] != b"1":
                stream.headed = True
                stream.length = fields.length
            elif end:
                problem = "an end after 1xx"
        if problem is not None or (end and stream.length):
            self.break_off(stream, f.PROTOCOL_ERROR)
            return
        if end:
            self._close_remote(stream)
        assert stream.owner is not None
        stream.owner.on_headers(fields, end=end)

    def _open(self, number: int, fields: Fields, *, end: bool) -> None:
        self.last_peer_stream = number
        if self._refuse_above is not None and number > self._refuse_above:
            return
        stream = self.streams[number] = Stream(number, self.sender.initial_window)
        if len(self.streams) > self._max_streams:
            self.reset(stream, f.REFUSED_STREAM)
            return
        if wrong_request(fields) is not None or (end and fields.length):
            self.reset(stream, f.PROTOCOL_ERROR)
            return
        stream.headed = True
        stream.length = fields.length
        stream.remote_closed = end
        assert self._opened is not None
        # The owner may answer, and so close the stream, before this returns.
        stream.owner = self._opened(stream, fields, end)

    def _is_late(self, number: int) -> bool:
        """Whether the peer may not know yet that nobody listens on this stream any more."""
        if number in self._reset_by_us:
            return True
        return self._refuse_above is not None and self._refuse_above < number <= self.last_peer_stream

    def _headers_on_closed(self, number: int) -> None:
        """Headers open a stream or end it: there are no others."""
        if self._is_late(number):
            return
        if number in self._ended:
            raise Http2Error(f.STREAM_CLOSED, "headers on a stream that is over")
        raise Http2Error(f.PROTOCOL_ERROR, "headers on a stream that cannot be opened")

    def _data_on_closed(self, number: int, stream: Stream | None) -> None:
        self._check_known(number, "DATA")
        if stream is not None:
            self.break_off(stream, f.STREAM_CLOSED)
        elif not self._is_late(number):
            self._say_reset(number, f.STREAM_CLOSED)

    def _on_reset(self, _flags: int, number: int, payload: bytes) -> None:
        self._check_known(number, "RST_STREAM")
        stream = self.streams.get(number)
        if stream is not None:
            self.broken_off += not stream.local_closed
            self._tell_reset(stream, f.word_at(payload))

    def _on_settings(self, flags: int, _number: int, payload: bytes) -> None:
        # Each of them is work for every stream.
        self._settings_heard += 1
        if self._settings_heard > _MOST_SETTINGS:
            raise Http2Error(f.ENHANCE_YOUR_CALM, "a flood of SETTINGS")
        if flags & f.ACK:
            if payload:
                raise Http2Error(f.FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS with content")
            self.settings_acknowledged = True
            return
        # Of the same setting the last counts: a frame full of windows is not worked off one by one.
        for key, value in dict(f.settings_in(payload)).items():
            if key == f.INITIAL_WINDOW_SIZE:
                self.sender.change_windows(value, self.streams.values())
            elif key == f.MAX_FRAME_SIZE:
                self.sender.max_frame = min(value, OUR_MAX_FRAME)
            elif key == f.MAX_CONCURRENT_STREAMS:
                self.peer_max_streams = value
            elif key == f.HEADER_TABLE_SIZE and value < f.DEFAULT_TABLE_SIZE:
                self.sender.give_up_table()
            elif key == f.ENABLE_PUSH and value and not self._server:
                raise Http2Error(f.PROTOCOL_ERROR, "a server that allows pushes")
        self._say(f.frame(f.SETTINGS, f.ACK, 0))
        self.sender.pump_all()

    def _on_ping(self, flags: int, _number: int, payload: bytes) -> None:
        if not flags & f.ACK:
            self._say(f.frame(f.PING, f.ACK, 0, payload))

    def _on_goaway(self, _flags: int, _number: int, payload: bytes) -> None:
        if len(payload) < 8:
            raise Http2Error(f.FRAME_SIZE_ERROR, "GOAWAY is shorter than eight bytes")
        self.peer_goaway = f.word_at(payload) & f.LARGEST_WINDOW
        if not self._server:
            for stream in tuple(self.streams.values()):
                if stream.id > self.peer_goaway:
                    self._tell_reset(stream, f.REFUSED_STREAM)

    def _on_window_update(self, _flags: int, number: int, payload: bytes) -> None:
        more = f.word_at(payload) & f.LARGEST_WINDOW
        if not number:
            self.sender.window += more
            if not more or self.sender.window > f.LARGEST_WINDOW:
                raise Http2Error(f.FLOW_CONTROL_ERROR if more else f.PROTOCOL_ERROR, "a wrong WINDOW_UPDATE")
            self.sender.pump_all()
            return
        self._check_known(number, "WINDOW_UPDATE")
        stream = self.streams.get(number)
        if stream is None:
            return
        stream.window += more
        if not more or stream.window > f.LARGEST_WINDOW:
            self.break_off(stream, f.FLOW_CONTROL_ERROR if more else f.PROTOCOL_ERROR)
        else:
            self.sender.pump(stream)

    def _on_priority(self, _flags: int, number: int, payload: bytes) -> None:
        if f.word_at(payload) & f.LARGEST_WINDOW == number:
            raise Http2Error(f.PROTOCOL_ERROR, "a stream that depends on itself")

    def _on_push_promise(self, _flags: int, _number: int, _payload: bytes) -> None:
        raise Http2Error(f.PROTOCOL_ERROR, "PUSH_PROMISE, which was not allowed")

    # Windows and ends.

    def _credit(self, stream: Stream | None, size: int) -> None:
        """The peer may send `size` bytes more; told in steps of half a window."""
        self._uncredited += size
        if self._uncredited >= self._credit_step:
            self._window_left += self._uncredited
            self._say(f.frame(f.WINDOW_UPDATE, 0, 0, f.word(self._uncredited)))
            self._uncredited = 0
            self._wake()
        if stream is not None and not stream.remote_closed:
            stream.uncredited += size
            if stream.uncredited >= STREAM_WINDOW // 2:
                stream.window_left += stream.uncredited
                self._say(f.frame(f.WINDOW_UPDATE, 0, stream.id, f.word(stream.uncredited)))
                stream.uncredited = 0
                self._wake()

    def _check_known(self, number: int, what: str) -> None:
        known = self.last_peer_stream if self._server else self._next_stream - 1
        if number > known or number % 2 == 0:
            raise Http2Error(f.PROTOCOL_ERROR, f"{what} on a stream that was never opened")

    def _close_local(self, stream: Stream) -> None:
        stream.local_closed = True
        if self._server and not stream.remote_closed:
            # The answer is complete, the request is not: called off without blame (RFC 9113, 8.1).
            if not stream.patient:
                self.reset(stream, f.NO_ERROR)
        elif stream.remote_closed:
            self._forget(stream)

    def _close_remote(self, stream: Stream) -> None:
        stream.remote_closed = True
        if stream.local_closed:
            self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        self.streams.pop(stream.id, None)
        self._ended.append(stream.id)
        stream.local_closed = stream.remote_closed = True
        self.sender.forget(stream)

    def break_off(self, stream: Stream, code: int) -> None:
        """Our verdict over a stream: the peer gets a reset, and the owner hears of it as if it came from there."""
        owner = stream.owner
        self.reset(stream, code)
        if owner is not None:
            owner.on_reset(code)

    def _tell_reset(self, stream: Stream, code: int) -> None:
        self._forget(stream)
        if stream.owner is not None:
            stream.owner.on_reset(code)

    def _say(self, data: bytes) -> None:
        self.sender.out.append(data)

    def _say_reset(self, number: int, code: int) -> None:
        self._say(f.frame(f.RST_STREAM, 0, number, f.word(code)))
        self._reset_by_us.append(number)
