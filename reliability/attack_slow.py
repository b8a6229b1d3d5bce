"""Sockets that hold on to a server by doing next to nothing: the attacker, for a process of its own."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reliability import attack_frames as f
from reliability.child import hear, say
from reliability.ledger import method
from reliability.server import TOKEN

__all__ = ["KINDS", "hold"]

# A byte, or a frame of one, each so many seconds.
_PAUSE = 5.0


@dataclass(frozen=True)
class Kind:
    """What such a socket says at first, and then now and again."""

    begin: bytes = b""
    drip: bytes = b""


def _kinds() -> dict[str, Kind]:
    """Without a call of gRPC whose messages do not come: that is what a quiet stream looks like too."""
    block = f.request_block(method("stream_unary"), TOKEN)
    post = f.http_head("POST", "/api/predict/ledger", TOKEN, "Content-Length: 100000")
    return {
        "silent": Kind(),
        "preface alone": Kind(f.HELLO),
        "HTTP/2 headers": Kind(f.HELLO + f.frame(f.HEADERS, 0, 1, block), f.frame(f.CONTINUATION, 0, 1, b"")),
        "HTTP/1.1 head": Kind(post[:-2], b"X-A: b\r\n"),
        "HTTP/1.1 body": Kind(post, b"x"),
    }


KINDS = _kinds()


@dataclass
class _Held:
    kind: str
    socket: socket.socket
    opened: float
    closed: float | None = None


def hold(address: str, kinds: Sequence[str], count: int, seconds: float) -> dict[str, Any]:
    """Opens `count` sockets of these kinds in turn and drips until all are closed, a word comes, or the time is up.

    Says `open` when all are. Returns by kind how many were opened, how many are still open, and after how many seconds
    the last one of the others was closed.
    """
    host, _, port = address.rpartition(":")
    held = [_open(host, int(port), kinds[number % len(kinds)]) for number in range(count)]
    say("open", at=time.monotonic())
    until = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for each in held:
            selector.register(each.socket, selectors.EVENT_READ, each)
        _drip(selector, until)
    if not seconds:
        hear()
    now = time.monotonic()
    for each in held:
        each.socket.close()
    return {"seconds": now - held[0].opened, "kinds": {kind: _told(held, kind) for kind in kinds}}


def _open(host: str, port: int, kind: str) -> _Held:
    connected = socket.create_connection((host, port), timeout=10)
    with contextlib.suppress(OSError):
        connected.sendall(KINDS[kind].begin)
    connected.setblocking(False)
    return _Held(kind, connected, time.monotonic())


def _drip(selector: selectors.BaseSelector, until: float) -> None:
    following = time.monotonic() + _PAUSE
    while selector.get_map() and (now := time.monotonic()) < until:
        for key, _ in selector.select(min(following, until) - now):
            if _has_ended(key.data.socket):
                key.data.closed = time.monotonic()
                selector.unregister(key.data.socket)
        if time.monotonic() < following:
            continue
        following += _PAUSE
        for key in tuple(selector.get_map().values()):
            # One that is closed meanwhile is noticed when it is read.
            with contextlib.suppress(OSError):
                key.data.socket.send(KINDS[key.data.kind].drip)


def _has_ended(connected: socket.socket) -> bool:
    try:
        return not connected.recv(65_536)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _told(held: list[_Held], kind: str) -> dict[str, float]:
    mine = [each for each in held if each.kind == kind]
    lasted = [each.closed - each.opened for each in mine if each.closed is not None]
    return {"opened": len(mine), "open": len(mine) - len(lasted), "slowest": max(lasted, default=0.0)}
