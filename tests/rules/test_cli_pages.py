"""docs/cli.md and the manual page say what the commands say, and programs that read manual pages accept it."""

from __future__ import annotations

import os
import shutil
import subprocess

import click
import pytest
from click.testing import CliRunner
from rules.repository import ROOT

from eas_grpc.cli import _pages
from eas_grpc.cli.__main__ import cli

MANUAL = ROOT / "docs" / "eas-grpc.1"


def check(*command: object) -> str:
    """What a program that reads manual pages has to say about one."""
    if shutil.which(str(command[0])) is None:
        why = f"no {command[0]} here, which judges the manual page: Debian has it in man-db, groff or mandoc"
        pytest.fail(why, pytrace=False) if os.environ.get("CI") else pytest.skip(why)
    done = subprocess.run(
        [*map(str, command)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr if command[0] != "mandoc" else done.stdout + done.stderr


def test_the_pages_are_what_the_commands_give():
    done = CliRunner().invoke(_pages.main, ["--check", str(ROOT)])
    assert done.exit_code == 0, f"{done.output}: run `python -m eas_grpc.cli._pages`"


@pytest.mark.parametrize(
    "command",
    [
        ("man", "--warnings", "-l"),
        ("groff", "-man", "-Tutf8", "-ww"),
        ("mandoc", "-T", "lint", "-W", "warning"),
    ],
    ids=lambda command: command[0],
)
def test_the_manual_page_is_accepted_without_a_warning(command):
    assert check(*command, MANUAL) == ""


def test_every_command_stands_on_both_pages_with_all_its_options():
    text, manual = (
        (ROOT / "docs" / "cli.md").read_text("utf-8"),
        MANUAL.read_text("utf-8").replace("\\-", "-"),
    )
    shown = CliRunner().invoke(cli, ["--help"]).output
    names = [line.split()[0] for line in shown.partition("Commands:\n")[2].splitlines() if line[2:3].strip()]
    assert len(names) >= 10
    for name in names:
        assert f"## eas-grpc {name}\n" in text
        assert f'.SS "eas-grpc {name}"\n' in manual
        command = cli.get_command(click.Context(cli, **cli.context_settings), name)
        assert command is not None
        for option in (each for each in command.params if isinstance(each, click.Option)):
            assert option.hidden or option.opts[-1] in text


# What follows shows that the pages hold what they should, on commands made for it.


@click.group()
def group() -> None:
    """Do it all.

    \b
    first   line
    second  line
    """


@group.command()
@click.argument("what", nargs=-1, required=True)
@click.argument("shell", type=click.Choice(["a", "b"]), required=False)
@click.option("-n", "--name", metavar="NAME", help="Its <name>, or *none*.")
@click.option("--kind", type=click.Choice(["x", "y"]), help="x or y.")
@click.option("--yes/--no", help="Whether.")
@click.option("--count", type=int, help="How many | which.")
@click.option("--file", type=click.Path(dir_okay=False))
@click.option("--secret", hidden=True, help="Never shown.")
def run(**_: object) -> None:
    """Run `it` now.

    .This line starts with a dot - and "quotes" and a \\ backslash.
    """


@group.command(hidden=True)
def hidden() -> None:
    """Is not shown."""


PAGES = list(_pages.commands(group, "tool"))


def test_a_page_has_the_usage_the_help_and_the_options_but_nothing_hidden():
    first, second = PAGES
    assert (first.path, first.usage) == ("tool", "tool COMMAND")
    assert first.help == [["Do it all."], ["first   line", "second  line"]]
    assert second.usage == "tool run [OPTIONS] WHAT... [{a|b}]"
    assert [option for option, _ in second.options] == [
        "-n, --name NAME",
        "--kind {x|y}",
        "--yes / --no",
        "--count INTEGER",
        "--file FILE",
    ]


def test_markdown_shows_what_people_wrote_and_not_markup():
    text = _pages.markdown(PAGES)
    assert "## tool run\n\n```text\ntool run [OPTIONS] WHAT... [{a|b}]\n```\n\nRun `it` now.\n" in text
    assert r"| `-n, --name NAME` | Its \<name\>, or \*none\*. |" in text
    assert r"| `--kind {x\|y}` | x or y. |" in text
    assert r"How many \| which." in text
    assert "Never shown" not in text
    assert "Is not shown" not in text


def test_the_manual_page_of_any_text_is_accepted(tmp_path):
    page = tmp_path / "tool.1"
    page.write_text(_pages.man(PAGES, "2026-01-02"), "utf-8")
    assert check("groff", "-man", "-Tutf8", "-ww", page) == ""
    assert check("mandoc", "-T", "lint", "-W", "warning", page) == ""
    shown = subprocess.run(
        ["groff", "-man", "-Tascii", "-P-cbou", page], capture_output=True, text=True
    ).stdout
    words = " ".join(shown.split())
    assert '.This line starts with a dot - and "quotes" and a \\ backslash.' in words
    assert "-n, --name NAME Its <name>, or *none*." in words


def test_what_is_stale_is_noticed_and_written_again_with_its_date(tmp_path):
    (tmp_path / "docs").mkdir()

    def pages(*arguments: str):
        return CliRunner().invoke(_pages.main, [*arguments, str(tmp_path)])

    assert pages("--check").exit_code == 1
    assert not list((tmp_path / "docs").iterdir())
    assert pages().exit_code == 0
    assert pages("--check").exit_code == 0
    manual = tmp_path / "docs" / "eas-grpc.1"
    text = manual.read_text("utf-8")
    assert "0000" not in text.partition("\n")[0]
    # The date alone makes a page no older.
    old = text.replace(text.split('"')[1], "2001-02-03")
    manual.write_text(old, "utf-8")
    assert pages("--check").exit_code == 0
    manual.write_text(old + ".PP\nmore\n", "utf-8")
    assert pages("--check").exit_code == 1
    assert pages().exit_code == 0
    assert manual.read_text("utf-8") == text
