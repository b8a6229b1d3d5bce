"""The attacker of the floods and the callers who mean no harm, each for a process of its own, and what they add up to."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import grpc

from reliability import attack_frames as f
from reliability.child import hear, say
from reliability.clients import metadata, open_channel
from reliability.ledger import method, request
from reliability.server import TOKEN

__all__ = ["DEADLINE", "Tally", "callers", "flood", "percentile", "tally"]

# Calls of those who mean no harm: this long at most, and so many at a time.
DEADLINE = 2.0
_CALLERS = 3
# More than these open nothing more.
_MOST_FRAMES = {"unfinished streams": 80_000}
# A connection that takes nothing for so long is given up, as one that was cut off.
_STUCK_SECONDS = 1.0


@dataclass
class Sent:
    """What the attacker did."""

    frames: int = 0
    seconds: float = 0.0
    connections: int = 0


def flood(address: str, seconds: float) -> None:
    """For a `Child`: at each word, which names one of FLOODS, floods for so long; until there is no word.

    On a new connection where it is cut off; reads what is answered. Says `begun` and `sent`, keeps its last connection,
    and with it what it holds there, until any word comes, and says `done` with what it did.
    """
    while kind := hear():
        say("done", **_flood(address, kind, _MOST_FRAMES.get(kind, 10**9), seconds))


def _flood(address: str, kind: str, most_frames: int, seconds: float) -> dict[str, Any]:
    blocks = [f.request_block(method(shape), TOKEN) for shape in ("stream_stream", "unary_unary")]
    sent = Sent()
    began = time.monotonic()
    until = began + seconds
    say("begun", at=began)
    connected: socket.socket | None = None
    while time.monotonic() < until and sent.frames < most_frames:
        if connected is not None:
            connected.close()
        connected = _connect(address)
        if connected is None:
            time.sleep(0.01)
            continue
        sent.connections += 1
        _pour(connected, f.FLOODS[kind](blocks), sent, most_frames, until)
    sent.seconds = time.monotonic() - began
    say("sent", at=time.monotonic())
    hear()
    if connected is not None:
        connected.close()
    return asdict(sent)


def _connect(address: str) -> socket.socket | None:
    host, _, port = address.rpartition(":")
    with contextlib.suppress(OSError):
        connected = socket.create_connection((host, int(port)), timeout=2)
        with contextlib.suppress(OSError):
            connected.sendall(f.HELLO)
            connected.setblocking(False)
            return connected
        connected.close()
    return None


def _pour(
    connected: socket.socket, bursts: Iterable[f.Burst], sent: Sent, most_frames: int, until: float
) -> None:
    """Sends until the time is up, the frames are sent, or the connection is cut off or stuck."""
    for burst in bursts:
        left = memoryview(burst.data)
        while left:
            wait = min(_STUCK_SECONDS, max(0.0, until - time.monotonic()))
            readable, writable, _ = select.select([connected], [connected], [], wait)
            try:
                if readable and not connected.recv(1 << 20):
                    return
                if writable:
                    left = left[connected.send(left) :]
            except BlockingIOError:
                continue
            except OSError:
                return
            if time.monotonic() >= until or not (readable or writable):
                return
        sent.frames += burst.frames
        if sent.frames >= most_frames:
            return


def callers(
    address: str, seconds: float, kind: str = "raw", pause: float = 0.004
) -> list[tuple[float, float, str]]:
    """Calls all the while until a word comes, at most `seconds`; each call's begin, seconds and outcome.

    Says `called` when every caller has called once.
    Every caller has a connection of its own, and pauses after each call. The bare client, so that no retry hides a failure.
    """
    stopped = threading.Event()
    first = threading.Barrier(_CALLERS, action=lambda: say("called"))
    found: list[tuple[float, float, str]] = []
    threads = [
        threading.Thread(target=_call_on, args=(address, kind, n, pause, first, stopped, found))
        for n in range(_CALLERS)
    ]
    for thread in threads:
        thread.start()
    threading.Thread(target=lambda: (hear(), stopped.set()), daemon=True).start()
    stopped.wait(seconds)
    stopped.set()
    for thread in threads:
        thread.join(DEADLINE + 5)
    return found


def _call_on(
    address: str,
    kind: str,
    number: int,
    pause: float,
    first: threading.Barrier,
    stopped: threading.Event,
    found: list[tuple[float, float, str]],
) -> None:
    channel = open_channel(kind, address, args={"grpc.use_local_subchannel_pool": 1})
    call = channel.unary_unary(method("unary_unary"))
    count = 0
    while not stopped.is_set():
        id = f"{number}-{count}"
        sent = request(id, size=100)
        outcome, began = "OK", time.monotonic()
        try:
            got = call(sent, timeout=DEADLINE, metadata=metadata(kind))
            outcome = "OK" if got.partition(b"\n")[0].decode() == id else "WRONG"
        except grpc.RpcError as error:
            outcome = error.code().name
        found.append((began, time.monotonic() - began, outcome))
        if not count:
            first.wait(DEADLINE + 10)
        count += 1
        stopped.wait(pause)
    channel.close()


@dataclass(frozen=True)
class Tally:
    """What became of the calls in some time: how many, how many of them failed and how, and how long they took."""

    calls: int
    failed: int
    p99: float
    slowest: float
    codes: dict[str, int]


def tally(calls: Sequence[Sequence[Any]], begin: float, end: float) -> Tally:
    """The calls that were under way at some time from `begin` to `end`."""
    within = [(seconds, code) for at, seconds, code in calls if at + seconds >= begin and at <= end]
    codes = Counter(code for _, code in within if code != "OK")
    times = [seconds for seconds, _ in within]
    return Tally(
        len(within), codes.total(), percentile(times, 0.99), max(times, default=float("inf")), dict(codes)
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that this share of the values does not exceed; infinite where there are none."""
    if not values:
        return float("inf")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * len(ordered) * 1000) // 1000) - 1))]
