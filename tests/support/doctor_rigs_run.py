"""`eas-grpc doctor` as the user has it, a program of its own; and what is looked for in every one of its answers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.doctor_rigs import Row
from support.doctor_rigs_states import TOKEN, Rig

# A diagnosis ends after so long, unless it was asked to wait.
BOUND_SECONDS = 5.0
# Python, click and grpc, several programs at a time on two cores that others use too. What is told apart is a wait.
START_UP_SECONDS = 10.0

_LATE = "took"
_STEPS = {
    *("address", "token", "proxy", "dns", "tcp", "tls", "http2", "gateway", "health", "reflection", "call"),
    *("keepalive", "limits", "clock"),
}
_OUTCOMES = {"ok", "note", "warning", "fault", "skipped"}
_SEVERITIES = {"fault", "warning", "note"}
# What a terminal obeys, but for the end of a line; and what turns the order of a line around.
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Ran:
    """One run of the command."""

    code: int
    stdout: str
    stderr: str
    wall: float

    @property
    def report(self) -> dict[str, Any]:
        """Of a run with --json."""
        return json.loads(self.stdout)

    @property
    def words(self) -> str:
        """All that a person reads, however it is wrapped."""
        return " ".join(f"{self.stdout} {self.stderr}".split())


def doctor(rig: Rig, folder: Path, *more: str, patience: float = BOUND_SECONDS + START_UP_SECONDS) -> Ran:
    """The command with a rig's arguments, in an environment without proxies and settings of the machine."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy")
        and (not name.startswith("EAS_") or name.startswith("EAS_GRPC_"))
    }
    environ.update(XDG_CONFIG_HOME=str(folder), NO_COLOR="1", PYTHONIOENCODING="utf-8", **rig.environ)
    script = Path(sys.executable).with_name("eas-grpc")
    begun = time.monotonic()
    done = subprocess.run(
        [str(script), "doctor", rig.address, *rig.arguments, *more],
        env=environ,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=patience + 20,
    )
    wall = time.monotonic() - begun
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode(), wall)


def untimed(text: str) -> str:
    """A text without its numbers, which differ from run to run, and however it is wrapped."""
    return " ".join(re.sub(r"[0-9]+(\.[0-9]+)?", "0", text).split())


def ids(report: dict[str, Any]) -> list[str]:
    return [each["id"] for each in report["findings"]]


def faults(report: dict[str, Any]) -> list[str]:
    return [each["id"] for each in report["findings"] if each["severity"] == "fault"]


def wrong(report: dict[str, Any], true: Iterable[str]) -> list[str]:
    """What the report is sure of though it is not true of the rig."""
    known = set(true)
    return sorted({each["id"] for each in report["findings"] if each["sure"]} - known)


def true_of(rig: Rig, true: Iterable[str]) -> set[str]:
    """What is true of the rig, with what can be read from its address."""
    return {
        *true,
        *({"address-scheme"} if "://" in rig.address else ()),
        *(() if rig.reachable else {"refused"}),
    }


def named(row: Row, rig: Rig, report: dict[str, Any]) -> bool:
    """Whether it is the cause of the row that the report names; a note counts where nothing else is at fault."""
    if not row.note:
        return report["verdict"] == row.finding
    good = not faults(report) and report["exit"] == 0
    return row.finding in ids(report) and (good or not rig.reachable)


def misshapen(report: dict[str, Any]) -> list[str]:
    """Where the report is not what scripts and tickets are promised."""
    found = []
    lacking = {
        "address",
        "verdict",
        "sure",
        "sentence",
        "advice",
        "exit",
        "seconds",
        "findings",
        "steps",
    } - set(report)
    if lacking:
        return [f"lacks {sorted(lacking)}"]
    for each in report["findings"]:
        if set(each) < {"id", "severity", "sure", "sentence", "advice", "evidence"}:
            found.append(f"a finding has only {sorted(each)}")
        elif each["severity"] not in _SEVERITIES or not isinstance(each["sure"], bool):
            found.append(f"{each['id']}: severity {each['severity']}, sure {each['sure']}")
        elif not each["sentence"].strip() or not each["advice"].strip():
            found.append(f"{each['id']}: no sentence or no advice")
    for step in report["steps"]:
        if step["name"] not in _STEPS or step["outcome"] not in _OUTCOMES:
            found.append(f"step {step['name']}: {step['outcome']}")
        elif not isinstance(step["seconds"], (int, float)) or not isinstance(step["evidence"], list):
            found.append(f"step {step['name']}: {step['seconds']}, {step['evidence']}")
    if report["verdict"] != "ok" and report["verdict"] not in ids(report):
        found.append(f"the verdict {report['verdict']} is no finding")
    return found


def unsafe(ran: Ran, *secrets: str) -> list[str]:
    """What no output may hold: a token, a traceback, a control character; and the report is all there is."""
    text = ran.stdout + ran.stderr
    found = ["the token is printed" for secret in (TOKEN, *secrets) if secret in text]
    if "Traceback (most recent call last)" in text:
        found.append("a traceback")
    if ran.stderr:
        found.append(f"on stderr: {ran.stderr[:300]!r}")
    found += [f"the control character {each!r}" for each in sorted(set(_CONTROL.findall(ran.stdout)))]
    return found


def was_late(misses: Iterable[str]) -> bool:
    """Whether there is a miss of `late` among these: such a case is asked again when it is alone on the machine."""
    return any(miss.startswith(_LATE) for miss in misses)


def late(ran: Ran, seconds: float, allowed: float = BOUND_SECONDS) -> list[str]:
    """Whether a diagnosis took longer than it may."""
    found = []
    if seconds > allowed:
        found.append(f"{_LATE} {seconds:.2f} s by its own account")
    if ran.wall > allowed + START_UP_SECONDS:
        found.append(f"{_LATE} {ran.wall:.2f} s")
    return found
