"""What the clients of the interop cases enter: a server of ours alone, and behind our gateway, with TLS and without.

client -> relay -> server, and client -> relay -> gateway -> relay -> server, each in a process of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from reliability.child import Child, hear, say
from reliability.interop_cell import BACKEND_IDLE
from reliability.interop_clients import Entry
from reliability.interop_server import serve
from reliability.interop_tap import listen, tap
from server_demo.gateway import Certificate, Gateway, GatewayOptions, Service

__all__ = ["certificate", "entries", "two_names"]

TOKEN = "interop-token"
# Two servers, and one name for both, which only the clients' own mount namespace knows.
HOSTS = ["127.0.0.1", "127.0.0.2"]
NAME = "two.backends.test"
_START = 30.0


@contextmanager
def entries(kind: str, files: list[str], servers: int) -> Iterator[dict[str, Entry]]:
    """Starts all that a server of this kind needs, so many times; where to enter, by the way to it."""
    hosts = HOSTS[:servers]
    name = NAME if servers > 1 else HOSTS[0]
    with ExitStack() as stack:
        server = stack.enter_context(Child(serve, kind, hosts))
        addresses = server.until("up", _START)["addresses"]
        back = stack.enter_context(Child(tap, hosts, addresses, files))
        up = back.until("up", _START)
        server.tell(str(up["control"]))
        plain = [f"{host}:{up['ports']['plain']}" for host in hosts]
        gateway = stack.enter_context(Child(gate, hosts, plain, files))
        gates = gateway.until("up", _START)["ports"]
        front = stack.enter_context(Child(tap, hosts, [f"{host}:{gates['plain']}" for host in hosts], []))
        before = front.until("up", _START)
        one, both = [up["control"]], [before["control"], up["control"]]
        chain = files[0]
        yield {
            "direct": Entry(up["ports"]["plain"], name, servers, one),
            "direct TLS": Entry(up["ports"]["tls"], name, servers, one, chain),
            "gateway": Entry(before["ports"]["plain"], name, servers, both, "", TOKEN),
            "gateway TLS": Entry(gates["tls"], name, servers, one, chain, TOKEN),
        }


def gate(hosts: list[str], targets: list[str], files: list[str]) -> None:
    """In a process of its own: a gateway on each host, in plaintext and with TLS, until it is killed."""
    shown = Certificate.load(*files)
    # The limits of a dedicated one: the rate of the shared one is what a soak would measure.
    # Connections to services end soon, so that a case can have a new one there too (`flow_control_pushback`).
    options = replace(GatewayOptions.dedicated(), backend_idle_timeout=BACKEND_IDLE)
    ports = {}
    with ExitStack() as stack:
        for name, its in (("plain", None), ("tls", shown)):
            port, sockets = listen(hosts)
            for each in sockets:
                each.close()
            ports[name] = port
            for host, target in zip(hosts, targets, strict=True):
                service = Service(name="interop", grpc=target, tokens=(TOKEN,))
                stack.enter_context(Gateway(service, host=host, port=port, options=options, certificate=its))
        say("up", ports=ports)
        hear()


def certificate(folder: Path) -> list[str]:
    """The files of a chain, which clients have to trust, and its key."""
    made = Certificate.selfsigned(NAME, *HOSTS)
    files = folder / "chain.pem", folder / "key.pem"
    for file, text in zip(files, (made.chain, made.key), strict=True):
        file.touch(mode=0o600)
        file.write_bytes(text)
    return [str(file) for file in files]


def two_names(folder: Path) -> list[str]:
    """A command prefix under which NAME has the addresses of both servers; empty where that cannot be had."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return []
    hosts = folder / "hosts"
    hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{host} {NAME}\n" for host in HOSTS))
    script = 'mount --bind "$0" /etc/hosts && exec "$@"'
    prefix = ["unshare", "--mount", "sh", "-c", script, str(hosts)]
    tried = subprocess.run([*prefix, "true"], capture_output=True, check=False, timeout=10)
    return [] if tried.returncode else prefix
