"""Faults by flag of `eas-grpc serve`, over the admin interface and from Python: each way sets each fault, and the same one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from support.gateway_clients import Answer, ask, post
from support.gateway_greeter import SAY_HELLO, WORLD, eventually, greeter_gateway
from support.h2_peer import H2Peer

from eas_grpc.errors import ConfigError
from server_demo.gateway import Gateway
from server_demo.gateway._fault_kinds import KINDS

SECRET = "a-secret-token"

# Each kind from Python, with all of its own values, and its text.
FAULTS = {
    "latency:seconds=0.2,jitter=0.1": lambda on, **which: on.latency(0.2, jitter=0.1, **which),
    "status:code=INTERNAL,details=why,after_messages=2": lambda on, **which: on.status(
        "INTERNAL", "why", after_messages=2, **which
    ),
    "status:code=503": lambda on, **which: on.status(503, **which),
    'status:details="a, \\"b\\""': lambda on, **which: on.status(details='a, "b"', **which),
    "reset:after=headers,connection=true": lambda on, **which: on.reset("headers", connection=True, **which),
    "half_close": lambda on, **which: on.half_close(**which),
    "truncated_frame": lambda on, **which: on.truncated_frame(**which),
    "goaway:grace=false": lambda on, **which: on.goaway(grace=False, **which),
    "black_hole:direction=to_client": lambda on, **which: on.black_hole("to_client", **which),
    "drip:size=3,interval=0.5": lambda on, **which: on.drip(3, interval=0.5, **which),
    "bandwidth:bytes_per_second=5000,direction=both": lambda on, **which: on.bandwidth(
        5000, direction="both", **which
    ),
    "restart:down=2": lambda on, **which: on.restart(down=2, **which),
    "never_answer": lambda on, **which: on.never_answer(**which),
    "html:status=502": lambda on, **which: on.html(502, **which),
    "content_type:value=text/html; charset=utf-8": lambda on, **which: on.content_type(
        "text/html; charset=utf-8", **which
    ),
    "giant_message:size=5000000": lambda on, **which: on.giant_message(5_000_000, **which),
    "no_healthy_upstream": lambda on, **which: on.no_healthy_upstream(**which),
}
# Happens to no call of these tests.
NOWHERE = {"calls": 3, "share": 0.5, "seed": 7, "service": "echo", "method": "*/None*"}
COMMON = "calls=3,share=0.5,seed=7,service=echo,method=*/None*"
TEXTS = [f"{text}{',' if ':' in text else ':'}{COMMON}" for text in FAULTS]


@dataclass
class Admin:
    """A client of the admin interface; `said` is everything that it was answered."""

    address: str
    said: str = ""

    def ask(
        self, verb: str, path: str, value: object = None, *, raw: bytes | None = None, **headers
    ) -> Answer:
        sent = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): text for name, text in headers.items()
        }
        body = raw if raw is not None else b"" if value is None else json.dumps(value).encode()
        pairs = [(name, text) for name, text in sent.items() if text]
        answer = ask(self.address, verb, path, pairs, body)
        self.said += answer.everything
        return answer

    def get(self, path: str) -> dict:
        answer = self.ask("GET", path)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        return json.loads(answer.body)

    def texts(self) -> list[str]:
        return [fault["text"] for fault in self.get("/faults")["faults"]]


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with greeter_gateway(admin_port=0) as gateway:
        yield gateway


@pytest.fixture
def admin(gateway) -> Iterator[Admin]:
    yield Admin(gateway.admin_address)
    gateway.faults.end_all()


@contextmanager
def served(*flags: str) -> Iterator[tuple[str, Admin]]:
    """`eas-grpc serve` with an admin interface: where it listens, and that."""
    command = [sys.executable, "-m", "eas_grpc.cli", "serve", "--port", "0", "--token", SECRET]
    with subprocess.Popen(
        [*command, "--admin-port", "0", *flags], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            address = process.stdout.readline().removeprefix("ready on ").strip()
            yield address, Admin(process.stdout.readline().removeprefix("admin on ").strip())
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def test_every_kind_is_here():
    assert {text.partition(":")[0] for text in FAULTS} == set(KINDS)


def test_every_fault_is_the_same_from_python_by_flag_and_over_the_admin_interface(gateway, admin):
    for make in FAULTS.values():
        make(gateway.faults, **NOWHERE)
    assert [active.fault.text() for active in gateway.faults.active()] == admin.texts() == TEXTS
    gateway.faults.end_all()
    for text in TEXTS:
        assert admin.ask("POST", "/faults", {"fault": text}).status == 201
    assert admin.texts() == TEXTS
    with served(*(word for text in TEXTS for word in ("--fault", text))) as (_, other):
        assert other.texts() == TEXTS


def test_a_fault_of_a_flag_happens_and_ends_over_the_admin_interface():
    with served("--fault", "status:code=503,calls=2", "--fault", "status:code=450") as (address, admin):
        assert [post(address, "echo", SECRET).status for _ in range(3)] == [503, 503, 450]
        (first, second) = admin.get("/state")["faults"]
        assert first == {"id": 1, "kind": "status", "text": "status:code=503,calls=2", "hits": 2, "left": 0}
        # The first one wins, the other was chosen as well.
        assert (second["hits"], second["left"]) == (3, None)
        assert admin.ask("DELETE", "/faults/2").status == 204
        assert post(address, "echo", SECRET).status == 200


def test_a_flag_that_is_no_fault_is_refused_with_what_was_meant():
    command = [sys.executable, "-m", "eas_grpc.cli", "serve", "--port", "0", "--fault", "latncy"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert "there is no fault 'latncy': write 'latency'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_fault_set_over_the_admin_interface_happens_is_traced_and_ends(gateway, admin):
    added = admin.ask("POST", "/faults", {"fault": "status:code=ABORTED,calls=1"})
    number = json.loads(added.body)["id"]
    with H2Peer(gateway.address) as peer:
        statuses = [peer.answer(peer.call(SAY_HELLO, WORLD))[-1].headers["grpc-status"] for _ in range(2)]
        assert statuses == ["10", "0"]
    assert admin.get("/trace")["trace"][-1] == {
        "call": gateway.calls()[-2].number,
        "method": SAY_HELLO,
        "fault": number,
        "kind": "status",
        "did": "answered ABORTED, trailers only",
    }
    (record,) = [
        each for each in admin.get("/calls")["calls"] if each["number"] == gateway.calls()[-2].number
    ]
    assert (record["status"], record["faults"], record["ok"]) == ("ABORTED", ["status"], False)
    assert admin.ask("DELETE", f"/faults/{number}").status == 204
    assert admin.texts() == []


def test_a_fault_may_be_set_by_its_values(admin):
    assert admin.ask("POST", "/faults", {"kind": "latency", "seconds": 0.2, "calls": 3}).status == 201
    assert admin.texts() == ["latency:seconds=0.2,calls=3"]


def test_all_faults_end_at_once_over_the_admin_interface(gateway, admin):
    for text in ("never_answer", "status"):
        admin.ask("POST", "/faults", {"fault": text})
    with H2Peer(gateway.address) as peer:
        stream = peer.call(SAY_HELLO, WORLD)
        eventually(lambda: gateway.faults.trace() and gateway.faults.trace()[-1].kind == "never_answer")
        assert admin.ask("DELETE", "/faults").status == 204
        assert peer.answer(stream)[-1].headers["grpc-status"] == "0"
    assert (admin.texts(), gateway.faults.active()) == ([], [])


def test_a_switch_of_python_may_be_ended_over_the_admin_interface(gateway, admin):
    with gateway.faults.status(503) as fault:
        assert admin.ask("DELETE", f"/faults/{fault.id}").status == 204
        assert post(gateway.address, "echo", "t").status == 200


def test_a_restart_can_be_asked_for(gateway, admin):
    with H2Peer(gateway.address) as peer:
        peer.answer(peer.call(SAY_HELLO, WORLD))
        assert admin.ask("POST", "/restart", {"down": 0.05}).status == 202
        assert peer.until_end() == "RST"
    eventually(lambda: _up(gateway))


def _up(gateway: Gateway) -> bool:
    try:
        return post(gateway.address, "echo", "t").status == 200
    except ConnectionError:
        return False


@pytest.mark.parametrize(
    ("raw", "status", "words"),
    [
        (b"{", 400, "the body is not JSON"),
        (b"\xff", 400, "the body is not JSON"),
        (b"[" * 60_000, 400, "the body is not JSON"),
        (b"", 400, "send {"),
        (b"[]", 400, "send {"),
        (b'"latency"', 400, "send {"),
        (b'{"fault": 1}', 400, "send {"),
        (b'{"fault": "latncy"}', 400, "write 'latency'"),
        (b'{"fault": "latency:secs=1"}', 400, "write 'seconds'"),
        (b'{"fault": "latency:seconds=-1"}', 400, "must be a number from 0 up"),
        (b'{"kind": "latency", "seconds": "1"}', 400, "must be a number"),
        (b'{"kind": "latency", "calls": true}', 400, "must be a whole number"),
        (b'{"kind": "nothing"}', 400, "there is no fault 'nothing'"),
    ],
)
def test_what_is_no_fault_is_refused_in_one_sentence_and_changes_nothing(admin, raw, status, words):
    answer = admin.ask("POST", "/faults", raw=raw)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
    assert words in json.loads(answer.body)["error"]
    assert admin.texts() == []


@pytest.mark.parametrize(
    ("verb", "path", "value"),
    [
        ("POST", "/faults", {"fault": "latency"}),
        ("PUT", "/services/echo/tokens", {"tokens": ["x"]}),
        ("PUT", "/services/echo/instances", []),
        ("POST", "/restart", {"down": 0}),
    ],
)
@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_no_change_is_made_for_what_a_foreign_page_can_send(gateway, admin, verb, path, value, content_type):
    before = gateway.service("echo"), gateway.faults.active()
    with gateway.faults.status(503, service="other") as fault:
        answer = admin.ask(verb, path, value, Content_Type=content_type)
        assert (answer.status, "application/json" in json.loads(answer.body)["error"]) == (415, True)
        assert [active.id for active in gateway.faults.active()] == [fault.id]
    assert (gateway.service("echo"), gateway.faults.active()) == before


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("DELETE", "/faults/99999"),
        ("DELETE", "/faults/x"),
        ("GET", "/faults/1"),
        ("POST", "/state"),
        ("GET", "/"),
    ],
)
def test_what_is_not_there_is_not_found(admin, verb, path):
    assert admin.ask(verb, path).status == 404


def test_a_name_that_points_here_is_not_let_in(admin):
    """DNS rebinding: a page of evil.example whose address becomes 127.0.0.1 may send JSON to its own origin."""
    answer = ask(
        admin.address,
        "POST",
        "/faults",
        [("Content-Type", "application/json")],
        b'{"fault": "latency"}',
        host="evil.example",
    )
    assert answer.status == 403
    assert admin.texts() == []


def test_a_token_is_in_no_answer_of_the_admin_interface():
    with served("--fault", "status:code=503,calls=1", "--token", f"{SECRET}-2") as (address, admin):
        for token in (SECRET, f"{SECRET}-2", f"{SECRET}-wrong"):
            post(address, "echo", token)
            with H2Peer(address) as peer:
                peer.answer(peer.call(SAY_HELLO, WORLD, token=token))
        assert admin.ask("PUT", "/services/echo/tokens", {"tokens": [f"{SECRET}-3"]}).status == 204
        assert admin.ask("PUT", "/services/echo/tokens", {"tokens": [f"{SECRET}\n4"]}).status == 400
        assert admin.ask("PUT", "/services/echo/tokens", {"tokens": SECRET}).status == 400
        assert admin.ask("PUT", "/services/none/tokens", {"tokens": [SECRET]}).status == 404
        assert post(address, "echo", f"{SECRET}-3").status == 200
        state, calls = admin.get("/state"), admin.get("/calls")["calls"]
        admin.get("/trace")
        assert (len(state["services"]), len(calls)) == (3, 7)
    assert SECRET not in admin.said


def test_a_fault_that_cannot_be_is_refused_from_python(gateway):
    for wrong in (
        lambda on: on.latency(-1),
        lambda on: on.status("OK"),
        lambda on: on.status(503, after_messages=1),
        lambda on: on.html(204),
        lambda on: on.drip(0),
        lambda on: on.reset("later"),
        lambda on: on.latency(calls=0),
        lambda on: on.latency(sevice="echo"),
        lambda on: on.begin("latncy"),
    ):
        with pytest.raises(ConfigError):
            wrong(gateway.faults)
    assert gateway.faults.active() == []
