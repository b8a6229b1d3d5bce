"""`eas-grpc completion` in real shells, and what a TAB costs: no network, no grpc."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from eas_grpc.cli import _completion
from eas_grpc.cli.__main__ import cli
from eas_grpc.cli._completion import remember
from server_demo import app

GREETER = "helloworld.GreeterService/SayHello"
CHAT = "chat.v1.Chat/Talk"
SHELLS = ("bash", "fish", "zsh")


def need(program: str) -> str:
    """The path of a shell: a user may lack one, CI may not."""
    found = shutil.which(program)
    if found is None:
        why = f"no {program} here: the completion for it is not tried (Debian: apt-get install {program})"
        pytest.fail(why, pytrace=False) if os.environ.get("CI") else pytest.skip(why)
    return found


@pytest.fixture
def environ(tmp_path, monkeypatch) -> dict[str, str]:
    """An environment with names in its cache, two profiles, and `eas-grpc` in PATH."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    remember("one:80", [GREETER, CHAT])
    (tmp_path / "eas-grpc").mkdir()
    (tmp_path / "eas-grpc" / "config.toml").write_text('[prod]\nendpoint = "one"\n[test]\n')
    (tmp_path / "eas-grpc" / "config.toml").chmod(0o600)
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "eas-grpc"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m eas_grpc.cli.__main__ "$@"\n')
    program.chmod(0o755)
    return {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
    }


@pytest.fixture(scope="module")
def server():
    with app.build(token="tab-token") as server:
        yield server


def run(command: list[str], environ: dict[str, str], **given) -> str:
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, **given)
    assert done.returncode == 0, done.stderr
    return done.stdout


def tab(environ: dict[str, str], *words: str) -> list[str]:
    """What the script of bash asks and gets, without a shell."""
    line = " ".join(["eas-grpc", *words])
    asked = {"_EAS_GRPC_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
    answer = run([sys.executable, "-m", "eas_grpc.cli.__main__"], {**environ, **asked})
    return [answer.partition(",")[2] for answer in answer.splitlines() if answer]


# ---- the scripts


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_says_how_to_install_it(shell):
    done = CliRunner().invoke(cli, ["completion", shell])
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"# eas-grpc completion {shell} > ~/" in done.stdout
    assert "_EAS_GRPC_COMPLETE" in done.stdout
    assert done.stdout.startswith("#compdef eas-grpc\n") is (shell == "zsh")


def test_a_shell_that_is_not_known_is_a_usage_error():
    assert CliRunner().invoke(cli, ["completion", "tcsh"]).exit_code == 2
    assert CliRunner().invoke(cli, ["completion"]).exit_code == 2


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_accepts_the_script(shell, environ, tmp_path):
    script = tmp_path / "script"
    script.write_text(_completion.script(shell))
    run([need(shell), "-n", str(script)], environ)


BASH = """
source "$1"
complete -p eas-grpc >/dev/null || exit 1
COMP_WORDS=("${@:2}") COMP_CWORD=$(($# - 2))
_eas_grpc_completion eas-grpc "${COMP_WORDS[COMP_CWORD]}" ""
printf '%s\\n' "${COMPREPLY[@]}"
"""

# What fish offers, and what it would say beside it.
FISH = 'source $argv[1]; complete -C "$argv[2]"'


def zsh(script: Path, line: str, wanted: str, environ: dict[str, str]) -> str:
    """What a zsh at a real terminal shows after a TAB: it completes nowhere else."""
    parent, child = pty.openpty()
    shown = b""

    def read_until(mark: bytes) -> None:
        nonlocal shown
        until = time.monotonic() + 10
        while mark not in shown and select.select([parent], [], [], max(0.0, until - time.monotonic()))[0]:
            shown += os.read(parent, 65536)

    with subprocess.Popen(
        [need("zsh"), "-f", "-i"],
        stdin=child,
        stdout=child,
        stderr=child,
        env=environ,
        start_new_session=True,
    ) as process:
        try:
            start = f"autoload -Uz compinit; compinit -u -D; source {script}; unsetopt beep; echo RE''ADY\n"
            os.write(parent, start.encode())
            read_until(b"READY\r\n")
            shown = b""
            os.write(parent, f"{line}\t".encode())
            read_until(wanted.encode())
        finally:
            process.kill()
    os.close(parent)
    os.close(child)
    return shown.decode("utf-8", "replace")


@pytest.fixture
def complete(environ, tmp_path):
    """What a shell makes of a line at whose end somebody presses TAB."""

    def complete(shell: str, line: str, wanted: str) -> str:
        script = tmp_path / f"script.{shell}"
        script.write_text(_completion.script(shell))
        if shell == "bash":
            words = re.split(" ", line)
            return run([need("bash"), "--norc", "-c", BASH, "bash", str(script), *words], environ)
        if shell == "fish":
            return run([need("fish"), "--no-config", "-c", FISH, str(script), line], environ)
        return zsh(script, line, wanted, environ)

    return complete


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("eas-grpc comple", "completion"),
        ("eas-grpc health --profile pr", "prod"),
        ("eas-grpc profile rem", "remove"),
        ("eas-grpc describe hell", "helloworld.GreeterService"),
        ("eas-grpc call hell", GREETER),
    ],
)
def test_a_tab_completes_commands_profiles_and_methods(shell, line, wanted, complete):
    assert wanted in complete(shell, line, wanted)


