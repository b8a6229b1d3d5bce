"""A token that a program prints: when it is run, how it is bounded, and that its output is in no message."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from eas_grpc._token_command import CommandToken
from eas_grpc.auth import Renewal, token_source
from eas_grpc.errors import ConfigError

SECRET = "Y29tbWFuZC1zZWNyZXQ"


def python(program: str, *arguments: object) -> tuple[str, ...]:
    return (sys.executable, "-c", program, *map(str, arguments))


@pytest.fixture
def counted(tmp_path):
    """A program that prints another token each time, and the file that counts its runs."""
    file = tmp_path / "runs"
    file.write_text("")
    program = (
        "import sys; f = open(sys.argv[1], 'a'); f.write('x'); f.close();"
        f"print('{SECRET}' + str(len(open(sys.argv[1]).read())))"
    )
    return python(program, file), file


def test_it_is_run_once_when_the_token_is_first_needed(counted):
    command, runs = counted
    token = CommandToken(command, "profile 'p'")
    assert runs.read_text() == ""
    assert [token(), token()] == [f"{SECRET}1", f"{SECRET}1"]
    assert runs.read_text() == "x"
    assert SECRET not in repr(token) + repr(token())


def test_it_is_run_again_after_a_refusal(counted):
    command, _runs = counted
    source = token_source(CommandToken(command, "profile 'p'"))
    assert source is not None
    assert source.current() == f"{SECRET}1"
    assert Renewal(source).after(f"{SECRET}1") == f"{SECRET}2"
    assert source.current() == f"{SECRET}2"


def test_threads_that_need_it_together_run_it_once(counted):
    command, runs = counted
    token = CommandToken(command, "profile 'p'")
    found = []
    threads = [threading.Thread(target=lambda: found.append(token())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [f"{SECRET}1"] * 8
    assert runs.read_text() == "x"


@pytest.mark.parametrize(
    ("program", "says"),
    [
        (f"import sys; print('{SECRET}'); sys.exit(3)", "ended with exit code 3: run it by hand"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "ended with signal 15"),
        ("print()", "printed nothing to standard output"),
        ("import sys; sys.stderr.write('please log in')", "printed nothing to standard output"),
        (f"print('{SECRET}' * 100_000)", "printed far more than a token"),
        (f"while True: print('{SECRET}' * 100)", "printed far more than a token"),
    ],
)
def test_a_failure_is_one_sentence_without_the_output(program, says):
    with pytest.raises(ConfigError) as caught:
        CommandToken(python(program), "profile 'p'")()
    message = str(caught.value)
    assert message.startswith("profile 'p': token_command ")
    assert says in message
    assert SECRET not in message
    assert "\n" not in message


@pytest.mark.parametrize("text", [f"{SECRET} {SECRET}", f"{SECRET}\\n{SECRET}", "t\\u00f6ken", "b\\udcff"])
def test_what_is_no_token_is_refused_as_any_other(text):
    program = f"import sys; sys.stdout.buffer.write('{text}'.encode('utf-8', 'surrogateescape'))"
    source = token_source(CommandToken(python(program), "profile 'p'"))
    assert source is not None
    with pytest.raises(ConfigError) as caught:
        source.current()
    assert SECRET not in str(caught.value)


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(
        ConfigError, match=r"profile 'p': token_command cannot run no-such-program: No such file"
    ):
        CommandToken(("no-such-program",), "profile 'p'")()
    with pytest.raises(ConfigError, match="cannot run echo: an argument holds a NUL"):
        CommandToken(("echo", "a\0b"), "profile 'p'")()


@pytest.mark.parametrize(
    "program",
    [
        "import time; time.sleep(60)",
        # The program ends, but something that it left behind keeps the pipe open.
        "import subprocess; subprocess.Popen(['sleep', '5'])",
        # It closes the pipe and goes on.
        "import os, time; print('token', flush=True); os.close(1); time.sleep(60)",
    ],
)
def test_it_is_stopped_when_its_time_is_up(program):
    began = time.monotonic()
    with pytest.raises(ConfigError, match=r"token_command was stopped, .* had not ended after 0.5 s"):
        CommandToken(python(program), "profile 'p'", timeout=0.5)()
    assert time.monotonic() - began < 4


def test_no_shell_reads_it_and_it_has_no_standard_input(tmp_path):
    echoed = CommandToken(("echo", "$HOME;touch", str(tmp_path / "made")), "profile 'p'")()
    assert echoed.startswith("$HOME;touch ")
    assert not (tmp_path / "made").exists()
    assert CommandToken(python("import sys; print(len(sys.stdin.read()))"), "profile 'p'")() == "0"


def test_its_standard_error_is_for_the_user_and_no_part_of_the_token(capfd):
    program = "import sys; sys.stderr.write('please log in'); print('tok')"
    assert CommandToken(python(program), "profile 'p'")() == "tok"
    assert capfd.readouterr().err == "please log in"


def test_a_failure_is_not_kept(tmp_path):
    file = tmp_path / "token"
    token = CommandToken(("cat", str(file)), "profile 'p'")
    with pytest.raises(ConfigError, match="exit code 1"):
        token()
    file.write_text(SECRET)
    assert token() == SECRET
