"""The pytest plugin. pytest imports this file at every start, so what is heavy is imported by the fixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from eas_grpc.errors import ConfigError

if TYPE_CHECKING:
    import grpc

    from eas_grpc.testing._gateway import LocalGateway, MakeGateway
    from eas_grpc.testing._served import Serve
    from server_demo.gateway import GatewayOptions

__all__ = [
    "eas_aio_channel",
    "eas_channel",
    "eas_gateway",
    "eas_make_gateway",
    "eas_register",
    "eas_serve",
]


@pytest.fixture
def eas_serve() -> Iterator[Serve]:
    """Serves what a function registers, on a free port of this machine: `served = eas_serve(register)`.

    Gives a `Served`: `served.channel` for generated stubs, `served.connect(token="wrong")` for another
    channel, `served.connect_aio()` for an asyncio one. Servers and channels end with the test.
    """
    from eas_grpc.testing._served import serving_until_the_end

    with serving_until_the_end() as serve:
        yield serve


@pytest.fixture
def eas_make_gateway() -> Iterator[MakeGateway]:
    """Starts gateways with nothing behind them yet: `gateway = eas_make_gateway(tls=True)`, then `gateway.put(register)`.

    Gateways, servers and channels end with the test, and so do the faults that are on.
    """
    from eas_grpc.testing._gateway import LocalGateway

    with ExitStack() as closing:

        def make(
            *, token: str | None = None, options: GatewayOptions | None = None, tls: bool = False
        ) -> LocalGateway:
            return closing.enter_context(LocalGateway(token=token, options=options, tls=tls))

        yield make


@pytest.fixture
def eas_register() -> Callable[[Any], object]:
    """What `eas_gateway` has behind it. Define a fixture of this name that returns your `register(server)`."""
    return _the_demo


@pytest.fixture
def eas_gateway(eas_make_gateway: MakeGateway, eas_register: Callable[[Any], object]) -> LocalGateway:
    """A gateway like EAS's on this machine, with your servicer behind it, or else with the demo's services.

    Your servicer is what the fixture `eas_register` returns; `eas_gateway.put(register, name="another")` adds more.
    Gives a `LocalGateway`: `eas_gateway.faults.latency(0.2, calls=3)`, `eas_gateway.calls()`, `eas_gateway.url("echo")`.
    """
    gateway = eas_make_gateway()
    if eas_register is not _the_demo:
        gateway.put(_returned(eas_register))
    else:
        from server_demo.gateway.demo import add_demo

        add_demo(gateway, (gateway.token,))
    return gateway


@pytest.fixture
def eas_channel(eas_gateway: LocalGateway) -> grpc.Channel:
    """The channel of `eas_grpc.connect` to what is behind `eas_gateway`, with the right token."""
    return eas_gateway.channel


@pytest.fixture
def eas_aio_channel(eas_gateway: LocalGateway) -> grpc.aio.Channel:
    """The channel of `eas_grpc.aio.connect` to what is behind `eas_gateway`, with the right token."""
    return eas_gateway.connect_aio()


def _the_demo(server: Any) -> None:
    """Stands for the demo's services where nobody has defined `eas_register`."""
    raise NotImplementedError


def _returned(register: Callable[[Any], object] | None) -> Callable[[Any], object]:
    if register is None:
        raise ConfigError("the fixture eas_register returned None: return your register(server)")
    return register
