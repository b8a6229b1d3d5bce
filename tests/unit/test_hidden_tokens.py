"""A server's tokens are no more shown than a client's: not by the frames that refuse its settings either."""

from __future__ import annotations

import dataclasses
import inspect
import traceback
from typing import Any

import pytest
from support.haul import CANARY, OTHER_CANARY, OURS

from eas_grpc.auth import Masked
from eas_grpc.errors import ConfigError
from eas_grpc.serving import ServerOptions
from eas_grpc.settings import find_settings
from server_demo.gateway import Service

MISTAKES: dict[str, tuple[Any, dict[str, Any]]] = {
    "a broken token beside a good one": (ServerOptions, {"tokens": (CANARY, f"{OTHER_CANARY} x")}),
    "one str": (ServerOptions, {"tokens": CANARY}),
    "a list": (ServerOptions, {"tokens": [CANARY, f"'{OTHER_CANARY}'"]}),
    "another setting": (ServerOptions, {"tokens": (CANARY,), "max_workers": 0}),
    "a broken token of a service": (Service, {"name": "x", "tokens": (CANARY, f"{OTHER_CANARY} x")}),
    "one str for a service": (Service, {"name": "x", "tokens": CANARY}),
    "another setting of a service": (Service, {"name": "x", "tokens": (CANARY,), "keepalive": -1}),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_refused_setting_shows_no_token_in_its_frames(mistake: str) -> None:
    kind, arguments = MISTAKES[mistake]
    with pytest.raises(ConfigError) as caught:
        kind(**arguments)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame for frame in shown.stack if frame.filename != __file__]
    assert any(str(OURS) in frame.filename or "server_demo" in frame.filename for frame in frames)
    for frame in frames:
        assert not any(each in str(frame.locals) for each in (CANARY, OTHER_CANARY)), frame.name
    assert CANARY not in str(caught.value)


def test_the_settings_are_what_they_were() -> None:
    options = ServerOptions(tokens=(f"Bearer {CANARY}\n",), grace=1)
    assert options.tokens == (CANARY,)
    assert all(isinstance(token, Masked) for token in options.tokens)
    assert dataclasses.replace(options, grace=2) == ServerOptions(tokens=(CANARY,), grace=2)
    assert ServerOptions().tokens == Service(name="x").tokens == ()
    assert "tokens" in inspect.signature(ServerOptions).parameters
    with pytest.raises(ConfigError, match="not NoneType"):
        ServerOptions(tokens=None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="must be a str"):
        ServerOptions(tokens=(5,))  # type: ignore[arg-type]


def test_the_settings_of_a_client_hold_it_masked() -> None:
    for found in (
        find_settings(endpoint="host:80", token=CANARY, environ={}),
        find_settings(endpoint="host:80", environ={"EAS_TOKEN": CANARY}),
    ):
        assert found.token == CANARY
        assert CANARY not in repr(vars(found))
