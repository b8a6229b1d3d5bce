"""Messages that are larger than anybody takes, to a server and to a client: attackers and victims for their own processes."""

from __future__ import annotations

import itertools
import select
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import grpc

from reliability import attack_frames as f
from reliability.attack_victims import forget_peak, memory, peak
from reliability.child import hear, say
from reliability.clients import collected, metadata, open_channel
from reliability.ledger import method, request
from reliability.server import TOKEN

__all__ = ["attack", "meet", "serve_evil"]

_GOAWAY, _WINDOW_UPDATE = 7, 8
_ACK = 1
_LARGEST = 2**31 - 1
_PIECE = 16_384
_MIB = 1024 * 1024


class Peer:
    """A side of an HTTP/2 connection that keeps to the other's windows, so that nothing but its messages is wrong."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._received = b""
        self._window = 65_535
        self._initial = 65_535
        self._streams: dict[int, int] = {}
        self.ended: str | None = None

    def frames(self, wait: float) -> Iterator[tuple[int, int, int]]:
        """Kind, flags and stream of each frame that comes; acknowledges settings and pings."""
        if not self._is_whole():
            self._receive(wait)
        while self._is_whole():
            size = int.from_bytes(self._received[:3], "big")
            kind, flags = self._received[3:5]
            stream = int.from_bytes(self._received[5:9], "big")
            payload, self._received = self._received[9 : 9 + size], self._received[9 + size :]
            self._keep_house(kind, flags, stream, payload)
            yield kind, flags, stream

    def _is_whole(self) -> bool:
        size = int.from_bytes(self._received[:3], "big")
        return len(self._received) >= 9 + size

    def _receive(self, wait: float) -> None:
        if not select.select([self._socket], [], [], wait)[0]:
            return
        try:
            data = self._socket.recv(65_536)
        except OSError:
            data = b""
        if not data:
            self.ended = "cut off"
        self._received += data

    def skip(self, size: int) -> None:
        """Passes over the client's first lines."""
        while len(self._received) < size:
            data = self._socket.recv(65_536)
            if not data:
                raise ConnectionError
            self._received += data
        self._received = self._received[size:]

    def _keep_house(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == f.SETTINGS and not flags & _ACK:
            for key, value in struct.iter_unpack(">HI", payload):
                if key == 4:
                    change = value - self._initial
                    self._initial = value
                    self._streams = {number: left + change for number, left in self._streams.items()}
            self._socket.sendall(f.frame(f.SETTINGS, _ACK, 0))
        elif kind == f.PING and not flags & _ACK:
            self._socket.sendall(f.frame(f.PING, _ACK, 0, payload))
        elif kind == _WINDOW_UPDATE:
            more = int.from_bytes(payload, "big")
            if stream:
                self._streams[stream] = self._streams.get(stream, self._initial) + more
            else:
                self._window += more

    def pour(self, stream: int, pieces: Iterable[bytes], *, end: bool, seconds: float) -> int:
        """Sends a body for as long as the other side takes it and says nothing; how many bytes went."""
        sent, until = 0, time.monotonic() + seconds
        for piece in pieces:
            for at in range(0, len(piece), _PIECE):
                part = piece[at : at + _PIECE]
                while self._room(stream) < len(part) or select.select([self._socket], [], [], 0)[0]:
                    if self._is_over(stream) or time.monotonic() > until:
                        return sent
                try:
                    self._socket.sendall(f.frame(f.DATA, 0, stream, part))
                except OSError:
                    self.ended = "cut off"
                    return sent
                self._window -= len(part)
                self._streams[stream] = self._streams.get(stream, self._initial) - len(part)
                sent += len(part)
        if end:
            self._socket.sendall(f.frame(f.DATA, f.END_STREAM, stream))
        while not self._is_over(stream) and time.monotonic() < until:
            pass
        return sent

    def _room(self, stream: int) -> int:
        return min(self._window, self._streams.get(stream, self._initial))

    def _is_over(self, stream: int) -> bool:
        for kind, _, number in self.frames(0.2):
            if number == stream and kind in {f.HEADERS, f.RST_STREAM}:
                self.ended = "answered" if kind == f.HEADERS else "reset"
            elif kind == _GOAWAY:
                self.ended = "goaway"
        return self.ended is not None


def attack(address: str, message: int) -> None:
    """For a `Child`: sends a giant to a server at each word, until there is no word.

    The word is `kind size`: `prefix`, `bomb`, `http-bomb`, or a `stream` of messages of `message` bytes. Says `done`
    with how it ended, what was sent, and whether the next call is answered.
    """
    while word := hear():
        kind, size = word.split()
        say("done", **_attack_and_call(address, kind, int(size), message))


def _attack_and_call(address: str, kind: str, size: int, message: int) -> dict[str, Any]:
    found = _attack(address, kind, size, message)
    with open_channel("raw", address) as channel:
        try:
            collected(channel, "unary_unary", [request("next")], timeout=10, metadata=metadata("raw"))
        except grpc.RpcError as error:
            return {**found, "next": error.code().name}
    return {**found, "next": "OK"}


def _attack(address: str, kind: str, size: int, message: int) -> dict[str, Any]:
    if kind == "stream":
        return _stream(address, size, message)
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connected:
        if kind == "http-bomb":
            return _http_bomb(connected, size)
        encoding = ("grpc-encoding", "gzip" if kind == "bomb" else "identity")
        block = f.request_block(method("unary_unary"), TOKEN, encoding)
        connected.sendall(f.HELLO + f.open_stream(1, block))
        peer = Peer(connected)
        sent = peer.pour(1, _body(kind, size), end=True, seconds=20)
    return {"ended": peer.ended or "nothing", "sent": sent}


def _body(kind: str, size: int) -> Iterator[bytes]:
    if kind == "bomb":
        yield f.message(f.bomb(size), compressed=True)
        return
    yield f.message(b"", length=_LARGEST)
    yield from itertools.repeat(bytes(_MIB), size // _MIB)


def _http_bomb(connected: socket.socket, size: int) -> dict[str, Any]:
    body = f.bomb(size)
    connected.sendall(
        f.http_head("POST", "/api/predict/zipped", TOKEN, f"Content-Length: {len(body)}") + body
    )
    return {"ended": connected.recv(1000).decode("latin-1").split("\r\n")[0], "sent": len(body)}


def _stream(address: str, size: int, message: int) -> dict[str, Any]:
    # All of it in what the server reads and does not answer.
    body = request("giant", "echo", "x" * (message - len(request("giant"))))
    messages, answered = itertools.repeat(body, size // message), 0
    with open_channel("raw", address) as channel:
        call = channel.stream_stream(method("stream_stream"))
        try:
            for _ in call(messages, timeout=120, metadata=metadata("raw")):
                answered += 1
        except grpc.RpcError as error:
            return {"ended": error.code().name, "sent": answered * message}
    return {"ended": "OK", "sent": answered * message}


def serve_evil(kind: str, size: int) -> None:
    """For a `Child`: a server that answers every call with the same giant; says `up`, ends with a word."""
    listener = socket.create_server(("127.0.0.1", 0))
    say("up", address=f"127.0.0.1:{listener.getsockname()[1]}")
    body = list(_body(kind, size)) if kind == "bomb" else None
    threading.Thread(target=_accept, args=(listener, kind, size, body), daemon=True).start()
    hear()


def _accept(listener: socket.socket, kind: str, size: int, body: list[bytes] | None) -> None:
    head = f.literals(
        [
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-encoding", "gzip" if kind == "bomb" else "identity"),
        ]
    )
    while True:
        connected, _ = listener.accept()
        threading.Thread(target=_answer, args=(connected, head, body, kind, size), daemon=True).start()


def _answer(connected: socket.socket, head: bytes, body: list[bytes] | None, kind: str, size: int) -> None:
    peer = Peer(connected)
    with connected:
        try:
            connected.sendall(f.frame(f.SETTINGS, 0, 0))
            peer.skip(len(f.FIRST_LINES))
            while peer.ended is None:
                for what, _, stream in list(peer.frames(30)):
                    if what == f.HEADERS:
                        connected.sendall(f.open_stream(stream, head))
                        peer.pour(stream, body or _body(kind, size), end=False, seconds=20)
        except OSError:
            return


def meet(kind: str, evil: str, good: str) -> dict[str, Any]:
    """One call of a client to a server that answers with a giant, and the next one to a good server."""
    id = "meet"
    with open_channel(kind, good) as kept:
        collected(kept, "unary_unary", [request(id)], timeout=10, metadata=metadata(kind))
        before = memory()
        forget_peak()
        code = "OK"
        with open_channel(kind, evil) as channel:
            try:
                collected(channel, "unary_unary", [request(id)], timeout=20, metadata=metadata(kind))
            except grpc.RpcError as error:
                code = error.code().name
        after = collected(kept, "unary_unary", [request(id)], timeout=10, metadata=metadata(kind))
    return {"code": code, "grown": peak() - before, "ok": after[0].startswith(b"meet")}
