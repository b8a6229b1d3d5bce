"""Fixtures that every folder uses."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import Any

import hypothesis
import pytest
from support.canary import Canaries, search
from support.echo import EchoServer

# No limit per example: machines are noisy. In CI the same examples each time; elsewhere the search goes on.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")

CANARIES = Canaries()


def pytest_configure(config: pytest.Config) -> None:
    CANARIES.add_constants()
    CANARIES.add_sent()
    # What is logged at DEBUG is searched too.
    config.option.log_level = config.option.log_level or "DEBUG"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fails a test whose output holds a token, and takes the token out of the report."""
    report = yield
    found = search(CANARIES, [*report.sections, ("the failure", report.longreprtext)])
    if found:
        shown = "\n".join(f"the token is in {name}:\n{lines}" for name, lines in found)
        why = "" if report.passed else f"{CANARIES.masked(report.longreprtext)}\n"
        report.outcome, report.longrepr = "failed", f"{why}{shown}"
        report.sections = [(name, CANARIES.masked(text)) for name, text in report.sections]
    return report


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """Neither the user's profile file nor their EAS_* variables reach a test."""
    for name in [name for name in os.environ if name.startswith("EAS_") and not name.startswith("EAS_GRPC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.fixture
def echo() -> Iterator[EchoServer]:
    with EchoServer() as server:
        yield server
