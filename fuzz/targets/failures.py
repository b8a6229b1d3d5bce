"""What a failed call brings: status, details, metadata and core's own text. A secret that shows is a finding.

The lines of an input are details, core's text, and a key and a value of the trailing metadata; the first byte is the status.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import grpc

from eas_grpc.errors import CallError
from eas_grpc.rpc._explain import explain
from eas_grpc.rpc._status import AioRpcCallError, RpcCallError

RATE = 10000
SECRET = "canary-token"
STATUSES = [code.name for code in grpc.StatusCode]


def check(data: bytes) -> None:
    """Nothing is raised."""
    if not data:
        return
    lines = [*data[1:].split(b"\n", 3), *([b""] * 4)][:4]
    # grpc decodes details without being strict about them.
    details, debug, key, value = (line.decode("utf-8", "replace") for line in lines)
    pairs = ((key, value), (f"{key}-bin", lines[3]))
    status = STATUSES[data[0] % len(STATUSES)]
    for sent in (True, False):
        failure = explain(
            status,
            details,
            debug=debug,
            trailing_metadata=pairs,
            secret=SECRET,
            token_sent=sent,
            method="/a/B",
        )
        assert SECRET not in str(failure)
        # A key is a name, which nobody echoes a token in.
        assert SECRET not in repr(failure).replace(repr(key), "").replace(repr(f"{key}-bin"), "")
    for kind in (CallError, RpcCallError, AioRpcCallError):
        error = kind(failure)
        assert str(error)
        assert repr(error)
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), again.failure) == (kind, failure)
    assert RpcCallError(failure).code().name == status
    assert tuple(AioRpcCallError(failure).trailing_metadata() or ()) is not None


def seeds() -> Iterator[bytes]:
    """What core and gateways say."""
    for details in (
        b"Received http2 header with status: 503",
        b"received http2 header with status: 999999",
        b"failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Connection refused",
        b"SERVER: Received message larger than max (5 vs. 4)",
        b"token canary-token refused",
        b"Stream removed",
        b"RST_STREAM with error code 7",
        b"\xff\xfe",
    ):
        for status in (1, 2, 5, 14, 16):
            yield (
                bytes((status,))
                + details
                + b"\nError received from peer ipv4:1:2\ngrpc-status-details\ncanary-token"
            )
