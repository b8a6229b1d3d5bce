"""Processes whose wall clock is wrong and jumps while they run, under libfaketime; the monotonic clock stays (row F2)."""

from __future__ import annotations

import asyncio
import base64
import email.utils
import glob
import hmac
import http.client
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc

from eas_grpc.auth import token_source
from eas_grpc.deadline import UNSET
from eas_grpc.options import StreamLimits
from reliability.child import hear, say
from reliability.clients import OURS, collected, collected_aio, is_aio, metadata, open_channel
from reliability.ledger import request
from reliability.score import Skip
from server_demo.gateway import Gateway, GatewayOptions, Request, Response, Service

__all__ = [
    "MINUTES",
    "Jumps",
    "WallClock",
    "admitted",
    "calls",
    "gateway",
    "idle_seconds",
    "signed",
    "timed",
    "turn",
]

# The skews of the study, then an hour forward and back.
MINUTES = (-16, -14, 0, 14, 16, 76, 16)
_LIBRARIES = "/usr/lib/*/faketime/libfaketimeMT.so.1"
_DEADLINE = 0.4
_GAP = 0.3
_JUMP_AFTER = 0.15


class WallClock:
    """A wall clock that is a number of minutes ahead; `environment` is for the processes that shall see it."""

    def __init__(self, file: Path) -> None:
        found = sorted(glob.glob(_LIBRARIES))
        if not found:
            raise Skip("libfaketime is not installed (Debian: faketime)")
        self._file = file
        self.environment = {
            "LD_PRELOAD": found[0],
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "TZ": "Asia/Shanghai",
        }
        self.set(0)

    @property
    def wrap(self) -> tuple[str, ...]:
        """The same as a command to put in front of another."""
        return ("env", *(f"{name}={value}" for name, value in self.environment.items()))

    def set(self, minutes: int) -> None:
        """Jumps there."""
        turn(self._file, minutes)


def turn(file: Path, minutes: int) -> None:
    """Sets the clock that reads this file."""
    new = file.with_suffix(f".{os.getpid()}")
    new.write_text(f"{60 * minutes:+d}\n")
    os.replace(new, file)


class Jumps:
    """`soon` has the clock jump from being right to `minutes` ahead, while something is being timed."""

    def __init__(self, wall: WallClock, minutes: int) -> None:
        self._wall, self._minutes = wall, minutes
        self._timer: threading.Timer | None = None

    def soon(self) -> None:
        """In a moment."""
        self.over()
        self._wall.set(0)
        self._timer = threading.Timer(0.1, self._wall.set, (self._minutes,))
        self._timer.start()

    def over(self) -> None:
        """When it has jumped."""
        if self._timer is not None:
            self._timer.join(10)


class _Caller:
    """Blocking calls over a channel of any kind."""

    def __init__(self, kind: str, address: str) -> None:
        limits = {"stream_limits": StreamLimits(first_message=_GAP, gap=_GAP)} if kind in OURS else None
        self._kind, self._loop = kind, asyncio.new_event_loop() if is_aio(kind) else None
        if self._loop is not None:
            asyncio.set_event_loop(self._loop)
        self._channel = open_channel(kind, address, keepalive=(0.5, 1.0), settings=limits)

    def ended(self, shape: str, verb: str, argument: object, timeout: Any) -> tuple[str, float]:
        """The status and the seconds of one call."""
        began = time.monotonic()
        said: dict[str, Any] = {"timeout": timeout, "metadata": metadata(self._kind)}
        try:
            messages = [request("clock", verb, argument)]
            if self._loop is None:
                collected(self._channel, shape, messages, **said)
            else:
                self._loop.run_until_complete(collected_aio(self._channel, shape, messages, **said))
        except grpc.RpcError as error:
            code = error.code()
            return code.name, time.monotonic() - began
        return "OK", time.monotonic() - began

    def close(self) -> None:
        """Ends it."""
        if self._loop is None:
            self._channel.close()
        else:
            self._loop.run_until_complete(self._channel.close())
            self._loop.close()


