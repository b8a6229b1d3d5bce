"""Puts the services on a server: one place for the demo program, the command line and the tests."""

from __future__ import annotations

import argparse
import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from google.protobuf.descriptor_pool import DescriptorPool

from eas_grpc import serving
from eas_grpc.errors import ConfigError
from eas_grpc.serving._address import is_loopback
from server_demo import greeter
from server_demo.models import MODELS

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 50080
DEFAULT_TOKEN = "demo-token"  # noqa: S105
BEHIND_GATEWAY = serving.ServerOptions.behind_gateway()


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
    # What is wrong with the text of an argument comes before what the place would mean.
    build(host, port, token, options=options)
    check_name(host)
    check_host(host, public=public, token=token)
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
    MODELS.register(server)


def register_async(server: Any) -> None:
    """Adds every service, for the asyncio server."""
    greeter.add_greeter(greeter.AsyncGreeter(), server)
    MODELS.register_async(server)


def descriptors() -> DescriptorPool:
    """What reflection has to know beyond protobuf's default pool."""
    pool = DescriptorPool()
    greeter.add_descriptors(pool)
    return pool


def check_host(host: str, *, public: bool, token: str | None = DEFAULT_TOKEN) -> None:
    """Raises ConfigError for a host that others can reach, unless that is wanted."""
    if public or is_loopback(host):
        return
    risk = {
        DEFAULT_TOKEN: ", and this demo has a well-known token",
        None: ", and this demo asks for no token",
    }
    raise ConfigError(
        f"{host!r} can be reached from other machines{risk.get(token, '')}:"
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
    parser.add_argument(
        "--behind-gateway",
        dest="options",
        action="store_const",
        const=BEHIND_GATEWAY,
        default=argparse.SUPPRESS,
        help="let one connection carry the calls of many callers",
    )
    return vars(parser.parse_args(args))


def _with_token(options: serving.ServerOptions | None, token: str | None) -> serving.ServerOptions:
    base = serving.ServerOptions() if options is None else options
    return base if token is None else replace(base, tokens=(*base.tokens, token))


def check_name(host: str) -> None:
    """Raises ConfigError for a host that does not exist."""
    try:
        socket.getaddrinfo(host.strip("[]"), None)
    except socket.gaierror as error:
        unknown = error.errno == socket.EAI_NONAME
        reason = "that name does not exist" if unknown else f"that name cannot be resolved ({error.strerror})"
        raise ConfigError(
            f"cannot listen on {host!r}: {reason}; write an address such as 127.0.0.1"
        ) from None
