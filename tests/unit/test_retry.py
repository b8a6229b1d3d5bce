"""`eas_grpc.retry`: the policy, and the service config that is made of it."""

from __future__ import annotations

import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.errors import ConfigError
from eas_grpc.retry import RetryPolicy, Throttle, backoff, covers, service_config

names = st.from_regex(r"[A-Za-z_]\w*(\.\w+)*(/[A-Za-z_]\w*)?", fullmatch=True)
ascii_names = names.filter(str.isascii)
policies = st.builds(
    RetryPolicy,
    attempts=st.integers(2, 5),
    initial_backoff=st.floats(0.001, 1),
    max_backoff=st.floats(1, 100),
    multiplier=st.floats(1, 10),
    exclude=st.lists(ascii_names, max_size=4, unique=True).map(tuple),
)


def methods(policy: RetryPolicy | None, **idempotent: tuple[str, ...]) -> list[dict]:
    return json.loads(service_config(policy, lambda service: idempotent.get(service, ())))["methodConfig"]


def test_no_policy_is_no_service_config() -> None:
    assert service_config(None) is None


def test_the_default_policy_retries_unavailable_alone_four_attempts_in_all() -> None:
    (everything,) = methods(RetryPolicy())
    assert everything["name"] == [{}]
    assert everything["retryPolicy"] == {
        "maxAttempts": 4,
        "initialBackoff": "0.1s",
        "maxBackoff": "1s",
        "backoffMultiplier": 2.0,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }


def test_retries_are_throttled() -> None:
    throttling = json.loads(service_config(RetryPolicy()))["retryThrottling"]
    assert 0 < throttling["maxTokens"] <= 1000
    assert throttling["tokenRatio"] > 0


@given(policies)
def test_the_config_says_what_the_policy_says(policy: RetryPolicy) -> None:
    everything, *excluded = methods(policy)
    retried = everything["retryPolicy"]
    assert retried["maxAttempts"] == policy.attempts
    assert float(retried["initialBackoff"].removesuffix("s")) == pytest.approx(
        policy.initial_backoff, rel=1e-4
    )
    assert float(retried["maxBackoff"].removesuffix("s")) == pytest.approx(policy.max_backoff, rel=1e-4)
    assert {} in everything["name"]
    assert len(excluded) == bool(policy.exclude)
    for entry in excluded:
        assert "retryPolicy" not in entry
        assert len(entry["name"]) == len(policy.exclude)


@given(policies)
def test_no_name_stands_under_both_entries(policy: RetryPolicy) -> None:
    """gRPC refuses a config that names a method twice."""
    everything, *excluded = methods(policy)
    for entry in excluded:
        assert not [name for name in entry["name"] if name in everything["name"]]


@pytest.mark.parametrize("exclude", [("a.B", "a.B"), ("a.B", "/a.B"), ("a.B/C", "/a.B/C")])
def test_a_name_given_twice_stands_in_the_config_once(exclude: tuple[str, ...]) -> None:
    assert len(methods(RetryPolicy(exclude=exclude))[1]["name"]) == 1


@pytest.mark.parametrize(
    "seconds",
    [
        0.0001,
        0.001,
        1,
        99999.5,
        0.00001,
        1e6,
        2e6,
    ],
)
def test_a_duration_is_written_in_plain_digits(seconds: float) -> None:
    """The JSON form of google.protobuf.Duration knows no exponent; grpc fails every call over it."""
    first, last = min(seconds, 0.1), max(seconds, 0.1)
    retried = methods(RetryPolicy(initial_backoff=first, max_backoff=last))[0]["retryPolicy"]
    for written, meant in ((retried["initialBackoff"], first), (retried["maxBackoff"], last)):
        assert re.fullmatch(r"[0-9]+(\.[0-9]{1,9})?s", written)
        assert float(written[:-1]) == pytest.approx(meant)


@pytest.mark.parametrize(
    ("exclude", "name"),
    [
        ("pkg.Service", {"service": "pkg.Service"}),
        ("/pkg.Service", {"service": "pkg.Service"}),
        ("Service", {"service": "Service"}),
        ("pkg.Service/Method", {"service": "pkg.Service", "method": "Method"}),
        ("/pkg.Service/Method", {"service": "pkg.Service", "method": "Method"}),
    ],
)
def test_a_name_may_be_a_service_or_a_method(exclude: str, name: dict[str, str]) -> None:
    assert methods(RetryPolicy(exclude=(exclude,)))[1] == {"name": [name]}


