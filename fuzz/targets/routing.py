"""Which service a request is for. A finding is also a path that climbs, or that somebody behind could read another way."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from server_demo.gateway._exchange import Head
from server_demo.gateway._routing import path_and_query, route, route_grpc, single_slashes

RATE = 20000
NAMES = ("demo", "demo_v2", "group.demo", "a", "B-c")


def check(data: bytes) -> None:
    """Nothing is raised. Target, host and the authority of a gRPC call come one after the other."""
    target, _, rest = data.decode("latin-1").partition("\n")
    host, _, authority = rest.partition("\n")
    found = route(Head("POST", target, host, []), NAMES)
    assert found.service is None or found.service in NAMES
    assert (found.service is None) == (found.kind in {"unknown", "refused"})
    assert route_grpc(authority, NAMES, "demo") in (None, *NAMES)
    if found.kind != "http":
        return
    path, query = path_and_query(found.rest)
    assert path.startswith("/")
    assert path == single_slashes(path)
    assert query == path_and_query(target)[1]
    # Decoded once by whoever is behind, and backslashes taken for slashes, it still leads down.
    assert not {".", ".."} & set(unquote(path, encoding="latin-1").replace("\\", "/").split("/")), path
    # A second gateway behind this one reads it as it is.
    assert path_and_query(path) == (path, None)


def seeds() -> Iterator[bytes]:
    """One of each form."""
    for target in (
        b"/api/predict/demo/v1/x?k=v",
        b"//api//predict/demo",
        b"/api/predict/demo/%2e%2e/a",
        b"/api/predict/group.demo/.%2F..%5c",
        b"http://demo.1.r.pai-eas.aliyuncs.com/api/predict/demo",
        b"/exported/apis/eas.alibaba-inc.k8s.io/v1/upstreams/demo/v1?internal=true",
        b"/api/v1/servicediscovery/upstreams/B-c",
        b"*",
    ):
        yield target + b"\ndemo-v2.1.vpc.r.pai-eas.aliyuncs.com:80\na.localhost:1"
        yield target + b"\n[::1]:80\nuser@127.0.0.1"
