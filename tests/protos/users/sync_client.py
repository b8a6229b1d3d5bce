"""A right program: every call by a blocking stub, each type exact."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
from my_service.pb.acme.common.v1 import paging_pb2, types_pb2
from my_service.pb.acme.infer.v1 import (
    admin_pb2_grpc,
    http_pb2,
    http_pb2_grpc,
    infer_pb2,
    infer_pb2_grpc,
    model_pb2,
)
from my_service.pb.acme.names.v1 import my_svc_pb2, my_svc_pb2_grpc
from my_service.pb.acme.names.v1.dotted import name_pb2_grpc
from my_service.pb.shop.v1 import orders_pb2, shop_service_pb2_grpc
from my_service.portable_pb.acme.infer.v1 import infer_pb2 as portable_pb2
from my_service.portable_pb.acme.infer.v1 import infer_pb2_grpc as portable_pb2_grpc
from my_service.sync_pb.acme.infer.v1 import infer_pb2 as sync_pb2
from my_service.sync_pb.acme.infer.v1 import infer_pb2_grpc as sync_pb2_grpc
from typing_extensions import assert_type


def requests() -> Iterator[infer_pb2.InferRequest]:
    yield infer_pb2.InferRequest(name="a")
    yield infer_pb2.InferRequest(name="b")


def calls(channel: grpc.Channel) -> None:
    stub = infer_pb2_grpc.InferStub(channel)
    request = infer_pb2.InferRequest(name="x", inputs={"a": 1.0}, text="t")

    reply = stub.Run(request, timeout=1.0, metadata=(("k", "v"),))
    assert_type(reply, infer_pb2.InferReply)
    assert_type(reply.message, str)
    for one in stub.Watch(request):
        assert_type(one, infer_pb2.InferReply)
    assert_type(stub.Collect(requests()), infer_pb2.InferReply)
    for one in stub.Chat(requests()):
        assert_type(one.thing.name, str)
    stub.Forget(types_pb2.Thing(name="gone"))

    future = stub.Run.future(request)
    assert_type(future.result(), infer_pb2.InferReply)
    again, call = stub.Run.with_call(request)
    assert_type(again, infer_pb2.InferReply)
    assert_type(call.code(), grpc.StatusCode)


def other_files(channel: grpc.Channel) -> None:
    admin = admin_pb2_grpc.AdminStub(channel)
    for model in admin.List(paging_pb2.Page(size=3)):
        assert_type(model, model_pb2.Model)
    assert_type(http_pb2_grpc.HttpStub(channel).Get(http_pb2.HttpRequest(name="m")), infer_pb2.InferReply)

    assert_type(my_svc_pb2_grpc.MySvcStub(channel).Send(my_svc_pb2.Ping(text="p")), my_svc_pb2.Ping)
    assert_type(name_pb2_grpc.DottedStub(channel).Send(my_svc_pb2.Ping()).ping, my_svc_pb2.Ping)

    shop = shop_service_pb2_grpc.ShopStub(channel)
    cart = shop.Fill(iter([orders_pb2.Order.Line(count=2)]))
    for order in shop.Follow(shop.Buy(cart)):
        assert_type(order.by_sku["a"], orders_pb2.Order.Line)


def other_trees(channel: grpc.Channel) -> None:
    portable = portable_pb2_grpc.InferStub(channel)
    assert_type(portable.Run(portable_pb2.InferRequest()), portable_pb2.InferReply)
    only_sync = sync_pb2_grpc.InferStub(channel)
    assert_type(only_sync.Run(sync_pb2.InferRequest()), sync_pb2.InferReply)
