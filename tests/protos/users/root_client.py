"""A right program, over output that is a source root."""

from __future__ import annotations

import grpc
import root_pb2
import root_pb2_grpc
from acme.infer.v1 import infer_pb2, infer_pb2_grpc
from google.acme.v1 import extra_pb2
from google.protobuf import timestamp_pb2
from shop.v1 import orders_pb2
from typing_extensions import assert_type


def calls(channel: grpc.Channel) -> None:
    stub = infer_pb2_grpc.InferStub(channel)
    assert_type(stub.Run(infer_pb2.InferRequest(name="x")).outputs[0], float)
    assert_type(root_pb2_grpc.RootServiceStub(channel).Send(root_pb2.RootMessage()), root_pb2.RootMessage)
    assert_type(extra_pb2.Extra().at, timestamp_pb2.Timestamp)
    assert_type(orders_pb2.Order().theirs.name, str)
