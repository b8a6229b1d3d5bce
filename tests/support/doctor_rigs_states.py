"""The states of B5: each a context that yields a `Rig`. Servers, relays and files of this machine, nothing of the doctor's."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from server_demo.gateway import Certificate, Gateway, demo
from support import doctor_rigs_bare as bare
from support.doctor_rigs_bare import Met
from support.doctor_rigs_peers import proxy_without_tunnels, web_server
from support.doctor_rigs_servers import SAY_HELLO, STOCK_LIMIT, Authority, Door, self_signed, stock
from support.h2_answers import Http2, Silent
from support.processes import reserved_port

TOKEN = "rows-of-the-doctor-canary-7f3a91"


@dataclass(frozen=True)
class Rig:
    """One state, while it lasts: what the user would type, and what a bare client meets there.

    `reachable` is False where this machine does not let us serve in the place that the state needs.
    """

    address: str
    bare: Callable[[], Met]
    arguments: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)
    reachable: bool = True


Make = Callable[[Path], AbstractContextManager[Rig]]


def https(port: int) -> str:
    return f"https://localhost:{port}"


def served(
    *arguments: str,
    host: str = "127.0.0.1",
    sent: str | None = f"Bearer {TOKEN}",
    timeout: float = bare.PATIENCE_SECONDS,
    environ: dict[str, str] | None = None,
    **settings: Any,
) -> Make:
    """A stock server with these settings, dialled as `host`; the bare client sends `sent` as its authorization."""

    @contextmanager
    def make(_: Path) -> Iterator[Rig]:
        with stock(**settings) as port:
            address = f"{host}:{port}"
            metadata = [] if sent is None else [("authorization", sent)]
            yield Rig(
                address,
                lambda: bare.call(address, metadata=metadata, timeout=timeout),
                arguments,
                environ or {},
            )

    return make


def our_gateway(*arguments: str, sent: str | None = None, tls: bool = False) -> Make:
    """The loopback gateway of `eas-grpc serve`, with the demo behind it."""

    @contextmanager
    def make(folder: Path) -> Iterator[Rig]:
        certificate = Certificate.selfsigned() if tls else None
        with Gateway(certificate=certificate) as gateway:
            demo.add_demo(gateway, [TOKEN])
            given, credentials = list(arguments), None
            if certificate is not None:
                root = folder / "root.pem"
                root.write_bytes(certificate.chain)
                given += ["--cacert", str(root)]
                credentials = grpc.ssl_channel_credentials(certificate.chain)
            metadata = [] if sent is None else [("authorization", sent)]
            yield Rig(
                f"https://{gateway.address}" if tls else gateway.address,
                lambda: bare.call(gateway.address, metadata=metadata, credentials=credentials),
                tuple(given),
            )

    return make


@contextmanager
def closed(_: Path) -> Iterator[Rig]:
    with reserved_port() as port:
        address = f"127.0.0.1:{port}"
        yield Rig(address, lambda: bare.call(address))


@contextmanager
def no_such_name(_: Path) -> Iterator[Rig]:
    yield Rig("name.invalid:80", lambda: bare.call("name.invalid:80"))


scheme = served(host="http://127.0.0.1")


@contextmanager
def path(_: Path) -> Iterator[Rig]:
    with stock() as port:
        address = f"127.0.0.1:{port}/api/predict/greeter"
        yield Rig(address, lambda: bare.call(address))


@contextmanager
def no_port(_: Path) -> Iterator[Rig]:
    # Port 80 is what this row is about; an address of this machine that nobody else uses keeps others out of it.
    low, high = random.randrange(1, 255), random.randrange(2, 255)
    host = f"127.88.{low}.{high}"
    with contextlib.ExitStack() as stack:
        # Where ports below 1024 are not for us, nothing serves there; what is said of the address stays the same.
        reachable = False
        with contextlib.suppress(RuntimeError):
            stack.enter_context(stock(listens=host, port=80))
            reachable = True
        yield Rig(host, lambda: bare.call(host), reachable=reachable)


tls_dialled_plainly = served(pair=self_signed("localhost"))


@contextmanager
def plain_dialled_with_tls(_: Path) -> Iterator[Rig]:
    with stock() as port:
        yield Rig(https(port), lambda: _secure(port, None))


@contextmanager
def unknown_authority(_: Path) -> Iterator[Rig]:
    with stock(pair=self_signed("localhost")) as port:
        yield Rig(https(port), lambda: _secure(port, None))


def over_tls(
    *arguments: str,
    host: str = "localhost",
    name: str = "localhost",
    overridden: bool = False,
    expired: bool = False,
    asks: bool = False,
    shows: bool = False,
) -> Make:
    """A stock server whose certificate is for `name`, by an authority that the client trusts, dialled as `host`.

    `overridden`: the client says that it looks for `name`. `asks`: the server wants a certificate of the client, which `shows` one.
    """

    @contextmanager
    def make(folder: Path) -> Iterator[Rig]:
        authority = Authority()
        client = authority.issue("client.example")
        for file, text in (("root", authority.pem), ("cert", client.chain), ("key", client.key)):
            (folder / f"{file}.pem").write_bytes(text)
        given = [*arguments, "--cacert", str(folder / "root.pem")]
        if shows:
            given += ["--cert", str(folder / "cert.pem"), "--key", str(folder / "key.pem")]
        if overridden:
            given += ["--authority", name]
        credentials = grpc.ssl_channel_credentials(authority.pem, *(client if shows else ()))
        options = [("grpc.ssl_target_name_override", name)] if overridden else []
        pair = authority.issue(name, expired=expired)
        with stock(pair=pair, client_root=authority.pem if asks else None) as port:
            yield Rig(
                f"https://{host}:{port}",
                lambda: bare.call(f"{host}:{port}", credentials=credentials, options=options),
                tuple(given),
            )

    return make


another_host = over_tls(name="other.example")


@contextmanager
def broken_ca_file(folder: Path) -> Iterator[Rig]:
    text = b"-----BEGIN CERTIFICATE-----\nthis is no certificate\n-----END CERTIFICATE-----\n"
    root = folder / "broken.pem"
    root.write_bytes(text)
    with stock(pair=self_signed("localhost")) as port:
        yield Rig(https(port), lambda: _secure(port, text), ("--cacert", str(root)))


def _secure(port: int, trusted: bytes | None) -> Met:
    return bare.call(f"localhost:{port}", credentials=grpc.ssl_channel_credentials(trusted))


@contextmanager
def http1(_: Path) -> Iterator[Rig]:
    with web_server() as port:
        address = f"127.0.0.1:{port}"
        yield Rig(address, lambda: bare.call(address))


@contextmanager
def silence(_: Path) -> Iterator[Rig]:
    with Silent() as server:
        yield Rig(server.address, lambda: bare.call(server.address, timeout=bare.SHORT_SECONDS))


def gateway(status: int, body: str, kind: str = "text/html") -> Make:
    """Something in front that answers every request with this status and page."""

    @contextmanager
    def make(_: Path) -> Iterator[Rig]:
        head = ((":status", str(status)), ("content-type", kind))
        with Http2(head, body.encode()) as server:
            yield Rig(
                server.address,
                lambda: bare.call(server.address, metadata=_bearer()),
                ("--token", TOKEN),
            )

    return make


def _bearer() -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {TOKEN}")]


def unknown(called: str) -> Make:
    """A stock server that has no such method, or no such service."""

    @contextmanager
    def make(_: Path) -> Iterator[Rig]:
        with stock() as port:
            address = f"127.0.0.1:{port}"
            yield Rig(address, lambda: bare.call(address, path=called), ("--method", called))

    return make


def token(
    *arguments: str, sent: str | None, wanted: str = f"Bearer {TOKEN}", written: str | None = None
) -> Make:
    """A server that wants `wanted`; a bare client sends `sent`; the doctor is given `arguments`, or a file's text."""

    @contextmanager
    def make(folder: Path) -> Iterator[Rig]:
        given = arguments
        if written is not None:
            file = folder / "token"
            file.write_bytes(written.encode())
            given = (*arguments, "--token-file", str(file))
        with served(*given, sent=sent, door=Door(wanted=wanted))(folder) as rig:
            yield rig

    return make


@contextmanager
def large_request(_: Path) -> Iterator[Rig]:
    with stock() as port:
        address = f"127.0.0.1:{port}"
        request = bare.HelloRequest(name="x" * (STOCK_LIMIT + 1)).SerializeToString()
        yield Rig(
            address,
            lambda: bare.call(address, request=request),
            ("--method", SAY_HELLO, "--max-request", "5MiB"),
        )


large_answer = served("--method", SAY_HELLO, "--max-message", "4MiB", answer_size=STOCK_LIMIT + 1)


@contextmanager
def proxy(_: Path) -> Iterator[Rig]:
    # A public name: neither our channel nor a sensible user sends this machine's own addresses to a proxy.
    address = "no-such-eas.invalid:80"
    with proxy_without_tunnels() as port:
        environ = {"http_proxy": f"http://127.0.0.1:{port}"}
        yield Rig(
            address,
            lambda: bare.call_with_environment(address, environ),
            environ=environ,
        )
