"""Fields and extensions: type, label, oneof, name, default; and those that are gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from google.protobuf.descriptor_pb2 import FeatureSet

from eas_grpc.codegen._elements import Element, Kind
from eas_grpc.codegen._suppress import Finding
from eas_grpc.codegen.breaking._oneofs import oneof_moved
from eas_grpc.codegen.breaking._pairs import Pairs
from eas_grpc.codegen.breaking._ranges import covers
from eas_grpc.codegen.breaking._shape import default, field_type, label
from eas_grpc.codegen.breaking._types import Type, type_change

__all__ = ["findings"]

_SINGULAR = ("explicit", "implicit")
_SEVERAL = ("repeated", "map")


def findings(pairs: Pairs) -> Iterator[Finding]:
    """What broke."""
    for field in pairs.gone(Kind.FIELD):
        if field.parent in pairs.new_of:
            yield from _gone(pairs, field)
    new_messages = set(pairs.fresh(Kind.MESSAGE))
    for field in pairs.fresh(Kind.FIELD):
        if label(field) == "required" and field.parent not in new_messages:
            yield Finding(
                rule="MESSAGE_SAME_REQUIRED_FIELDS",
                element=field,
                text=f"{field} is new and required: readers refuse every message of old writers",
                hint="make it optional",
            )
    for old, new in pairs.of(Kind.FIELD, Kind.EXTENSION):
        yield from _changed(pairs, old, new)


def _gone(pairs: Pairs, old: Element) -> Iterator[Finding]:
    message = pairs.place(old)
    number = old.proto.number
    moved = next((f for f in pairs.new.inside(message, Kind.FIELD) if f.name == old.name), None)
    now = f" has number {moved.proto.number} now" if moved else " is gone"
    broken = [
        ("FIELD_NO_DELETE", f"{old} = {number}{now}: code that names it breaks", "mark it as deprecated")
    ]
    if old.name not in message.proto.reserved_name:
        text = f"{old} = {number}{now}, and its name is not reserved: JSON may give it another meaning"
        broken.append(("FIELD_NO_DELETE_UNLESS_NAME_RESERVED", text, f'add `reserved "{old.name}";`'))
    if not covers([(r.start, r.end) for r in message.proto.reserved_range], number):
        text = f"{old} = {number}{now}, and number {number} is not reserved: old bytes may be read as a new field"
        hint = f'add `reserved {number};` and `reserved "{old.name}";`'
        if moved:
            hint = f"give it back number {number}"
        broken.append(("FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED", text, hint))
    for rule, text, hint in broken:
        yield Finding(rule=rule, element=message, about=old.full_name, text=text, hint=hint)
    if label(old) == "required":
        yield Finding(
            rule="MESSAGE_SAME_REQUIRED_FIELDS",
            element=message,
            about=old.full_name,
            text=f"{old} was required and is gone: old readers refuse every message without it",
            hint="leave it",
        )


def _changed(pairs: Pairs, old: Element, new: Element) -> Iterator[Finding]:
    before, after = field_type(old, pairs.old), field_type(new, pairs.new)
    change = type_change(_renamed(pairs, before), after)
    if change is not None:
        if old.name != new.name and change.rule == "FIELD_WIRE_COMPATIBLE_TYPE":
            was = f"number {new.proto.number} is reused: it was `{old.name}` ({before}) and is `{new.name}` ({after})"
        else:
            was = f"{new} was {_told(before, after)} and is {_told(after, before)}"
        yield Finding(
            rule=change.rule,
            element=new,
            text=f"{was} now: {change.why}",
            hint="add a field with a new number, and reserve the old one",
        )
    moved = oneof_moved(pairs, old, new)
    if moved:
        yield Finding(
            rule="FIELD_SAME_ONEOF",
            element=new,
            text=f"{new} {moved}: setting one member clears the others, so a value may be lost on the way",
            hint="add a field with a new number",
        )
    # Messages always have presence, and so have members of a oneof: then it is no change of its own.
    follows = bool(moved) or "message" in {before.word, after.word} != {"message"}
    yield from _label_change(old, new, presence_follows=follows)
    yield from _names(pairs, old, new)
    unreadable = change is not None and change.rule == "FIELD_WIRE_COMPATIBLE_TYPE"
    if not unreadable and _default_moved(old, before, new, after):
        yield Finding(
            rule="FIELD_SAME_DEFAULT",
            element=new,
            text=f"the default of {new} is {_quoted(new, after)}, and no longer {_quoted(old, before)}: a field that was "
            "not sent is read differently on both sides",
        )
    if before.word == after.word == "string" and old.features.utf8_validation != new.features.utf8_validation:
        yield from _utf8(new)


def _utf8(new: Element) -> Iterator[Finding]:
    verified = new.features.utf8_validation == FeatureSet.VERIFY
    says = "verified to be UTF-8 now: a message with a string that is not is refused as a whole"
    for rule in ("FIELD_NO_NEW_UTF8_VALIDATION", "FIELD_SAME_UTF8_VALIDATION")[not verified :]:
        yield Finding(
            rule=rule, element=new, text=f"{new} is {says if verified else 'no longer verified to be UTF-8'}"
        )


def _default_moved(old: Element, before: Type, new: Element, after: Type) -> bool:
    if {label(old), label(new)} & set(_SEVERAL):
        return False
    # What an enum of an import begins with is not known, and both sides have to be asked alike.
    kinds = (before, after)
    if any(kind.word == "enum" and kind.values is None for kind in kinds):
        before, after = (replace(kind, values=None) for kind in kinds)
    return default(old, before) != default(new, after)


def _label_change(old: Element, new: Element, *, presence_follows: bool) -> Iterator[Finding]:
    before, after = label(old), label(new)
    if before == after or ({before, after} <= set(_SINGULAR) and presence_follows):
        return
    if {before, after} <= set(_SINGULAR):
        rule, why = "FIELD_SAME_CARDINALITY", "HasField, and what an unset field means, changes"
    elif {before, after} <= set(_SEVERAL):
        rule, why = "FIELD_WIRE_JSON_COMPATIBLE_CARDINALITY", "JSON writes a list and a map differently"
    else:
        rule, why = "FIELD_WIRE_COMPATIBLE_CARDINALITY", "values are lost, or messages refused"
    words = {"explicit": "singular, with presence", "implicit": "singular, without presence"}
    yield Finding(
        rule=rule,
        element=new,
        text=f"{new} was {words.get(before, before)} and is {words.get(after, after)} now: {why}",
        hint="add a field with a new number",
    )


def _under_another_number(pairs: Pairs, old: Element) -> Element | None:
    """The field of the same name, if its number is another one now: then what has the old number is no new name of it."""
    home = old.parent and pairs.new_of.get(old.parent)
    if old.kind is not Kind.FIELD or home is None:
        return None
    same = (field for field in pairs.new.inside(home, Kind.FIELD) if field.name == old.name)
    # One of another type has only taken over the name of what was renamed to make room for it.
    kind = _renamed(pairs, field_type(old, pairs.old))
    return next(
        (
            field
            for field in same
            if field.proto.number != old.proto.number and field_type(field, pairs.new) == kind
        ),
        None,
    )


def _names(pairs: Pairs, old: Element, new: Element) -> Iterator[Finding]:
    if old.kind is Kind.EXTENSION and old.proto.number != new.proto.number:
        yield Finding(
            rule="EXTENSION_SAME_NUMBER",
            element=new,
            text=f"{new} has number {new.proto.number} now, and no longer {old.proto.number}: old bytes are not found",
            hint=f"give it back number {old.proto.number}",
        )
    if old.kind is Kind.EXTENSION and not pairs.same_type(old.proto.extendee, new.proto.extendee):
        yield Finding(
            rule="EXTENSION_SAME_MESSAGE",
            element=new,
            text=f"{new} extends {new.proto.extendee.lstrip('.')} now, and no longer {old.proto.extendee.lstrip('.')}: "
            "old bytes are not found",
            hint="leave it, and add another extension",
        )
    elsewhere = _under_another_number(pairs, old)
    if elsewhere is not None:
        yield Finding(
            rule="FIELD_SAME_NUMBER",
            element=elsewhere,
            text=f"{old} = {old.proto.number} has number {elsewhere.proto.number} now, and number {old.proto.number} is "
            f"`{new.name}`: old bytes are read as the other field",
            hint=f"give `{old.name}` back number {old.proto.number}, and new fields new numbers",
        )
        return
        return
    if old.name != new.name:
        yield Finding(
            rule="FIELD_SAME_NAME",
            element=new,
            text=f"{old} is called {new.name} now: JSON and code that name it break",
            hint="keep the name; say in a comment what it means today",
        )
    if old.kind is Kind.FIELD and old.proto.json_name != new.proto.json_name:
        yield Finding(
            rule="FIELD_SAME_JSON_NAME",
            element=new,
            text=f"{new} is `{new.proto.json_name}` in JSON now, and no longer `{old.proto.json_name}`",
            hint=f'set [json_name = "{old.proto.json_name}"]',
        )


def _renamed(pairs: Pairs, old: Type) -> Type:
    """The type with the names that the new schema has for it."""
    if old.entry is not None:
        key, value = old.entry
        return replace(old, entry=(key, _renamed(pairs, value)))
    name = old.name.lstrip(".")
    return replace(old, name=f".{pairs.renamed[name]}") if name in pairs.renamed else old


def _told(kind: Type, other: Type) -> str:
    """A type, with what it is where its name alone would not tell it from the other."""
    if str(kind) != str(other):
        return str(kind)
    return f"{'delimited message' if kind.word == 'group' else kind.word} {kind}"


def _quoted(field: Element, kind: Type) -> str:
    if field.proto.HasField("default_value"):
        return f"`{field.proto.default_value}`"
    first = next(iter(kind.values.values())) if kind.values else ()
    return f"`{min(first)}`" if first else "the type's own"
