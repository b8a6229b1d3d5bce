"""A schema with every kind of field, and messages of it at random (no tests here)."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st
from support.schemas import descriptors

from eas_grpc.schema import Schema, from_files

SCALARS = [
    "double",
    "float",
    "int32",
    "int64",
    "uint32",
    "uint64",
    "sint32",
    "sint64",
    "fixed32",
    "fixed64",
    "sfixed32",
    "sfixed64",
    "bool",
    "string",
    "bytes",
]
WELL_KNOWN = {
    "at": "google.protobuf.Timestamp",
    "lasts": "google.protobuf.Duration",
    "mask": "google.protobuf.FieldMask",
    "object": "google.protobuf.Struct",
    "value": "google.protobuf.Value",
    "list": "google.protobuf.ListValue",
    "any": "google.protobuf.Any",
    "empty": "google.protobuf.Empty",
    "maybe_text": "google.protobuf.StringValue",
    "maybe_long": "google.protobuf.Int64Value",
    "maybe_float": "google.protobuf.FloatValue",
    "maybe_bytes": "google.protobuf.BytesValue",
    "maybe_bool": "google.protobuf.BoolValue",
}


def text() -> str:
    lines: list[str] = []
    number = 0

    def field(rest: str) -> None:
        nonlocal number
        number += 1
        lines.append(f"  {rest} = {number};")

    for kind in SCALARS:
        field(f"{kind} one_{kind}")
        field(f"repeated {kind} many_{kind}")
        field(f"optional {kind} opt_{kind}")
        if kind not in {"double", "float", "bytes"}:
            field(f"map<{kind}, Colour> by_{kind}")
    for name, kind in WELL_KNOWN.items():
        field(f"{kind} {name}")
        field(f"repeated {kind} {name}s")
    field("Colour colour")
    field("repeated Colour colours")
    field("Every self")
    field("map<string, Every> selves")
    field("google.protobuf.NullValue nothing")
    field("repeated google.protobuf.NullValue nothings")
    lines.append("  oneof choice {")
    field("  string left")
    field("  Every right")
    lines.append("  }")
    body = "\n".join(lines)
    imports = "\n".join(
        f'import "google/protobuf/{name}.proto";'
        for name in ("any", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers")
    )
    return f"""
syntax = "proto3";
package kinds;
{imports}
enum Colour {{ COLOUR_UNSPECIFIED = 0; COLOUR_RED = 1; COLOUR_MINUS = -1; }}
message Every {{
{body}
}}
message Nothing {{}}
service Kinds {{
  rpc Echo(Every) returns (Every);
  rpc Many(Every) returns (stream Every);
  rpc All(stream Every) returns (Every);
  rpc Both(stream Every) returns (stream Every);
}}
"""


@cache
def kinds() -> Schema:
    return from_files(descriptors({"kinds.proto": text()}).file, origin="kinds.proto")


_INTS = {
    "32": (-(2**31), 2**31 - 1),
    "64": (-(2**63), 2**63 - 1),
    "u32": (0, 2**32 - 1),
    "u64": (0, 2**64 - 1),
}
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


def scalar(kind: str) -> st.SearchStrategy[Any]:
    if kind == "bool":
        return st.booleans()
    if kind == "string":
        return _TEXT
    if kind == "bytes":
        return st.binary(max_size=5)
    if kind == "double":
        return st.floats()
    if kind == "float":
        return st.floats(width=32)
    unsigned = "u" if kind.startswith(("u", "fixed")) else ""
    return st.integers(*_INTS[f"{unsigned}{kind[-2:]}"])


@st.composite
def messages(draw: st.DrawFn, depth: int = 2) -> Any:
    """A message with a few fields set."""
    schema = kinds()
    kind: Any = schema.method("Echo").request
    message = kind()
    for name in draw(st.lists(st.sampled_from([each.name for each in kind.DESCRIPTOR.fields]), max_size=5)):
        if name.startswith(("one_", "opt_")):
            setattr(message, name, draw(scalar(name[4:])))
        elif name.startswith("many_"):
            getattr(message, name).extend(draw(st.lists(scalar(name[5:]), max_size=3)))
        elif name.startswith("by_"):
            getattr(message, name)[draw(scalar(name[3:]))] = draw(st.sampled_from([0, 1, -1, 7]))
        elif name == "colours":
            message.colours.extend(draw(st.lists(st.sampled_from([0, 1, -1, 9]), max_size=3)))
        elif name in {"self", "right"} and depth:
            getattr(message, name).CopyFrom(draw(messages(depth=depth - 1)))
        elif name == "selves" and depth:
            message.selves[draw(_TEXT)].CopyFrom(draw(messages(depth=depth - 1)))
        elif name == "any":
            _fill_any(draw, schema, message.any, depth)
        elif name in WELL_KNOWN:
            _fill(draw, name, getattr(message, name))
    return message


def _fill_any(draw: st.DrawFn, schema: Schema, any_: Any, depth: int) -> None:
    name = draw(
        st.sampled_from(
            ["google.protobuf.Timestamp", "google.protobuf.Struct", "kinds.Nothing", "kinds.Every"]
        )
    )
    inner: Any = schema.message_class(name)()
    if name == "kinds.Every" and depth:
        inner = draw(messages(depth=depth - 1))
    any_.type_url = f"type.googleapis.com/{name}"
    any_.value = inner.SerializeToString(deterministic=True)


def _fill(draw: st.DrawFn, name: str, message: Any) -> None:
    message.SetInParent()
    if name == "at":
        message.seconds = draw(st.integers(-62135596800, 253402300799))
        message.nanos = draw(st.integers(0, 999_999_999))
    elif name == "lasts":
        seconds = draw(st.integers(-315_576_000_000, 315_576_000_000))
        nanos = draw(st.integers(0, 999_999_999))
        message.seconds, message.nanos = seconds, nanos if seconds > 0 else -nanos
    elif name == "mask":
        message.paths.extend(draw(st.lists(st.sampled_from(["a", "b_c", "d.e_f"]), max_size=2)))
    elif name == "object":
        message.update(draw(st.dictionaries(_TEXT, st.booleans() | st.none() | _TEXT, max_size=2)))
    elif name == "value":
        message.number_value = draw(st.floats(allow_nan=False, allow_infinity=False))
    elif name == "list":
        message.extend(draw(st.lists(st.booleans() | _TEXT, max_size=2)))
    elif name == "maybe_float":
        message.value = draw(st.floats(width=32))
    elif name == "maybe_long":
        message.value = draw(scalar("int64"))
    elif name == "maybe_text":
        message.value = draw(_TEXT)
