"""Which service a request is for, and what of its target the service sees. Pure text.

A service is named by the host (its own domain) or by the path (`/api/predict/<service>`). What a request
may do is decided for the service that is named here, so nothing behind this module may read the target another
way: paths with `.` or `..` in them are refused in every spelling, and an encoded slash separates nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote

from server_demo.gateway._exchange import Head

__all__ = ["Route", "path_and_query", "route", "route_grpc", "single_slashes"]

_PREDICT: Final = ["api", "predict"]
# Python's SDK from 0.34 on; and Go's, Java's, older ones and the documentation (eas-wire.md 3.5).
_DISCOVERY: Final = (
    ["api", "v1", "servicediscovery", "upstreams"],
    ["exported", "apis", "eas.alibaba-inc.k8s.io", "v1", "upstreams"],
)

# What a request line can carry, and no fragment; over HTTP/2 more may come in.
_TARGET = re.compile(r"[!-\"$-~]+")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)(.*)", re.DOTALL)
_PORT = re.compile(r":[0-9]*\Z")
_CLOUD: Final = ".pai-eas.aliyuncs.com"
# A name of at most 253 characters, a port, and the name of a user, who is not read.
_LONGEST_AUTHORITY: Final = 400
_LOCAL: Final = ".localhost"


@dataclass(frozen=True)
class Route:
    """Where a request over HTTP goes.

    `kind` is "http" for a call of `service`, whose target for that service is `rest`; "discovery" for the
    question where the instances of `service` are; "unknown" when no service is named, or none of that name is
    there; "refused" when the path could be read in two ways or holds what no path may. `service` is None unless
    it is one of ours.
    """

    kind: Literal["http", "discovery", "unknown", "refused"]
    service: str | None = None
    rest: str = ""


_UNKNOWN = Route("unknown")
_REFUSED = Route("refused")


def route(head: Head, names: Collection[str]) -> Route:
    """The route of a request over HTTP, among services of these names.

    A host that names a service comes before the path: there the root is the service, with or without
    `/api/predict/<service>` in front (as inside a pod). The query stays, doubled slashes become one, and what
    is percent-encoded stays so.
    """
    if not _TARGET.fullmatch(head.target):
        return _REFUSED
    path, query = path_and_query(head.target)
    if not path.startswith("/"):
        return _UNKNOWN
    segments = single_slashes(path)[1:].split("/")
    plain = [unquote(segment, encoding="latin-1") for segment in segments]
    if any(_climbs(segment) for segment in plain):
        return _REFUSED
    host = _Host(_authority(head))
    service = host.service(names)
    if service is None:
        if host.names_one:
            return _UNKNOWN
        for prefix in _DISCOVERY:
            named = _after(prefix, plain)
            if named is not None:
                # Go's SDK asks with the whole name it was given, which may have a path behind it.
                return Route("discovery", named) if named in names else _UNKNOWN
    named = _after(_PREDICT, plain)
    if service is None and named in names:
        service = named
    if service is None:
        return _UNKNOWN
    rest = segments[len(_PREDICT) + 1 :] if named == service else segments
    return Route("http", service, "/" + "/".join(rest) + ("" if query is None else f"?{query}"))


def route_grpc(authority: str, names: Collection[str], default: str | None) -> str | None:
    """The service that a gRPC call's `:authority` names: `default` if none, None if it is not ours."""
    host = _Host(authority)
    return host.service(names) or (None if host.names_one else default)


def path_and_query(target: str) -> tuple[str, str | None]:
    """Path and query as they travelled; of an absolute target (RFC 9112, 3.2.2) what follows the host."""
    absolute = _ABSOLUTE.match(target)
    path, mark, query = (absolute[2] if absolute else target).partition("?")
    return path or ("/" if absolute else ""), query if mark else None


def single_slashes(path: str) -> str:
    """The path without empty segments; a slash at its end stays."""
    return re.sub("//+", "/", path)


def _authority(head: Head) -> str:
    # An absolute target counts more than the Host header (RFC 9112, 3.2.2).
    absolute = _ABSOLUTE.match(head.target)
    return absolute[1] if absolute else head.authority


def _climbs(segment: str) -> bool:
    """Whether somebody who decodes a segment first, or takes a backslash for a slash, climbs out of it."""
    return "." in segment and any(part in {".", ".."} for part in re.split(r"[/\\]", segment))


def _after(prefix: list[str], segments: list[str]) -> str | None:
    """The segment behind a prefix."""
    at = len(prefix)
    return segments[at] if len(segments) > at and segments[:at] == prefix else None


class _Host:
    """A host as it was called; `names_one`: it is a service's own domain, whether of ours or not."""

    __slots__ = ("_prefixes", "names_one")

    def __init__(self, authority: str) -> None:
        if len(authority) > _LONGEST_AUTHORITY:
            authority = ""
        host = _PORT.sub("", authority.rpartition("@")[2]).lower().removesuffix(".")
        labels = host.split(".")
        # A name cannot end in a number: "127.0.0.1" or "::1" is no place to look for services.
        if host.startswith("[") or labels[-1].isdigit():
            labels = []
        own = _service_labels(host)
        self._prefixes = [own] if own else [".".join(labels[:n]) for n in range(len(labels) - 1, 0, -1)]
        self.names_one = bool(own) or host.endswith(_LOCAL)

    def service(self, names: Collection[str]) -> str | None:
        """The service with the longest name that the host begins with; in EAS's domain the whole counts."""
        if not self._prefixes:
            return None
        # A domain cannot hold '_', so '-' stands for it, unless that is another service's name.
        known = {name.lower().replace("_", "-"): name for name in names} | {
            name.lower(): name for name in names
        }
        return next((known[prefix] for prefix in self._prefixes if prefix in known), None)


def _service_labels(host: str) -> str:
    """What stands before `<uid>[.vpc].<region>` in EAS's domain."""
    if not host.endswith(_CLOUD):
        return ""
    labels = host.removesuffix(_CLOUD).split(".")
    return ".".join(labels[: -3 if labels[-2:-1] == ["vpc"] else -2])
