"""Network namespaces with a firewall each: networks in which packets can be made to vanish. For root on Linux.

`with pair() as net:` gives `net.client` and `net.server`, joined by a cable; `with nat(expiry=8) as net:` puts a router
between them that masquerades the client and forgets a connection after so many quiet seconds. `prefix` of a namespace goes
before a command, `Child(..., wrap=net.client.prefix)`. The namespace that the machine itself lives in is never touched:
whatever is set up is set up inside a namespace made here, and everything is deleted at the end, also after an error, a
SIGTERM or an exit; what a killed run left behind, the next one deletes.
"""

from __future__ import annotations

import atexit
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Namespace", "Network", "NetworkError", "available", "leftover", "nat", "pair", "sweep"]

_NAMES = re.compile(r"easrel-(?P<pid>[0-9]+)-(?P<number>[0-9]+)-(?:client|router|server)\Z")
_HERE = Path("/run/netns")
_FILES = Path("/etc/netns")
_COMMANDS = ("ip", "iptables", "iptables-restore", "sysctl")
_PATIENCE = 20.0
_numbers = itertools.count()


class NetworkError(RuntimeError):
    """A command failed; the text has what it said."""


class Namespace:
    """One namespace, made by this process; `addresses` are those at which it can be reached."""

    def __init__(self, role: str, number: int) -> None:
        self.name = f"easrel-{os.getpid()}-{number}-{role}"
        self.addresses: list[str] = []
        _command("ip", "netns", "add", self.name)
        # Without this a failed mount would let every later command loose on the machine's own network.
        if _is_own(self.name):
            raise NetworkError(f"{self.name} is the machine's own network: it is left alone")

    @property
    def prefix(self) -> tuple[str, ...]:
        """What goes before a command to run it in here."""
        return ("ip", "netns", "exec", self.name)

    def run(self, *command: str, text: str | None = None) -> str:
        """Runs a command in here, with `text` as its input; returns what it printed."""
        return _command(*self.prefix, *command, text=text)

    def ip(self, *words: str) -> str:
        """`ip` in here."""
        return _command("ip", "-n", self.name, *words)

    def sysctl(self, name: str, value: object) -> None:
        """Sets a knob of this namespace's own network."""
        self.run("sysctl", "-qw", f"{name}={value}")

    def firewall(self, *rules: str) -> None:
        """Applies rules at one moment: `-A INPUT -s 10.77.0.9 -j DROP`; `-D` takes one away."""
        lines = "\n".join(("*filter", *rules, "COMMIT", ""))
        self.run("iptables-restore", "-w", "5", "--noflush", text=lines)

    def resolver(self, address: str) -> None:
        """What is started in here from now on asks this address for names."""
        folder = _FILES / self.name
        while not folder.is_dir():
            # Whoever deletes the last one of these folders takes their parent along.
            with suppress(FileNotFoundError):
                folder.mkdir(parents=True)
        (folder / "resolv.conf").write_text(f"nameserver {address}\noptions timeout:1 attempts:2\n")

    def wait_for_no_connections(self) -> None:
        """Until its kernel remembers no TCP connection, not even one whose farewell nobody has acknowledged."""
        deadline = time.monotonic() + _PATIENCE
        while left := self.run("ss", "-Htn").strip():
            if time.monotonic() > deadline:
                raise NetworkError(f"{self.name} still has connections:\n{left}")
            time.sleep(0.05)

    def delete(self) -> None:
        """Ends what runs in here, then takes it away; harmless when that was done."""
        _delete(self.name)


@dataclass
class Network:
    """Client and server, each in a namespace; `router` only where there is one."""

    client: Namespace
    server: Namespace
    router: Namespace | None = None


@contextmanager
def pair(addresses: int = 1) -> Iterator[Network]:
    """Two namespaces and a cable; the server has so many addresses, from 10.77.0.2 on."""
    with _building() as make:
        net = Network(make("client"), make("server"))
        _cable(net.client, net.server)
        _address(net.client, "10.77.255.1/16")
        _addresses(net.server, addresses)
        yield net


