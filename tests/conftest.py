"""Fixtures that every folder uses."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from support.echo import EchoServer


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
