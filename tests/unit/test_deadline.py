"""`eas_grpc.deadline`: an instant, made once, never extended."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.calls import CallShape
from eas_grpc.deadline import UNSET, Deadline, call_timeout
from eas_grpc.errors import ConfigError

times = st.floats(min_value=0, max_value=1e9)
timeouts = st.none() | st.floats(min_value=1e-6, max_value=1e6)
deadlines = st.builds(Deadline, st.none() | times)

ONE = [shape for shape in CallShape if not shape.many_responses]
MANY = [shape for shape in CallShape if shape.many_responses]


@given(timeouts, times)
def test_at_the_start_all_of_the_time_remains(timeout: float | None, now: float) -> None:
    remaining = Deadline.after(timeout, now).remaining(now)
    assert remaining == (None if timeout is None else pytest.approx(timeout, abs=1e-6))


@given(deadlines, times, times)
def test_what_remains_never_grows_and_is_never_negative(deadline: Deadline, one: float, other: float) -> None:
    earlier, later = sorted((one, other))
    before, after = deadline.remaining(earlier), deadline.remaining(later)
    if before is None or after is None:
        assert before is after is deadline.at
    else:
        assert before >= after >= 0


def test_after_its_instant_nothing_remains() -> None:
    assert Deadline.after(5, now=10).remaining(now=15) == 0
    assert Deadline.after(5, now=10).remaining(now=99) == 0


@pytest.mark.parametrize("shape", ONE)
@pytest.mark.parametrize("default", [5.0, None])
def test_a_call_with_one_response_has_the_default(shape: CallShape, default: float | None) -> None:
    assert call_timeout(shape, UNSET, default) == default


@pytest.mark.parametrize("shape", MANY)
def test_a_stream_of_responses_has_no_default(shape: CallShape) -> None:
    assert call_timeout(shape, UNSET, 5.0) is None


@pytest.mark.parametrize("shape", CallShape)
@pytest.mark.parametrize("given", [0.001, 7, 7.5, None])
def test_the_callers_figure_wins(shape: CallShape, given: float | None) -> None:
    assert call_timeout(shape, given, 5.0) == given


@pytest.mark.parametrize("shape", CallShape)
@pytest.mark.parametrize(
    ("given", "why"),
    [
        (0, "leaves no time"),
        (-1, "leaves no time"),
        (math.nan, "NaN"),
        (math.inf, "the most that gRPC can count"),
        (3e6, "the most that gRPC can count"),
        ("5", "not str"),
        (True, "not bool"),
        ((5,), "not tuple"),
    ],
)
def test_a_timeout_that_is_no_duration_is_refused_with_the_fix(
    shape: CallShape, given: object, why: str
) -> None:
    with pytest.raises(ConfigError, match="timeout") as caught:
        call_timeout(shape, given, 5.0)
    assert why in str(caught.value)
    assert str(caught.value).endswith("write seconds above 0, or None for no limit")


def test_unset_reads_well_in_a_signature() -> None:
    assert repr(UNSET) == "UNSET"
