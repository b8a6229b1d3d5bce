"""Servers in the gateway's own process, on sockets that no other user can reach, so that nobody gets past the gateway."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from google.protobuf.descriptor_pool import DescriptorPool

from eas_grpc import serving
from eas_grpc.serving._background import in_background

__all__ = ["Hosting"]


class Hosting:
    """Servers that end together."""

    def __init__(self) -> None:
        self._closing = ExitStack()
        self._folder: str | None = None
        self._sockets = 0

    @property
    def folder(self) -> str:
        """A folder for this user alone, gone in the end."""
        if self._folder is None:
            self._folder = self._closing.enter_context(tempfile.TemporaryDirectory(prefix="eas-grpc-"))
        return self._folder

    def new_socket(self) -> str:
        """A path for one more socket."""
        self._sockets += 1
        return f"{self.folder}/{self._sockets}"

    def grpc(
        self,
        register: Callable[[Any], object],
        *,
        options: serving.ServerOptions | None,
        pool: DescriptorPool | None,
        use_asyncio: bool,
    ) -> str:
        """Serves what `register` adds; the address."""
        server = self._closing.enter_context(
            in_background(
                register,
                host=f"unix:{self.new_socket()}",
                options=serving.ServerOptions.behind_gateway() if options is None else options,
                pool=pool,
                use_asyncio=use_asyncio,
            )
        )
        return server.address

    def close(self) -> None:
        """Ends all of them."""
        self._closing.close()
