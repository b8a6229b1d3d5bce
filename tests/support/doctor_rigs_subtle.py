"""States in which the verdict that comes to mind first is wrong, or is not known."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import h2.connection

from support import doctor_rigs_bare as bare
from support.doctor_rigs_mixed import Mixed, answers, at, trailers
from support.doctor_rigs_peers import Http2Talker, proxy_without_tunnels
from support.doctor_rigs_servers import SAY_HELLO, SERVICE, Door
from support.doctor_rigs_states import TOKEN, Make, Rig, served
from support.h2_answers import Listener

_HEALTH = "/grpc.health.v1.Health/"
_CALLED = ("--method", SAY_HELLO)
_SERVING = b"\0\0\0\0\2\x08\1"
_GOOD = frozenset({0})


class ClosesAtOnce(Listener):
    """Accepts, and closes without a byte: a TLS port, a sidecar without its service, a list of allowed addresses."""

    def talk(self, connection: socket.socket) -> None:
        """Nothing."""


class RoutesByPath(Http2Talker):
    """A gateway that knows the service and its health, and has a web page with 404 for every other path."""

    def answer(
        self,
        peer: h2.connection.H2Connection,
        connection: socket.socket,
        stream: int,
        headers: dict[str, str],
    ) -> None:
        path = headers[":path"]
        if not path.startswith((_HEALTH, f"/{SERVICE}/")):
            peer.send_headers(stream, [(":status", "404"), ("content-type", "text/html")])
            peer.send_data(stream, b"<html>no route for this path</html>", end_stream=True)
            return
        peer.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        peer.send_data(stream, _SERVING if path.startswith(_HEALTH) else bytes(5))
        peer.send_headers(stream, [("grpc-status", "0")], end_stream=True)


def with_proxy(name: str, make: Make, *arguments: str) -> Make:
    """The state, with a proxy that makes no tunnels in this variable of the environment."""

    @contextmanager
    def made(folder: Path) -> Iterator[Rig]:
        with make(folder) as rig, proxy_without_tunnels() as port:
            environ = {name: f"http://127.0.0.1:{port}"}
            yield replace(
                rig,
                bare=lambda: bare.call_with_environment(rig.address, environ),
                environ=environ,
                arguments=(*rig.arguments, *arguments),
            )

    return made


@contextmanager
def unknown_name(_: Path) -> Iterator[Rig]:
    address = "no-such-eas.invalid:80"
    yield Rig(address, lambda: bare.call(address))


def _ids(*names: str) -> frozenset[str]:
    return frozenset(names)


def _proxied(
    name: str, variable: str, make: Make, *arguments: str, verdict: str = "proxy", text: str
) -> Mixed:
    true = _ids("proxy", "name-unknown") if verdict == "proxy" else _ids(verdict)
    return Mixed(
        name,
        with_proxy(variable, make, *arguments),
        ("UNAVAILABLE", text),
        _ids(verdict),
        true,
        exits=frozenset({5}),
    )


_FAILED_PROXY = "HTTP proxy returned response code 501"
_TOKEN_FOR_SERVICE = Door(wanted=f"Bearer {TOKEN}", asks=f"/{SERVICE}/")
_PAGE: Callable[[], Any] = answers(302, ("location", "https://127.0.0.1/login"))

SUBTLE = (
    # The service is there and well: what a path that nobody has leads to says nothing of it.
    Mixed("routes-by-path", at(RoutesByPath), ("OK", ""), true=_ids("reflection-off"), exits=_GOOD),
    Mixed(
        "routes-by-path-called",
        at(RoutesByPath, *_CALLED),
        ("OK", ""),
        true=_ids("reflection-off"),
        exits=_GOOD,
    ),
    # Health and reflection are open to all; the method is not.
    Mixed(
        "token-for-the-service",
        served(*_CALLED, sent=None, door=_TOKEN_FOR_SERVICE),
        ("UNAUTHENTICATED", ""),
        _ids("token-missing"),
        _ids("token-missing"),
    ),
    Mixed(
        "another-token-for-the-service",
        served(*_CALLED, "--token", f"x{TOKEN}", sent=None, door=_TOKEN_FOR_SERVICE),
        ("UNAUTHENTICATED", ""),
        _ids("token-refused"),
        _ids("token-refused"),
    ),
    Mixed("closes-at-once", at(ClosesAtOnce), ("UNAVAILABLE", ""), true=_ids("closed"), exits=frozenset({5})),
    Mixed(
        "redirect", at(_PAGE), ("UNKNOWN", "302"), true=_ids("gateway-other"), read="https://127.0.0.1/login"
    ),
    Mixed(
        "no-page",
        at(answers(200)),
        ("UNKNOWN", "Data frame with END_STREAM"),
        # Whatever is no gRPC is called a page.
        true=_ids("gateway-html", "gateway-other"),
    ),
    # What it says of reflection is that this caller does not see it.
    Mixed(
        "denied",
        at(trailers(7, "not you")),
        ("PERMISSION_DENIED", "not you"),
        true=_ids("call-failed", "reflection-off"),
    ),
    Mixed(
        "401-without-token",
        at(answers(401)),
        ("UNAUTHENTICATED", "401"),
        _ids("token-missing", "gateway-401"),
        _ids("token-missing", "gateway-401"),
        unread="refused the token",
    ),
    # Core reads three variables, whatever the scheme, and none of them in capitals.
    _proxied("https-proxy", "https_proxy", unknown_name, text=_FAILED_PROXY),
    _proxied("grpc-proxy", "grpc_proxy", unknown_name, text=_FAILED_PROXY),
    _proxied(
        "proxy-in-capitals", "HTTP_PROXY", unknown_name, verdict="name-unknown", text="Domain name not found"
    ),
    _proxied("proxy-wanted", "http_proxy", served(), "--proxy", text=_FAILED_PROXY),
)