def test_in_an_excluded_service_a_method_declared_idempotent_is_still_retried() -> None:
    retried, excluded = methods(RetryPolicy(exclude=("Service",)), Service=("Get", "List"))
    assert retried["name"] == [
        {},
        {"service": "Service", "method": "Get"},
        {"service": "Service", "method": "List"},
    ]
    assert excluded["name"] == [{"service": "Service"}]


def test_a_method_excluded_by_name_is_not_retried_whatever_its_proto_says() -> None:
    retried, excluded = methods(RetryPolicy(exclude=("Service", "Service/Get")), Service=("Get", "List"))
    assert retried["name"] == [{}, {"service": "Service", "method": "List"}]
    assert {"service": "Service", "method": "Get"} in excluded["name"]


@pytest.mark.parametrize(
    ("options", "fix"),
    [
        ({"attempts": 1}, "for no retries write retry=None"),
        ({"attempts": 0}, "for no retries write retry=None"),
        ({"attempts": 6}, "outside 2 to 5"),
        ({"attempts": 2.5}, "whole number, not float"),
        ({"attempts": "3"}, "whole number, not str"),
        ({"attempts": True}, "whole number, not bool"),
        ({"initial_backoff": 0}, "initial_backoff is 0, which leaves no time: write seconds above 0"),
        ({"max_backoff": -1}, "write seconds above 0"),
        ({"max_backoff": math.inf}, "write seconds above 0"),
        ({"initial_backoff": "1"}, "must be a number of seconds, not str"),
        ({"initial_backoff": 2}, "max_backoff=1.0 is shorter than initial_backoff=2"),
        ({"multiplier": 0.9}, "at least 1"),
        ({"multiplier": math.nan}, "at least 1"),
        ({"multiplier": math.inf}, "at least 1"),
        ({"multiplier": "2"}, "must be a number, not str"),
        ({"multiplier": True}, "must be a number, not bool"),
        ({"exclude": "pkg.Service"}, "write exclude=('pkg.Service',)"),
        ({"exclude": ("pkg Service",)}, "'pkg.Service/Method'"),
        ({"exclude": ("pkg.Service/",)}, "'pkg.Service/Method'"),
        ({"exclude": ("a/b/c",)}, "'pkg.Service/Method'"),
        ({"exclude": ("",)}, "'pkg.Service/Method'"),
        ({"exclude": (5,)}, "'pkg.Service/Method'"),
    ],
)
def test_a_policy_that_core_would_refuse_or_bend_is_refused_with_the_fix(
    options: dict[str, object], fix: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        RetryPolicy(**options)
    assert fix in str(caught.value)
    assert "\n" not in str(caught.value)


def test_exclude_may_be_any_sequence_and_is_kept_as_a_tuple() -> None:
    assert RetryPolicy(exclude=["a.B", "a.C/D"]).exclude == ("a.B", "a.C/D")
    hash(RetryPolicy(exclude=["a.B"]))


# ---- the same decisions, for the calls that we retry ourselves


_METHODS = st.sampled_from(["a.B/C", "a.B/D", "a.E/C", "B/C", "x.Y/Z"])
_EXCLUDED = st.lists(st.sampled_from(["a.B/C", "a.B", "a.E", "B/C", "/a.B/D", "/B"]), max_size=4)


@given(_METHODS, _EXCLUDED, st.booleans())
def test_what_is_covered_is_what_core_would_retry_by_the_config(
    method: str, exclude: list[str], safe: bool
) -> None:
    policy = RetryPolicy(exclude=tuple(exclude))

    def idempotent(service: str) -> tuple[str, ...]:
        return ("C",) if safe and service == "a.B" else ()

    config = json.loads(service_config(policy, idempotent) or "")
    service, _, name = method.partition("/")
    wanted = [{"service": service, "method": name}, {"service": service}, {}]
    entries = [
        (wanted.index(given), "retryPolicy" in each)
        for each in config["methodConfig"]
        for given in each["name"]
        if given in wanted
    ]
    assert covers(policy, f"/{method}", idempotent) is min(entries)[1], "the most exact name decides"


@given(st.integers(1, 4), st.floats(0, 1))
def test_a_wait_is_spread_by_twenty_percent_and_bounded(made: int, chance: float) -> None:
    wait = backoff(RetryPolicy(initial_backoff=0.1, multiplier=2, max_backoff=0.3), made, chance)
    middle = min(0.1 * 2 ** (made - 1), 0.3)
    assert 0.8 * middle <= wait <= 1.2 * middle * (1 + 1e-9)


def test_the_throttle_holds_back_at_half_and_recovers_slowly() -> None:
    throttle = Throttle()
    assert [throttle.failed() for _ in range(500)] == [True] * 499 + [False]
    for _ in range(25):
        throttle.succeeded()
    assert [throttle.failed() for _ in range(3)] == [True, True, False]
