"""Namespaces are deleted however their process ends, and nothing of the machine's own network is touched."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reliability import netns

NAMESPACES, FILES = Path("/run/netns"), Path("/etc/netns")
ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("easrel-77-0-client", True),
        ("easrel-77-12-router", True),
        ("easrel-78-0-client", False),
        ("easrel-77-0-printer", False),
        ("easrel--0-client", False),
        ("docker-77-0-client", False),
        ("easrel-77-0-client-of-mine", False),
    ],
)
def test_only_what_a_dead_process_made_is_left_over(name: str, gone: bool):
    assert netns.leftover(name, alive=lambda pid: pid != 77) is gone


def test_without_root_there_is_a_reason(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert netns.available.__wrapped__() == "network namespaces need root"


def test_without_a_command_the_reason_names_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "iptables" else f"/sbin/{name}")
    assert "iptables is not installed" in netns.available.__wrapped__()


@pytest.fixture
def allowed() -> Iterator[None]:
    reason = netns.available()
    if reason:
        pytest.skip(reason)
    yield
    assert mine() == []


def mine() -> list[str]:
    """The namespaces, and the files for them, of this process."""
    found: list[str] = []
    for place in (NAMESPACES, FILES):
        # Another test's process may take the folder away at any moment.
        with contextlib.suppress(FileNotFoundError):
            found += os.listdir(place)
    return [name for name in found if name.startswith(f"easrel-{os.getpid()}-")]


def links() -> list[str]:
    """The interfaces of the machine's own network."""
    return sorted(os.listdir("/sys/class/net"))


def test_a_pair_is_a_network_of_its_own(allowed: None):
    before = links()
    with netns.pair(addresses=300) as net:
        assert links() == before
        assert len(set(net.server.addresses)) == 300
        assert len(mine()) == 2
        assert "eth0" in net.client.ip("link")
        routes = net.client.ip("route", "get", net.server.addresses[-1])
        assert "dev eth0" in routes
    assert links() == before


def test_rules_come_and_go_together(allowed: None):
    with netns.pair() as net:
        net.client.firewall("-A INPUT -s 10.77.0.2 -j DROP", "-A OUTPUT -d 10.77.0.2 -j DROP")
        assert net.client.run("iptables-save").count("-j DROP") == 2
        net.client.firewall("-D INPUT -s 10.77.0.2 -j DROP")
        assert net.client.run("iptables-save").count("-j DROP") == 1


def test_a_router_forgets_and_does_not_adopt(allowed: None):
    with netns.nat(expiry=8) as net:
        assert net.router is not None
        knobs = net.router.run("sysctl", "net.netfilter")
        assert "nf_conntrack_tcp_timeout_established = 8\n" in knobs
        assert "nf_conntrack_tcp_loose = 0\n" in knobs
        assert "MASQUERADE" in net.router.run("iptables-save", "-t", "nat")


def test_an_error_inside_leaves_nothing(allowed: None):
    with pytest.raises(KeyError), netns.pair() as net:
        net.client.resolver("127.0.0.1")
        assert len(mine()) == 3
        raise KeyError


def test_a_command_that_fails_says_what_it_said(allowed: None):
    with netns.pair() as net, pytest.raises(netns.NetworkError, match="nonsense"):
        net.client.ip("link", "add", "nonsense", "type", "nonsense")


def test_what_runs_inside_ends_with_it(allowed: None):
    with netns.pair() as net:
        child = subprocess.Popen([*net.client.prefix, "sleep", "60"])
        while not net.client.run("ip", "netns", "pids", net.client.name).split():
            assert child.poll() is None
    assert child.wait(10) == -signal.SIGKILL


def test_a_name_that_was_not_made_here_is_left_alone():
    with pytest.raises(netns.NetworkError, match="left alone"):
        netns._delete("docker0")


HOLDER = """
import sys
from reliability import netns
with netns.pair() as net:
    net.client.resolver("127.0.0.1")
    print("up", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_process_that_is_ended_leaves_nothing_for_long(allowed: None, number: int):
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline() == "up\n"
    made = {f"easrel-{child.pid}-0-client", f"easrel-{child.pid}-0-server"}
    assert made <= set(os.listdir(NAMESPACES))
    child.send_signal(number)
    child.wait(20)
    child.stdin.close()
    child.stdout.close()
    if number == signal.SIGKILL:
        # Nothing cleans up after itself then: whoever comes next does.
        netns.sweep()
    assert made.isdisjoint(os.listdir(NAMESPACES))
    assert not any((FILES / name).exists() for name in made)
