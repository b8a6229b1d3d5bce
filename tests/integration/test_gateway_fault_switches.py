"""When faults begin and end: which calls they happen to, that a seeded run repeats, and what becomes of calls that they hold."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest
from support.gateway_clients import post
from support.gateway_greeter import (
    CHAT,
    ECHO,
    MANY_TIMES,
    PATIENCE_SECONDS,
    SAY_HELLO,
    WORLD,
    eventually,
    greeter_gateway,
    last_call,
    many,
)
from support.h2_peer import DATA, H2Peer

from server_demo.gateway import Gateway


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with greeter_gateway() as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def no_faults_left(gateway) -> Iterator[None]:
    yield
    left = gateway.faults.active()
    gateway.faults.end_all()
    assert left == []


@pytest.fixture
def peer(gateway) -> Iterator[H2Peer]:
    with H2Peer(gateway.address) as peer:
        yield peer


def status(peer: H2Peer, path: str = SAY_HELLO, body: bytes = WORLD) -> str:
    """Of one more call."""
    return status_of(peer, peer.call(path, body))


def status_of(peer: H2Peer, stream: int) -> str:
    return peer.answer(stream)[-1].headers["grpc-status"]


def run(gateway: Gateway, peer: H2Peer, *texts: str, calls: int = 200) -> list[tuple[int, str, str]]:
    """What happens to so many calls: each one's number in the run, the kind of fault, what was done."""
    status(peer)
    first = last_call(gateway).number
    with contextlib.ExitStack() as ending:
        switches = [ending.enter_context(gateway.faults.begin(text)) for text in texts]
        for _ in range(calls):
            status(peer)
    trace = [entry for switch in switches for entry in switch.trace]
    return sorted((entry.call - first, entry.kind, entry.did) for entry in trace)


LATENCY = "latency:seconds=0,jitter=0.001,share=0.3"


def test_a_seeded_run_hits_the_same_calls_in_the_same_way_again_and_others_with_another_seed(gateway, peer):
    once, again, other = (run(gateway, peer, f"{LATENCY},seed={seed}") for seed in (7, 7, 8))
    assert once == again != other
    assert {number for number, *_ in once} != {number for number, *_ in other}
    # Three in ten of 200, give or take four standard deviations.
    assert all(34 <= len(each) <= 86 for each in (once, other))
    assert len({did for *_, did in once}) > 30


def test_a_seeded_fault_hits_the_same_calls_whatever_else_is_on(gateway, peer):
    alone = run(gateway, peer, f"{LATENCY},seed=7")
    among = run(
        gateway, peer, "status:code=ABORTED,share=0.5,seed=3", f"{LATENCY},seed=7", "drip:share=0,seed=7"
    )
    assert [each for each in among if each[1] == "latency"] == alone
    assert len(among) > len(alone)


def test_a_seed_belongs_to_a_fault_and_not_to_a_connection(gateway, peer):
    alone = run(gateway, peer, f"{LATENCY},seed=7", calls=20)
    with gateway.faults.begin(f"{LATENCY},seed=7") as fault:
        first = last_call(gateway).number
        for _ in range(20):
            with H2Peer(gateway.address) as each:
                assert status(each) == "0"
        assert [(e.call - first, e.kind, e.did) for e in fault.trace] == alone


def test_a_fault_for_so_many_calls_happens_to_these_and_no_more(gateway, peer):
    with gateway.faults.status("ABORTED", calls=7) as fault:
        streams = [peer.call(SAY_HELLO, WORLD) for _ in range(20)]
        assert [status_of(peer, stream) for stream in streams] == ["10"] * 7 + ["0"] * 13
        (active,) = gateway.faults.active()
        assert (active.hits, active.left) == (7, 0) == (fault.hits, 0)


def test_a_fault_for_so_many_calls_happens_to_these_when_many_call_at_once(gateway):
    found: list[str] = []

    def work() -> None:
        with H2Peer(gateway.address) as peer:
            found.extend([status(peer) for _ in range(10)])

    with gateway.faults.status("ABORTED", calls=33):
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
    assert (len(found), found.count("10")) == (80, 33)


def test_a_fault_for_a_service_or_a_method_happens_to_no_other(gateway, peer):
    with gateway.faults.status(503, service="other"), gateway.faults.status("ABORTED", method="*/SayHello"):
        assert [status(peer), status(peer, MANY_TIMES, many(1))] == ["10", "0"]
        assert [post(gateway.address, name, "t").status for name in ("echo", "other")] == [200, 503]
    with gateway.faults.status(503, method="POST /api/predict/echo/a*"):
        assert [post(gateway.address, "echo", "t", path=path).status for path in ("/ab", "/b")] == [503, 200]
    with gateway.faults.status(503, method=f"{ECHO}*"):
        assert [post(gateway.address, name, "t").status for name in ("echo", "other")] == [503, 200]


