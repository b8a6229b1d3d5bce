"""The demo's services behind a gateway: what `eas-grpc serve` runs, and what the test fixtures have when given nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from eas_grpc.errors import ConfigError
from eas_grpc.serving import ServerOptions
from eas_grpc.serving._run import stop_signals
from server_demo import app, http_services
from server_demo.gateway.gateway import Gateway
from server_demo.gateway.options import Service

__all__ = ["add_demo", "serve", "upstream"]


def add_demo(gateway: Gateway, tokens: Iterable[str], *, use_asyncio: bool = False) -> None:
    """Puts the demo's services behind a running gateway: `greeter`, `echo` and `digits`.

    All three answer gRPC, each with all of the demo's methods; `echo` and `digits` answer HTTP too. A service of the
    same name that is there already stays.
    """
    register = app.register_async if use_asyncio else app.register
    grpc = gateway.serve_grpc(register, pool=app.descriptors(), use_asyncio=use_asyncio)
    handlers = {"greeter": None, "echo": http_services.echo, "digits": http_services.digits}
    for name, handler in handlers.items():
        if not gateway.has(name):
            http = None if handler is None else gateway.serve_http(handler)
            gateway.add(Service(name=name, grpc=grpc, http=http, tokens=tuple(tokens)))
            gateway.add_instance(name)


def upstream(text: str, tokens: tuple[str, ...]) -> Service:
    """The service that `NAME=HOST:PORT` means, over both protocols, with settings behind it: `,keepalive=60,token=T`.

    `,grpc=` and `,http=` say where else one of the protocols is, or `none`.

    Raises ConfigError for text that means none.
    """
    name, equals, rest = text.partition("=")
    place, *pairs = rest.split(",")
    if not equals or not name or not place:
        raise ConfigError(f"--upstream {name}: write NAME=HOST:PORT, for example mine=127.0.0.1:9000")
    settings: dict[str, Any] = {"grpc": place, "http": place}
    own: list[str] = []
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if key == "token" and value:
            own.append(value)
        elif key in _SETTINGS and equals:
            settings[key] = _read(key, value)
        else:
            raise ConfigError(
                f"--upstream {name} has no setting {key!r}: there are token, {', '.join(_SETTINGS)}"
            )
    try:
        return Service(name=name, tokens=tuple(own) or tokens, **settings)
    except ConfigError as error:
        raise ConfigError(f"--upstream {name}: {error}") from None


def _place(value: str) -> str | None:
    return None if value == "none" else value


_SETTINGS: dict[str, Callable[[str], object]] = {
    "grpc": _place,
    "http": _place,
    "keepalive": float,
    "rate_limit": int,
    "worker_threads": int,
    "max_queue_size": int,
    "decompressor": str,
}


def _read(key: str, value: str) -> object:
    try:
        return _SETTINGS[key](value)
    except ValueError:
        raise ConfigError(f"--upstream: {key}={value!r} must be a number") from None


def serve(
    gateway: Gateway,
    tokens: Sequence[str],
    *,
    use_asyncio: bool = False,
    faults: Sequence[str] = (),
    say: Callable[[str], object],
) -> int:
    """Runs a gateway with the demo behind it until SIGTERM or SIGINT; returns the exit status 0.

    Calls under way then have the time that a server of ours gives them.

    Says `ready on host:port` once it serves, and then where its admin interface, its certificate and its page are. Raises ConfigError
    as `Gateway` does.
    """
    # In place before anybody is told that it is ready: a stop right after that must be graceful too.
    with stop_signals() as wait, gateway:
        add_demo(gateway, tokens, use_asyncio=use_asyncio)
        for text in faults:
            gateway.faults.begin(text)
        say(f"ready on {gateway.address}")
        if gateway.admin_address is not None:
            say(f"admin on {gateway.admin_address}")
        if gateway.certificate_file is not None:
            say(f"certificate in {gateway.certificate_file}")
        if gateway.page is not None:
            say(f"page on {gateway.page}")
        wait()
        gateway.drain(ServerOptions().grace)
    return 0
