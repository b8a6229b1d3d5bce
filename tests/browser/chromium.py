"""Headless Chromium, and what it says about a page: the rows shown, the requests made, the complaints."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from interop.programs import ROOT, environment, unavailable
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

WIDTH, HEIGHT = 1280, 800

_FIND_SECONDS = 600  # it may have to be installed
_WAIT_SECONDS = 20
_ROUND_SECONDS = 0.02

T = TypeVar("T")


@contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """A fresh headless browser of 1280x800 pixels that records its console and its network."""
    found = subprocess.run(
        [ROOT / "scripts/chromium"], env=environment(), capture_output=True, text=True, timeout=_FIND_SECONDS
    )
    if found.returncode:
        unavailable(found.stderr.strip().rpartition("\n")[2])
    browser, driver_path = found.stdout.splitlines()[-2:]
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (
        "--headless=new",
        "--no-proxy-server",
        "--disable-dev-shm-usage",
        "--disable-extensions",
    ):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium refuses to make one for root
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # With both paths given, selenium looks for nothing and downloads nothing.
    service = Service(driver_path, env={**environment(), "SE_OFFLINE": "true"})
    driver = webdriver.Chrome(options=options, service=service)
    try:
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        yield driver
    finally:
        driver.quit()


def eventually(look: Callable[[], T], seconds: float = _WAIT_SECONDS) -> T:
    """What `look` gives as soon as it is true."""
    end = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < end, f"this did not come true within {seconds} s; last seen: {seen!r}"
        time.sleep(_ROUND_SECONDS)
    return seen


class LivePage:
    """The gateway's page as somebody sees and uses it."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self.driver = driver
        self.address = address
        self._complaints: list[str] = []
        self._urls: list[str] = []
        self._read_logs()
        self._complaints.clear()
        self._urls.clear()
        driver.get(f"http://{address}/_eas")
        eventually(lambda: self.text("#live") == "live" and self.text("#services tbody"))

    def text(self, selector: str) -> str:
        """The text that is visible there; empty where nothing is."""
        return self.driver.find_element(By.CSS_SELECTOR, selector).text

    def calls(self) -> list[dict[str, str]]:
        """The calls that are shown, newest first, by the names of the columns."""
        names = ("number", "time", "protocol", "method", "status", "ms", "in", "out", "auth", "faults")
        cells = "[...document.querySelectorAll('#calls tbody tr:not([hidden])')]"
        rows = self.driver.execute_script(f"return {cells}.map(r => [...r.cells].map(c => c.textContent))")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def switch(self, kind: str, **values: object) -> None:
        """Fills in the values of a fault, then turns its switch."""
        for name, value in values.items():
            field = self.driver.find_element(By.ID, f"fault-{kind}-{name}")
            field.clear()
            field.send_keys(str(value))
        self.driver.find_element(By.ID, f"fault-{kind}").click()

    def is_on(self, kind: str) -> bool:
        return self.driver.find_element(By.ID, f"fault-{kind}").is_selected()

    def fill(self, selector: str, text: str) -> None:
        field = self.driver.find_element(By.CSS_SELECTOR, selector)
        field.clear()
        field.send_keys(text)

    def click(self, selector: str) -> None:
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def complaints(self) -> list[str]:
        """Errors and warnings of the console so far, violations of the content security policy included."""
        self._read_logs()
        return self._complaints

    def urls(self) -> list[str]:
        """All that the page asked for so far."""
        self._read_logs()
        return self._urls

    def _read_logs(self) -> None:
        console: list[dict[str, Any]] = self.driver.get_log("browser")
        self._complaints += [entry["message"] for entry in console if entry["level"] in ("SEVERE", "WARNING")]
        for entry in self.driver.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                self._urls.append(event["params"]["request"]["url"])
