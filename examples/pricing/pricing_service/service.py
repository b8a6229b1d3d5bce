"""The service, once for threads and once for asyncio."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc

from eas_grpc import serving
from pricing_service.pb.pricing.v1 import pricing_pb2 as pb
from pricing_service.pb.pricing.v1 import pricing_pb2_grpc as rpc


def price(square_meters: float) -> float:
    """A model, of sorts."""
    return 50_000 + 4_000 * square_meters


class Pricing(rpc.PricingServiceServicer):
    """For threads."""

    def Price(self, request: pb.PriceRequest, context: grpc.ServicerContext) -> pb.PriceResponse:  # noqa: N802
        """One price."""
        if request.square_meters <= 0:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "square_meters must be above 0")
        return pb.PriceResponse(price=price(request.square_meters))

    def PriceEach(  # noqa: N802
        self, request_iterator: Iterator[pb.PriceEachRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.PriceEachResponse]:
        """A price for each that comes."""
        for request in request_iterator:
            yield pb.PriceEachResponse(price=price(request.square_meters))


class AsyncPricing(rpc.PricingServiceServicer):
    """For asyncio."""

    async def Price(  # noqa: N802
        self, request: pb.PriceRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.PriceResponse:
        """One price."""
        if request.square_meters <= 0:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "square_meters must be above 0")
        return pb.PriceResponse(price=price(request.square_meters))

    async def PriceEach(  # noqa: N802
        self,
        request_iterator: AsyncIterator[pb.PriceEachRequest],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[pb.PriceEachResponse]:
        """A price for each that comes."""
        async for request in request_iterator:
            yield pb.PriceEachResponse(price=price(request.square_meters))


def register(server: Any) -> None:
    """Adds the service to a server."""
    rpc.add_PricingServiceServicer_to_server(Pricing(), server)


def register_async(server: Any) -> None:
    """Adds the service to an asyncio server."""
    rpc.add_PricingServiceServicer_to_server(AsyncPricing(), server)


if __name__ == "__main__":
    sys.exit(serving.run(register, host="0.0.0.0", port=50051))  # noqa: S104
