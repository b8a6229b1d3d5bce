"""A right program: messages of every kind, each type exact."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Literal

from eas_grpc_pb.tensor.v1 import tensor_pb2
from google.protobuf import timestamp_pb2
from my_service.pb.acme.common.v1 import money_type_pb2, only_enums_pb2, public_pb2, types_pb2
from my_service.pb.acme.deep.v1 import deep_pb2, scalars_pb2
from my_service.pb.acme.editions.v1 import features_pb2
from my_service.pb.acme.infer.v1 import http_pb2, infer_pb2, keywords_pb2, model_pb2, tensors_pb2
from my_service.pb.acme.legacy import extensions_pb2, nested_extensions_pb2, old_pb2
from my_service.pb.google.acme.v1 import extra_pb2
from my_service.pb.shop.v1 import catalog_pb2
from typing_extensions import assert_type


def fields() -> None:
    thing = types_pb2.Thing(
        name="x",
        kind=types_pb2.Thing.KIND_SMALL,
        part=types_pb2.Thing.Part(kind=types_pb2.Thing.Part.KIND_INNER),
        priority=types_pb2.PRIORITY_HIGH,
    )
    assert_type(thing.name, str)
    assert_type(types_pb2.Thing.Kind.Name(thing.kind), str)
    thing.kind = types_pb2.Thing.Kind.Value("KIND_LARGE")
    thing.parts.add(text="t").text += "!"
    assert_type(thing.part, types_pb2.Thing.Part)
    assert_type(thing.HasField("part"), bool)
    assert_type(types_pb2.Thing.FromString(thing.SerializeToString()), types_pb2.Thing)
    same: public_pb2.Thing = thing
    other = catalog_pb2.Thing(item=catalog_pb2.Item(price=money_type_pb2.Money(units=1)))
    assert_type((same.name, other.item.price.units), tuple[str, int])


def presence_maps_and_oneofs() -> None:
    model = model_pb2.Model(replicas=3, colour=only_enums_pb2.COLOUR_RED, path="p", max_seconds=1.5)
    assert_type(model.HasField("replicas"), bool)
    assert_type(model.WhichOneof("source"), Literal["path", "data", "page"] | None)
    scores: MutableMapping[str, float] = model.scores
    scores["a"] = 1
    model.things[1].name = "one"
    model.blobs[2] = b""
    model.weights.extend([1.0, 2])
    model.ClearField("replicas")
    request = infer_pb2.InferRequest(at=timestamp_pb2.Timestamp(seconds=1), model=model)
    request.at.FromSeconds(2)
    request.parameters.update({"a": 1})
    assert_type(scalars_pb2.Scalars().some_bytes, bytes)
    deep = deep_pb2.A.B.C.D.E.F.G.H(depth=deep_pb2.A.B.C.D.E.F.G.H.DEPTH_EIGHT)
    assert_type(deep.a.b.c, deep_pb2.A.B.C)
    assert_type(extra_pb2.Extra().at, timestamp_pb2.Timestamp)
    assert_type(http_pb2.HttpRequest().name, str)
    assert_type(tensors_pb2.Batch().tensors.add(), tensor_pb2.Tensor)


def keywords() -> None:
    words = keywords_pb2.Keywords(match="m", type="t", **{"from": "here", "class": 2})  # type: ignore[arg-type]
    assert_type(words.match, str)
    builtins = keywords_pb2.Builtins(print="p", int=1, str="s", list=["a"], dict={"k": "v"})
    assert_type(builtins.int, int)
    assert_type(builtins.bytes, bytes)
    assert_type(builtins.property, str)
    assert_type(keywords_pb2.Optional().items.add().text, str)


def extensions() -> None:
    old = old_pb2.Old(name="n")
    old.Extensions[extensions_pb2.extra] = 1
    assert_type(old.Extensions[extensions_pb2.extra], int)
    assert_type(old.Extensions[nested_extensions_pb2.Scope.scope].text, str)
    old.item.add(label="l").deep.value = 1
    assert_type(old.HasExtension(extensions_pb2.extra), bool)
    assert_type(features_pb2.Features(explicit="e").HasField("explicit"), bool)
