"""`eas_grpc.load._compare`: what is a change, what is noise, and what nobody can tell."""

import re

import pytest
from hypothesis import given, settings
from support.load_results import PLAN, empty, noisy, ramp, results, run, spread

from eas_grpc.errors import ConfigError
from eas_grpc.load import _report_words as words
from eas_grpc.load._compare import compare, judge, regressed

OPEN = PLAN | {"mode": "open", "concurrency": None, "rate": 800.0}


def verdicts(old, new):
    return {line.name: line.verdict for line in judge(old, new).lines}


def why(old, new, name):
    return next(line.why for line in judge(old, new).lines if line.name == name)


@settings(max_examples=50, deadline=None)
@given(results, results)
def test_any_two_results_can_be_compared(old, new):
    report = compare(old, new)
    assert all(line.isprintable() for line in report.splitlines())
    if judge(old, new).unlike:
        with pytest.raises(ConfigError):
            regressed(old, new)


def test_a_run_compared_with_itself_is_the_same_in_everything():
    result = run(noisy(1, calls=1500), failed=[3] * 10)
    assert set(verdicts(result, result).values()) <= {"same", "unclear", "not judged"}
    assert verdicts(result, result)["p99"] == "same"
    assert not regressed(result, result)


@pytest.mark.parametrize("seconds", [5, 10, 30])
def test_a_fifth_slower_is_worse_and_the_other_way_round_better(seconds):
    old = run(noisy(1, seconds=seconds, drift=0.02))
    new = run(noisy(2, seconds=seconds, drift=0.02, median=0.0048, calls=667))
    for name in ("rate", "p50", "p90", "p95", "p99"):
        assert verdicts(old, new)[name] == "worse"
        assert verdicts(new, old)[name] == "better"
    assert regressed(old, new)
    assert not regressed(new, old)


@pytest.mark.parametrize("stalls", [0.0, 0.1])
@pytest.mark.parametrize("drift", [0.02, 0.1])
def test_two_runs_of_one_service_are_hardly_ever_called_worse(stalls, drift):
    # Of 1 % that chance allows each line, 12 pairs may have one; a rule without noise calls half of them worse.
    pairs = (
        (run(noisy(seed, drift=drift, stalls=stalls)), run(noisy(seed + 1000, drift=drift, stalls=stalls)))
        for seed in range(12)
    )
    assert sum(regressed(old, new) for old, new in pairs) <= 1


def test_a_few_percent_are_the_same_however_sure():
    old, new = run([[0.0040] * 1000] * 20), run([[0.0041] * 1000] * 20)
    assert verdicts(old, new)["p50"] == "same"


def test_one_window_that_stalls_is_unclear_and_ten_are_worse():
    quiet = run(noisy(1, seconds=20))
    once, often = noisy(2, seconds=20), noisy(2, seconds=20)
    for windows, stalled in ((once, [7]), (often, range(0, 20, 2))):
        for number in stalled:
            windows[number][:80] = [0.9] * 80
    once_more = run(once)
    assert once_more["latency"]["p99.9"] > 0.8
    assert verdicts(quiet, once_more)["p99.9"] == "unclear"
    assert "a few windows decide it" in why(quiet, once_more, "p99.9")
    assert verdicts(quiet, run(often))["p99"] == "worse"


def test_failures_that_are_new_are_worse_even_in_one_window():
    old, new = run(noisy(1)), run(noisy(2), failed=[0] * 9 + [300])
    assert verdicts(old, new)["failures"] == "worse"
    # That a burst did not come again proves nothing; a share that was in all windows and is gone does.
    assert verdicts(new, old)["failures"] == "same"
    assert verdicts(run(noisy(2), failed=[30] * 10), old)["failures"] == "better"
    assert regressed(old, new)


def test_failures_that_come_in_bursts_in_both_runs_are_the_same():
    old, new = (
        run(noisy(1), failed=[0, 200, 0, 0, 90, 0, 0, 0, 0, 0]),
        run(noisy(2), failed=[0] * 8 + [380, 0]),
    )
    assert verdicts(old, new)["failures"] == "same"


def test_a_handful_of_failures_among_thousands_is_noise():
    assert verdicts(run(noisy(1)), run(noisy(2), failed=[1, 0, 1] + [0] * 7))["failures"] == "same"


def test_quicker_calls_are_no_progress_where_more_of_them_failed():
    old, new = run(noisy(1)), run(noisy(2, median=0.001, calls=3000), failed=[2000] * 10)
    found = verdicts(old, new)
    assert found["failures"] == "worse"
    assert (found["rate"], found["p50"]) == ("unclear", "unclear")
    assert "more calls failed" in why(old, new, "p50")


def test_the_limit_of_the_generator_is_not_held_against_the_service():
    limited = {"cpu": 1.0, "lag_p99": None, "limit": True, "why": "busy"}
    fast = run(noisy(1, drift=0.02))
    slow = run(noisy(2, drift=0.02, median=0.008, calls=400), generator=limited)
    assert verdicts(fast, slow)["p50"] == "unclear"
    assert "the generator was the limit of the new run" in why(fast, slow, "p50")
    assert not regressed(fast, slow)
    assert verdicts(slow, fast)["p50"] == "unclear"
    # Where the old run could have been quicker still, a slower new one is worse all the more.
    assert verdicts(fast | {"generator": limited}, slow | {"generator": fast["generator"]})["p50"] == "worse"


