"""The command line as a whole: help, version, exit codes, and how it ends when nobody reads its output."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import grpc
import pytest
from click.testing import CliRunner

from eas_grpc import __version__, errors
from eas_grpc.cli.__main__ import cli, exit_code
from eas_grpc.errors import CallError, CallFailure, ConfigError, EasError, Origin, SchemaError, WireError

COMMANDS = [
    "breaking", "call", "completion", "describe", "doctor", "env", "generate", "health", "hello", "init", "lint", "list",
    "load", "profile", "serve",
]  # fmt: skip
CONSOLE_SCRIPT = str(Path(sys.executable).with_name("eas-grpc"))
MODULE = [sys.executable, "-m", "eas_grpc.cli"]


def run(*args: str):
    return CliRunner().invoke(cli, args, prog_name="eas-grpc")


def failed(status: str, origin: Origin = Origin.SERVER) -> CallError:
    return CallError(CallFailure(status, "what happened", origin))


@pytest.mark.parametrize("program", [[CONSOLE_SCRIPT], MODULE], ids=["eas-grpc", "python -m"])
def test_both_ways_to_start_it_say_the_version(program):
    done = subprocess.run([*program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"eas-grpc, version {__version__}\n"
    assert done.stderr == ""


def test_help_names_every_command_in_full():
    lines = run("--help").stdout.splitlines()
    listed = {words[0]: line for line in lines[lines.index("Commands:") + 1 :] if (words := line.split())}
    assert sorted(listed) == COMMANDS
    for line in listed.values():
        assert re.fullmatch(r"  \w+ +\w.*\.", line), "a short help is cut off"
        assert not line.endswith("..."), "a short help is cut off"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_each_command_explains_itself_within_eighty_columns(command, flag):
    done = run(command, flag)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: eas-grpc {command} ")
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_no_command_at_all_shows_the_help():
    done = run()
    assert done.exit_code == 2
    assert "Commands:" in done.stderr


@pytest.mark.parametrize("args", [["helo"], ["hello", "--tokn", "x"]], ids=["command", "option"])
def test_a_misspelt_word_is_a_usage_error_with_a_suggestion(args):
    done = run(*args)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert re.search("did you mean", done.stderr, re.IGNORECASE)


@pytest.mark.parametrize("text", ["0", "-1s", "soon", "5 parsecs", "", "nan", "inf"])
def test_a_length_of_time_that_makes_no_sense_is_refused_with_an_example(text):
    done = run("hello", "--timeout", text)
    assert done.exit_code == 2
    assert "write 500ms, 2s or 1m" in done.stderr


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("2s", 2), ("2", 2), ("1.5", 1.5), ("1m", 60), ("1h", 3600)]
)
def test_a_length_of_time_has_a_unit_or_is_in_seconds(text, seconds):
    from eas_grpc.cli._types import Duration

    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("status", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_a_failed_call_ends_with_64_plus_its_status(status):
    assert exit_code(failed(status.name)) == 64 + status.value[0]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("usage"), 2),
        (SchemaError("file"), 3),
        (WireError("bytes"), 1),
        (EasError("other"), 1),
        (failed("UNAVAILABLE", Origin.CLIENT), 5),
        (failed("UNAVAILABLE", Origin.GATEWAY), 64 + 14),
        (failed("DEADLINE_EXCEEDED", Origin.CLIENT), 64 + 4),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_every_other_error_has_an_exit_code_of_its_own(error, code):
    assert exit_code(error) == code


def test_every_error_class_is_in_the_table_above():
    classes = {value for name in errors.__all__ if isinstance(value := getattr(errors, name), type)}
    known = {ConfigError, SchemaError, WireError, EasError, CallError}
    assert {each for each in classes if issubclass(each, EasError)} == known


def test_what_a_service_says_is_one_line_and_does_not_steer_the_terminal(monkeypatch):
    said = CallFailure("INTERNAL", "\x1b[31mred\nError: a line of its own\x9b", Origin.SERVER, hint="do that")

    def failing(_environ):
        raise CallError(said)

    monkeypatch.setattr("eas_grpc.cli._env.report", failing)
    done = run("env")
    assert done.exit_code == 64 + 13
    assert done.stderr == ("Error: INTERNAL: \\x1b[31mred\\nError: a line of its own\\x9b\n  hint: do that\n")


def test_an_error_that_is_not_ours_keeps_its_traceback(monkeypatch):
    def broken(_text):
        raise ZeroDivisionError

    monkeypatch.setattr("eas_grpc.cli._env.report", broken)
    assert isinstance(run("env").exception, ZeroDivisionError)


def test_the_program_ends_with_the_exit_code_of_the_error():
    done = subprocess.run([*MODULE, "hello", "-e", "ftp://x"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Error: the endpoint begins with 'ftp'")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("args", [["--help"], ["env"], ["serve", "--port", "0"]], ids=" ".join)
def test_output_that_nobody_reads_is_no_traceback(args):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as nobody:
        done = subprocess.run([*MODULE, *args], stdout=nobody, stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_warning_is_one_line_without_our_source():
    program = (
        "import sys, warnings; from eas_grpc.cli import __main__ as cli, _env\n"
        "_env.report = lambda environ: warnings.warn('look out') or {}\n"
        "sys.argv = ['eas-grpc', 'env']; cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "Warning: look out\n"


def test_every_option_that_takes_a_value_says_what_it_is():
    for command in cli.commands.values():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{command.name} {parameter.opts}"
                assert parameter.help.endswith("."), f"{command.name} {parameter.opts}"
