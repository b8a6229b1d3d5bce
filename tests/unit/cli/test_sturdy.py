"""The group that keeps its manners where something is missing."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from eas_grpc.cli._sturdy import SturdyGroup, prepare_streams


def group(error: BaseException) -> SturdyGroup:
    @click.command()
    def run() -> None:
        raise error

    return SturdyGroup("x", commands=[run])


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (OSError(errno.EROFS, "Read-only file system", "a/b"), 3, "Error: a/b: Read-only file system\n"),
        (PermissionError(errno.EACCES, "Permission denied", "a"), 3, "Error: a: Permission denied\n"),
        (OSError(errno.ENOSPC, "No space left on device", "a"), 3, "Error: a: No space left on device\n"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            3,
            "Error: standard output: No space left on device\n",
        ),
        (UnicodeEncodeError("utf-8", "a\udce9", 1, 2, "surrogates not allowed"), 2, "set LC_ALL=C.UTF-8"),
    ],
)
def test_what_the_place_refuses_is_a_sentence(error, code, says):
    done = CliRunner().invoke(group(error), ["run"])
    assert done.exit_code == code
    assert says in done.output


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EROFS, "Read-only file system"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "a"),
        UnicodeEncodeError("ascii", "é", 0, 1, "ordinal not in range"),
        ValueError("a bug"),
    ],
)
def test_a_bug_keeps_its_traceback(error):
    assert CliRunner().invoke(group(error), ["run"]).exception is error


PROGRAM = """
import sys, click
from eas_grpc.cli._sturdy import SturdyGroup
@click.group(cls=SturdyGroup)
def cli(): pass
@cli.command()
def run():
    while True:
        click.echo("x" * 1000)
@cli.command()
def late():
    sys.stdout.write("x")
    sys.stderr.write("y")
cli()
"""


@pytest.mark.parametrize("arguments", [["run"], ["--help"], ["run", "--help"], ["late"]])
def test_a_reader_that_has_gone_is_no_failure(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=60,
            env={**os.environ, "PYTHONUNBUFFERED": ""},
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"y" if arguments == ["late"] else b"")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_nothing_and_nobody_else_gets_their_number(closed):
    program = (
        "import os, sys; from eas_grpc.cli._sturdy import prepare_streams; prepare_streams();"
        "sys.stdout.write('x'); sys.stderr.write('y'); sys.stdin.read();"
        "sys.exit(0 if os.open(os.devnull, os.O_RDONLY) > 2 else 9)"
    )
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" "$@" {closed}', sys.executable, "-c", program],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_a_character_that_the_locale_lacks_is_shown_as_its_number(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", stream)
    prepare_streams()
    print("日é", flush=True)
    monkeypatch.undo()
    assert stream.buffer.getvalue() == b"\\u65e5\xe9\n"


def test_streams_that_are_there_are_left_alone(monkeypatch):
    before = sys.stdin, sys.stdout, sys.stderr
    prepare_streams()
    assert (sys.stdin, sys.stdout, sys.stderr) == before
