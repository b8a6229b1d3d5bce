"""The group that loads a command when it is meant."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from eas_grpc.cli.__main__ import cli
from eas_grpc.cli._lazy import Lazy, LazyGroup

NAMES = cli.list_commands(click.Context(cli, **cli.context_settings))


@pytest.mark.parametrize("name", NAMES)
def test_the_table_says_what_the_command_itself_says(name):
    context = click.Context(cli, **cli.context_settings)
    command = cli.get_command(context, name)
    assert command is not None
    first = " ".join((command.help or "").partition("\n\n")[0].split())
    shown = cli.lazy[name].short_help
    assert first == shown or first.startswith(f"{shown} "), f"the help of {name} begins with: {first}"
    assert shown.endswith(".")


def test_help_loads_no_command():
    program = """
import sys
from eas_grpc.cli.__main__ import cli
cli(["--help"], standalone_mode=False)
print(sorted(name for name in sys.modules if name.startswith("eas_grpc.")))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    *shown, loaded = done.stdout.splitlines()
    assert [name for name in NAMES if not any(line.startswith(f"  {name} ") for line in shown)] == []
    known = ("_version", "cli", "cli.__main__", "cli._lazy", "cli._sturdy")
    assert loaded == str([f"eas_grpc.{name}" for name in known])


@pytest.fixture
def group():
    @click.command()
    def near() -> None:
        """Say where it is. And more."""
        click.echo("here")

    table = {"env": Lazy("eas_grpc.cli._env:env", "Print versions, settings and proxies, without secrets.")}
    # As in the program, whose command `env` this is: click notes the names of its help once.
    settings = {"help_option_names": ["-h", "--help"]}
    return LazyGroup("x", lazy=table, commands=[near], context_settings=settings)


def test_commands_of_both_kinds_are_listed_and_run(group):
    shown = CliRunner().invoke(group, ["--help"]).output
    assert "  env   Print versions, settings and proxies, without secrets.\n  near  Say where it is." in shown
    assert group.commands.keys() == {"near"}
    assert CliRunner().invoke(group, ["near"]).output == "here\n"
    assert "versions" in CliRunner().invoke(group, ["env"]).output


def test_a_name_that_is_none_is_a_usage_error(group):
    done = CliRunner().invoke(group, ["enw"])
    assert done.exit_code == 2
    assert "No such command 'enw'" in done.output


def test_a_tab_offers_the_names_with_their_help(group):
    found = group.shell_complete(click.Context(group), "e")
    assert [(item.value, item.help) for item in found] == [("env", group.lazy["env"].short_help)]
    assert {"env", "near"} <= {item.value for item in group.shell_complete(click.Context(group), "")}
    assert [item.value for item in group.shell_complete(click.Context(group), "--h")] == ["--help"]
