"""Which proxy gRPC takes from the environment, by the rules of its core, which are not those of other tools. Pure.

Tried with grpcio 1.85: the first of grpc_proxy, https_proxy, http_proxy that is set counts, even an empty one; only
`http://`; names in upper case count for nothing; of no_grpc_proxy and no_proxy the first that is set counts; an entry
of it is a suffix at a dot or a network, `*` and ports mean nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from eas_grpc.endpoint import Endpoint

__all__ = ["Proxy", "ProxyChoice", "choose_proxy"]

_VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")
_EXCEPTIONS = ("no_grpc_proxy", "no_proxy")


@dataclass(frozen=True)
class Proxy:
    """A proxy and the variable that names it. `login` is never shown."""

    variable: str
    host: str
    port: int
    login: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port} ({self.variable})"


@dataclass(frozen=True)
class ProxyChoice:
    """`plain`: the proxy of a client that leaves it to gRPC; `ours`: the one that connect() uses."""

    plain: Proxy | None
    ours: Proxy | None
    evidence: tuple[str, ...] = ()


def choose_proxy(endpoint: Endpoint, environ: Mapping[str, str], wanted: bool | None) -> ProxyChoice:
    """What the environment means for this address; `wanted` is connect()'s `proxy=`."""
    if endpoint.socket is not None:
        return ProxyChoice(None, None, ("a Unix socket needs none",))
    lines = []
    plain: Proxy | None = None
    name = next((name for name in _VARIABLES if name in environ), None)
    if name is not None:
        plain = _read(name, environ[name])
        if plain is None and environ[name]:
            lines.append(f"{name} is set, but gRPC takes only http://HOST:PORT, so it counts for nothing")
    lines += [
        f"{upper} counts for nothing: gRPC reads {lower}"
        for lower in (*_VARIABLES, *_EXCEPTIONS)
        if (upper := lower.upper()) in environ and lower not in environ
    ]
    if plain is not None:
        lines.append(f"{plain.variable} names the proxy {plain.host}:{plain.port}")
        except_name = next((each for each in _EXCEPTIONS if each in environ), None)
        if except_name is not None and excepted(endpoint.host, environ[except_name]):
            lines.append(f"{except_name} leaves {endpoint.host} out")
            plain = None
        elif except_name is not None and "*" in environ[except_name]:
            lines.append(f"gRPC knows no '*' in {except_name}")
    ours = plain if (wanted if wanted is not None else not endpoint.is_private) else None
    if plain is not None and ours is None:
        lines.append(f"connect() goes around it for {endpoint.host}")
    return ProxyChoice(plain, ours, tuple(lines) or ("none set",))


def excepted(host: str, entries: str) -> bool:
    """Whether core goes around the proxy for this host."""
    for entry in (part.strip().lower() for part in entries.split(",")):
        bare = entry.removeprefix(".")
        if bare and (host == bare or host.endswith(f".{bare}")):
            return True
        try:
            if "/" in entry and ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:
            continue
    return False


def _read(name: str, value: str) -> Proxy | None:
    try:
        parts = urlsplit(value.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme != "http" or not host:
        return None
    login = None
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Proxy(name, host, 443 if port is None else port, login)
