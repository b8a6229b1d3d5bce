"""Makes the picture of the live page that the documentation shows: python tests/browser/screenshot.py [FILE]."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS)]

from browser.chromium import LivePage, chromium, eventually
from browser.traffic import gateway, post, post_signed, say_hello

PICTURE = TESTS.parent / "docs/gateway-page.png"


def make_calls(address: str) -> None:
    """A few of each kind, a refused one among them."""
    for size in (12, 480, 26_000):
        say_hello(address)
        post(address, b"x" * size)
    say_hello(address, token="another-token")
    post_signed(address, b"x" * 1200)
    post(address, authorization=None)
    say_hello(address)


def main(picture: Path) -> None:
    with chromium() as driver, gateway() as address:
        page = LivePage(driver, address)
        make_calls(address)
        page.fill("#scope-calls", "1")
        page.switch("status", code="UNAVAILABLE")
        eventually(lambda: "1 left" in page.text("#active"))
        say_hello(address)
        post(address, b"x" * 96)
        eventually(lambda: "used up" in page.text("#active"))
        page.click("#end-all")
        eventually(lambda: not page.text("#active"))
        page.fill("#scope-calls", "50")
        page.switch("latency", seconds="0.2")
        eventually(lambda: "50 left" in page.text("#active"))
        say_hello(address)
        post(address, b"x" * 640)
        eventually(lambda: "2 hits, 48 left" in page.text("#active"))
        eventually(lambda: page.text("#total-flight") == "0")
        # Nothing under the pointer, the cursor in no field, no row that is still new.
        page.click("h1")
        animations = "return document.getAnimations().every(one => one.playState === 'finished')"
        eventually(lambda: driver.execute_script(animations))
        assert page.complaints() == []
        picture.write_bytes(driver.get_screenshot_as_png())
        driver.get("about:blank")
    print(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)
