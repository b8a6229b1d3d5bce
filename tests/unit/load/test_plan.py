"""What a run may be asked to do, and what is too much."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.errors import ConfigError
from eas_grpc.load import LOCAL, REMOTE, Plan, Ramp, check_caps
from eas_grpc.load._plan import share


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("100:1000:300", (100, 400, 700, 1000)),
        ("100:1000:400", (100, 500, 900)),
        ("8:2:3", (8, 5, 2)),
        ("0.1:0.3:0.1", (0.1, 0.2, 0.3)),
        ("5:5:1", (5,)),
    ],
)
def test_a_ramp_has_these_levels(text, levels):
    assert Ramp.parse(text).levels() == pytest.approx(levels)


@pytest.mark.parametrize("text", ["0:10:1", "1:0:1", "1:10:0"])
def test_a_ramp_of_nothing_is_told_so(text):
    with pytest.raises(ConfigError, match="must be more than 0"):
        Ramp.parse(text)


@pytest.mark.parametrize("text", ["", "1:2", "1:2:3:4", "a:b:c", "1..2:3:1", "-1:5:1"])
def test_a_ramp_that_is_none_is_told_how_to_write_one(text):
    with pytest.raises(ConfigError, match="100:1000:100"):
        Ramp.parse(text)


def test_a_ramp_of_thousands_of_steps_is_refused():
    with pytest.raises(ConfigError, match="100 steps"):
        Ramp.parse("1:1000:1")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({}, "how much load"),
        ({"concurrency": 1, "rate": 1.0}, "two things"),
        ({"concurrency": 1, "poisson": True}, "only with a rate"),
        ({"concurrency": 1, "seconds": None}, "when to end"),
        ({"concurrency": 0}, "at least 1"),
        ({"rate": 0.0}, "more than 0"),
        ({"rate": float("nan")}, "more than 0"),
        ({"rate": float("inf")}, "more than 0"),
        ({"rate": 1.0, "warmup": -1.0}, "negative"),
        ({"concurrency": 2, "processes": 3}, "cannot share"),
        ({"concurrency": 1, "window": 0.001}, "at least 0.05"),
        ({"concurrency": 1, "seconds": None, "requests": 5, "until_stable": True}, "longest time"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong, why):
    with pytest.raises(ConfigError, match=why):
        Plan(**{"seconds": 1.0, **wrong})


def test_each_step_of_a_ramp_is_a_plan_of_its_own():
    plan = Plan(rate=10.0, ramp=Ramp(10, 30, 10), seconds=2.0, warmup=1.0)
    assert [(step.rate, step.concurrency, step.ramp, step.warmup) for step in plan.steps()] == [
        (10.0, None, None, 1.0),
        (20.0, None, None, 1.0),
        (30.0, None, None, 1.0),
    ]
    callers = Plan(concurrency=1, ramp=Ramp(1, 3, 1), seconds=2.0)
    assert [step.concurrency for step in callers.steps()] == [1, 2, 3]


@given(st.integers(0, 10_000), st.integers(1, 64))
def test_shares_differ_by_one_at_most_and_add_up(total, parts):
    shares = [share(total, part, parts) for part in range(parts)]
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1


def test_another_machine_is_loaded_only_when_that_is_said():
    plan = Plan(rate=1.0, seconds=1.0, max_in_flight=10)
    with pytest.raises(ConfigError, match="--allow-remote"):
        check_caps(plan, loopback=False)
    assert check_caps(plan, loopback=False, allow_remote=True).rate == 1.0


@pytest.mark.parametrize("loopback", [True, False])
@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("rate", lambda caps: {"rate": caps.rate * 1.01}),
        ("rate", lambda caps: {"rate": 1.0, "ramp": Ramp(1, caps.rate * 2, caps.rate / 10)}),
        ("concurrency", lambda caps: {"concurrency": caps.concurrency + 1}),
        ("in_flight", lambda caps: {"rate": 1.0, "max_in_flight": caps.in_flight + 1}),
        ("time", lambda caps: {"rate": 1.0, "seconds": caps.seconds, "warmup": 1.0}),
        ("time", lambda caps: {"rate": 1.0, "ramp": Ramp(1, 10, 1), "seconds": caps.seconds / 9}),
        ("channels", lambda caps: {"rate": 1.0, "channels": caps.channels + 1}),
        ("processes", lambda caps: {"rate": 1.0, "processes": caps.processes + 1}),
    ],
)
def test_a_plan_beyond_a_cap_is_refused_with_the_number(loopback, name, how):
    caps = LOCAL if loopback else REMOTE
    plan = Plan(**{"seconds": 1.0, "max_in_flight": 1000, **how(caps)})
    with pytest.raises(ConfigError, match=name) as caught:
        check_caps(plan, loopback=loopback, allow_remote=True)
    assert "the most" in str(caught.value)


def test_a_closed_loop_to_another_machine_is_slowed_down_to_the_cap():
    plan = Plan(concurrency=10, seconds=1.0)
    assert check_caps(plan, loopback=False, allow_remote=True).pace == REMOTE.rate
    assert check_caps(plan, loopback=True).pace is None


def test_a_run_that_counts_requests_ends_after_a_time_all_the_same():
    capped = check_caps(Plan(concurrency=1, requests=10), loopback=False, allow_remote=True)
    assert capped.seconds is None
    assert capped.lasting == REMOTE.seconds


def test_the_caps_in_the_documentation_are_these():
    page = (Path(__file__).parents[3] / "docs/load.md").read_text("utf-8").partition("## Caps")[2]
    for caps, column in ((LOCAL, 2), (REMOTE, 3)):
        rows = [line.split("|")[column] for line in page.splitlines() if line.startswith("|")][2:]
        written = [float(re.sub(r"[^\d]", "", re.match(r"[\d, ]+", row)[0])) for row in rows]
        hours = [3600 if row.strip().endswith("h") else 60 if "min" in row else 1 for row in rows]
        assert [number * unit for number, unit in zip(written, hours, strict=True)] == [
            caps.rate,
            caps.concurrency,
            caps.in_flight,
            caps.seconds,
            caps.channels,
            caps.processes,
        ]


def test_windows_are_a_second_and_shorter_in_a_short_run():
    assert Plan(rate=1.0, seconds=60.0).window_seconds == 1.0
    assert Plan(rate=1.0, seconds=2.0).window_seconds == pytest.approx(0.2)
    assert Plan(rate=1.0, seconds=2.0, window=0.5).window_seconds == 0.5
