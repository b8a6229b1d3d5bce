"""`eas_grpc.load._report_text`: what a terminal shows of a run."""

import math
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.load_results import PLAN, empty, noisy, ramp, results, run, spread

from eas_grpc.load import _report_words as words
from eas_grpc.load._report_bars import bars
from eas_grpc.load._report_text import text

HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\n\u202egnp.exe</script>"


def line_of(report, start):
    return next(line for line in report.splitlines() if line.startswith(start))


def rows_of(report):
    """The latency table, by the name of its row."""
    return {
        cells[0]: cells[1:] for cells in (re.split(" {2,}", line.strip()) for line in report.splitlines())
    }


@given(results)
def test_any_result_is_shown_in_80_printable_columns(result):
    report = text(result)
    assert report.endswith("\n")
    for line in report.splitlines():
        assert words.columns(line) <= 80
        assert line.isprintable()


def test_the_counts_and_the_rate_are_those_of_the_result():
    report = text(run([[0.004] * 1000, [0.004] * 1234], failed=[0, 34]))
    assert line_of(report, "calls") == "calls       2,234 calls in 2.00 s, 2,200 ok, 34 failed (1.5 %)"
    assert line_of(report, "rate") == "rate        1,117/s"
    assert line_of(report, "statuses") == "statuses    OK 2,200, UNAVAILABLE 34"
    assert "34 x UNAVAILABLE: the service is away" in report


def test_a_run_without_a_single_call_says_so():
    report = text(empty())
    assert "0 calls in 10.0 s" in report
    assert "no call was answered" in report
    assert "p99" not in report


def test_every_percentile_is_shown_with_its_own_unit():
    figures = spread([0.001]) | {"p50": 0.0000123, "p99": 0.00456, "p99.9": 1.234, "max": 61.5}
    rows = rows_of(text(empty(latency=figures, service_time=figures)))
    assert [rows[name][0] for name in ("p50", "p99", "p99.9", "max")] == [
        "12.3 us", "4.56 ms", "1.23 s", "61.5 s",
    ]  # fmt: skip


def test_service_time_stands_beside_latency_only_where_they_differ():
    same = run([[0.004, 0.005]])
    assert "service time" not in text(same)
    assert "service time" in text(same | {"service_time": spread([0.001, 0.002])})


def test_an_open_loop_says_from_when_latency_counts_and_what_was_asked():
    report = text(
        run([[0.004]], plan=PLAN | {"mode": "open", "rate": 500.0}, rate={"asked": 500.0, "done": 498.2})
    )
    assert "open loop, 500/s" in report
    assert line_of(report, "rate") == "rate        498/s, asked 500/s"
    assert "Latency counts from the time when a call was due" in report
    assert "was due" not in text(run([[0.004]]))


def test_streams_have_columns_for_the_first_message_and_the_gap():
    report = text(run([[0.4]], first_message=spread([0.003]), gap=spread([0.010, 0.020])))
    assert "first message" in report
    assert rows_of(report)["max"] == ["400 ms", "3.00 ms", "20.0 ms"]
    assert "Gap is the time between two messages" in report


def test_percentiles_that_too_few_calls_stand_behind_are_named():
    assert "p99.9, p99.99: of 800 calls that is the slowest." in text(run([[0.004] * 800]))
    assert "that is the slowest" not in text(empty(latency=spread([0.004]) | {"count": 10_000}))


def test_the_limit_of_the_generator_is_a_sentence():
    generator = {"cpu": 0.97, "lag_p99": 0.03, "limit": True, "why": "its event loop used 0.97 of a core"}
    report = text(run([[0.004]], generator=generator))
    assert "The generator was the limit: its event loop used 0.97 of a core." in report
    assert "The generator was not the limit: it used 0.62 of a core." in text(run([[0.004]]))


def test_what_is_not_in_the_figures_is_counted():
    calls = empty()["calls"] | {"warmup": 1234, "not_started": 5, "in_flight_at_end": 1}
    report = " ".join(text(empty(calls=calls)).split())
    assert (
        "Not in these figures: 1,234 calls of the warm-up, 5 calls that were due and never started" in report
    )
    assert "1 call given up while still under way." in report
    assert "Not in these figures" not in text(empty())


