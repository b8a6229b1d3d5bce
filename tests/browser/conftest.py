"""A browser and a gateway, each started once; a page of its own for every test, which may not complain."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser.chromium import LivePage, chromium, eventually
from browser.traffic import gateway
from selenium import webdriver


@pytest.fixture(scope="session")
def driver() -> Iterator[webdriver.Chrome]:
    with chromium() as driver:
        yield driver


@pytest.fixture(scope="session")
def address(driver: webdriver.Chrome) -> Iterator[str]:
    """The address of a gateway; the browser comes first, since there may be none."""
    with gateway() as address:
        yield address


@pytest.fixture
def page(driver: webdriver.Chrome, address: str) -> Iterator[LivePage]:
    """A fresh page whose console must stay silent, of a gateway that ends each test without a fault."""
    page = LivePage(driver, address)
    yield page
    if page.text("#end-all"):
        page.click("#end-all")
        eventually(lambda: not page.text("#active"))
    assert page.complaints() == []
