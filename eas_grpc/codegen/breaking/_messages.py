"""Messages as a whole: oneofs, what is reserved, ranges for extensions, message sets."""

from __future__ import annotations

from collections.abc import Iterator

from eas_grpc.codegen._elements import Element, Kind
from eas_grpc.codegen._suppress import Finding
from eas_grpc.codegen.breaking._oneofs import oneof_now
from eas_grpc.codegen.breaking._pairs import Pairs
from eas_grpc.codegen.breaking._ranges import covers, missing, written

__all__ = ["findings", "freed"]


def findings(pairs: Pairs) -> Iterator[Finding]:
    """What broke."""
    for oneof in pairs.gone(Kind.ONEOF):
        if oneof.parent in pairs.new_of:
            yield _oneof_gone(pairs, oneof)
    for old, new in pairs.of(Kind.MESSAGE):
        before = [(r.start, r.end) for r in old.proto.reserved_range]
        after = [(r.start, r.end) for r in new.proto.reserved_range]
        numbers = [written(part) for part in missing(before, after)]
        yield from freed("RESERVED_MESSAGE_NO_DELETE", old, new, numbers)
        before = [(r.start, r.end) for r in old.proto.extension_range]
        after = [(r.start, r.end) for r in new.proto.extension_range]
        for field in pairs.new.inside(new, Kind.FIELD):
            if covers(before, field.proto.number):
                yield Finding(
                    rule="EXTENSION_NUMBER_NO_REUSE",
                    element=field,
                    text=f"{field} has number {field.proto.number}, which was for extensions: the bytes of one, whoever "
                    "declares it, are read as this field",
                    hint="give it a number that was for nobody",
                )
        for part in missing(before, after):
            yield Finding(
                rule="EXTENSION_MESSAGE_NO_DELETE",
                element=new,
                about=written(part),
                text=f"{new} no longer takes extensions {written(part)}",
                hint=f"add `extensions {written(part)};`",
            )
        if old.proto.options.message_set_wire_format != new.proto.options.message_set_wire_format:
            yield Finding(
                rule="MESSAGE_SAME_MESSAGE_SET",
                element=new,
                text=f"message_set_wire_format of {new} has changed: its bytes are laid out in another way",
            )


def freed(rule: str, old: Element, new: Element, numbers: list[str]) -> Iterator[Finding]:
    """What is no longer reserved, for messages and enums."""
    names = [f'"{name}"' for name in old.proto.reserved_name if name not in new.proto.reserved_name]
    for what in (*numbers, *names):
        yield Finding(
            rule=rule,
            element=new,
            about=what,
            text=f"{new} no longer reserves {what}: it was kept free because something used it once",
            hint=f"add `reserved {what};`",
        )


def _oneof_gone(pairs: Pairs, old: Element) -> Finding:
    home = oneof_now(pairs, old)
    now = f"is called {home.name} now" if home is not None else "is gone"
    return Finding(
        rule="ONEOF_NO_DELETE",
        element=home or pairs.place(old),
        about=old.full_name,
        text=f'{old} {now}: code that asks WhichOneof("{old.name}") breaks',
        hint="keep the name",
    )
