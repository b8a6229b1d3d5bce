"""`eas_grpc.load._html`: one page that needs nothing else and runs nothing of what a server wrote."""

import base64
import hashlib
import json
import re
import sys
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from support.load_results import empty, noisy, ramp, results, run, spread

from eas_grpc.errors import ConfigError
from eas_grpc.load._html import available, html, require
from eas_grpc.load._html_charts import charts

HOSTILE = "</script><script>window.owned=1</script>\"'><img src=x onerror=window.owned=1>\x1b[2J\u202e"


class Page(HTMLParser):
    """What a browser would make of a page: its elements, its scripts, its words."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self.words, self._inside = [], [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.words.append(data)

    def text(self):
        return " ".join(" ".join(self.words).split())

    def find(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(autouse=True)
def small_library(monkeypatch):
    """A stand-in for 5 MB of library, which the parser above would take seconds for."""
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "window.Plotly = {};")


def hostile():
    result = run(
        noisy(1, seconds=3), failed=[1, 0, 0], method=HOSTILE, address=HOSTILE, tool=HOSTILE, started=HOSTILE
    )
    result["statuses"] = {HOSTILE: 3}
    result["errors"] = [{"status": HOSTILE, "details": HOSTILE, "count": 3}]
    result["generator"] = {"cpu": 1.0, "lag_p99": None, "limit": True, "why": HOSTILE}
    return result


@settings(max_examples=30, deadline=None)
@given(results, results)
def test_any_result_becomes_a_page_alone_and_beside_any_other(small, other):
    for page in (html(small), html(small, other)):
        assert page.startswith("<!doctype html>")
        assert len(Page(page).scripts) == 3


@settings(max_examples=50, deadline=None)
@given(results, results)
def test_charts_hold_numbers_that_json_has_and_words_of_ours_alone(result, other):
    drawn = json.dumps(charts(result, other), allow_nan=False)
    for words in (result["method"], result["address"], *result["statuses"]):
        assert len(words) < 12 or words not in drawn


def test_the_figures_of_the_run_are_in_the_tables():
    result = run(noisy(1, seconds=3), failed=[0, 7, 0], service_time=spread([0.001]), gap=spread([0.0123]))
    text = Page(html(result)).text()
    assert f"{result['calls']['finished']:,}" in text
    assert "12.3 ms" in text
    assert text.count("The figures as a table") == 3
    for window in result["timeline"]:
        assert f"{window['started']:,} {window['ok']:,} {window['failed']}" in text


def test_the_title_names_the_method_and_the_address():
    page = html(run([[0.004]]))
    assert "<title>Load: helloworld.GreeterService/SayHello on 127.0.0.1:50080</title>" in page


def test_what_a_server_wrote_is_shown_and_never_run():
    page = Page(html(hostile(), hostile()))
    assert len(page.scripts) == 3
    assert page.find("img") == []
    assert "<script>window.owned=1</script>" in page.text()
    assert not any("owned" in script for script in page.scripts)
    assert not any("owned" in value for _, attrs in page.elements for value in attrs.values() if value)


def test_control_characters_are_shown_as_escapes():
    page = html(hostile())
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "\\x1b[2J\\u202e" in page


def test_the_policy_forbids_every_connection_and_names_each_script():
    page = html(ramp(), ramp(2))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    assert rules["default-src"] == ["'none'"]
    assert set(rules) == {"default-src", "script-src", "style-src", "img-src", "base-uri", "form-action"}
    _, *run_ones = Page(page).scripts
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in run_ones]
    assert rules["script-src"] == [f"'sha256-{one}'" for one in hashes]


def test_nothing_in_the_page_points_elsewhere():
    page = Page(html(ramp(), ramp(2)))
    for name, attrs in page.elements:
        assert name not in {"iframe", "object", "embed", "base", "a", "img", "form"}
        assert "src" not in attrs
        assert attrs.get("href", "data:,").startswith("data:")
        assert not any(attribute.startswith("on") for attribute in attrs)


def test_each_chart_has_a_table_of_the_same_figures_and_a_name():
    page = Page(html(ramp(), ramp(2)))
    drawn = [attrs for attrs in page.find("div") if attrs.get("class") == "chart"]
    assert [attrs["id"] for attrs in drawn] == ["percentiles", "histogram", "timeline", "ramp"]
    assert set(json.loads(page.scripts[0])) == {attrs["id"] for attrs in drawn}
    assert all(attrs["role"] == "img" and "table below" in attrs["aria-label"] for attrs in drawn)
    assert len(page.find("details")) == len(drawn)


def test_a_run_without_calls_has_no_chart_and_says_why():
    page = Page(html(empty()))
    assert json.loads(page.scripts[0]) == {}
    assert "No call was answered" in page.text()


def test_an_old_run_is_drawn_and_judged():
    old, new = run(noisy(1)), run(noisy(2, median=0.008, calls=400))
    text = Page(html(new, old)).text()
    assert "Against the old run" in text
    assert "worse" in text
    names = [trace["name"] for chart in charts(new, old).values() for trace in chart["data"]]
    assert {"latency, old run", "old run", "rate, old run", "p99, old run"} <= set(names)


def test_runs_that_are_not_alike_are_not_judged():
    text = Page(html(run(noisy(1)), ramp())).text()
    assert "These runs are not alike, so nothing is judged: the load was open loop, a ramp of 4 steps" in text
    assert "worse" not in text


def test_percentiles_stand_where_the_tail_axis_has_them():
    result = run(noisy(1, seconds=15))
    traces = charts(result)["percentiles"]["data"]
    marks = dict(zip(map(round, traces[1]["x"]), traces[1]["y"], strict=True))
    for key, at in (("p50", 2), ("p90", 10), ("p99", 100), ("p99.9", 1000), ("p99.99", 10_000)):
        assert marks[at] == result["latency"][key]
    curve = traces[0]
    assert curve["x"] == sorted(curve["x"])
    assert curve["y"] == sorted(curve["y"])
    nearest = min(range(len(curve["x"])), key=lambda index: abs(curve["x"][index] - 100))
    assert curve["y"][nearest] == pytest.approx(result["latency"]["p99"], rel=0.05)


def test_bars_of_both_runs_have_the_same_ends():
    ours, theirs = charts(run(noisy(1)), run(noisy(2, stalls=0.5)))["histogram"]["data"]
    assert set(ours["x"]) & set(theirs["x"])
    assert sum(ours["y"]) == pytest.approx(1)
    assert sum(theirs["y"]) == pytest.approx(1)


def test_without_plotly_a_sentence_says_what_to_install(monkeypatch):
    assert available()
    require()
    monkeypatch.setattr("eas_grpc.load._html.find_spec", lambda name: None)
    assert not available()
    for refused in (require, lambda: html(empty())):
        with pytest.raises(ConfigError, match=r"pip install 'eas-grpc\[report\]'"):
            refused()


def test_asking_whether_plotly_is_there_does_not_load_it():
    import subprocess

    ask = "import sys; from eas_grpc.load._html import require; require(); sys.exit('plotly' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", ask], timeout=60).returncode == 0


def test_the_library_is_in_the_file(monkeypatch):
    monkeypatch.undo()
    page = html(run([[0.004]]))
    assert "plotly.js v" in page
    assert len(page) > 1_000_000


def test_ticks_of_a_wide_axis_are_round_durations_with_their_unit():
    result = run([[0.0007, 0.003, 0.03] * 30])
    axis = charts(result)["percentiles"]["layout"]["yaxis"]
    assert axis["type"] == "log"
    ticks = dict(zip(axis["ticktext"], axis["tickvals"], strict=True))
    assert ticks["500 us"] == pytest.approx(0.0005)
    assert ticks["2 ms"] == pytest.approx(0.002)
    assert ticks["50 ms"] == pytest.approx(0.05)
    assert charts(run([[0.004, 0.005] * 9]))["percentiles"]["layout"]["yaxis"]["type"] == "linear"
