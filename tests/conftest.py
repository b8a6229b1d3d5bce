"""Fixtures that every folder uses."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest
from support.echo import EchoServer

# No limit per example: machines are noisy. In CI the same examples each time; elsewhere the search goes on.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


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
