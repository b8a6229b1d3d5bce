"""`eas_grpc.load._report_csv`: the run as a table for other programs."""

import csv as reader
import io
import locale

from hypothesis import given
from support.load_results import empty, noisy, ramp, results, run

from eas_grpc.load._report_csv import COLUMNS, csv

# Scripts read columns by these names: a name is never changed, new ones are added at the end.
HEADER = (
    "row,number,at,seconds,concurrency,rate_asked,rate_done,started,ok,failed,in_flight,"
    "mean,p50,p90,p95,p99,p99.9,p99.99,max"
)


def read(text):
    return list(reader.DictReader(io.StringIO(text), strict=True))


@given(results)
def test_any_result_is_well_formed_and_holds_numbers_only(result):
    rows = read(csv(result))
    assert len(rows) == 1 + len(result["steps"]) + len(result["timeline"])
    for row in rows:
        assert None not in row
        assert row["row"] in {"total", "step", "window"}
        for name, cell in row.items():
            assert name == "row" or cell == "" or (float(cell) >= 0 and "e" not in cell)


def test_the_header_stays_what_it_is_and_every_column_is_explained():
    assert csv(empty()).splitlines()[0] == HEADER
    assert ",".join(COLUMNS) == HEADER
    assert all(COLUMNS.values())


def test_numbers_are_those_of_the_result_to_the_last_digit():
    result = run(noisy(1, seconds=3), failed=[0, 2, 0])
    total, *windows = read(csv(result))
    assert float(total["p99.9"]) == result["latency"]["p99.9"]
    assert (total["concurrency"], total["rate_asked"], total["failed"]) == ("32", "", "2")
    assert [float(row["p99"]) for row in windows] == [window["p99"] for window in result["timeline"]]
    assert [int(row["ok"]) for row in windows] == [window["ok"] for window in result["timeline"]]
    assert [row["number"] for row in windows] == ["1", "2", "3"]


def test_steps_of_a_ramp_come_before_the_windows():
    rows = read(csv(ramp()))
    assert [row["row"] for row in rows] == ["total", *["step"] * 4, *["window"] * 8]
    assert [row["rate_asked"] for row in rows[1:5]] == ["200.0", "400.0", "800.0", "1600.0"]


def test_a_window_without_calls_has_empty_cells():
    window = read(csv(run([[]])))[1]
    assert (window["p50"], window["max"], window["started"], window["rate_done"]) == ("", "", "0", "0.0")


def test_a_locale_with_decimal_commas_changes_nothing(monkeypatch):
    result = run(noisy(1, seconds=2))
    before = csv(result)
    comma = {**locale.localeconv(), "decimal_point": ",", "thousands_sep": "."}
    monkeypatch.setattr(locale, "localeconv", lambda: comma)
    assert csv(result) == before
