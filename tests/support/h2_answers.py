"""Peers that are not gRPC servers: an HTTP/2 one with any status, headers and trailers, one that knows only
HTTP/1.1, and one that accepts and says nothing.

Each runs on a thread of its own with one thread per connection, and ends its connections when it is left.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import h2.config
import h2.connection
import h2.events

Headers = Sequence[tuple[str, str]]


class Listener:
    """`with ...() as server:` listens on `server.address`; what is said to a client is in `talk`."""

    def __enter__(self) -> Listener:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.accepted = 0
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="answers", daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        # shutdown() wakes the thread in accept(); close() alone would not.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(10)
        self._socket.close()
        for connection in self._open:
            with contextlib.suppress(OSError):  # its client was faster
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join(10)

    def talk(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.accepted += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), name="answer", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):  # the client went away
            self.talk(connection)


class Silent(Listener):
    """Accepts, reads, and never says a word."""

    def talk(self, connection: socket.socket) -> None:
        while connection.recv(65536):
            pass


@dataclass
class Http1(Listener):
    """Answers whatever arrives with one HTTP/1.1 response and closes."""

    status: str = "400 Bad Request"
    body: bytes = b"<html>no HTTP/2 here</html>"

    def talk(self, connection: socket.socket) -> None:
        connection.recv(65536)
        head = f"HTTP/1.1 {self.status}\r\nContent-Type: text/html\r\nContent-Length: {len(self.body)}\r\n"
        connection.sendall(head.encode() + b"Connection: close\r\n\r\n" + self.body)


@dataclass
class Http2(Listener):
    """Answers every request, once it has arrived as a whole, in real HTTP/2 without a gRPC server behind it.

    `reset` ends the stream with that error code after the headers; `goaway`, a code and a text, ends the
    connection instead of answering. `answered` counts.
    """

    headers: Headers
    body: bytes = b""
    trailers: Headers = ()
    reset: int | None = None
    goaway: tuple[int, bytes] | None = None
    answered: int = 0

    def talk(self, connection: socket.socket) -> None:
        peer = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        peer.initiate_connection()
        connection.sendall(peer.data_to_send())
        # After a GOAWAY h2 takes no more input, though its client may still have some under way.
        while (data := connection.recv(65536)) and not self._said_goodbye(peer):
            for event in peer.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    peer.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    self._answer(peer, event.stream_id)
            connection.sendall(peer.data_to_send())

    @staticmethod
    def _said_goodbye(peer: h2.connection.H2Connection) -> bool:
        return peer.state_machine.state is h2.connection.ConnectionState.CLOSED

    def _answer(self, peer: h2.connection.H2Connection, stream: int) -> None:
        self.answered += 1
        if self.goaway is not None:
            code, why = self.goaway
            peer.close_connection(code, why, last_stream_id=0)
            return
        last = not self.body and not self.trailers and self.reset is None
        peer.send_headers(stream, self.headers, end_stream=last)
        if self.body:
            peer.send_data(stream, self.body, end_stream=not self.trailers and self.reset is None)
        if self.reset is not None:
            peer.reset_stream(stream, self.reset)
        elif self.trailers:
            peer.send_headers(stream, self.trailers, end_stream=True)
