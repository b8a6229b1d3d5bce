"""Every command where something is missing that programs take for granted: a sentence and the right code, no traceback.

The commands are those of the group itself; a new one needs a line in `support.hostile_places`.
"""

from __future__ import annotations

import functools
import os
import pty
import subprocess
import sys

import click
import pytest
from support.hostile_places import (
    COMMANDS,
    LINES,
    LOCAL_FILE,
    Ended,
    Place,
    arguments_of,
    at_once,
    read_only,
)
from support.schemas import need_protoc

USAGE = 2


@pytest.fixture(autouse=True)
def compiler():
    need_protoc()


@pytest.fixture
def places(tmp_path):
    """A place for each command, prepared; gives pairs of its words and the place."""

    def make(only=lambda _line: True, wrap=(), variables=()) -> list[tuple[str, Place]]:
        found = []
        for words, line in LINES.items():
            if only(line):
                place = Place(tmp_path / words.replace(" ", "-"), wrap, variables)
                place.prepare()
                found.append((words, place))
        return found

    return make


def run_all(places: list[tuple[str, Place]], arguments=arguments_of, **streams) -> list[Ended]:
    return at_once(
        [functools.partial(place.run, words, arguments(words), **streams) for words, place in places]
    )


def faults(ended: list[Ended], codes=lambda line: (line.code,), *, silent: bool = False) -> list[str]:
    found = [fault for each in ended for fault in each.faults(codes(LINES[each.words]), silent=silent)]
    # Whole, each on a line of its own: pytest shortens a list.
    print(*found, sep="\n")
    return found


def closing(redirection: str) -> tuple[str, ...]:
    """A shell that closes one of the three streams."""
    return ("sh", "-c", f'exec "$0" "$@" {redirection}')


def test_every_command_has_its_line():
    assert set(LINES) == set(COMMANDS)


@pytest.mark.parametrize(
    ("ended", "fault"),
    [
        (Ended("env", 0, "", "Traceback (most recent call last):"), "'Traceback' in"),
        (Ended("env", 0, "", "Exception ignored in: <x>"), "'Exception ignored' in"),
        (Ended("env", 1, "", "Error: no"), "exit code 1, not 0"),
        (Ended("health", 5, "", ""), "without a word"),
    ],
)
def test_what_goes_wrong_is_noticed(ended, fault):
    assert fault in "".join(faults([ended]))
    assert (
        faults([Ended("env", 0, "x", ""), Ended("health", 5, "", "Error: no"), Ended("doctor", 5, "x", "")])
        == []
    )


def test_where_nothing_is_missing_each_line_does_what_it_says(places):
    """The measure for the places below: nothing listens, and everything else is as it should be."""
    assert faults(run_all(places())) == []


def test_a_name_that_does_not_exist(places):
    def arguments(words: str) -> list[str]:
        return arguments_of(words, address="no-such-host.invalid:80")

    assert faults(run_all(places(lambda line: line.dials), arguments)) == []


def test_an_unknown_option(places):
    def arguments(words: str) -> list[str]:
        return [*arguments_of(words), "--no-such-option"]

    ended = run_all(places(), arguments)
    assert faults(ended, lambda _line: (USAGE,)) == []
    assert [each.words for each in ended if "No such option" not in each.stderr] == []


def test_a_missing_argument(places):
    needy = {
        words
        for words, command in COMMANDS.items()
        if any(isinstance(each, click.Argument) and each.required for each in command.params)
    }
    assert {"call", "load", "profile add", "init", "completion"} <= needy
    ended = run_all([pair for pair in places() if pair[0] in needy], lambda _words: [])
    assert faults(ended, lambda _line: (USAGE,)) == []
    assert [each.words for each in ended if "Missing argument" not in each.stderr] == []


def bad_value(command: click.Command) -> list[str]:
    """An option with a value that it cannot have; [] where it takes any."""
    for option in (each for each in command.params if isinstance(each, click.Option)):
        takes_all = option.is_flag or isinstance(option.type, click.types.StringParamType | click.Path)
        if not takes_all and option.type.name != "metadata":
            return [option.opts[-1], "no such value"]
    return []


