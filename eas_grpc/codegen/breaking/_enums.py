"""Enums and their values."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import FeatureSet

from eas_grpc.codegen._elements import Element, Kind
from eas_grpc.codegen._suppress import Finding
from eas_grpc.codegen.breaking._messages import freed
from eas_grpc.codegen.breaking._pairs import Pairs
from eas_grpc.codegen.breaking._ranges import covers, missing, written

__all__ = ["findings"]


def findings(pairs: Pairs) -> Iterator[Finding]:
    """What broke."""
    for old, new in pairs.of(Kind.ENUM):
        numbers = [written(part) for part in missing(_reserved(old), _reserved(new))]
        yield from freed("RESERVED_ENUM_NO_DELETE", old, new, numbers)
        if old.features.enum_type != new.features.enum_type:
            closed = new.features.enum_type == FeatureSet.CLOSED
            for rule in ("ENUM_NO_CLOSE", "ENUM_SAME_TYPE") if closed else ("ENUM_SAME_TYPE",):
                yield Finding(
                    rule=rule,
                    element=new,
                    text=f"{new} is {'closed' if closed else 'open'} now: numbers that it does not name are "
                    f"{'no longer in the field, but set aside as unknown' if closed else 'kept in the field'}",
                )
        for value in pairs.old.inside(old, Kind.VALUE):
            yield from _value(pairs, value, new)


def _value(pairs: Pairs, old: Element, enum: Element) -> Iterator[Finding]:
    values = pairs.new.inside(enum, Kind.VALUE)
    number = old.proto.number
    same = [value for value in values if value.proto.number == number]
    moved = next((value for value in values if value.name == old.name), None)
    if same:
        if moved is not None and moved.proto.number != number:
            yield Finding(
                rule="ENUM_VALUE_SAME_NUMBER",
                element=moved,
                about=old.full_name,
                text=f"{old} = {number} has number {moved.proto.number} now, and number {number} is `{same[0].name}`: old "
                "bytes are read as the other value",
                hint=f"give `{old.name}` back number {number}, and new values new numbers",
            )
        elif old.name not in {value.name for value in same}:
            yield Finding(
                rule="ENUM_VALUE_SAME_NAME",
                element=same[0],
                about=old.full_name,
                text=f"{old} = {number} is called {same[0].name} now: JSON and code that name it break",
                hint="keep the name; with allow_alias a new one can stand beside it",
            )
        return
    now = f"has number {moved.proto.number} now" if moved else "is gone"
    broken = [("ENUM_VALUE_NO_DELETE", "code that names it breaks", "mark it as deprecated")]
    if old.name not in enum.proto.reserved_name:
        why = "its name is not reserved, so JSON may give it another meaning"
        broken.append(("ENUM_VALUE_NO_DELETE_UNLESS_NAME_RESERVED", why, f'add `reserved "{old.name}";`'))
    if not covers(_reserved(enum), number):
        why = f"number {number} is not reserved, so old bytes may get another meaning"
        hint = (
            f"give it back number {number}"
            if moved
            else f'add `reserved {number};` and `reserved "{old.name}";`'
        )
        broken.append(("ENUM_VALUE_NO_DELETE_UNLESS_NUMBER_RESERVED", why, hint))
    for rule, why, hint in broken:
        yield Finding(
            rule=rule, element=enum, about=old.full_name, text=f"{old} = {number} {now}: {why}", hint=hint
        )


def _reserved(enum: Element) -> list[tuple[int, int]]:
    # An enum's ranges are filed with their last number, a message's with the one after it.
    return [(part.start, part.end + 1) for part in enum.proto.reserved_range]
