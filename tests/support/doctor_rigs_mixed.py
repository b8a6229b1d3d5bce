"""States that are none of B5's rows: further causes, mixtures of causes, and peers that mean harm."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from support import doctor_rigs_bare as bare
from support.doctor_rigs_bare import Met
from support.doctor_rigs_peers import (
    DiesSoon,
    Drips,
    Echoes,
    EchoesInStatus,
    EndlessHeaders,
    Forgetful,
    Garbage,
    HangsUp,
    OnlySettings,
    WantsToken,
    proxy_with_password,
    web_server_with_tls,
)
from support.doctor_rigs_servers import SAY_HELLO, Authority, Door, stock
from support.doctor_rigs_states import TOKEN, Make, Rig, our_gateway, over_tls, served
from support.h2_answers import Http1, Http2, Silent
from support.h2_peer import H2Peer
from support.processes import reserved_port

ANOTHER = "another-canary-of-the-doctor-55d0"
_ANOTHER = ("--token", ANOTHER)
_IDLE_SECONDS = 3.0
_IDLE = ("--idle", "3s")


@dataclass(frozen=True)
class Mixed:
    """A state and what is true of it. One of `verdicts` is expected, or where there is none anything not wrongly certain.

    `waits` is what the command was asked to wait; `exits` the exit codes that fit, if it matters; `read` and `unread` are
    words that people read, or must not.
    """

    name: str
    make: Make
    # How a bare client's call ends, and what its text holds.
    met: tuple[str, str]
    verdicts: frozenset[str] = frozenset()
    true: frozenset[str] = frozenset()
    said: frozenset[str] = frozenset()
    exits: frozenset[int] | None = None
    waits: float = 0.0
    read: str = ""
    unread: str = ""


def at(listener: Callable[[], AbstractContextManager[Any]], *arguments: str) -> Make:
    """A rig at whatever listens."""

    @contextmanager
    def make(_: Path) -> Iterator[Rig]:
        with listener() as server:
            yield Rig(
                server.address,
                lambda: bare.call(server.address, timeout=bare.SHORT_SECONDS),
                arguments,
            )

    return make


@contextmanager
def closed_when_idle(_: Path) -> Iterator[Rig]:
    with stock(options=[("grpc.max_connection_idle_ms", 1000)]) as port:
        address = f"127.0.0.1:{port}"
        yield Rig(address, lambda: _until_end(address), _IDLE)


def _until_end(address: str) -> Met:
    """Bare grpc would connect again and tell nobody: a raw client sees how its connection ends."""
    with H2Peer(address) as peer:
        return Met(peer.until_end(), "", 0.0)


@contextmanager
def forgotten(_: Path) -> Iterator[Rig]:
    with stock() as port, Forgetful(port, 1.0) as relay:
        yield Rig(relay.address, lambda: bare.call_again(relay.address, after=1.5), _IDLE)


def _secure(port: int, authority: Authority) -> Met:
    return bare.call(f"localhost:{port}", credentials=grpc.ssl_channel_credentials(authority.pem))


def answers(status: int, *headers: tuple[str, str]) -> Callable[[], Http2]:
    head = ((":status", str(status)), ("content-type", "text/plain"), *headers)
    return lambda: Http2(head, b"said by the gateway")


def _an_hour_ago() -> tuple[str, str]:
    return "date", email.utils.formatdate(time.time() - 3600, usegmt=True)


def proxied(
    proxy: Callable[[], AbstractContextManager[Any]],
    *,
    patience: float = bare.PATIENCE_SECONDS,
    **environ: str,
) -> Make:
    """A public name that nobody knows, and a proxy that should know it."""

    @contextmanager
    def make(_: Path) -> Iterator[Rig]:
        address = "no-such-eas.invalid:80"
        with proxy() as port:
            variables = {"http_proxy": f"http://127.0.0.1:{getattr(port, 'port', port)}", **environ}
            yield Rig(
                address,
                lambda: bare.call_with_environment(address, variables, timeout=patience),
                environ=variables,
            )

    return make


@contextmanager
def http1_with_tls(folder: Path) -> Iterator[Rig]:
    authority = Authority()
    pair = authority.issue("localhost")
    (folder / "root.pem").write_bytes(authority.pem)
    (folder / "chain.pem").write_bytes(pair.key + pair.chain)
    with web_server_with_tls(folder / "chain.pem") as port:
        arguments = ("--cacert", str(folder / "root.pem"))
        yield Rig(f"https://localhost:{port}", lambda: _secure(port, authority), arguments)


@contextmanager
def silent_with_tls(_: Path) -> Iterator[Rig]:
    with Silent() as server:
        credentials = grpc.ssl_channel_credentials()
        yield Rig(
            f"https://{server.address}",
            lambda: bare.call(server.address, credentials=credentials, timeout=bare.SHORT_SECONDS),
        )


def trailers(status: int, text: str) -> Callable[[], Http2]:
    """Answers every call with this status of gRPC."""
    head = ((":status", "200"), ("content-type", "application/grpc"), ("grpc-status", str(status)))
    return lambda: Http2((*head, ("grpc-message", text)))


def _unreadable() -> Http2:
    """Answers every call with a message that is none."""
    head = ((":status", "200"), ("content-type", "application/grpc"))
    return Http2(head, b"\0\0\0\0\x04\xff\xff\xff\xff", (("grpc-status", "0"),))


@contextmanager
def invalid_address(_: Path) -> Iterator[Rig]:
    yield Rig("http://two words/", lambda: bare.call("http://two words/"))


def _ids(*names: str) -> frozenset[str]:
    return frozenset(names)


FURTHER = (
    Mixed(
        "not-serving",
        served(health_status="NOT_SERVING"),
        ("OK", ""),
        _ids("health-not-serving"),
        _ids("health-not-serving"),
        exits=frozenset({4}),
    ),
    Mixed(
        "expired",
        over_tls(expired=True),
        ("UNAVAILABLE", "certificate has expired"),
        _ids("tls-expired"),
        _ids("tls-expired"),
        exits=frozenset({5}),
    ),
    Mixed(
        "no-client-certificate",
        over_tls(asks=True),
        ("UNAVAILABLE", ""),
        true=_ids("tls-client-certificate"),
        exits=frozenset({5}),
    ),
    Mixed(
        "gateway-408", at(answers(408)), ("UNKNOWN", "status: 408"), _ids("gateway-408"), _ids("gateway-408")
    ),
    Mixed(
        "gateway-413", at(answers(413)), ("UNKNOWN", "status: 413"), _ids("gateway-413"), _ids("gateway-413")
    ),
    Mixed(
        "gateway-450", at(answers(450)), ("UNKNOWN", "status: 450"), _ids("gateway-450"), _ids("gateway-450")
    ),
    Mixed(
        "gateway-418",
        at(answers(418)),
        ("UNKNOWN", "status: 418"),
        _ids("gateway-other"),
        _ids("gateway-other"),
    ),
    Mixed(
        "clock",
        at(lambda: answers(403, _an_hour_ago())()),
        ("PERMISSION_DENIED", "status: 403"),
        _ids("gateway-403"),
        _ids("gateway-403", "clock-skew"),
        said=_ids("clock-skew"),
    ),
    Mixed(
        "http1-with-status-line",
        at(Http1),
        ("UNAVAILABLE", "Failed parsing HTTP/2"),
        _ids("http1-only"),
        _ids("http1-only"),
        exits=frozenset({5}),
    ),
    Mixed(
        "http1-with-tls",
        http1_with_tls,
        ("UNAVAILABLE", "missing selected ALPN property"),
        _ids("http1-only"),
        _ids("http1-only"),
        exits=frozenset({5}),
    ),
    Mixed(
        "silent-with-tls",
        silent_with_tls,
        ("DEADLINE_EXCEEDED", ""),
        _ids("silent"),
        _ids("silent"),
        exits=frozenset({5}),
    ),
    Mixed(
        "proxy-down",
        proxied(reserved_port),
        ("UNAVAILABLE", "Connection refused"),
        _ids("proxy"),
        _ids("proxy", "name-unknown"),
    ),
    Mixed(
        "proxy-silent",
        proxied(Silent, patience=bare.SHORT_SECONDS),
        ("DEADLINE_EXCEEDED", ""),
        _ids("proxy"),
        _ids("proxy", "name-unknown"),
    ),
    Mixed(
        "proxy-with-password",
        proxied(proxy_with_password),
        ("UNAVAILABLE", "407"),
        _ids("proxy"),
        _ids("proxy", "name-unknown"),
    ),
    Mixed(
        "proxy-not-for-this",
        proxied(proxy_with_password, no_proxy=".invalid"),
        ("UNAVAILABLE", "Domain name not found"),
        _ids("name-unknown"),
        _ids("name-unknown"),
    ),
    Mixed(
        "invalid",
        invalid_address,
        ("UNAVAILABLE", "Failed to parse port"),
        _ids("endpoint-invalid"),
        _ids("endpoint-invalid"),
        exits=frozenset({2}),
    ),
    Mixed(
        "no-token",
        our_gateway(),
        ("UNAUTHENTICATED", "no token"),
        _ids("token-missing"),
        _ids("token-missing"),
    ),
    Mixed(
        "wrong-token",
        our_gateway(*_ANOTHER),
        ("UNAUTHENTICATED", ""),
        _ids("token-refused"),
        _ids("token-refused"),
    ),
    Mixed(
        "wrong-token-401",
        at(lambda: WantsToken(TOKEN), *_ANOTHER),
        ("UNAUTHENTICATED", "status: 401"),
        _ids("gateway-401", "token-refused"),
        _ids("gateway-401", "token-refused"),
    ),
    Mixed(
        "closed-when-idle",
        closed_when_idle,
        ("FIN", ""),
        _ids("idle-dropped"),
        _ids("idle-dropped"),
        waits=_IDLE_SECONDS,
    ),
    Mixed(
        "forgotten",
        forgotten,
        ("DEADLINE_EXCEEDED", ""),
        _ids("idle-dropped"),
        _ids("idle-dropped"),
        waits=_IDLE_SECONDS,
    ),
    Mixed("idle-and-well", served(*_IDLE), ("OK", ""), _ids("ok"), exits=frozenset({0}), waits=_IDLE_SECONDS),
)

HOSTILE = (
    # Slow is no fault, and not to be taken for silence or for a service that is not there.
    Mixed(
        "slow",
        served(timeout=bare.SHORT_SECONDS, door=Door(delay=2.0)),
        ("DEADLINE_EXCEEDED", ""),
        true=_ids("slow", "timeout"),
    ),
    # Within the deadline that calls have by default: the doctor's own questions may not use up its time.
    Mixed(
        "slow-call",
        served("--method", SAY_HELLO, timeout=5.0, door=Door(delay=2.0)),
        ("OK", ""),
        _ids("ok", "slow"),
        _ids("slow"),
        exits=frozenset({0}),
    ),
    Mixed(
        "hangs-up", at(HangsUp), ("UNAVAILABLE", "Socket closed"), true=_ids("call-failed", "http2-broken")
    ),
    Mixed(
        "dies",
        at(DiesSoon),
        ("UNAVAILABLE", ""),
        true=_ids("call-failed", "refused", "http2-broken", "wait-for-ready"),
    ),
    Mixed(
        "echoes",
        at(Echoes, "--token", TOKEN),
        ("UNAUTHENTICATED", "status: 401"),
        _ids("gateway-401", "token-refused"),
        _ids("gateway-401", "token-refused"),
    ),
    Mixed(
        "echoes-in-status",
        at(EchoesInStatus, "--token", TOKEN),
        ("UNAUTHENTICATED", "\x1b[31m"),
        true=_ids("token-refused"),
    ),
    Mixed("only-settings", at(OnlySettings), ("DEADLINE_EXCEEDED", ""), true=_ids("timeout", "silent")),
    Mixed("garbage", at(Garbage), ("UNAVAILABLE", "Failed parsing HTTP/2"), true=_ids("not-http2")),
    Mixed(
        "endless-headers",
        at(EndlessHeaders),
        ("RESOURCE_EXHAUSTED", "metadata size exceeds"),
        true=_ids("timeout", "call-failed", "http2-broken"),
    ),
    Mixed(
        "unavailable",
        at(trailers(14, "no instance")),
        ("UNAVAILABLE", "no instance"),
        true=_ids("call-failed", "health-not-serving"),
    ),
    Mixed(
        "unreadable",
        at(_unreadable),
        ("OK", ""),
        true=_ids("call-failed", "reflection-broken", "health-broken"),
    ),
    Mixed("drips", at(Drips), ("UNKNOWN", "status: 500"), _ids("gateway-500"), _ids("gateway-500")),
)
