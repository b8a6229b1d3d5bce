"""What else may stand behind haproxy: our gateway as its command starts it, and servers that are none."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reliability.child import Child, clean_environment, hear, say
from reliability.server import TOKEN

__all__ = ["broken_backends", "gateway"]


@contextmanager
def gateway(upstream: str) -> Iterator[str]:
    """`eas-grpc serve` in front of a server, and its address."""
    command = [sys.executable, "-m", "eas_grpc.cli", "serve", "--port", "0", "--token", TOKEN]
    command += ["--rate-limit", "0", "--upstream", f"ledger={upstream},token={TOKEN},keepalive=60"]
    with subprocess.Popen(
        command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("ready on "), f"eas-grpc serve says {line!r}"
            yield line.split()[-1]
        finally:
            process.kill()


@contextmanager
def broken_backends() -> Iterator[dict[str, str]]:
    """Addresses by name: `hanging-up` accepts and closes, `garbage` speaks no HTTP, `refusing` is not there."""
    with Child(_broken) as child:
        found = child.until("ready")
        with socket.socket() as reserved:
            # Bound but not listening: connections are refused, and nobody else gets the port.
            reserved.bind(("127.0.0.1", 0))
            yield {**found["addresses"], "refusing": f"127.0.0.1:{reserved.getsockname()[1]}"}


def _broken() -> None:
    kept: list[socket.socket] = []

    def speak(connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-Nothing\r\n" * 10)
        kept.append(connection)

    addresses = {"hanging-up": _listen(socket.socket.close), "garbage": _listen(speak)}
    say("ready", addresses=addresses)
    while hear():
        pass


def _listen(serve: Callable[[socket.socket], None]) -> str:
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            try:
                serve(connection)
            except OSError:
                connection.close()

    threading.Thread(target=accept, daemon=True).start()
    host, port = listener.getsockname()[:2]
    return f"{host}:{port}"