def calls(kind: str, address: str, clock: str, token_file: str) -> dict[str, Any]:
    """Deadlines, stream limits, waits and a token file while the clock goes through `MINUTES`.

    `early` and `late` are the seconds by which a limit came too soon or too late at worst, `broken` lists calls that
    ended otherwise than by their limit, `stale` counts token files whose new content was not seen.
    """
    file, secret = Path(clock), Path(token_file)
    caller = _Caller(kind, address)
    early = late = 0.0
    broken, stale, jumps = [], 0, 0
    secret.write_text("token-00")
    source = token_source(secret)
    # Connects, at a clock that is right.
    caller.ended("unary_unary", "echo", "", 10.0)
    turn(file, MINUTES[0])
    for number, minutes in enumerate(MINUTES[1:], 1):
        wall, steady = time.time(), time.monotonic()
        limits = [
            ("unary_unary", "hold", _DEADLINE, _DEADLINE, True),
            ("unary_stream", "hold", UNSET if kind in OURS else _GAP, _GAP, False),
        ]
        for shape, verb, timeout, limit, jump in limits:
            if jump:
                threading.Timer(_JUMP_AFTER, turn, (file, minutes)).start()
            status, seconds = caller.ended(shape, verb, "", timeout)
            early, late = max(early, limit - seconds), max(late, seconds - limit)
            if status != "DEADLINE_EXCEEDED":
                broken.append(f"{shape} at {minutes:+} min: {status}")
        status, _ = caller.ended("unary_unary", "sleep", 0.1, 10.0)
        if status != "OK":
            broken.append(f"sleep at {minutes:+} min: {status}")
        secret.write_text(f"token-{number:02}")
        stale += source.current() != f"token-{number:02}"
        # That the clock did jump is what the rest rests on.
        jumps += abs((time.time() - wall) - (time.monotonic() - steady)) > 60
    caller.close()
    return {"early": early, "late": late, "broken": broken, "stale": stale, "jumps": jumps}


# The other side: a gateway whose own clock jumps.


def gateway(upstream: str, token: str, seconds: float, rate: int) -> None:
    """A gateway whose requests and idle connections may last `seconds`, with `rate` calls a second for service `busy`."""
    options = GatewayOptions(rate_limit=0, keepalive=seconds, idle_timeout=seconds)
    with Gateway(options=options) as one:
        web = one.serve_http(_answer)
        one.add(Service(name="slow", grpc=upstream))
        one.add(Service(name="busy", http=web, rate_limit=rate, keepalive=10.0))
        one.add(Service(name="signed", http=web, tokens=(token,), keepalive=10.0))
        say("ready", address=one.address)
        while judges_clock := hear():
            say("clock", ahead=round((time.time() - float(judges_clock)) / 60))


def _answer(request: Request) -> Response:
    return Response(200, request.body)


def timed(address: str, verb: str, argument: object, jump: Callable[[], None]) -> float:
    """How long a call without a limit of its own takes; `jump` is called as it begins."""
    caller = _Caller("raw", address)
    caller.ended("unary_unary", "echo", "", 10.0)
    jump()
    _, seconds = caller.ended("unary_unary", verb, argument, 10.0)
    caller.close()
    return seconds


def idle_seconds(address: str, jump: Callable[[], None]) -> float:
    """How long the gateway keeps a connection that asks for nothing; `jump` is called meanwhile."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), 10) as one:
        began = time.monotonic()
        jump()
        one.settimeout(10)
        one.recv(1)
        return time.monotonic() - began


def admitted(address: str, seconds: float, jump: Callable[[], None]) -> tuple[int, int, float]:
    """How many calls of service `busy` the rate limit lets in, of how many, and in how many seconds.

    `jump` is called in the middle.
    """
    with closing(http.client.HTTPConnection(*address.rsplit(":", 1), timeout=10)) as connection:
        began, jumped, asked, refused = time.monotonic(), False, 0, 0
        while (now := time.monotonic() - began) < seconds:
            if not jumped and now > seconds / 2:
                jump()
                jumped = True
            connection.request("POST", "/api/predict/busy", b"x")
            answer = connection.getresponse()
            answer.read()
            asked, refused = asked + 1, refused + (answer.status == 429)
        return asked - refused, asked, time.monotonic() - began


def signed(address: str, token: str, minutes: int) -> int:
    """The HTTP status of a request with the vendor's signature, made by a client whose clock is so far ahead."""
    date = email.utils.formatdate(time.time() + 60 * minutes, usegmt=True)
    text = f"POST\n\napplication/octet-stream\n{date}\n/api/predict/signed"
    digest = base64.b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()
    with closing(http.client.HTTPConnection(*address.rsplit(":", 1), timeout=10)) as connection:
        headers = {
            "Date": date,
            "Content-Type": "application/octet-stream",
            "Authorization": f"EAS {digest}",
        }
        connection.request("POST", "/api/predict/signed", b"x", headers)
        return connection.getresponse().status
