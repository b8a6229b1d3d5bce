"""`eas-grpc call` beside `buf curl`: how each is run, and what their answers say as data."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google.rpc.status_pb2
from click.testing import CliRunner
from interop.programs import HERE, environment, finish

from eas_grpc.cli.__main__ import cli

KINDS, OLDER, NEWER = "kinds.v1.KindsService", "kinds.older.v1.OlderService", "kinds.newer.v1.NewerService"

# Where the protos are that define and describe them; googleapis-common-protos brings its own beside its modules.
INCLUDES = (HERE / "protos", Path(google.rpc.status_pb2.__file__).parents[2])
_LONGEST = "30s"
FILES = (
    "kinds/v1/kinds.proto",
    "kinds/v1/well_known.proto",
    "kinds/older/v1/older.proto",
    "kinds/newer/v1/newer.proto",
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
)


class Number(float):
    """A number of JSON: equal by its value, however it is written; but -0 is not 0."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and repr(float(self)) == repr(float(other))

    def __hash__(self) -> int:
        return hash(repr(float(self)))


@dataclass(frozen=True)
class Said:
    """What a program said: the messages of the answer, its exit code and its complaint."""

    messages: list[Any]
    code: int
    stderr: str = field(compare=False)


@dataclass(frozen=True)
class Judge:
    """Calls one method of one server with the same text through both programs."""

    address: str
    buf: str
    folder: Path

    def theirs(self, method: str, request: str, *options: str) -> Said:
        done = finish(
            *(self.buf, "curl", "--protocol", "grpc", "--http2-prior-knowledge", *options),
            *("-d", f"@{self._file(request)}", f"http://{self.address}/{method}"),
            HOME=str(self.folder),
        )
        return Said(values(done.stdout), done.returncode, done.stderr)

    def ours(self, method: str, request: str, *options: str) -> Said:
        """In this process: what is under test is the answer, and a start takes longer than a call."""
        target = ("-e", f"http://{self.address}", "--timeout", _LONGEST)
        arguments = ["call", *target, "-d", f"@{self._file(request)}", *options, method]
        clean = dict.fromkeys(_inherited())
        done = CliRunner().invoke(cli, arguments, env=clean)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Said(values(done.stdout), done.exit_code, done.stderr)

    def agreed(self, method: str, request: str) -> list[Any]:
        """The answer, which both programs have to give alike and without a complaint."""
        theirs, ours = self.theirs(method, request), self.ours(method, request)
        assert (theirs.code, ours.code) == (0, 0), (request[:2000], theirs.stderr, ours.stderr)
        assert_same(ours.messages, theirs.messages)
        return ours.messages

    def _file(self, request: str) -> Path:
        path = self.folder / "request.json"
        path.write_text(request, "utf-8")
        return path


def values(text: str) -> list[Any]:
    """The JSON values of a text, one after the other."""
    decoder = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_refused)
    found, at = [], 0
    text = text.strip()
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        found.append(value)
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


def assert_same(ours: Sequence[Any], theirs: Sequence[Any]) -> None:
    """Says which message differs first, since a whole answer is too long to read."""
    for number, (mine, other) in enumerate(zip(ours, theirs, strict=False)):
        assert mine == other, f"message {number}: {mine}\nis not {other}"
    assert len(ours) == len(theirs), f"{len(ours)} messages, not {len(theirs)}"


def stream(requests: Iterable[Any]) -> str:
    """Several requests as one text."""
    return "\n".join(json.dumps(request) for request in requests)


def _refused(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _inherited() -> list[str]:
    """The variables of this process that a program of its own would not get."""
    return [name for name in os.environ if name not in environment()]