def test_a_list_of_a_service_is_what_the_next_tab_offers(environ, server):
    done = CliRunner().invoke(cli, ["list", "-e", server.address, "--token", "tab-token"])
    assert done.exit_code == 0, done.output
    assert GREETER in tab(environ, "describe", "--endpoint", server.address, "")
    assert "tab-token" not in Path(environ["XDG_CACHE_HOME"], "eas-grpc", "names.json").read_text()


# ---- what it costs

FORBIDDEN = """
import json, os, sys

def forbid(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.fork")):
        os.write(2, f"forbidden: {event}\\n".encode())
        os._exit(99)

sys.addaudithook(forbid)
from eas_grpc.cli.__main__ import main
try:
    main()
finally:
    heavy = {"grpc", "google.protobuf", "numpy", "rich", "asyncio", "socket", "ssl"}
    print(json.dumps(sorted(heavy & set(sys.modules))), file=sys.stderr)
"""


@pytest.mark.parametrize("words", [["call", "hel"], ["health", "--profile", "p"], ["he"], ["call", "-"]])
def test_a_tab_opens_no_socket_starts_no_program_and_loads_no_grpc(words, environ):
    line = " ".join(["eas-grpc", *words])
    asked = {"_EAS_GRPC_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
    done = subprocess.run(
        [sys.executable, "-c", FORBIDDEN],
        env={**environ, **asked},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stderr.splitlines()[-1]) == []
    assert len(done.stdout.splitlines()) >= 1


def test_what_is_forbidden_would_be_noticed(environ):
    program = FORBIDDEN.replace("    main()", "    __import__('socket').create_connection(('127.0.0.1', 1))")
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, timeout=60)
    assert done.returncode == 99


def test_the_names_are_those_of_the_endpoint_on_the_line(environ, monkeypatch):
    remember("two:80", ["other.Service/Method"])
    assert tab(environ, "call", "--endpoint", "two", "") == ["other.Service/Method"]
    assert tab(environ, "call", "--profile", "prod", "") == [CHAT, GREETER]


def test_a_home_that_is_nowhere_and_a_broken_file_are_no_names_and_no_noise(environ, tmp_path):
    Path(environ["XDG_CACHE_HOME"], "eas-grpc", "names.json").write_text("{")
    (tmp_path / "eas-grpc" / "config.toml").write_text("[")
    assert tab(environ, "call", "hel") == []
    assert tab(environ, "health", "--profile", "") == []
    nowhere = {name: value for name, value in environ.items() if name in {"PATH", "TERM"}}
    assert tab(nowhere, "call", "hel") == []
