"""What a client that is nothing but grpcio meets: the judge of whether a rig is in the state that it claims."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import grpc
from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloRequest

from support.doctor_rigs_servers import SAY_HELLO

PATIENCE_SECONDS = 20.0
# How long a call waits where nobody will answer.
SHORT_SECONDS = 0.5
WORLD = HelloRequest(name="World").SerializeToString()


class Met(NamedTuple):
    """How a call ended, and after how long."""

    status: str
    details: str
    seconds: float


def call(
    target: str,
    *,
    path: str = SAY_HELLO,
    request: bytes = WORLD,
    metadata: Sequence[tuple[str, str]] = (),
    credentials: grpc.ChannelCredentials | None = None,
    options: Sequence[tuple[str, Any]] = (),
    timeout: float = PATIENCE_SECONDS,
    wait_for_ready: bool | None = None,
) -> Met:
    """One call of bare grpcio, without the proxy that the environment may name."""
    named = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1), *options]
    if credentials is None:
        channel = grpc.insecure_channel(target, named)
    else:
        channel = grpc.secure_channel(target, credentials, named)
    begun = time.monotonic()
    with channel:
        try:
            channel.unary_unary(f"/{path}")(
                request, metadata=metadata, timeout=timeout, wait_for_ready=wait_for_ready
            )
        except grpc.RpcError as error:
            return Met(error.code().name, error.details() or "", time.monotonic() - begun)
    return Met("OK", "", time.monotonic() - begun)


def call_again(target: str, *, after: float) -> Met:
    """The second call of a channel that has had nothing to do for so long after its first."""
    with grpc.insecure_channel(target, [("grpc.enable_http_proxy", 0)]) as channel:
        method = channel.unary_unary(f"/{SAY_HELLO}")
        method(WORLD, timeout=PATIENCE_SECONDS)
        # Time is what the rig is about: nothing tells when a connection has been forgotten.
        time.sleep(after)
        begun = time.monotonic()
        try:
            method(WORLD, timeout=SHORT_SECONDS)
        except grpc.RpcError as error:
            return Met(error.code().name, error.details() or "", time.monotonic() - begun)
    return Met("OK", "", time.monotonic() - begun)


def await_ready(target: str, timeout: float) -> str | None:
    """What `channel_ready_future` says where the channel does not become ready; None where it does."""
    with grpc.insecure_channel(target, [("grpc.enable_http_proxy", 0)]) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout)
        except grpc.FutureTimeoutError as error:
            return str(error)
    return None


_ELSEWHERE = """
import json, sys, grpc
target, path, timeout = sys.argv[1:]
with grpc.insecure_channel(target) as channel:
    try:
        channel.unary_unary("/" + path)(b"", timeout=float(timeout))
        print(json.dumps(["OK", ""]))
    except grpc.RpcError as error:
        print(json.dumps([error.code().name, error.details()]))
"""


def call_with_environment(
    target: str, environ: Mapping[str, str], *, path: str = SAY_HELLO, timeout: float = PATIENCE_SECONDS
) -> Met:
    """The same in a process of its own, with these variables of the environment: core reads the proxy there."""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE, target, path, str(timeout)],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_SECONDS,
        check=True,
    )
    status, details = json.loads(done.stdout)
    return Met(status, details, time.monotonic() - begun)
