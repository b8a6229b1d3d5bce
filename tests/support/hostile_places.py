"""Runs every command of `eas-grpc` where something that programs take for granted is missing (no tests here).

Each has one valid line here; a command without one is an error, so that a new command comes with its line.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import click

from eas_grpc.cli.__main__ import cli

ROOT = Path(__file__).resolve().parents[2]
PROTOC = (
    "--protoc-python",
    str(os.environ.get("EAS_GRPC_PROTOC_PYTHON") or ROOT / ".venv-codegen/bin/python"),
)
PLUGINS = (
    "--plugins-bin",
    str(os.environ.get("EAS_GRPC_PLUGINS_BIN") or ROOT / ".venv-codegen-plugins/bin"),
)
CLOSED = "127.0.0.1:1"
METHOD = "helloworld.GreeterService/SayHello"
SECONDS = 40.0

CANNOT_CONNECT, LOCAL_FILE = 5, 3
_NEVER = ("Traceback", "Exception ignored", "Fatal Python error", "lost sys.stderr", "absl::")
# What these find is their output.
_VERDICTS = ("doctor",)


@dataclass(frozen=True)
class Line:
    """A valid line of a command, and how it ends when nothing listens and everything else is well."""

    arguments: tuple[str, ...] = ()
    code: int = 0
    # It dials; the line goes to a closed port.
    dials: bool = False
    # It writes into the folder that it is run in, or into HOME.
    writes: bool = False
    # It runs until it is told to stop.
    serves: bool = False
    # Arguments with text of other alphabets, in the place of the line's own.
    foreign: tuple[str, ...] = field(default=())


def _dials(*arguments: str, foreign: tuple[str, ...] = ()) -> Line:
    return Line(arguments, CANNOT_CONNECT, dials=True, foreign=foreign)


LINES = {
    "call": _dials(METHOD, "-d", '{"name":"x"}', foreign=(METHOD, "-d", '{"name":"日本é"}')),
    "list": _dials(),
    "describe": _dials(METHOD, foreign=("té",)),
    "health": _dials(foreign=("té",)),
    "doctor": _dials(),
    "load": _dials(
        *(METHOD, "-d", "{}", "-n", "5", "--allow-remote"),
        foreign=(METHOD, "-d", '{"name":"日本é"}', "-n", "5"),
    ),
    "hello": _dials("World", foreign=("日本é",)),
    "profile list": Line(),
    "profile show": Line(("prod",)),
    "profile add": Line(("new", "-e", "host"), writes=True, foreign=("日本é", "-e", "host")),
    "profile use": Line(("prod",), writes=True),
    "profile remove": Line(("prod",), writes=True),
    "serve": Line(("--port", "0"), serves=True),
    "init": Line(("fresh", *PROTOC, *PLUGINS), writes=True),
    "generate": Line(
        ("protos", "--out", "out", *PROTOC, *PLUGINS),
        writes=True,
        foreign=("protos-é", "--out", "out-é", *PROTOC, *PLUGINS),
    ),
    "lint": Line(("protos", *PROTOC), foreign=("protos-é", *PROTOC)),
    "breaking": Line(
        ("protos", "--against", "protos", *PROTOC), foreign=("protos-é", "--against", "protos-é", *PROTOC)
    ),
    "env": Line(),
    "completion": Line(("bash",)),
}

PROTO = """syntax = "proto3";
package acme.v1;

// Says hello; in Japan \u3053\u3093\u306b\u3061\u306f.
service GreetService {
  // Greets.
  rpc Greet(GreetRequest) returns (GreetResponse);
}

// Who.
message GreetRequest {
  string name = 1;
}

// What.
message GreetResponse {
  string text = 1;
}
"""


def leaves(group: click.Group = cli, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that can be run, by its words, as the group itself lists them."""
    context = click.Context(group, **group.context_settings)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        words = f"{path} {name}".strip()
        if isinstance(command, click.Group):
            yield from leaves(command, words)
        else:
            yield words, command


