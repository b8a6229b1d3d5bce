"""Questions over one connected socket: what comes first, and what one raw request gets. I/O only."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from eas_grpc.doctor._frames import Conversation
from eas_grpc.doctor._seen import Answer, First

__all__ = ["RawConnection"]

_PIECE = 65_536
Ending = Literal["open", "closed", "reset", "silence"]


class RawConnection:
    """A socket with an HTTP/2 conversation on it; close it when done."""

    def __init__(self, sock: socket.socket | ssl.SSLSocket, *, authority: str, scheme: str) -> None:
        self._sock = sock
        self._authority, self._scheme = authority, scheme
        self.talk = Conversation()
        self.ending: Ending = "open"
        self.detail = ""

    def __enter__(self) -> RawConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the socket."""
        self._sock.close()

    def greet(self, timeout: float) -> First:
        """Sends the preface, nothing else, and waits for the peer's settings or whatever it says instead."""
        ending = self._run(time.monotonic() + timeout, lambda: self.talk.greeted or self.talk.broken)
        if self.talk.broken:
            # Not HTTP/2: the rest of its first words, which often come in pieces.
            self._run(time.monotonic() + min(0.2, timeout), lambda: len(self.talk.first()) >= 300)
        return First(self.talk.first(), ending)

    def say(self, data: bytes, timeout: float) -> bytes:
        """Sends these bytes instead of HTTP/2's, and gives the first ones that come back."""
        with contextlib.suppress(OSError):
            self._sock.settimeout(timeout)
            self._sock.sendall(data)
            return self._sock.recv(512)
        return b""

    def ask(self, path: str, headers: Iterable[tuple[str, bytes]], message: bytes, timeout: float) -> Answer:
        """One request, and what became of it."""
        began = time.monotonic()
        self.talk.ask(path, self._authority, self._scheme, headers, message)
        ending = self._run(began + timeout, lambda: self.talk.answered or self.talk.broken)
        answer = self.talk.answer()
        failure: Literal["", "silence", "closed", "reset", "broken"] = answer.failure
        if not failure and not self.talk.answered and ending != "open":
            failure = ending
        return replace(answer, failure=failure, seconds=time.monotonic() - began)

    def hold(self, until: float) -> bool:
        """Reads and answers pings until that moment; False when the connection has ended before it."""
        self._run(until, lambda: self.talk.goaway is not None or self.talk.broken)
        return self.ending == "open" and self.talk.goaway is None and not self.talk.broken

    def _run(self, until: float, done: object) -> Ending:
        assert callable(done)
        while not done():
            left = until - time.monotonic()
            if left <= 0:
                return "silence"
            if self.ending != "open":
                return self.ending
            self._flush(left)
            try:
                self._sock.settimeout(max(0.01, until - time.monotonic()))
                piece = self._sock.recv(_PIECE)
            except TimeoutError:
                return "silence"
            except OSError as error:
                self.ending, self.detail = "reset", getattr(error, "reason", None) or str(error)
                continue
            if piece:
                self.talk.receive(piece)
            else:
                self.ending = "closed"
        self._flush(0.5)
        return "open"

    def _flush(self, timeout: float) -> None:
        # A peer that has gone may have said why: what it sent is read all the same.
        with contextlib.suppress(OSError):
            if out := self.talk.outgoing():
                self._sock.settimeout(timeout)
                self._sock.sendall(out)