def test_a_bad_value(places):
    values = {words: bad_value(command) for words, command in COMMANDS.items()}
    assert sum(map(bool, values.values())) >= 10
    ended = run_all(
        [pair for pair in places() if values[pair[0]]], lambda words: [*arguments_of(words), *values[words]]
    )
    assert faults(ended, lambda _line: (USAGE,)) == []


def test_a_closed_standard_input(places):
    assert faults(run_all(places(wrap=closing("<&-")))) == []


def test_a_closed_standard_output(places):
    assert faults(run_all(places(wrap=closing(">&-")))) == []


def test_a_closed_standard_error(places):
    assert faults(run_all(places(wrap=closing("2>&-"))), silent=True) == []


def test_a_reader_that_has_gone_ends_a_command_quietly(places):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        pairs = places()
        ended = run_all(pairs, stdout=writing)
        helped = run_all(pairs, lambda _words: ["--help"], stdout=writing)
    finally:
        os.close(writing)
    assert faults(ended, lambda line: (line.code, 0)) == []
    assert faults(helped, lambda _line: (0,)) == []
    assert [each.stderr for each in helped if each.stderr] == []


def test_a_locale_of_ascii_and_text_that_is_not(places):
    """Python itself makes UTF-8 of this one; names of files and JSON get through."""
    ended = run_all(places(variables=(("LC_ALL", "C"),)), lambda words: arguments_of(words, foreign=True))
    assert faults(ended) == []


def test_a_locale_that_cannot_hold_the_text_is_named(places):
    """The same where Python was told to leave it: whatever cannot be said is refused in a sentence."""
    variables = (("LC_ALL", "C"), ("PYTHONCOERCECLOCALE", "0"), ("PYTHONUTF8", "0"))
    ended = run_all(places(variables=variables), lambda words: arguments_of(words, foreign=True))
    assert faults(ended, lambda line: (line.code, USAGE, LOCAL_FILE)) == []


@pytest.mark.parametrize("home", [None, "/no/such/home"])
def test_no_home(places, home):
    # Only the file of profiles needs one.
    pairs = places(variables=(("HOME", home),))
    ended = run_all(pairs)
    profiles = [each for each in ended if each.words.startswith("profile ")]
    assert faults([each for each in ended if each not in profiles]) == []
    assert faults(profiles, lambda line: (line.code, USAGE, LOCAL_FILE)) == []


def test_a_read_only_disk(places):
    """The working folder and the home, as root cannot be kept out by modes."""
    pairs = []
    for words, place in places():
        wrap = read_only(place.folder)
        if not wrap:
            why = "no mount namespace of one's own here (unshare -m), so a read-only disk is not tried"
            pytest.fail(why, pytrace=False) if os.environ.get("CI") else pytest.skip(why)
        pairs.append((words, Place(place.folder, wrap)))
    ended = run_all(pairs)
    assert faults(ended, lambda line: (LOCAL_FILE,) if line.writes else (line.code,)) == []
    unclear = [each.words for each in ended if LINES[each.words].writes and "ead-only" not in each.stderr]
    assert unclear == []


def test_no_terminal_and_no_word_of_one(places):
    variables = (("TERM", None), ("COLUMNS", None), ("LINES", None))
    assert faults(run_all(places(variables=variables))) == []


def test_a_terminal_of_one_column(places):
    parent, child = pty.openpty()
    try:
        ended = run_all(places(variables=(("COLUMNS", "1"), ("FORCE_COLOR", "1"))), stdout=child, stdin=child)
    finally:
        os.close(child)
        os.close(parent)
    assert faults(ended) == []


def test_the_group_itself_in_the_same_places(tmp_path):
    place = Place(tmp_path / "home")
    place.prepare()
    for wrap, arguments, code in (
        ((), [], {0, USAGE}),
        ((), ["no-such-command"], {USAGE}),
        ((), ["--no-such-option"], {USAGE}),
        (closing("<&-"), ["--help"], {0}),
        (closing(">&-"), ["--help"], {0}),
        (closing("2>&-"), ["no-such-command"], {USAGE}),
        (("sh", "-c", '"$0" "$@" | head -c0'), ["--help"], {0}),
    ):
        done = subprocess.run(
            [*wrap, sys.executable, "-m", "eas_grpc.cli.__main__", *arguments],
            env=place.environ(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode in code, (wrap, arguments, done)
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