@contextmanager
def nat(expiry: int, addresses: int = 1) -> Iterator[Network]:
    """A router between the two that masquerades, and drops a connection's packets after `expiry` quiet seconds."""
    with _building() as make:
        net = Network(make("client"), make("server"), make("router"))
        router: Any = net.router
        _cable(net.client, router, there="inside")
        _cable(net.server, router, there="outside")
        _address(net.client, "10.78.0.2/24")
        _address(router, "10.78.0.1/24", "inside")
        _address(router, "10.77.255.1/16", "outside")
        _addresses(net.server, addresses)
        net.client.ip("route", "add", "default", "via", "10.78.0.1")
        router.sysctl("net.ipv4.ip_forward", 1)
        router.run("iptables", "-w", "-t", "nat", "-A", "POSTROUTING", "-o", "outside", "-j", "MASQUERADE")
        router.firewall(
            "-P FORWARD DROP",
            "-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
            "-A FORWARD -p tcp --syn -m conntrack --ctstate NEW -j ACCEPT",
        )
        # The knobs exist once a rule has asked for connection tracking. Loose would adopt a connection that it forgot.
        router.sysctl("net.netfilter.nf_conntrack_tcp_loose", 0)
        router.sysctl("net.netfilter.nf_conntrack_tcp_timeout_established", expiry)
        yield net


@cache
def available() -> str | None:
    """Why there can be no namespaces here, or None."""
    if not sys.platform.startswith("linux"):
        return "network namespaces need Linux"
    if os.geteuid() != 0:
        return "network namespaces need root"
    for command in _COMMANDS:
        if shutil.which(command) is None:
            return f"{command} is not installed (Debian packages iproute2, iptables, procps)"
    try:
        with nat(expiry=60):
            return None
    except NetworkError as error:
        return f"the kernel refuses: {error}"


def leftover(name: str, alive: Callable[[int], bool]) -> bool:
    """Whether a namespace of this name was made here by a process that is gone. Pure but for `alive`."""
    found = _NAMES.match(name)
    return found is not None and not alive(int(found["pid"]))


def sweep() -> list[str]:
    """Deletes what processes that are gone have left behind, nobody else's; returns their names."""
    found = {name for place in (_HERE, _FILES) for name in _listed(place) if leftover(name, _alive)}
    for name in found:
        _delete(name)
    return sorted(found)


@contextmanager
def _building() -> Iterator[Callable[[str], Namespace]]:
    """Hands out namespaces, and deletes them however this ends."""
    sweep()
    number, made = next(_numbers), []

    def make(role: str) -> Namespace:
        name = f"easrel-{os.getpid()}-{number}-{role}"
        made.append(name)
        return Namespace(role, number)

    def delete_all() -> None:
        for name in made:
            _delete(name)

    atexit.register(delete_all)
    try:
        with _terminated_as_exit():
            yield make
    finally:
        delete_all()
        atexit.unregister(delete_all)


@contextmanager
def _terminated_as_exit() -> Iterator[None]:
    """Lets SIGTERM end the process by SystemExit, which runs every `finally`; by default it runs none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    if before is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _cable(one: Namespace, other: Namespace, there: str = "eth0") -> None:
    """Joins eth0 of `one` with an interface of `other`; neither end is ever in the machine's own network."""
    one.ip("link", "add", "eth0", "type", "veth", "peer", "name", there, "netns", other.name)
    for namespace, interface in ((one, "eth0"), (other, there)):
        namespace.ip("link", "set", "lo", "up")
        namespace.ip("link", "set", interface, "up")


def _address(namespace: Namespace, address: str, interface: str = "eth0") -> None:
    namespace.ip("addr", "add", address, "dev", interface)
    namespace.addresses.append(address.partition("/")[0])


def _addresses(server: Namespace, count: int) -> None:
    server.addresses += [f"10.77.{number // 250}.{number % 250 + 1}" for number in range(1, count + 1)]
    lines = "".join(f"addr add {address}/16 dev eth0\n" for address in server.addresses)
    _command("ip", "-n", server.name, "-batch", "-", text=lines)


def _delete(name: str) -> None:
    if not _NAMES.match(name):
        raise NetworkError(f"{name} was not made here: it is left alone")
    shutil.rmtree(_FILES / name, ignore_errors=True)
    with suppress(OSError):
        # Only when nobody else has one in it.
        _FILES.rmdir()
    if not (_HERE / name).exists() or _is_own(name):
        return
    deadline = time.monotonic() + _PATIENCE
    while (_HERE / name).exists() and time.monotonic() < deadline:
        pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False)
        for pid in pids.stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _listed(place: Path) -> list[str]:
    try:
        return os.listdir(place)
    except FileNotFoundError:
        return []


def _is_own(name: str) -> bool:
    """Whether it is the network that this process lives in."""
    try:
        return Path("/proc/self/ns/net").stat().st_ino == (_HERE / name).stat().st_ino
    except FileNotFoundError:
        # Somebody else's sweep was quicker.
        return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _command(*words: str, text: str | None = None) -> str:
    try:
        done = subprocess.run(
            words, input=text, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise NetworkError(f"{' '.join(words)} takes more than {_PATIENCE:g} s") from None
    if done.returncode:
        raise NetworkError(f"{' '.join(words)}: {(done.stderr or done.stdout).strip()[:500]}")
    return done.stdout
