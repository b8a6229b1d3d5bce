"""Puts the services on a server: one place for the demo program, the command line and the tests."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from eas_grpc_pb.tensor.v1.tensor_pb2_grpc import add_TensorServiceServicer_to_server
from google.protobuf.descriptor_pool import DescriptorPool

from eas_grpc import serving
from eas_grpc.errors import ConfigError
from server_demo import greeter
from server_demo.tensor_service import AsyncTensorService, TensorService

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 50080
DEFAULT_TOKEN = "demo-token"  # noqa: S105


def build(
    host: str = DEFAULT_HOST,
    port: int = 0,
    token: str | None = DEFAULT_TOKEN,
    *,
    options: serving.ServerOptions | None = None,
) -> serving.Server:
    """The demo on a synchronous server, not started yet; `token=None` lets everybody in.

    `options` replaces the defaults; `token` is then added to its tokens. Raises ConfigError.
    """
    return serving.Server(
        register, host=host, port=port, options=_with_token(options, token), pool=descriptors()
    )


def build_async(
    host: str = DEFAULT_HOST,
    port: int = 0,
    token: str | None = DEFAULT_TOKEN,
    *,
    options: serving.ServerOptions | None = None,
) -> serving.AsyncServer:
    """What `build` makes, on asyncio."""
    return serving.AsyncServer(
        register_async, host=host, port=port, options=_with_token(options, token), pool=descriptors()
    )


def serve(
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    token: str | None = DEFAULT_TOKEN,
    *,
    public: bool = False,
    use_asyncio: bool = False,
    options: serving.ServerOptions | None = None,
    ready: Callable[[str], object] | None = None,
) -> int:
    """Serves the demo until SIGTERM or SIGINT and returns the exit status 0.

    Prints `ready on host:port`, or calls `ready` with `host:port` instead. Raises ConfigError for an address
    beyond this machine without `public`, and for a port that cannot be had.
    """
    check_host(host, public=public)
    common: dict[str, Any] = {
        "host": host,
        "port": port,
        "options": _with_token(options, token),
        "pool": descriptors(),
    }
    if ready is not None:
        common["ready"] = ready
    if use_asyncio:
        return asyncio.run(serving.run_async(register_async, **common))
    return serving.run(register, **common)


def register(server: Any) -> None:
    """Adds every service, for the synchronous server."""
    greeter.add_greeter(greeter.Greeter(), server)
    add_TensorServiceServicer_to_server(TensorService(), server)


def register_async(server: Any) -> None:
    """Adds every service, for the asyncio server."""
    greeter.add_greeter(greeter.AsyncGreeter(), server)
    add_TensorServiceServicer_to_server(AsyncTensorService(), server)


def descriptors() -> DescriptorPool:
    """What reflection has to know beyond protobuf's default pool."""
    pool = DescriptorPool()
    greeter.add_descriptors(pool)
    return pool


def check_host(host: str, *, public: bool) -> None:
    """Raises ConfigError for a host that others can reach, unless that is wanted."""
    if public or _is_loopback(host):
        return
    raise ConfigError(
        f"{host!r} can be reached from other machines, and this is a demo with a well-known token:"
        " listen on 127.0.0.1, or pass --public if you mean it"
    )


def parse(args: Sequence[str]) -> dict[str, Any]:
    """The command line of `python -m server_demo` as the arguments of `serve`."""
    parser = argparse.ArgumentParser(
        prog="python -m server_demo", description="Serve the greeter and the demo models over gRPC."
    )
    parser.add_argument("--host", default=DEFAULT_HOST, help="address to listen on (default %(default)s)")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="port, 0 for any free one (default %(default)s)"
    )
    parser.add_argument(
        "--token", default=DEFAULT_TOKEN, help="token that callers have to send (default %(default)s)"
    )
    parser.add_argument(
        "--no-token", dest="token", action="store_const", const=None, help="let everybody call"
    )
    parser.add_argument("--public", action="store_true", help="allow an address that others can reach")
    parser.add_argument("--asyncio", dest="use_asyncio", action="store_true", help="serve on grpc.aio")
    return vars(parser.parse_args(args))


def _with_token(options: serving.ServerOptions | None, token: str | None) -> serving.ServerOptions:
    base = serving.ServerOptions() if options is None else options
    return base if token is None else replace(base, tokens=(*base.tokens, token))


def _is_loopback(host: str) -> bool:
    bare = host.strip("[]")
    if bare == "localhost":
        return True
    try:
        return ip_address(bare).is_loopback
    except ValueError:
        return False
