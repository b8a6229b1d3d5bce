"""`eas-grpc call` as a program: pipes that take their time, a terminal, an interrupt, a closed end."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import threading
import time

import pytest
from support.call_server import MODULE, SECONDS, StoreServer, environment, started, write_schema

TOKEN = "canary-of-call-streams-99"


@pytest.fixture
def server():
    with StoreServer() as server:
        yield server


@pytest.fixture
def options(server, tmp_path):
    return ["-e", server.address, "--token", TOKEN, "--descriptor-set", str(write_schema(tmp_path))]


@pytest.fixture
def env(tmp_path):
    return environment(HOME=str(tmp_path))


def message(process) -> dict:
    """The next message, pretty-printed over several lines; the program has a limited time for it."""
    limit = threading.Timer(SECONDS, process.kill)
    limit.start()
    try:
        text = process.stdout.readline()
        while text and text.strip() != "{}" and not text.endswith("\n}\n"):
            text += process.stdout.readline()
    finally:
        limit.cancel()
    return json.loads(text)


def ended(process) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=SECONDS)
    assert TOKEN not in out + err
    assert "Traceback" not in err, err
    return process.returncode, out, err


def test_a_message_is_sent_when_it_is_written_and_printed_when_it_comes(server, options, env):
    with started("Store/Swap", *options, env=env) as process:
        for caption in ("one", "two"):
            process.stdin.write(json.dumps({"caption": caption}, indent=1) + "\n")
            process.stdin.flush()
            assert server.next_seen() == caption
            assert message(process) == {"caption": caption}
        assert ended(process) == (0, "", "")


def test_a_slow_pipe_has_no_deadline_of_ours(server, options, env):
    with started("Store/PutMany", *options, env=env) as process:
        process.stdin.write('{"caption": "a"}')
        process.stdin.flush()
        assert server.next_seen() == "a"
        assert server.deadline is None
        code, out, _ = ended(process)
        assert (code, json.loads(out)) == (0, {"caption": "a"})


def test_a_named_pipe_is_read_as_it_is_written(server, options, env, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with started("Store/Swap", "-d", f"@{pipe}", *options, env=env) as process, pipe.open("w") as writer:
        writer.write('{"caption": "a"}\n')
        writer.flush()
        assert message(process) == {"caption": "a"}
        writer.close()
        assert ended(process)[0] == 0


def test_a_bad_message_in_a_pipe_ends_the_call_and_says_which(server, options, env):
    with started("Store/Swap", *options, env=env) as process:
        process.stdin.write('{"caption": "a"}\n')
        process.stdin.flush()
        assert message(process) == {"caption": "a"}
        process.stdin.write('{"capton": "b"}\n')
        code, out, err = ended(process)
        assert (code, out) == (2, "")
        assert err.startswith("Error: standard input, message 2: acme.call.v1.Fields has no field `capton`")
        assert server.cancelled.wait(SECONDS)


@pytest.mark.parametrize("output", ["text", "json"])
def test_ctrl_c_cancels_the_call_on_the_server_and_exits_130(server, options, env, output):
    data = '{"caption": "hold"}'
    with started("Store/Get", "-d", data, "--output", output, *options, env=env) as process:
        assert server.next_seen() == "hold"
        if output == "text":
            assert message(process) == {"caption": "hold"}
        process.send_signal(signal.SIGINT)
        code, out, err = ended(process)
        assert (code, err) == (130, "")
        assert server.cancelled.wait(SECONDS)
    if output == "json":
        assert (json.loads(out)["status"], json.loads(out)["details"]) == ("CANCELLED", "interrupted")


def test_ctrl_c_ends_a_call_that_waits_for_a_pipe(server, options, env):
    with started("Store/PutMany", *options, env=env) as process:
        process.stdin.write('{"caption": "a"}')
        process.stdin.flush()
        assert server.next_seen() == "a"
        process.send_signal(signal.SIGINT)
        process.wait(SECONDS)
        assert process.returncode == 130
        assert server.cancelled.wait(SECONDS)
        assert process.stderr.read() == ""


def test_an_answer_before_the_end_of_the_requests_ends_the_program(server, options, env):
    with started("Store/Swap", *options, env=env) as process:
        process.stdin.write('{"caption": "fail:ABORTED:enough"}')
        process.stdin.flush()
        process.wait(SECONDS)
        assert process.returncode == 64 + 10
        assert "ABORTED: enough" in process.stderr.read()


def test_a_reader_that_has_seen_enough_ends_it_quietly(server, options, env):
    data = '{"caption": "x", "count": 100000}'
    with started("Store/Get", "-d", data, *options, env=env) as process:
        assert message(process) == {"caption": "x", "count": 100000}
        process.stdout.close()
        process.wait(SECONDS)
        assert "Traceback" not in process.stderr.read()
    assert server.cancelled.wait(SECONDS)


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_full_disk_below_standard_output_is_one_sentence(server, options, env, output):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*MODULE, "Store/Put", "--output", output, *options],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
            timeout=SECONDS,
        )
    said = "Error: standard output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (3, said)


def test_a_closed_standard_input_is_no_data(server, options, env):
    command = ["sh", "-c", '"$@" <&-', "sh", *MODULE]
    for method, code in (("Store/Put", 0), ("Store/PutMany", 0), ("Store/Rest", 0)):
        done = subprocess.run(
            [*command, method, *options], capture_output=True, text=True, env=env, timeout=SECONDS
        )
        assert (done.returncode, json.loads(done.stdout), done.stderr) == (code, {}, "")
    done = subprocess.run(
        [*command, "Store/Put", "-d", "-", *options], capture_output=True, text=True, env=env, timeout=SECONDS
    )
    said = "Error: standard input is empty: write {} for an empty request\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


def test_text_outside_of_ascii_is_escaped_where_the_locale_cannot_show_it(server, options, env):
    env |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    data = '{"caption": "gr\\u00fc\\u00df \\ud83d\\ude00"}'
    with started("Store/Put", "-d", data, *options, env=env) as process:
        code, out, _ = ended(process)
    assert (code, out.isascii()) == (0, True)
    assert json.loads(out) == {"caption": "grüß 😀"}
    assert server.next_seen() == "grüß 😀"


@pytest.mark.parametrize("waiting", [b'{"caption": "x"}', b""], ids=["data", "nothing"])
def test_data_that_waits_and_is_not_read_is_pointed_out(server, options, env, waiting, tmp_path):
    file = tmp_path / "data.json"
    file.write_bytes(waiting)
    reading, writing = os.pipe()
    os.write(writing, waiting)
    with open(file) as of_file, os.fdopen(reading) as of_pipe, os.fdopen(writing):
        for stdin in (of_file, of_pipe):
            done = subprocess.run(
                [*MODULE, "Store/Put", *options], stdin=stdin, capture_output=True, env=env, timeout=SECONDS
            )
            assert (done.returncode, done.stdout) == (0, b"{}\n")
            assert (b"standard input was not read" in done.stderr) == bool(waiting)


class Terminal:
    """A terminal whose other end is in our hands; what the program prints goes to pipes."""

    def __init__(self, *args: str, env: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [*MODULE, *args],
            stdin=theirs,
            stdout=pipe,
            stderr=pipe,
            text=True,
            env=env,
            start_new_session=True,
        )
        os.close(theirs)
        self.said = ""
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while piece := os.read(self.process.stderr.fileno(), 1000):
            with self._changed:
                self.said += piece.decode()
                self._changed.notify_all()

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def heard(self, text: str) -> str:
        """Waits until stderr ends like this; what was said up to there."""
        until = time.monotonic() + SECONDS
        with self._changed:
            while not self.said.endswith(text):
                assert self._changed.wait(until - time.monotonic()), self.said
            said, self.said = self.said, ""
        return said

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(SECONDS)
        os.close(self._ours)
        self.process.stdout.close()
        self.process.stderr.close()


CTRL_D = "\x04"


def test_a_conversation_from_a_terminal(server, options, env):
    with Terminal("Store/Swap", *options, env=env) as terminal:
        assert terminal.heard("> ") == "> "
        terminal.type('{"caption": "one"}\n')
        assert message(terminal.process) == {"caption": "one"}
        terminal.type("\n")
        terminal.type('{"caption": }\n')
        said = ""
        while "this is not JSON" not in said:
            said += terminal.heard("> ")
        assert said.count("Error:") == 1
        terminal.type('{"capton": "x"}\n')
        while "has no field `capton`" not in said:
            said += terminal.heard("> ")
        terminal.type('{"caption": "two"}\n')
        assert message(terminal.process) == {"caption": "two"}
        terminal.type(CTRL_D)
        assert terminal.process.wait(SECONDS) == 0
    assert [server.next_seen(), server.next_seen()] == ["one", "two"]


def test_requests_from_a_terminal_for_one_answer(server, options, env):
    with Terminal("Store/PutMany", *options, env=env) as terminal:
        terminal.heard("> ")
        for caption in ("a", "b"):
            terminal.type(f'{{"caption": "{caption}"}}\n')
            assert server.next_seen() == caption
        terminal.type(CTRL_D)
        assert message(terminal.process) == {"caption": "a+b"}
        assert terminal.process.wait(SECONDS) == 0


def test_a_server_that_hangs_up_ends_the_program_at_the_prompt(server, options, env):
    with Terminal("Store/Swap", *options, env=env) as terminal:
        terminal.heard("> ")
        terminal.type('{"caption": "fail:NOT_FOUND:nobody"}\n')
        assert terminal.process.wait(SECONDS) == 64 + 5
        assert terminal.heard("NOT_FOUND: nobody\n")


def test_one_request_is_not_asked_for_at_a_terminal(server, options, env):
    with Terminal("Store/Put", *options, env=env) as terminal:
        assert terminal.process.wait(SECONDS) == 0
        assert message(terminal.process) == {}
        assert terminal.said == ""
