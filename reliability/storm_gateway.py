"""Our loopback gateway in a process of its own, with faults and settings to change from outside."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from reliability.child import ROOT, Child, clean_environment, hear, say
from reliability.server import TOKEN
from server_demo.gateway import Gateway, GatewayOptions, Request, Response, Service

__all__ = ["NAME", "Front", "ServeCommand", "fronting", "serve_command"]

NAME = "ledger"


class Front(Child):
    """A running gateway; the service behind it is called `ledger`."""

    address: str

    def begin(self, fault: str) -> None:
        """Puts a fault on, as text: `latency:seconds=0.1`."""
        self._order(fault=fault)

    def configure(self, **settings: Any) -> None:
        """Changes settings of the service, as `server_demo.gateway.Service` names them."""
        self._order(settings=settings)

    def _order(self, **order: Any) -> None:
        self.tell(json.dumps(order))
        self.until("done")


@contextmanager
def fronting(
    grpc: str, *, http_seconds: float = 0.0, options: dict[str, Any] | None = None
) -> Iterator[Front]:
    """A gateway with the limits of a dedicated one, before a gRPC server; HTTP is answered after `http_seconds`."""
    with Front(front, grpc, http_seconds, options or {}) as child:
        child.address = child.until("ready")["address"]
        yield child


@contextmanager
def serve_command(upstream: str) -> Iterator[ServeCommand]:
    """`eas-grpc serve` as a user starts it, before a gRPC server."""
    command = ServeCommand(upstream)
    try:
        yield command
    finally:
        command.end()


class ServeCommand:
    """The command's process, which listens on `address`."""

    def __init__(self, upstream: str) -> None:
        told = ["serve", "--port", "0", "--token", TOKEN, "--gateway", "dedicated"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "eas_grpc.cli", *told, "--upstream", f"{NAME}={upstream},http=none"],
            cwd=ROOT,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("ready on "):
            self.end()
            raise AssertionError(f"eas-grpc serve said {line!r}")
        self.address = line.split()[-1]

    def stop(self, timeout: float = 30.0) -> float:
        """SIGTERM; how many seconds it took to end."""
        began = time.monotonic()
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(timeout)
        return time.monotonic() - began

    def end(self) -> None:
        """Ends it in any case."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()


# In the gateway's process.


def front(grpc: str, http_seconds: float, options: dict[str, Any]) -> None:
    """Serves until it is killed, and does what it is told."""

    async def slow(_: Request) -> Response:
        await asyncio.sleep(http_seconds)
        return Response(200, b"done", "text/plain")

    with Gateway(options=replace(GatewayOptions.dedicated(), **options)) as gateway:
        gateway.add(Service(name=NAME, grpc=grpc, http=gateway.serve_http(slow), tokens=(TOKEN,)))
        say("ready", address=gateway.address)
        while word := hear():
            order = json.loads(word)
            if "fault" in order:
                gateway.faults.begin(order["fault"])
            else:
                gateway.configure(NAME, **order["settings"])
            say("done")
