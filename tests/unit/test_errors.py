"""`eas_grpc.errors`: the tree, what its members print, and that they are plain data."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from eas_grpc import errors
from eas_grpc.errors import (
    CallError,
    CallFailure,
    ConfigError,
    EasError,
    Origin,
    PlaintextTokenWarning,
    SchemaError,
    WireError,
)

FAILURE = CallFailure(
    status="UNAVAILABLE",
    details="no healthy upstream",
    origin=Origin.GATEWAY,
    hint="look at its state",
    method="/pkg.Service/Method",
    http_status=503,
    initial_metadata=(("x-a", "1"),),
    trailing_metadata=(("x-raw-bin", b"\0"),),
    debug="core said so",
)


@pytest.mark.parametrize(
    ("error", "bases"),
    [
        (ConfigError, (EasError, ValueError)),
        (SchemaError, (EasError,)),
        (WireError, (EasError, ValueError)),
        (CallError, (EasError,)),
        (PlaintextTokenWarning, (UserWarning,)),
    ],
)
def test_the_tree_is_the_one_drawn_at_the_top_of_the_file(
    error: type[Exception], bases: tuple[type[Exception], ...]
) -> None:
    assert error.__bases__ == bases
    assert error.__name__ in errors.__doc__


@pytest.mark.parametrize("name", errors.__all__)
def test_every_exported_name_exists_and_says_what_it_is_for(name: str) -> None:
    assert getattr(errors, name).__doc__


@pytest.mark.parametrize("kind", [ConfigError, SchemaError, WireError])
def test_an_error_with_a_text_survives_pickling(kind: type[EasError]) -> None:
    loaded = pickle.loads(pickle.dumps(kind("write this instead")))
    assert type(loaded) is kind
    assert str(loaded) == "write this instead"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_call_error_survives_pickling_and_copying(protocol: int) -> None:
    error = CallError(FAILURE)
    for twin in (
        pickle.loads(pickle.dumps(error, protocol)),
        copy.copy(error),
        copy.deepcopy(error),
    ):
        assert type(twin) is CallError
        assert twin.failure == FAILURE
        assert str(twin) == str(error)


def test_a_failure_prints_method_status_details_and_below_them_the_hint() -> None:
    assert str(FAILURE) == (
        "/pkg.Service/Method failed with UNAVAILABLE: no healthy upstream\n  hint: look at its state"
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"hint": ""}, "/pkg.Service/Method failed with UNAVAILABLE: no healthy upstream"),
        ({"hint": "", "method": ""}, "UNAVAILABLE: no healthy upstream"),
        ({"hint": "", "method": "", "details": ""}, "UNAVAILABLE"),
    ],
)
def test_what_is_not_known_is_not_printed(changes: dict[str, str], text: str) -> None:
    assert str(dataclasses.replace(FAILURE, **changes)) == text


def test_metadata_and_debug_text_are_not_printed() -> None:
    for hidden in ("x-a", "x-raw-bin", "core said so"):
        assert hidden not in str(CallError(FAILURE))


def test_hint_and_origin_can_be_read_from_the_error() -> None:
    error = CallError(FAILURE)
    assert (error.hint, error.origin) == ("look at its state", Origin.GATEWAY)
    assert error.args == (FAILURE,)


def test_a_failure_is_frozen_and_gets_another_hint_as_a_copy() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        FAILURE.hint = "other"
    assert FAILURE.with_hint("other") == dataclasses.replace(FAILURE, hint="other")
    assert FAILURE.hint == "look at its state"


def test_an_origin_is_its_own_text() -> None:
    assert [origin.value for origin in Origin] == ["server", "gateway", "client", "unknown"]
    assert Origin("gateway") is Origin.GATEWAY
    assert Origin.CLIENT == "client"