def test_percentiles_that_too_few_calls_stand_behind_are_unclear():
    old, new = run(noisy(1)), run(noisy(2, median=0.04))
    assert verdicts(old, new)["p99.99"] == "unclear"
    assert "100,000 calls" in why(old, new, "p99.99")


def test_without_windows_noise_is_not_known():
    old, new = (run(noisy(seed, seconds=4)) for seed in (1, 2))
    assert verdicts(old, new)["p50"] == "unclear"
    assert "5 windows" in why(old, new, "rate")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"method": "a.B/Other"}, "the method was helloworld.GreeterService/SayHello and is a.B/Other"),
        ({"shape": "unary_stream"}, "the shape was unary_unary and is unary_stream"),
        ({"plan": PLAN | {"concurrency": 64}}, "closed loop, 32 callers and is closed loop, 64 callers"),
        ({"plan": OPEN}, "the load was closed loop, 32 callers and is open loop, 800/s"),
        ({"plan": PLAN | {"processes": 2}}, "there were 1 processes and are 2"),
        ({"plan": PLAN | {"channels": 4}}, "there were 1 channels and are 4"),
    ],
)
def test_other_methods_and_other_plans_are_shown_and_not_judged(changed, words):
    old, new = run(noisy(1)), run(noisy(2, median=0.4), **changed)
    report = " ".join(compare(old, new).split())
    assert "These runs are not alike, so nothing is judged" in report
    assert words in report
    assert set(verdicts(old, new).values()) == {"not judged"}
    with pytest.raises(ConfigError, match="cannot be judged"):
        regressed(old, new)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"address": "10.0.0.1:80"}, "The address was 127.0.0.1:50080 and is 10.0.0.1:80."),
        ({"tool": "eas-grpc 9"}, "The old run was made by eas-grpc 0.1, the new one by eas-grpc 9."),
        ({"interrupted": True}, "The new run was interrupted."),
        ({"plan": PLAN | {"retry": True}}, "Only one of the runs retried calls."),
    ],
)
def test_what_may_differ_is_said_and_still_judged(changed, words):
    old, new = run(noisy(1)), run(noisy(2), **changed)
    assert words in compare(old, new)
    assert verdicts(old, new)["p50"] == "same"


def test_a_ramp_is_not_its_own_noise():
    old, new = ramp(1), ramp(3)
    slower = ramp(3)
    levels = [median for median in (0.002, 0.004, 0.008, 0.016) for _ in range(3)]
    for result, factor in ((old, 1.0), (new, 1.01), (slower, 1.5)):
        windows = [noisy(n, median=m * factor, seconds=1, drift=0.02)[0] for n, m in enumerate(levels)]
        made = run(windows)
        result |= {key: made[key] for key in ("timeline", "latency", "calls", "seconds", "rate", "histogram")}
        for step in result["steps"]:
            step["seconds"] = 3.0
    assert verdicts(old, new)["p50"] == "same"
    assert verdicts(old, slower)["p50"] == "worse"


def test_steps_of_two_ramps_stand_side_by_side():
    report = compare(ramp(1), ramp(2))
    table = report[report.index("  step ") :].splitlines()
    assert re.split(" {2,}", table[0].strip()) == [
        "step",
        "old",
        "new",
        "old p50",
        "new p50",
        "old p99",
        "new p99",
    ]
    assert [line.split()[0] for line in table[1:5]] == ["200/s", "400/s", "800/s", "1,600/s"]


def test_first_messages_and_gaps_are_shown():
    old = run(noisy(1), first_message=spread([0.001]), gap=spread([0.010]))
    new = run(noisy(2), first_message=spread([0.002]), gap=spread([0.010]))
    assert "first message p50  1.00 ms  2.00 ms  +100.0 %" in compare(old, new)
    assert verdicts(old, new)["gap p99"] == "not judged"


def test_a_run_that_completed_nothing_is_unclear():
    assert set(verdicts(run(noisy(1)), empty()).values()) <= {"unclear", "not judged"}
    assert "completed no calls" in compare(run(noisy(1)), empty())


def test_the_comparison_fits_a_terminal_and_says_its_rule():
    for pair in ((run(noisy(1)), run(noisy(2))), (ramp(1), ramp(2)), (run(noisy(1)), ramp(2))):
        assert all(words.columns(line) <= 80 for line in compare(*pair).splitlines())
    assert "A figure is better or worse when" in compare(run(noisy(1)), run(noisy(2)))


def test_the_same_two_files_get_the_same_verdict_every_time():
    old, new = run(noisy(1, stalls=0.2)), run(noisy(2, stalls=0.2))
    assert compare(old, new) == compare(old, new)


def test_a_reason_that_several_figures_share_is_said_once():
    report = " ".join(compare(run(noisy(1, seconds=4)), run(noisy(2, seconds=4))).split())
    assert report.count("its noise is not known") == 1
    assert "rate, p50, p90, p95, p99: each run needs 5 windows" in report
