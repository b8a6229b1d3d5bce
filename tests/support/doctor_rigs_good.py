"""Services that nothing is wrong with, in the ways in which they differ: the doctor has to say so."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from support import doctor_rigs_bare as bare
from support.doctor_rigs_peers import Tunnels, proxy_without_tunnels
from support.doctor_rigs_servers import (
    HAPROXY,
    SAY_HELLO,
    SHUT_REFLECTION,
    Door,
    haproxy_to,
    stock,
)
from support.doctor_rigs_states import TOKEN, Make, Rig, our_gateway, over_tls, served, token


@dataclass(frozen=True)
class Good:
    """A healthy service, and the notes that are true of it; those of `said` must be made."""

    name: str
    make: Make
    said: frozenset[str] = frozenset()
    true: frozenset[str] = frozenset()


@contextmanager
def unix_socket(folder: Path) -> Iterator[Rig]:
    # The names of sockets are short: at most 107 bytes.
    with ExitStack() as stack:
        path = folder / "s"
        if len(str(path)) > 100:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "s"
        stack.enter_context(stock(listens=str(path)))
        yield Rig(f"unix:{path}", lambda: bare.call(f"unix:{path}"))


@contextmanager
def haproxy(folder: Path) -> Iterator[Rig]:
    with stock() as port, haproxy_to(port, folder) as front:
        address = f"127.0.0.1:{front}"
        yield Rig(address, lambda: bare.call(address))


@contextmanager
def through_a_proxy(_: Path) -> Iterator[Rig]:
    """Only the proxy knows the name; that this machine does not is no fault."""
    address = "only-the-proxy-knows.invalid:80"
    with stock() as port, Tunnels(port) as proxy:
        environ = {"http_proxy": f"http://{proxy.address}"}
        yield Rig(address, lambda: bare.call_with_environment(address, environ), environ=environ)


@contextmanager
def beside_a_proxy(folder: Path) -> Iterator[Rig]:
    """A proxy that fails everything is set, and this machine's own addresses do not go to it."""
    with served()(folder) as rig, proxy_without_tunnels() as port:
        yield replace(rig, environ={"http_proxy": f"http://127.0.0.1:{port}"})


def _ipv6(host: str) -> bool:
    """Whether this machine can serve on IPv6, and the host is there."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return bool(socket.getaddrinfo(host, 80, socket.AF_INET6))
    except OSError:
        return False


def _ids(*names: str) -> frozenset[str]:
    return frozenset(names)


_TOKEN, _BEARER = ("--token", TOKEN), f"Bearer {TOKEN}"
_CALLED = ("--method", SAY_HELLO)
GOOD = (
    Good("plain", served()),
    Good("called", served(*_CALLED)),
    Good("called-without-reflection", served(*_CALLED, reflects=False), _ids("reflection-off")),
    Good("no-reflection", served(reflects=False), _ids("reflection-off")),
    Good("no-health", served(health_status=None), _ids("health-missing")),
    Good("neither", served(health_status=None, reflects=False), _ids("health-missing", "reflection-off")),
    Good("reflection-refused", served(door=SHUT_REFLECTION), true=_ids("reflection-off")),
    Good("token", served(*_TOKEN, door=Door(wanted=_BEARER))),
    # Every editor ends a file with a newline.
    Good("token-file", token(sent=_BEARER, written=f"{TOKEN}\n")),
    Good("token-of-the-environment", served(environ={"EAS_TOKEN": TOKEN}, door=Door(wanted=_BEARER))),
    Good("token-with-bearer", served("--token", _BEARER, door=Door(wanted=_BEARER)), _ids("token-bearer")),
    Good("localhost", served(host="localhost")),
    Good("tls", over_tls()),
    Good("tls-by-another-name", over_tls(host="127.0.0.1", name="service.example", overridden=True)),
    Good("tls-on-both-sides", over_tls(asks=True, shows=True)),
    Good("our-gateway", our_gateway(*_TOKEN, sent=_BEARER)),
    Good("our-gateway-with-tls", our_gateway(*_TOKEN, sent=_BEARER, tls=True)),
    Good("unix-socket", unix_socket),
    # What plain gRPC would do with this environment is a note; it is no fault.
    Good("beside-a-proxy", beside_a_proxy, true=_ids("proxy")),
    Good("through-a-proxy", through_a_proxy, true=_ids("proxy")),
    *([Good("ipv6", served(host="[::1]", listens="::1"))] if _ipv6("::1") else []),
    *([Good("ipv6-alone", served(host="localhost", listens="::1"))] if _ipv6("localhost") else []),
    *([Good("haproxy", haproxy)] if HAPROXY else []),
)
