"""Wrong in every line that says so; the rest is right."""

from __future__ import annotations

from my_service.pb.acme.common.v1 import only_enums_pb2, types_pb2
from my_service.pb.acme.infer.v1 import infer_pb2, model_pb2
from my_service.pb.acme.infer.v2 import infer_pb2 as infer2_pb2
from my_service.pb.acme.legacy import extensions_pb2, old_pb2

thing = types_pb2.Thing()
model = model_pb2.Model()

types_pb2.Thing(nmae="x")  # wrong: a misspelt field
types_pb2.Thing("x")  # wrong: fields have names
types_pb2.Thing(name=3)  # wrong: a number for a string
types_pb2.Thing(kind=types_pb2.PRIORITY_LOW)  # wrong: a value of another enum
types_pb2.Thing(kind=types_pb2.Thing.KIND_MEDIUM)  # wrong: the enum has no such value
types_pb2.Thing.Kind.Name("KIND_SMALL")  # wrong: a name where a number is wanted
thing.HasField("name")  # wrong: a plain field has no presence
thing.HasField("prat")  # wrong: a misspelt field has none either
thing.ClearField("nmae")  # wrong: a misspelt field to clear
thing.part = types_pb2.Thing.Part()  # wrong: a message is not assigned
thing.parts.append(thing)  # wrong: an element of another type
thing.colour = "red"  # wrong: there is no such field
model.WhichOneof("sauce")  # wrong: there is no such oneof
model.scores["a"] = "high"  # wrong: a map's value of another type
model.scores[1] = 1.0  # wrong: a map's key of another type
model.weights.append("heavy")  # wrong: a string into a list of numbers
model.colour = only_enums_pb2.LEVEL_LOW  # wrong: a value of another enum
model.version = 2  # wrong: a number for an optional string
model.CopyFrom(thing)  # wrong: copied from another type
infer2_pb2.InferRequest(before=infer2_pb2.InferRequest())  # wrong: the same name of another package
infer_pb2.InferReply(outputs=1.0)  # wrong: one number for a list
old_pb2.Old().Extensions[extensions_pb2.extra] = "x"  # wrong: an extension's value of another type
if model.WhichOneof("source") == "file":  # wrong: never a name of this oneof
    pass
