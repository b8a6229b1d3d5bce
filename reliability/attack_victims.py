"""Who is attacked: our two servers, the gateway with a server behind it, and stock grpcio; and how much memory they take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reliability.child import Child, hear, say
from reliability.server import TOKEN, serving
from server_demo.gateway import Gateway, GatewayOptions, Request, Response, Service

__all__ = ["OURS", "STOCK", "Victim", "forget_peak", "memory", "peak", "serve_gateway", "victim"]

OURS, STOCK = ("threads", "asyncio", "gateway"), ("stock", "stock-asyncio")
SERVICE = "ledger"
# What a server behind a gateway needs: its callers come over few connections.
_BEHIND = {"max_workers": 192, "max_concurrent_streams": 160}


@dataclass(frozen=True)
class Victim:
    """Where it listens, its process, and the largest message that it takes."""

    name: str
    address: str
    process: Child
    limit: int

    @property
    def memory(self) -> int:
        """Bytes that it has in memory now."""
        return memory(self.process.pid)

    @property
    def peak(self) -> int:
        """The most bytes since `forget_peak`."""
        return peak(self.process.pid)

    def forget_peak(self) -> None:
        """The peak is counted from now on."""
        forget_peak(self.process.pid)


def memory(pid: int | str = "self") -> int:
    """Bytes that a process has in memory now."""
    return _status(pid, "VmRSS")


def peak(pid: int | str = "self") -> int:
    """The most that it had since `forget_peak`, as the kernel counted: no moment is missed between two looks."""
    return _status(pid, "VmHWM")


def forget_peak(pid: int | str = "self") -> None:
    """Lets the kernel count the peak from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _status(pid: int | str, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"the kernel says no {field}")


@contextmanager
def victim(name: str, options: dict[str, Any] | None = None) -> Iterator[Victim]:
    """Starts one; `options` are those of ServerOptions, of the server behind the gateway for the gateway."""
    if name == "gateway":
        with (
            serving("asyncio", options={**_BEHIND, **(options or {})}) as behind,
            Child(serve_gateway, behind.address) as child,
        ):
            yield Victim(name, child.until("ready")["address"], child, 1_000_000)
        return
    limit = 4 * 1024 * 1024 if name in STOCK else 64 * 1024 * 1024
    with serving(name, options=options) as server:
        yield Victim(name, server.address, server, limit)


def serve_gateway(behind: str, more: dict[str, Any] | None = None) -> None:
    """For a `Child`: a gateway in front of a server and of an echo over HTTP, until a word comes.

    Without a limit of calls a second, which would refuse callers for what an attacker with a token does.
    """
    with Gateway(options=GatewayOptions(rate_limit=0, **(more or {}))) as gateway:
        echo = gateway.serve_http(_echo)
        gateway.add(Service(name=SERVICE, grpc=behind, http=echo, tokens=(TOKEN,)))
        gateway.add(Service(name="zipped", http=echo, tokens=(TOKEN,), decompressor="gzip"))
        say("ready", address=gateway.address)
        hear()


def _echo(request: Request) -> Response:
    return Response(200, str(len(request.body)).encode())
