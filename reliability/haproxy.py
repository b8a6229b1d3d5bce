"""Debian's haproxy in front of given servers: h2c on both sides, on loopback, with its configuration in a folder of its own.

`with Haproxy(Setup(backends={"main": ["127.0.0.1:9000"]})) as proxy:` listens on `proxy.address` until the block ends;
`proxy.reload(setup)` puts another configuration into force as `systemctl reload` does.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BACKEND_HEADER", "Haproxy", "HaproxyFailed", "Setup", "configuration", "program"]

# A call may choose a backend by its name with this header; without it the first one has it.
BACKEND_HEADER = "x-backend"

_GRACE = 5.0
_PLACES = ("/usr/sbin", "/usr/local/sbin")


class HaproxyFailed(AssertionError):
    """haproxy refused its configuration or did not come up; the text has its own words."""


@dataclass(frozen=True)
class Setup:
    """What haproxy does: `backends` are addresses by name, the first one takes what asks for none.

    `idle` is every timeout between two bytes, in seconds; `rules` are lines for the frontend, `sections` whole ones before
    it; `version` changes nothing but the file, as a deployment does; `checks` is how often servers are asked whether they
    are there, None for never, and never those of the backends `unchecked`;
    `retries` is how often it tries to connect to one.
    """

    backends: Mapping[str, Sequence[str]]
    idle: float = 2.0
    rules: Sequence[str] = ()
    sections: Sequence[str] = ()
    checks: float | None = 0.2
    version: int = 0
    unchecked: Sequence[str] = ()
    retries: int = 3


def configuration(setup: Setup, port: int) -> str:
    """The text of haproxy.cfg. Pure."""
    idle = f"{round(setup.idle * 1000)}ms"
    first = next(iter(setup.backends))
    lines = [
        f"# version {setup.version}",
        "global",
        "  maxconn 2000",
        f"  hard-stop-after {round(_GRACE)}s",
        "defaults",
        "  mode http",
        f"  retries {setup.retries}",
        "  option redispatch 1",
        "  timeout connect 1s",
        *(f"  timeout {name} {idle}" for name in ("client", "server", "http-keep-alive", "http-request")),
        *setup.sections,
        "frontend front",
        f"  bind 127.0.0.1:{port} proto h2",
        *(f"  {rule}" for rule in setup.rules),
        *(
            f"  use_backend {name} if {{ req.hdr({BACKEND_HEADER}) -m str {name} }}"
            for name in setup.backends
        ),
        f"  default_backend {first}",
    ]
    check = f" check inter {round(setup.checks * 1000)}ms fall 2 rise 1" if setup.checks else ""
    for name, addresses in setup.backends.items():
        lines += [f"backend {name}", "  balance roundrobin"]
        lines += [
            f"  server {name}{number} {address} proto h2{check if name not in setup.unchecked else ''}"
            for number, address in enumerate(addresses, 1)
        ]
    return "\n".join(lines) + "\n"


def program() -> str | None:
    """Where haproxy is; Debian puts it where only root looks."""
    return shutil.which("haproxy") or shutil.which("haproxy", path=os.pathsep.join(_PLACES))


class Haproxy:
    """A haproxy with master and worker, stopped at the end of the `with` block also when that fails."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._folder = tempfile.TemporaryDirectory(prefix="eas-grpc-haproxy-")
        self._file = self.folder / "haproxy.cfg"
        self._log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        # Where it tells that it is ready, as it would tell systemd.
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._port = _free_port()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._port}"

    @property
    def folder(self) -> Path:
        """Where its configuration is, until it is stopped."""
        return Path(self._folder.name)

    @property
    def setup(self) -> Setup:
        """What is in force."""
        return self._setup

    def __enter__(self) -> Haproxy:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def reload(self, setup: Setup) -> None:
        """A new worker takes over the listening socket; returns when it has, the old one then finishes its calls."""
        self._write(setup)
        self._process.send_signal(signal.SIGUSR2)
        self._until_ready()
        self._setup = setup

    def stop(self) -> None:
        """Ends master and workers, at once."""
        if self._process is not None:
            self._process.terminate()  # the master ends its workers, and takes note of their end
            try:
                self._process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(_GRACE)
            self._process = None
        self._notices.close()
        self._folder.cleanup()

    def log(self) -> str:
        """What it said so far."""
        return self._log.read_text(errors="replace")

    def _start(self) -> None:
        name = self.folder / "notify"
        self._notices.bind(str(name))
        self._write(self._setup)
        with self._log.open("ab") as log:
            # -Ws: a master that tells systemd, here us, when a worker is ready.
            self._process = subprocess.Popen(
                [program(), "-Ws", "-f", self._file],
                env={"PATH": os.environ.get("PATH", ""), "NOTIFY_SOCKET": str(name)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._until_ready()

    def _write(self, setup: Setup) -> None:
        self._file.write_text(configuration(setup, self._port))
        checked = subprocess.run(
            [program(), "-c", "-f", self._file], capture_output=True, text=True, check=False, timeout=10
        )
        if checked.returncode:
            raise HaproxyFailed(checked.stdout + checked.stderr)

    def _until_ready(self, timeout: float = 10.0) -> None:
        deadline = time.monotonic() + timeout
        self._notices.settimeout(0.1)
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if b"READY=1" in self._notices.recv(1000):
                    return
            except TimeoutError:
                continue
        raise HaproxyFailed(f"haproxy does not come up:\n{self.log()}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
