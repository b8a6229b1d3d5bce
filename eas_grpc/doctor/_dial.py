"""Names, TCP and the proxy's tunnel, over the standard library's sockets. I/O only; `_links` decides."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import time
from base64 import b64encode
from dataclasses import dataclass
from typing import Literal

from eas_grpc.doctor._proxy import Proxy
from eas_grpc.doctor._seen import Attempt, Lookup, Tunnel
from eas_grpc.endpoint import Endpoint

__all__ = ["Dialled", "dial", "look_up", "open_tunnel"]

_LONGEST_ANSWER = 16 * 1024


@dataclass(frozen=True)
class Dialled:
    """All tries, the last one good where there is a socket."""

    attempts: tuple[Attempt, ...]
    sock: socket.socket | None = None


def look_up(host: str, port: int, timeout: float) -> Lookup:
    """Python's own resolver, which cannot be told when to stop: it is left behind in a thread."""
    found: list[Lookup] = []

    def ask() -> None:
        found.append(_look_up(host, port))

    asking = threading.Thread(target=ask, daemon=True, name="doctor-dns")
    asking.start()
    asking.join(timeout)
    return found[0] if found else Lookup(failure="timeout", detail=f"no answer within {timeout:.1f} s")


def _look_up(host: str, port: int) -> Lookup:
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        unknown = error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
        return Lookup(failure="unknown" if unknown else "unanswered", detail=str(error.strerror))
    except (OSError, UnicodeError) as error:
        return Lookup(failure="unanswered", detail=str(error))
    return Lookup(tuple(dict.fromkeys(str(entry[4][0]) for entry in entries)))


def dial(endpoint: Endpoint, addresses: tuple[str, ...], port: int, timeout: float) -> Dialled:
    """Connects to the first address that answers; a socket file needs no address."""
    if endpoint.socket is not None and not addresses:
        path = endpoint.socket
        name = f"\0{path[1:]}" if path.startswith("@") else path
        attempt, sock = _connect(socket.AF_UNIX, name, path, timeout)
        return Dialled((attempt,), sock)
    attempts: list[Attempt] = []
    until = time.monotonic() + timeout
    for place, address in enumerate(addresses):
        # Each one gets its share of the time that is left, so that a dead one does not use up all.
        share = max(0.05, (until - time.monotonic()) / (len(addresses) - place))
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        shown = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        attempt, sock = _connect(family, (address, port), shown, share)
        attempts.append(attempt)
        if sock is not None:
            return Dialled(tuple(attempts), sock)
    return Dialled(tuple(attempts))


def _connect(
    family: socket.AddressFamily, name: str | tuple[str, int], shown: str, timeout: float
) -> tuple[Attempt, socket.socket | None]:
    began = time.monotonic()
    sock = None
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        sock.connect(name)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        if sock is not None:
            sock.close()
        return Attempt(shown, _outcome(error), time.monotonic() - began, error.strerror or str(error)), None
    return Attempt(shown, "ok", time.monotonic() - began), sock


def _outcome(error: OSError) -> Literal["refused", "timeout", "unreachable", "failed"]:
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return "timeout"
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return "unreachable"
    return "failed"


def open_tunnel(sock: socket.socket, proxy: Proxy, authority: str, timeout: float) -> Tunnel:
    """Asks the proxy for a tunnel as gRPC's core does; never sends the service's token."""
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if proxy.login is not None:
        lines.append(f"Proxy-Authorization: Basic {b64encode(proxy.login.encode()).decode()}")
    until = time.monotonic() + timeout
    answer = b""
    try:
        sock.settimeout(timeout)
        sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in answer and len(answer) < _LONGEST_ANSWER:
            sock.settimeout(max(0.01, until - time.monotonic()))
            # A byte at a time: what follows the answer already belongs to the server behind.
            piece = sock.recv(1)
            if not piece:
                break
            answer += piece
    except OSError as error:
        if not answer:
            return Tunnel(None, failure="silence" if isinstance(error, TimeoutError) else "broken")
    status = None
    first = answer.split(b"\r\n", 1)[0].split(b" ")
    if first[0].startswith(b"HTTP/") and len(first) > 1 and first[1].isdigit():
        status = int(first[1][:4])
    if status is not None and status // 100 != 2:
        answer += _rest(sock, until)
    return Tunnel(status, answer, "" if answer else "closed")


def _rest(sock: socket.socket, until: float) -> bytes:
    """What comes of a refusal's page in a short time: it often says why."""
    with contextlib.suppress(OSError):
        sock.settimeout(max(0.01, min(0.2, until - time.monotonic())))
        return sock.recv(4096)
    return b""
