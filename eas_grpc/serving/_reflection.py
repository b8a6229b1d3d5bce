"""Server reflection, v1 and v1alpha, from grpcio-reflection when that is installed (extra `serve`)."""

from __future__ import annotations

import logging
from typing import Any

import grpc
from google.protobuf import descriptor_pool

from eas_grpc.serving._registry import Registry
from eas_grpc.serving.descriptors import repackaged

# The messages of both versions are the same on the wire; most tools ask for v1 first, older ones know
# v1alpha alone.
REFLECTION_SERVICES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")

_logger = logging.getLogger("eas_grpc.serving")


def add_reflection(
    registry: Registry, pool: descriptor_pool.DescriptorPool | None, *, asynchronous: bool
) -> None:
    """Lets tools ask for all services of the registry; without the package it says so once and adds nothing."""
    try:
        from grpc_reflection.v1alpha import reflection, reflection_pb2
    except ImportError:
        _logger.warning(
            "no reflection: grpcio-reflection is not installed; pip install 'eas-grpc[serve]' adds it"
        )
        return
    kind: Any = reflection.aio.ReflectionServicer if asynchronous else reflection.ReflectionServicer
    # grpcio-reflection brings the descriptor of v1alpha alone.
    v1 = descriptor_pool.DescriptorPool()
    v1.Add(
        repackaged(
            reflection_pb2.DESCRIPTOR,
            package="grpc.reflection.v1",
            name="grpc/reflection/v1/reflection.proto",
        )
    )
    pools = Pools(pool, *registry.pools, descriptor_pool.Default(), v1)
    servicer = kind([*registry.services, *REFLECTION_SERVICES], pool=pools)
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for service in REFLECTION_SERVICES:
        registry.put(service, {"ServerReflectionInfo": handler})


class Pools:
    """Descriptor pools asked one after the other, as far as the reflection servicer asks."""

    def __init__(self, *pools: descriptor_pool.DescriptorPool | None) -> None:
        self._pools = [pool for pool in pools if pool is not None]

    def _first(self, question: str, *args: Any) -> Any:
        for pool in self._pools:
            try:
                return getattr(pool, question)(*args)
            except KeyError:
                continue
        raise KeyError(args[0])

    def FindFileByName(self, name: str) -> Any:  # noqa: N802
        """The file with this path."""
        return self._first("FindFileByName", name)

    def FindFileContainingSymbol(self, symbol: str) -> Any:  # noqa: N802
        """The file that declares this full name."""
        return self._first("FindFileContainingSymbol", symbol)

    def FindMessageTypeByName(self, name: str) -> Any:  # noqa: N802
        """The message with this full name."""
        return self._first("FindMessageTypeByName", name)

    def FindExtensionByNumber(self, message: Any, number: int) -> Any:  # noqa: N802
        """An extension of a message, asked of the pool that the message came from."""
        return message.file.pool.FindExtensionByNumber(message, number)

    def FindAllExtensions(self, message: Any) -> Any:  # noqa: N802
        """All extensions of a message, asked of the pool that the message came from."""
        return message.file.pool.FindAllExtensions(message)