@pytest.mark.parametrize(
    ("reached", "said"),
    [
        (12.0, "The figures held still after 12.0 s."),
        (True, "The figures held still."),
        (None, "The run ended before its figures held still."),
        (False, "The run ended before its figures held still."),
    ],
)
def test_a_run_until_stable_says_whether_it_became_so(reached, said):
    assert said in text(empty(stable={"asked": True, "reached": reached, "windows": []}))


def test_an_interrupted_run_says_so():
    assert "interrupted" in text(empty(interrupted=True))
    assert "interrupted" not in text(empty(interrupted=False))


def test_the_steps_of_a_ramp_are_a_table():
    report = text(ramp())
    table = report[report.index("  step ") :].splitlines()
    assert table[0].split() == ["step", "asked", "done", "failed", "p50", "p99", "max"]
    assert [line.split()[1] for line in table[1:5]] == ["200/s", "400/s", "800/s", "1,600/s"]


def test_a_step_in_which_the_generator_was_the_limit_is_named():
    result = ramp()
    result["steps"][2]["generator"]["limit"] = True
    assert "The generator was the limit in step 3." in text(result)


def test_what_a_server_writes_into_its_errors_moves_no_cursor():
    result = run([[0.004]], errors=[{"status": "INTERNAL", "details": HOSTILE, "count": 3}])
    report = text(result)
    assert "\x1b" not in report
    assert "\u202e" not in report
    assert "3 x INTERNAL: \\x1b]0;owned\\x07\\x1b[2J \\u202egnp.exe</script>" in report


def test_many_kinds_of_errors_are_counted_and_long_ones_cut():
    errors = [
        {"status": "INTERNAL", "details": f"{number} " + "x " * 2500, "count": number}
        for number in range(1, 16)
    ]
    report = text(run([[0.004]], errors=errors))
    assert "  15 x INTERNAL: 15 " in report
    assert "and 5 more kinds" in report
    assert len(report) < 8000


def test_the_histogram_counts_every_call():
    result = run(noisy(3, stalls=0.2))
    shown = bars(result["histogram"], 12)
    assert sum(bar.count for bar in shown) == result["calls"]["finished"]
    assert len(shown) == 12
    for bar in shown:
        assert f"{bar.count:,}" in text(result)


@given(st.lists(st.tuples(st.floats(0, 1e15), st.integers(0, 10**15)), max_size=30), st.integers(1, 60))
def test_bars_hold_all_calls_and_lie_side_by_side(buckets, most):
    shown = bars(buckets, most)
    assert sum(bar.count for bar in shown) == sum(number for _, number in buckets)
    assert len(shown) <= most
    for one, other in pairwise(shown):
        assert one.low <= one.high == other.low


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "-"), (0, "0 us"), (3e-9, "3.00 ns"), (8.123e-4, "812 us"), (0.0009996, "1.00 ms"),
        (0.00124, "1.24 ms"), (0.0999, "99.9 ms"), (0.9996, "1.00 s"), (12.34, "12.3 s"), (4000, "4,000 s"),
    ],
)  # fmt: skip
def test_a_duration_has_three_digits_and_the_unit_that_fits(seconds, shown):
    assert words.duration(seconds) == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.00047, "0.047 %"),
        (1e-7, "<0.01 %"),
        (0.9999999, ">99.9 %"),
        (0.25, "25.0 %"),
    ],
)
def test_a_share_is_nothing_or_all_only_when_it_is(share, shown):
    assert words.percent(share) == shown


@given(st.text(), st.integers(4, 100))
def test_cut_text_is_no_wider_than_its_room(given_text, room):
    assert words.columns(words.cut(words.printable(given_text), room)) <= room


@given(st.text(st.characters(codec="utf-8", categories=("L", "Nd", "Zs"))), st.integers(10, 90))
def test_wrapped_text_loses_nothing_but_spaces(given_text, room):
    lines = words.wrap(words.printable(given_text), room)
    assert "".join("".join(lines).split()) == "".join(words.printable(given_text).split())
    assert all(words.columns(line) <= room for line in lines)


@given(st.floats(1e-9, 99_000))
def test_a_duration_reads_back_to_half_a_percent(seconds):
    number, unit = words.duration(seconds).split(" ")
    scale = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}[unit]
    assert math.isclose(float(number.replace(",", "")) * scale, seconds, rel_tol=0.0051)
