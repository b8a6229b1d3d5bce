"""Messages above the limits: at the line to the byte, and giants."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from reliability.attack_giants import attack, meet, serve_evil
from reliability.attack_line import Counted, at_the_line, tap
from reliability.attack_victims import OURS, STOCK, serve_gateway, victim
from reliability.child import Child
from reliability.score import Run, row
from reliability.server import serving

_MIB = 1024 * 1024
# "1 MB" may be either.
_LIMITS = (1_000_000, 1_048_576)
_KINDS = ("sync", "raw", "aio", "raw-aio", "http")


@row(
    "E1",
    "the gateway's 1 MB limit, request of -1, 0, +1 byte",
    target="right side of the line; 0 bytes sent by a client that knows",
    short=True,
)
def line(run: Run) -> None:
    """Both readings of 1 MB, all clients, and plain HTTP; a tap counts what a client sends."""
    wrong = total = sent_over = 0
    with ExitStack() as stack:
        behind = stack.enter_context(serving("threads"))
        for limit in _LIMITS:
            gateway = stack.enter_context(Child(serve_gateway, behind.address, {"max_body_bytes": limit}))
            tapped = stack.enter_context(Child(tap, gateway.until("ready")["address"]))
            address = tapped.until("ready")["address"]
            every = run.long or limit == _LIMITS[0]
            for kind in _KINDS if every else _KINDS[:2]:
                with Child(at_the_line, kind, address, limit) as client:
                    counted = [_one(client, tapped) for _ in range(3)]
                    client.result()
                expected = ["OK", "OK", "413" if kind == "http" else "RESOURCE_EXHAUSTED"]
                total += 3
                got = [each.code for each in counted]
                if got != expected:
                    wrong += 1
                    run.note(f"limit {limit:,}, {kind}: {got}")
                if kind in {"sync", "aio"}:
                    sent_over = max(sent_over, counted[2].sent)
                elif kind == "raw" and limit == _LIMITS[0]:
                    run.raw("bytes sent before the refusal", counted[2].sent, "B")
    run.ours("right side of the line", total - wrong, f"of {total}", exactly=total)
    run.ours("bytes sent before the refusal", sent_over, "B", exactly=0)


def _one(client: Child, tapped: Child) -> Counted:
    client.until("next", 30)
    before = _count(tapped)
    client.tell("go")
    code = client.until("done", 30)["code"]
    return Counted(code, _count(tapped) - before)


def _count(tapped: Child) -> int:
    tapped.tell("count")
    return int(tapped.until("count", 30)["sent"])


@row(
    "E2",
    "giant messages: 2 GiB length prefix, 400 MiB gzip bomb, 1 GiB stream",
    target="memory at most base + 2 x limit + 64 MiB; alive; the next call OK",
    short=True,
)
def giants(run: Run) -> None:
    """To our servers, the gateway and stock grpcio; and from an evil server to our client and the bare one."""
    streamed = run.pick(64, 1024) * _MIB
    names = OURS + STOCK[: run.pick(1, 2)]
    # Two at a time: it is their memory that is looked at.
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda name: _attacked(name, streamed), names))
    for name, (limit, grown, bad, notes) in zip(names, found, strict=True):
        if name in OURS:
            run.ours(f"{name}: grown by", grown / _MIB, "MiB", at_most=(2 * limit + 64 * _MIB) / _MIB)
            run.ours(f"{name}: not as it should be", bad, exactly=0)
        else:
            run.raw(f"{name}: grown by", grown / _MIB, "MiB")
            run.raw(f"{name}: not as it should be", bad)
        run.note(f"{name}: {'; '.join(notes)}")
    _clients(run)


def _attacked(name: str, streamed: int) -> tuple[int, int, int, list[str]]:
    """Its limit, by how many bytes it grew at most, how many attacks ended as they should not, and how all of them did."""
    kinds = [("prefix", 512 * _MIB), ("bomb", 400 * _MIB), ("stream", streamed)]
    if name == "gateway":
        kinds.append(("http-bomb", 400 * _MIB))
    most, bad, notes = 0, 0, []
    with victim(name) as attacked:
        message = min(attacked.limit - 100, 4 * _MIB - 1000)
        with Child(attack, attacked.address, message) as attacker:
            for kind, size in kinds:
                base = attacked.memory
                attacked.forget_peak()
                attacker.tell(f"{kind} {size}")
                ended = attacker.until("done", 150)
                grown = attacked.peak - base
                alive = attacked.process.alive and ended["next"] == "OK"
                refused = ended["ended"] not in {"OK", "nothing"}
                bad += not (alive and refused == (kind != "stream"))
                most = max(most, grown)
                then = "" if alive else f", and then {ended['next']}"
                notes.append(
                    f"{kind} {ended['ended']} after {ended['sent']:,} B, +{grown / _MIB:.0f} MiB{then}"
                )
        return attacked.limit, most, bad, notes


def _clients(run: Run) -> None:
    limit = 2 * 64 + 64
    with serving("threads") as good:
        for kind in ("prefix", "bomb"):
            with Child(serve_evil, kind, 400 * _MIB) as evil:
                address = evil.until("up", 30)["address"]
                for client in ("sync", "raw"):
                    with Child(meet, client, address, good.address) as meeting:
                        found = meeting.result(60)
                    name, grown = f"client, {kind}: grown by", found["grown"] / _MIB
                    run.note(f"client {client}, {kind}: {found['code']}")
                    if client == "sync":
                        run.ours(name, grown, "MiB", at_most=limit)
                        refused = found["code"] == "RESOURCE_EXHAUSTED" and found["ok"]
                        run.ours(f"client, {kind}: refused, next call OK", int(refused), exactly=1)
                    else:
                        run.raw(name, grown, "MiB")
