"""Where a server listens: text <-> host and port, and why a port cannot be had.

`why_not_bound` opens sockets; the rest is pure.
"""

from __future__ import annotations

import errno
import os
import socket
from ipaddress import ip_address

from eas_grpc.errors import ConfigError

_FATAL = (errno.EADDRINUSE, errno.EACCES)
# EAI_NODATA is not in every system's header.
_NO_SUCH_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))

_ADDRESSES = "write '127.0.0.1' for this machine alone, '0.0.0.0' for everybody"


def address(host: str, port: int) -> str:
    """`host:port` as gRPC reads it, with brackets around an IPv6 address; `unix:/path` stays, it has no port.

    Raises ConfigError for a host that holds a scheme or a port, and for a port outside 0 to 65535.
    """
    if _is_unix(host):
        return host
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65535:
        raise ConfigError(f"port={port!r} must be a whole number from 0 (any free port) to 65535")
    bare = bare_host(host)
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def bare_host(host: str) -> str:
    """The host without brackets; a ConfigError when it is not a host alone."""
    if not isinstance(host, str) or not host.strip():
        raise ConfigError(f"host is empty: {_ADDRESSES}")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if "/" in bare or bare != bare.strip():
        raise ConfigError(f"host={host!r} must be a name or an address alone, without scheme or path")
    if bare.count(":") == 1:
        raise ConfigError(f"host={host!r} holds a port: pass it as port={bare.partition(':')[2]}")
    return bare


def is_loopback(host: str) -> bool:
    """Whether a host is this machine and can be nothing else."""
    bare = host.strip("[]").lower()
    if bare == "localhost" or bare.endswith(".localhost"):
        return True
    try:
        return ip_address(bare).is_loopback
    except ValueError:
        return False


def why_not_bound(host: str, port: int) -> str | None:
    """Why nothing can listen there and what to do; None when it looks free.

    gRPC itself says only that it failed. Asking first also finds a port taken on one of several addresses
    of a name, which gRPC would accept and half of the callers would miss.
    """
    if _is_unix(host):
        return None
    try:
        places = socket.getaddrinfo(bare_host(host), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        if error.errno in _NO_SUCH_NAME:
            return f"that name does not exist; {_ADDRESSES}"
        return f"the name cannot be resolved ({error.strerror}); {_ADDRESSES}"
    refusals: list[OSError] = []
    for family, kind, protocol, _, place in places:
        try:
            with socket.socket(family, kind, protocol) as probe:
                # As gRPC does: an address in TIME_WAIT is free, one that somebody listens on is not.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(place)
        except OSError as error:
            refusals.append(error)
    # An address family that this machine lacks does not matter as long as another one works.
    fatal = [e for e in refusals if e.errno in _FATAL] or (refusals if len(refusals) == len(places) else [])
    return _reason(fatal[0]) if fatal else None


def refusal(host: str, port: int, reason: str) -> ConfigError:
    """The error for a place where the server cannot listen."""
    return ConfigError(f"cannot listen on {address(host, port)}: {reason}")


def _is_unix(host: object) -> bool:
    return isinstance(host, str) and host.startswith("unix:/")


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program listens there already; choose another port, or 0 for any free one"
    if error.errno == errno.EACCES:
        return "this user may not use that port; choose one from 1024 up, or 0 for any free one"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"this machine does not have that address; {_ADDRESSES}"
    return (os.strerror(error.errno) if error.errno else str(error)).lower()
