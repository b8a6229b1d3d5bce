"""The caller, against its own service behind a gateway like EAS's."""

import grpc
import pytest
from pricing_service import service
from pricing_service.client import quote, quote_async
from pricing_service.pb.pricing.v1 import pricing_pb2 as pb
from pricing_service.pb.pricing.v1 import pricing_pb2_grpc as rpc

from eas_grpc.errors import CallError


def test_a_price_comes_through_the_gateway(eas_gateway, eas_channel):
    assert quote(eas_channel, 100) == "450,000"
    (call,) = eas_gateway.calls()
    assert (call.status, call.auth) == ("OK", "bearer")


async def test_a_price_comes_through_the_gateway_on_asyncio(eas_aio_channel):
    assert await quote_async(eas_aio_channel, 100) == "450,000"


def test_a_service_on_asyncio_stands_behind_a_gateway_too(eas_make_gateway):
    gateway = eas_make_gateway()
    gateway.put(service.register_async, use_asyncio=True)
    assert quote(gateway.channel, 10) == "90,000"


def test_a_wrong_token_is_refused(eas_gateway):
    with pytest.raises(CallError, match="UNAUTHENTICATED"):
        quote(eas_gateway.connect(token="wrong"), 100)


def test_one_failure_is_retried_and_nobody_notices(eas_gateway, eas_channel):
    with eas_gateway.faults.no_healthy_upstream(calls=1) as fault:
        assert quote(eas_channel, 100) == "450,000"
    assert fault.hits == 1


async def test_one_failure_is_retried_on_asyncio(eas_gateway, eas_aio_channel):
    with eas_gateway.faults.no_healthy_upstream(calls=1) as fault:
        assert await quote_async(eas_aio_channel, 100) == "450,000"
    assert fault.hits == 1


def test_people_are_told_when_the_gateway_says_nothing(eas_gateway, eas_channel):
    with eas_gateway.faults.never_answer():
        assert quote(eas_channel, 100, timeout=0.2) == "no price at the moment"
    assert quote(eas_channel, 100) == "450,000"


def test_a_stream_that_breaks_in_the_middle_says_so(eas_gateway, eas_channel):
    sizes = iter([pb.PriceEachRequest(square_meters=each) for each in (10, 20, 30)])
    with eas_gateway.faults.status("ABORTED", after_messages=2):
        prices = rpc.PricingServiceStub(eas_channel).PriceEach(sizes)
        assert [next(prices).price, next(prices).price] == [90_000, 130_000]
        with pytest.raises(grpc.RpcError) as failed:
            next(prices)
    assert failed.value.code() is grpc.StatusCode.ABORTED
