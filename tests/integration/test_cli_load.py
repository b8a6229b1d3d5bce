"""`eas-grpc load` as it is typed."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner
from support.load_server import SERVICE, LoadServer, descriptor_set

from eas_grpc.cli.__main__ import cli
from eas_grpc.load._result import check
from server_demo import app

TOKEN = "load-cli-token"
UNARY = f"{SERVICE}/Unary"


class Done(NamedTuple):
    code: int
    out: str
    err: str


Load = Callable[..., Done]


@pytest.fixture(scope="module")
def server():
    with LoadServer(token=TOKEN, delays=[0.001, 0.002]) as server:
        yield server


@pytest.fixture
def load(server, monkeypatch) -> Load:
    """Runs the command against the server, with its token unless `token` says otherwise."""
    server.counters(reset=True)

    def load(
        *arguments: str, token: str | None = TOKEN, stdin: str | None = None, method: str = UNARY
    ) -> Done:
        if token is not None:
            monkeypatch.setenv("EAS_TOKEN", token)
        endpoint = [] if "-e" in arguments else ["-e", server.address]
        done = CliRunner().invoke(cli, ["load", method, *endpoint, *arguments], input=stdin)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Done(done.exit_code, done.stdout, done.stderr)

    return load


def test_a_few_requests_give_a_report_and_exit_0(load, server):
    done = load("-n", "20", "-c", "2")
    assert done.code == 0, done.err
    assert "20 ok" in done.out
    assert "p99" in done.out
    assert server.counters()["statuses"] == {"OK": 20}


def test_a_rate_counts_from_when_calls_were_due(load):
    done = load("--rate", "100", "--duration", "500ms", "--warmup", "0", "--output", "json")
    assert done.code == 0, done.err
    result = check(json.loads(done.out), "the output")
    assert result["plan"]["mode"] == "open"
    assert result["calls"]["scheduled"] == 50
    assert result["latency"]["count"] == 50


@pytest.mark.parametrize("output", ["text", "json", "csv"])
def test_a_terminal_that_knows_ascii_alone_gets_a_report_too(output):
    with LoadServer(fail_every=2) as server:
        arguments = ["load", UNARY, "-e", server.address, "-n", "4", "--output", output]
        done = CliRunner(charset="ascii").invoke(cli, arguments)
    assert done.exit_code == 1, done
    assert ("f\\xfcr alle" in done.stdout) == (output == "text")
    assert done.stdout.isascii()


def test_the_warm_up_is_a_second_unless_requests_are_counted(load):
    timed = json.loads(load("-c", "1", "--duration", "200ms", "--output", "json").out)
    assert timed["plan"]["warmup"] == 1.0
    assert timed["calls"]["warmup"] > 0
    counted = json.loads(load("-n", "3", "--output", "json").out)
    assert counted["plan"]["warmup"] == 0.0
    assert counted["calls"]["ok"] == 3


def test_csv_has_the_whole_and_each_step(load):
    done = load("--ramp", "concurrency=1:3:1", "-n", "10", "--output", "csv")
    assert done.code == 0, done.err
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [row["concurrency"] for row in rows if row["row"] == "step"] == ["1", "2", "3"]
    assert [row["ok"] for row in rows if row["row"] == "total"] == ["30"]


def test_refused_calls_exit_1_and_say_that_no_token_was_given(load, server):
    done = load("-n", "10", token=None)
    assert done.code == 1
    assert "UNAUTHENTICATED" in done.out
    assert "no token was given" in done.err
    assert server.counters()["statuses"] == {"UNAUTHENTICATED": 10}


def test_so_many_failures_may_be_allowed(load):
    wrong = ("-n", "10", "-H", "authorization: Bearer wrong")
    assert load(*wrong, "--max-failures", "9").code == 1
    assert load(*wrong, "--max-failures", "10").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("-e", "my-service.example.invalid:80"),
        ("-e", "http://203.0.113.7/api/predict/svc"),
        ("-e", "203.0.113.7:80", "--processes", "2", "-n", "5"),
    ],
)
def test_another_machine_is_refused_before_anything_is_looked_up(load, arguments):
    done = load(*arguments)
    assert done.code == 2
    assert "--allow-remote" in done.err
    assert not done.out


@pytest.mark.parametrize(
    ("arguments", "most"),
    [
        (("--rate", "2001"), "2000"),
        (("-c", "257"), "256"),
        (("--duration", "601s"), "600"),
        (("--ramp", "100:1000:100", "--duration", "1m"), "600"),
        (("--processes", "5"), "4"),
        (("--channels", "17"), "16"),
        (("--rate", "5", "--max-in-flight", "5000"), "2000"),
    ],
)
def test_there_are_caps_even_where_another_machine_is_allowed(load, arguments, most):
    done = load("-e", "203.0.113.7:80", "--allow-remote", *arguments)
    assert done.code == 2
    assert f"the most that is sent to another machine is {most}" in done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-c", "1", "--rate", "1"), "two things"),
        (("--ramp", "1:2"), "100:1000:100"),
        (("--ramp", "callers=1:2:1"), "concurrency=A:B:STEP"),
        (("--ramp", "1:2:1", "-c", "3"), "leave --rate and --concurrency out"),
        (("--poisson",), "only with a rate"),
        (("-c", "0"), "at least 1"),
        (("--duration", "soon"), "not a length of time"),
        (("--fail-if-worse",), "--compare"),
        (("-d", '{"nome": "x"}'), "nome"),
        (("-d", '{"name": "{{nope}}"}'), "is no placeholder"),
        (("-d", '{"count": "{{uuid}}"}'), "count"),
        (("-d", '{"name": "{{n}}"}', "--model", "x"), "exclude each other"),
    ],
)
def test_what_cannot_be_is_refused_with_exit_2_and_nothing_is_sent(load, server, arguments, says):
    done = load(*arguments)
    assert done.code == 2, done
    assert says in done.err
    assert server.counters()["arrived"] == 0


def test_an_unknown_method_exits_3_with_those_that_there_are(load):
    done = load("-n", "1", method=f"{SERVICE}/Unari")
    assert done.code == 3
    assert "Unary" in done.err


def test_files_that_cannot_be_written_or_read_exit_3_before_anything_is_sent(load, server, tmp_path):
    nowhere = str(tmp_path / "missing" / "file")
    for option in ("--save", "--report", "--compare"):
        done = load("-n", "1", option, nowhere)
        assert done.code == 3, option
        assert nowhere in done.err
    assert server.counters()["arrived"] == 0


def test_a_closed_port_exits_5(load, tmp_path):
    (tmp_path / "set.bin").write_bytes(descriptor_set().SerializeToString())
    done = load("-e", "127.0.0.1:1", "--descriptor-set", str(tmp_path / "set.bin"), "-n", "1")
    assert done.code == 5
    assert "hint" in done.err


def test_messages_of_a_file_are_used_in_turn(load, server, tmp_path):
    (tmp_path / "asks.json").write_text('{"name": "a"}\n{"name": "b"} {"name":\n "c"}')
    assert load("-n", "30", "-d", f"@{tmp_path / 'asks.json'}").code == 0
    assert server.counters()["names"] == {"a": 10, "b": 10, "c": 10}


def test_standard_input_may_hold_the_messages_of_a_stream(load, server):
    done = load("-n", "5", "-d", "-", method=f"{SERVICE}/Collect", stdin='{"name": "a"}{"name": "b"}')
    assert done.code == 0, done.err
    assert server.counters()["names"] == {"a": 5, "b": 5}


def test_placeholders_are_filled_in_for_each_call(load, server):
    data = '{"name": "{{n}}/{{uuid}}", "count": {{random 1 3}}}'
    assert load("-n", "40", "-c", "3", "-d", data).code == 0
    names = server.counters()["names"]
    assert sorted(int(name.partition("/")[0]) for name in names) == list(range(40))
    assert len({name.partition("/")[2] for name in names}) == 40


def test_a_file_becomes_a_field(load, server, tmp_path):
    (tmp_path / "name.txt").write_text("from a file")
    assert load("-n", "4", "--file", f"name=@{tmp_path / 'name.txt'}").code == 0
    assert server.counters()["names"] == {"from a file": 4}


def test_arrays_are_sent_to_a_model(load, tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((2, 784), np.float32))
    with app.build(token=TOKEN) as demo:
        tensors = ("--tensor", f"images=@{tmp_path / 'images.npy'}", "--model", "digits")
        done = load(
            "-e", demo.address, "-n", "6", *tensors, method="eas_grpc_pb.tensor.v1.TensorService/Predict"
        )
    assert done.code == 0, done
    assert "6 ok" in done.out


def test_a_saved_result_is_compared_with(load, tmp_path):
    saved, page = tmp_path / "old.json", tmp_path / "page.html"
    assert load("-n", "50", "--save", str(saved)).code == 0
    check(json.loads(saved.read_text()), "the file")
    done = load("-n", "50", "--compare", str(saved), "--report", str(page), "--output", "json")
    assert done.code == 0, done.err
    check(json.loads(done.out), "the output")
    assert "p50" in done.err
    assert page.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html")


def test_streams_of_answers_have_more_time_than_single_ones(load):
    many = json.loads(load("-n", "1", "-d", '{"count": 2}', "--output", "json", method=f"{SERVICE}/Many").out)
    assert many["plan"]["deadline"] == 60.0
    assert many["gap"]["count"] == 1
    assert json.loads(load("-n", "1", "--output", "json").out)["plan"]["deadline"] == 5.0
    assert json.loads(load("-n", "1", "--timeout", "2s", "--output", "json").out)["plan"]["deadline"] == 2.0


@pytest.mark.parametrize("processes", ["1", "2"])
def test_an_interrupt_ends_the_run_with_a_report_and_exit_130(server, processes):
    """Standard error is a terminal here: it shows how far the run is."""
    server.counters(reset=True)
    ours, theirs = os.openpty()
    arguments = ["load", UNARY, "-e", server.address, "--rate", "50", "--duration", "60s", "--warmup", "0"]
    with subprocess.Popen(
        [sys.executable, "-m", "eas_grpc.cli", *arguments, "--window", "200ms", "--processes", processes],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=os.environ | {"EAS_TOKEN": TOKEN, "TERM": "xterm"},
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown = _until(ours, b"calls/s")
        # As a terminal does it: to every process of the group.
        os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    os.close(ours)
    assert process.returncode == 130
    assert b"\r" in shown
    counters = server.counters()
    assert counters["in_flight"] == 0
    assert f"{counters['arrived']} ok" in out.decode().replace(",", "")


def _until(terminal: int, text: bytes) -> bytes:
    shown = b""
    while text not in shown:
        piece: Any = os.read(terminal, 4096)
        assert piece, shown
        shown += piece
    return shown


def test_workers_import_nothing_from_the_folder_that_happens_to_be_the_current_one(server, tmp_path):
    for name in ("pickle", "asyncio", "numpy"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w').close()\n")
    command = [sys.executable, "-P"] if sys.version_info >= (3, 11) else [sys.executable]
    program = [
        *command,
        "-c",
        "import sys; sys.path[:] = [p for p in sys.path if p]; from eas_grpc.cli.__main__ import main; main()",
    ]
    arguments = ["load", UNARY, "-e", server.address, "-n", "4", "--processes", "2"]
    done = subprocess.run(
        [*program, *arguments],
        cwd=tmp_path,
        env=os.environ | {"EAS_TOKEN": TOKEN},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists()
