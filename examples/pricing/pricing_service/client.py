"""The code that calls the service: what the tests are about."""

from __future__ import annotations

import grpc

from eas_grpc.errors import CallError
from pricing_service.pb.pricing.v1 import pricing_pb2 as pb
from pricing_service.pb.pricing.v1 import pricing_pb2_grpc as rpc


def quote(channel: grpc.Channel, square_meters: float, *, timeout: float = 1.0) -> str:
    """A price for people to read, or what to tell them when there is none in `timeout` seconds."""
    try:
        answer = rpc.PricingServiceStub(channel).Price(
            pb.PriceRequest(square_meters=square_meters), timeout=timeout
        )
    except CallError as error:
        if error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
            return "no price at the moment"
        raise
    return f"{answer.price:,.0f}"


async def quote_async(channel: grpc.aio.Channel, square_meters: float) -> str:
    """The same, on asyncio."""
    answer = await rpc.PricingServiceStub(channel).Price(
        pb.PriceRequest(square_meters=square_meters), timeout=1.0
    )
    return f"{answer.price:,.0f}"
