"""The HTML report of a load run, as a browser without a network shows it."""

from __future__ import annotations

import json
import re

import pytest
from browser.chromium import HEIGHT, WIDTH, eventually
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.by import By
from support.load_results import noisy, ramp, run, spread

from eas_grpc.load._html import html

HOSTILE = "</script><script>window.owned=1</script>\"'><img src=x onerror=window.owned=1>"


# The middle of what can be seen of an element: a bar on a logarithmic axis begins far below the chart.
_MIDDLE = """
const [chart, selector, number] = arguments;
const plot = document.querySelector(chart + " .nsewdrag");
plot.scrollIntoView({block: "center"});
const frame = document.querySelector(chart + " .main-svg").getBoundingClientRect();
const box = document.querySelectorAll(selector)[number].getBoundingClientRect();
const bottom = Math.min(box.bottom, chart === "#histogram" ? plot.getBoundingClientRect().bottom : frame.bottom);
return [Math.round((box.left + box.right) / 2), Math.round((Math.max(box.top, frame.top) + bottom) / 2)];
"""


class Report:
    """A report that is open in a browser which has no network."""

    def __init__(self, driver, folder) -> None:
        self.driver, self._path = driver, folder / "report.html"

    def show(self, result, old=None) -> None:
        self._path.write_text(html(result, old), encoding="utf-8")
        self.logs()
        self.driver.get(self.address)
        eventually(lambda: self.script("return document.documentElement.dataset.drawn === 'yes'"))

    @property
    def address(self) -> str:
        return self._path.as_uri()

    def script(self, text, *args):
        return self.driver.execute_script(text, *args)

    def count(self, selector: str) -> int:
        """How many elements there are that somebody can see."""
        shown = "[...document.querySelectorAll(arguments[0])].filter(e => e.getBoundingClientRect().width > 0).length"
        return self.script(f"return {shown}", selector)

    def colour(self, selector: str, name: str) -> str:
        look = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
        return self.script(look, selector, name)

    def look(self, scheme: str, width: int = WIDTH, height: int = HEIGHT) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def hover(self, selector: str, number: int = 0) -> str:
        """What is said at an element that the pointer is over."""
        chart = selector.split(maxsplit=1)[0]
        x, y = self.script(_MIDDLE, chart, selector, number)
        pointer = ActionBuilder(self.driver)
        pointer.pointer_action.move_to_location(x, y)
        pointer.perform()
        words = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent).join(' ')"
        return eventually(lambda: self.script(words, f"{chart} .hoverlayer text"))

    def logs(self) -> tuple[list[str], list[str]]:
        """Complaints of the console, and addresses that were asked for, since the last look."""
        complaints = [entry["message"] for entry in self.driver.get_log("browser")]
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return complaints, asked


@pytest.fixture
def report(driver, tmp_path):
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    report = Report(driver, tmp_path)
    yield report
    report.look("light")
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    driver.get("about:blank")
    online = offline | {"offline": False, "downloadThroughput": -1, "uploadThroughput": -1}
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", online)
    report.logs()


def hostile():
    result = run(noisy(1), failed=[1] * 10, method=HOSTILE, address=HOSTILE, tool=HOSTILE)
    return result | {
        "statuses": {HOSTILE: 10},
        "errors": [{"status": HOSTILE, "details": HOSTILE, "count": 10}],
    }


def test_the_page_asks_for_nothing_and_complains_of_nothing(report):
    report.show(ramp(), ramp(2))
    complaints, asked = report.logs()
    assert complaints == []
    assert [address for address in asked if not address.startswith("data:")] == [report.address]
    assert report.driver.title == "Load: helloworld.GreeterService/SayHello on 127.0.0.1:50080"


def test_every_chart_is_drawn_with_all_its_points(report):
    result = ramp()
    report.show(result)
    assert report.count(".chart svg.main-svg") >= 4
    assert report.count("#timeline .barlayer .point path") == len(result["timeline"])
    assert report.count("#timeline .scatterlayer .point") == 3 * len(result["timeline"])
    assert report.count("#ramp .scatterlayer .point") == 3 * len(result["steps"])
    # 6,113 calls: every percentile but 99.99 has calls behind it.
    assert report.count("#percentiles .scatterlayer .point") == 5
    assert report.count("#percentiles .scatterlayer .js-line") == 1
    assert report.count("#histogram .barlayer .point path") > 10
    ticks = "return [...document.querySelectorAll('#percentiles .xtick text')].map(e => e.textContent)"
    assert report.script(ticks) == ["50 %", "90 %", "99 %", "99.9 %"]