def test_a_fault_does_not_happen_to_who_is_not_let_in(gateway):
    with gateway.faults.status(503, calls=1) as fault:
        assert post(gateway.address, "echo", "wrong").status == 401
        assert fault.hits == 0
        assert post(gateway.address, "echo", "t").status == 503


def test_several_faults_happen_to_one_call(gateway, peer):
    with gateway.faults.latency(0.01), gateway.faults.content_type("text/x"), gateway.faults.drip(50):
        head, *_ = peer.answer(peer.call(SAY_HELLO, WORLD))
    assert head.headers["content-type"] == "text/x"
    assert last_call(gateway).faults == ["latency", "content_type"]  # a standing one singles no call out


# Ends.


class Oops(Exception):
    pass


def test_a_fault_ends_with_its_block_also_when_the_block_fails(gateway, peer):
    with gateway.faults.status("ABORTED"):
        assert status(peer) == "10"
    assert status(peer) == "0"
    with pytest.raises(Oops), gateway.faults.status("ABORTED"):
        raise Oops
    assert status(peer) == "0"


def test_a_fault_can_be_ended_twice_and_keeps_what_it_has_done(gateway, peer):
    with gateway.faults.status("ABORTED", calls=3) as fault:
        status(peer)
        status(peer)
        fault.end()
        fault.end()
        assert status(peer) == "0"
    assert (fault.hits, [entry.did for entry in fault.trace]) == (2, ["answered ABORTED, trailers only"] * 2)
    assert repr(fault) == f"<fault {fault.id} status:code=ABORTED,calls=3>"


def test_faults_end_in_any_order_and_all_at_once(gateway, peer):
    first, second = gateway.faults.status("ABORTED"), gateway.faults.status("DATA_LOSS")
    assert status(peer) == "10"
    first.end()
    assert status(peer) == "15"
    gateway.faults.black_hole()
    gateway.faults.end_all()
    second.end()
    assert status(peer) == "0"


@pytest.mark.parametrize(
    "text", ["never_answer", "black_hole", "black_hole:calls=1", "latency:seconds=60", "drip:interval=60"]
)
def test_a_call_that_is_held_goes_on_when_another_thread_ends_the_fault(gateway, peer, text):
    assert status(peer) == "0"
    fault = gateway.faults.begin(text)
    stream = peer.call(SAY_HELLO, WORLD)
    # A drip begins with its first drop.
    assert peer.is_silent() is not text.startswith("drip")
    thread = threading.Thread(target=fault.end)
    thread.start()
    assert status_of(peer, stream) == "0"
    thread.join(PATIENCE_SECONDS)


def test_calls_that_are_held_and_given_up_are_not_made_when_the_fault_ends(gateway, peer):
    with gateway.faults.never_answer() as fault:
        held = [peer.call(CHAT, WORLD, end=False) for _ in range(3)]
        eventually(lambda: len(fault.trace) == 3)
        peer.cancel(held[0])
        eventually(lambda: sum(each.status == "CANCELLED" for each in gateway.calls()[-3:]) == 1)
    for stream in held[1:]:
        peer.until(lambda frame, stream=stream: frame.stream == stream and frame.kind == DATA)
        peer.send_end(stream)
        assert status_of(peer, stream) == "0"
    assert peer.on(held[0]) == []


def test_a_call_that_was_delayed_is_not_held_by_a_fault_that_has_ended_meanwhile(gateway, peer):
    with gateway.faults.latency(60), gateway.faults.never_answer():
        stream = peer.call(SAY_HELLO, WORLD)
        eventually(lambda: last_call(gateway).faults == ["latency", "never_answer"])
    assert status_of(peer, stream) == "0"


@pytest.mark.parametrize(
    "text",
    [
        "never_answer",
        "black_hole",
        "black_hole:calls=1",
        "latency:seconds=60",
        "drip:interval=60",
        "bandwidth:bytes_per_second=1,direction=both",
        "restart:down=60",
        "half_close",
        "giant_message:size=4000000000",
    ],
)
def test_a_gateway_stops_whatever_its_faults_hold_and_its_clients_hear_of_it(text):
    with greeter_gateway() as gateway, H2Peer(gateway.address) as peer:
        fault = gateway.faults.begin(text)
        peer.call(SAY_HELLO, WORLD)
        with contextlib.suppress(ConnectionError):  # a restart is quick
            peer.call(MANY_TIMES, many(1000, interval_ms=1000))
        if not fault.fault.standing:
            eventually(lambda: fault.hits)
        thread = threading.Thread(target=gateway.stop)
        thread.start()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
        assert peer.until_end() in {"FIN", "RST"}


def test_a_gateway_may_stop_before_its_faults_end():
    with greeter_gateway() as gateway, gateway.faults.status("ABORTED") as fault:
        gateway.stop()
    fault.end()
