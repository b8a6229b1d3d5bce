"""A gateway in a process of its own, and how the tests talk to its admin interface."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import requests
from interop.programs import TOKEN, serving


def gateway_with(*flags: object) -> AbstractContextManager[str]:
    command = (sys.executable, "-m", "eas_grpc.cli", "serve", "--port", "0", "--token", TOKEN)
    return serving(*command, *flags)


@contextmanager
def fault(address: str, text: str) -> Iterator[None]:
    api = f"http://{address}/_eas/api/faults"
    with session() as client:
        client.headers["Content-Type"] = "application/json"
        number = client.post(api, json={"fault": text}, timeout=10).json()["id"]
        try:
            yield
        finally:
            client.delete(f"{api}/{number}", timeout=10)


def session() -> requests.Session:
    made = requests.Session()
    # No proxy of the machine's.
    made.trust_env = False
    return made


def last_call(address: str) -> dict[str, object]:
    with session() as client:
        return client.get(f"http://{address}/_eas/api/calls?after=0", timeout=10).json()["calls"][-1]