def test_an_old_run_is_drawn_beside_the_new_one(report):
    report.show(run(noisy(1)), run(noisy(2)))
    assert report.count("#percentiles .scatterlayer .js-line") == 2
    assert "old run" in report.driver.find_element(By.CSS_SELECTOR, "#histogram .legend").text
    assert report.count(".verdict") == 9


def test_the_pointer_shows_the_figures(report):
    windows = noisy(1, seconds=5)
    result = run(windows, failed=[0, 9, 0, 0, 0], service_time=spread([0.001, 0.0011]))
    report.show(result)
    p99 = f"{result['latency']['p99'] * 1000:.3g}"
    assert re.search(rf"99 %: {p99}ms", report.hover("#percentiles .scatterlayer .point", 3))
    assert re.search(r"\d calls?, \d", report.hover("#histogram .barlayer .point path", 8))
    said = report.hover("#timeline .barlayer .point path", 1)
    assert f"{result['timeline'][1]['ok']}/s" in said
    assert "9/s" in said


def test_the_pointer_shows_the_step_of_a_ramp(report):
    result = ramp()
    report.show(result)
    assert "asked 400/s" in report.hover("#ramp .scatterlayer .point", 1)


def test_what_a_server_wrote_is_shown_and_not_run(report):
    report.show(hostile(), hostile())
    assert report.script("return window.owned") is None
    assert report.count("main img") == 0
    assert HOSTILE in report.driver.find_element(By.TAG_NAME, "h1").text
    assert HOSTILE in report.driver.find_element(By.CSS_SELECTOR, "main").text
    assert report.logs()[0] == []


def test_a_script_that_got_in_could_neither_run_nor_connect(report):
    report.show(run([[0.004] * 50] * 3))
    report.script(
        "window.broken = []; addEventListener('securitypolicyviolation', e => broken.push(e.effectiveDirective));"
        "const made = document.createElement('script'); made.textContent = 'window.owned = 1'; document.body.append(made);"
        "fetch('http://127.0.0.1:1/').catch(() => {});"
        "const image = new Image(); image.src = 'http://127.0.0.1:1/x.png'; document.body.append(image);"
    )
    broken = eventually(lambda: len(found := set(report.script("return broken"))) == 3 and found)
    assert broken == {"script-src-elem", "connect-src", "img-src"}
    assert report.script("return window.owned") is None


def test_a_picture_of_a_chart_can_be_saved(report):
    report.show(run([[0.004, 0.005] * 50] * 3))
    made = report.driver.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "Plotly.toImage(document.getElementById('timeline'), {format: 'png'}).then(done, e => done(String(e)))"
    )
    assert made.startswith("data:image/png;base64,")
    assert report.logs()[0] == []


def test_light_and_dark_both_have_contrast_and_change_while_it_is_open(report):
    report.look("light")
    report.show(run(noisy(1, seconds=3)))
    seen = {}
    for scheme in ("light", "dark", "light"):
        report.look(scheme)
        page = report.colour("body", "backgroundColor")
        eventually(lambda: report.colour("#timeline .xtick text", "fill") == report.colour("body", "color"))
        assert contrast(report.colour("section", "backgroundColor"), report.colour("body", "color")) > 7
        assert (
            contrast(report.colour("section", "backgroundColor"), report.colour("figcaption", "color")) > 4.5
        )
        assert seen.setdefault(scheme, page) == page
    assert seen["light"] != seen["dark"]


def contrast(one: str, other: str) -> float:
    """The contrast of two colours as WCAG 2 defines it; 4.5 is enough to read text."""

    def luminance(colour: str) -> float:
        parts = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_a_phone_shows_it_without_scrolling_sideways(report):
    report.look("light", width=390, height=844)
    report.show(hostile(), ramp())
    assert report.script("return document.documentElement.scrollWidth") <= 390
    narrow = "return [...document.querySelectorAll('.chart')].map(e => e.querySelector('svg').getBoundingClientRect())"
    for box in report.script(narrow):
        assert box["left"] >= 0
        assert box["right"] <= 390
        assert box["width"] > 300


def test_the_tables_open_without_a_pointer(report):
    result = run(noisy(1, seconds=4))
    report.show(result)
    assert "in flight" not in report.driver.find_element(By.CSS_SELECTOR, "details").text
    for summary in report.driver.find_elements(By.TAG_NAME, "summary"):
        summary.send_keys("\n")
    shown = report.driver.find_element(By.CSS_SELECTOR, "main").text
    for window in result["timeline"]:
        assert f"{window['started']:,} {window['ok']:,} 0" in shown
