"""A raw HTTP/2 peer in the server's role: it answers each path with a script of frames, legal or not.

h2 reads what the client sends and does the housekeeping (settings, acknowledgements, windows). Legal steps of a script
go through it too; `frame` and `bytes` go out as they are written. One thread for each connection.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from reliability.child import hear, say

__all__ = ["Seen", "frame", "message", "serve"]

# Steps as JSON has them; bytes as latin-1 text:
#   ["headers", [[name, value], ...], end?]   ["data", text, end?]   ["rst", code]   ["ping"]   ["wait", seconds]
#   ["goaway", code, last stream or null for this one]   ["frame", kind, flags, stream or null, text]
#   ["bytes", text]   ["close"]   ["abort"]
Step = Sequence[Any]
Script = Sequence[Step]

HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 1, 3, 4, 6, 7, 8, 9
_PLENTY = 2**31 - 1


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Any frame, legal or not."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def message(payload: bytes, *, flag: int = 0, length: int | None = None) -> str:
    """A message as gRPC frames it, as text for a script; `length` may be a lie."""
    size = len(payload) if length is None else length
    return (bytes((flag,)) + struct.pack(">I", size) + payload).decode("latin-1")


@dataclass
class Seen:
    """What the peer saw of the calls to one path."""

    requests: int = 0
    connections: list[int] = field(default_factory=list)
    pings: int = 0
    acknowledged: int = 0
    resets: list[int] = field(default_factory=list)


class Peer:
    """What all connections share: the scripts, and what was seen."""

    def __init__(self, scripts: Mapping[str, Script]) -> None:
        self.scripts = scripts
        self.seen: dict[str, Seen] = {}
        self.numbers = itertools.count(1)
        self._lock = threading.Lock()

    def note(self, path: str) -> Seen:
        """What was seen of a path, to be added to."""
        with self._lock:
            return self.seen.setdefault(path, Seen())

    def script(self, path: str) -> Script:
        """What follows the service names it."""
        return self.scripts[path.split("/", 2)[2]]

    def listen(self, max_streams: int | None = None) -> int:
        """Serves on a free port, which it returns; `max_streams` is what its SETTINGS say."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        threading.Thread(target=self._accept, args=(listener, max_streams), daemon=True).start()
        return listener.getsockname()[1]

    def _accept(self, listener: socket.socket, max_streams: int | None) -> None:
        while True:
            connection, _ = listener.accept()
            talk = Connection(self, connection, max_streams).talk
            threading.Thread(target=talk, daemon=True).start()


class Connection:
    """One client's connection."""

    def __init__(self, peer: Peer, connection: socket.socket, max_streams: int | None) -> None:
        self._peer, self._socket, self._number = peer, connection, next(peer.numbers)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = h2.config.H2Configuration(
            client_side=False,
            validate_inbound_headers=False,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            header_encoding="latin-1",
        )
        self._h2 = h2.connection.H2Connection(config)
        if max_streams is not None:
            wanted = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: max_streams}
            self._h2.local_settings = h2.settings.Settings(client=False, initial_values=wanted)
        self._paths: dict[int, str] = {}
        self._pinged: Seen | None = None

    def talk(self) -> None:
        """Until the client goes, or a script ends the connection, or h2 finds a fault in the client."""
        with self._socket, contextlib.suppress(OSError):
            self._h2.initiate_connection()
            self._h2.increment_flow_control_window(_PLENTY - 65_535)
            self._flush()
            while data := self._socket.recv(65_536):
                try:
                    events = self._h2.receive_data(data)
                except h2.exceptions.ProtocolError:
                    self._flush()
                    return
                for event in events:
                    self._on(event)
                self._flush()

    def _on(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            path = dict(event.headers)[":path"]
            self._paths[event.stream_id] = path
            seen = self._peer.note(path)
            seen.requests += 1
            seen.connections.append(self._number)
        elif isinstance(event, h2.events.DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.PingAckReceived) and self._pinged is not None:
            self._pinged.acknowledged += 1
        elif isinstance(event, h2.events.StreamReset) and event.stream_id in self._paths:
            self._peer.note(self._paths[event.stream_id]).resets.append(int(event.error_code))
        elif isinstance(event, h2.events.StreamEnded):
            self._answer(event.stream_id)

    def _answer(self, stream: int) -> None:
        # A client may give a call up in the middle of a script; the rest of it is for nobody then.
        with contextlib.suppress(h2.exceptions.StreamClosedError):
            for name, *values in self._peer.script(self._paths[stream]):
                getattr(self, f"_step_{name}")(stream, *values)

    def _flush(self) -> None:
        self._socket.sendall(self._h2.data_to_send())

    # The steps of scripts.

    def _step_headers(self, stream: int, headers: Sequence[Sequence[str]], end: bool = False) -> None:
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self._h2.send_headers(stream, pairs, end_stream=end)

    def _step_data(self, stream: int, text: str, end: bool = False) -> None:
        self._h2.send_data(stream, text.encode("latin-1"), end_stream=end)

    def _step_rst(self, stream: int, code: int) -> None:
        # Past h2: it would forget the stream and take what the client had under way for an error.
        self._step_frame(stream, RST_STREAM, 0, None, struct.pack(">I", code).decode("latin-1"))

    def _step_goaway(self, stream: int, code: int, last: int | None = None) -> None:
        # Past h2: it takes no more input once it has said goodbye.
        payload = struct.pack(">II", stream if last is None else last, code) + b"as the script says"
        self._step_bytes(stream, frame(GOAWAY, 0, 0, payload).decode("latin-1"))

    def _step_ping(self, stream: int) -> None:
        self._pinged = self._peer.note(self._paths[stream])
        self._pinged.pings += 1
        self._h2.ping(struct.pack(">Q", self._pinged.pings))
        self._flush()

    def _step_wait(self, _: int, seconds: float) -> None:
        self._flush()
        time.sleep(seconds)

    def _step_frame(self, stream: int, kind: int, flags: int, on: int | None, text: str = "") -> None:
        target = stream if on is None else on
        self._step_bytes(stream, frame(kind, flags, target, text.encode("latin-1")).decode("latin-1"))

    def _step_bytes(self, _: int, text: str) -> None:
        self._flush()
        self._socket.sendall(text.encode("latin-1"))

    def _step_close(self, _: int) -> None:
        self._flush()
        self._socket.shutdown(socket.SHUT_RDWR)

    def _step_abort(self, _: int) -> None:
        self._flush()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


def serve(scripts: Mapping[str, Script], max_streams: int | None = None) -> dict[str, Any]:
    """For a `Child`: says `up` with its `port`, serves until a word comes, and returns what was seen by path."""
    peer = Peer(scripts)
    say("up", port=peer.listen(max_streams))
    hear()
    return {path: asdict(seen) for path, seen in peer.seen.items()}
