"""Which oneof is which: their names do not travel, so a oneof is known by its members."""

from __future__ import annotations

from eas_grpc.codegen._elements import Element, Kind, Schema
from eas_grpc.codegen.breaking._pairs import Pairs

__all__ = ["oneof_moved", "oneof_now"]


def oneof_moved(pairs: Pairs, old: Element, new: Element) -> str:
    """How a field has moved, as a predicate; empty if it has not."""
    before, after = _oneof_of(pairs.old, old), _oneof_of(pairs.new, new)
    if before is None:
        return "" if after is None else f"is in oneof `{after.name}` now"
    if after is not None and after is oneof_now(pairs, before):
        return ""
    return f"is no longer in oneof `{before.name}`" if after is None else f"is in oneof `{after.name}` now"


def oneof_now(pairs: Pairs, old: Element) -> Element | None:
    """The same oneof in the new schema, perhaps under another name; None if it is gone."""
    if old in pairs.new_of:
        return pairs.new_of[old]
    homes = {
        _oneof_of(pairs.new, pairs.new_of[field])
        for field in _members(pairs.old, old)
        if field in pairs.new_of
    }
    home = homes.pop() if len(homes) == 1 else None
    return home if home in pairs.fresh(Kind.ONEOF) else None


def _members(schema: Schema, oneof: Element) -> list[Element]:
    assert oneof.parent is not None, "a oneof is in a message"
    return [field for field in schema.inside(oneof.parent, Kind.FIELD) if _oneof_of(schema, field) is oneof]


def _oneof_of(schema: Schema, field: Element) -> Element | None:
    # An optional field of proto3 is in a oneof that the compiler made up, which is no element.
    if field.parent is None or not field.proto.HasField("oneof_index"):
        return None
    name = field.parent.proto.oneof_decl[field.proto.oneof_index].name
    return next((o for o in schema.inside(field.parent, Kind.ONEOF) if o.name == name), None)