COMMANDS = dict(leaves())


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    words: str
    code: int
    stdout: str
    stderr: str

    def faults(self, codes: Sequence[int], *, silent: bool = False) -> list[str]:
        """What is wrong with that; `silent` where standard error cannot say anything."""
        said = self.stdout + self.stderr
        found = [f"{word!r} in {said[-1500:]}" for word in _NEVER if word in said]
        if self.code not in codes:
            found.append(f"exit code {self.code}, not {' or '.join(map(str, codes))}: {said[-600:]!r}")
        if self.code != 0 and not silent and not self.stderr.strip() and self.words not in _VERDICTS:
            found.append(f"exit code {self.code} without a word on standard error")
        return [f"eas-grpc {self.words}: {fault}" for fault in found]


@dataclass(frozen=True)
class Place:
    """Where a command is run: a folder of its own, which also is its home."""

    folder: Path
    # Words in front of the command, such as a shell that closes something.
    wrap: tuple[str, ...] = ()
    variables: tuple[tuple[str, str | None], ...] = ()

    def prepare(self) -> None:
        """A home with a profile, and protos to work on."""
        for name in ("protos", "protos-é"):
            file = self.folder / name / "acme" / "v1" / "greet.proto"
            file.parent.mkdir(parents=True)
            file.write_text(PROTO, "utf-8")
        config = self.folder / ".config" / "eas-grpc" / "config.toml"
        config.parent.mkdir(parents=True)
        config.write_text('[prod]\nendpoint = "host"\n')
        config.chmod(0o600)

    def environ(self) -> dict[str, str]:
        """This process's, without what would reach into the test from outside."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("EAS_", "XDG_", "COV_", "COVERAGE", "LC_", "PYTHON"))
            and not name.lower().endswith("_proxy")
        }
        kept |= {"HOME": str(self.folder), "LC_ALL": "C.UTF-8", "TERM": "xterm", "COLUMNS": "80"}
        for name, value in self.variables:
            kept.pop(name, None)
            if value is not None:
                kept[name] = value
        return kept

    def run(self, words: str, arguments: Sequence[str], **streams: object) -> Ended:
        """Runs it to its end, or stops a server that serves."""
        line = LINES[words]
        command = [*self.wrap, sys.executable, "-m", "eas_grpc.cli.__main__", *words.split(), *arguments]
        if line.serves and list(arguments) == list(line.arguments):
            return self._serve(words, command, streams)
        given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        done = subprocess.run(
            command, cwd=self.folder, env=self.environ(), timeout=SECONDS, start_new_session=True, **given
        )
        return Ended(words, done.returncode, _text(done.stdout), _text(done.stderr))

    def _serve(self, words: str, command: list[str], streams: dict[str, object]) -> Ended:
        """Stops it once its port answers, for it may have nowhere to say that it is ready."""
        port = free_port()
        command[-1] = str(port)
        given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        with subprocess.Popen(
            command, cwd=self.folder, env=self.environ(), start_new_session=True, **given
        ) as process:
            until = time.monotonic() + SECONDS
            while process.poll() is None and time.monotonic() < until and not answers(port):
                # Nothing can be waited for but the port itself.
                time.sleep(0.02)
            process.send_signal(signal.SIGTERM)
            try:
                stdout, stderr = process.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Ended(words, process.returncode, _text(stdout), _text(stderr))


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def arguments_of(words: str, *, address: str = CLOSED, foreign: bool = False) -> list[str]:
    """The arguments of its valid line."""
    line = LINES[words]
    chosen = line.foreign if foreign and line.foreign else line.arguments
    return [*chosen, *(["--endpoint", address, "--timeout", "2s"] if line.dials else [])]


def at_once(jobs: Sequence[object]) -> list[Ended]:
    """The results of calls without arguments, two at a time: this is a machine of two cores."""
    with ThreadPoolExecutor(2) as pool:
        return [future.result() for future in [pool.submit(job) for job in jobs]]  # type: ignore[arg-type]


def read_only(folder: Path) -> tuple[str, ...]:
    """Words that run a command with this folder mounted read-only; () where this machine cannot do that."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return ()
    flags = "-m" if os.geteuid() == 0 else "-rm"
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && cd "$0" && exec "$@"'
    wrap = (unshare, flags, "sh", "-c", script, str(folder))
    tried = subprocess.run([*wrap, "touch", "x"], capture_output=True, check=False)
    works = subprocess.run([*wrap, "true"], capture_output=True, check=False)
    return wrap if works.returncode == 0 and tried.returncode != 0 else ()


def _text(data: bytes | None) -> str:
    return "" if data is None else data.decode("utf-8", "replace")
