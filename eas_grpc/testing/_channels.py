"""Channels to one endpoint with one token, closed together. Knows nothing of pytest."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Any

import grpc

import eas_grpc
from eas_grpc import aio

__all__ = ["Channels"]


class Channels:
    """Makes channels; `closing` ends them. `defaults` go to each and give way to what is asked for."""

    def __init__(self, endpoint: str, token: str, closing: ExitStack, **defaults: Any) -> None:
        self._endpoint = endpoint
        self._closing = closing
        self._defaults = {"token": token, **defaults}

    def connect(self, **options: Any) -> grpc.Channel:
        """A channel of `eas_grpc.connect`; takes its options."""
        return self._closing.enter_context(eas_grpc.connect(self._endpoint, **{**self._defaults, **options}))

    def connect_aio(self, **options: Any) -> grpc.aio.Channel:
        """A channel of `eas_grpc.aio.connect`; takes its options.

        In an `async with` it is closed on leaving. Otherwise at the end of the test, on the event loop that
        ran when it was made; where there is none, or it is closed by then, as soon as Python collects it.
        """
        channel = aio.connect(self._endpoint, **{**self._defaults, **options})
        self._closing.callback(_close, channel, _running_loop())
        return channel


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _close(channel: grpc.aio.Channel, loop: asyncio.AbstractEventLoop | None) -> None:
    # pytest-asyncio closes the loop of a single test before fixtures end; close() needs a loop, grpc's own
    # finalizer does not.
    if loop is not None and not loop.is_closed() and not loop.is_running():
        loop.run_until_complete(channel.close())
