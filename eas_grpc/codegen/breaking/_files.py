"""Files, packages, and types that have left their file."""

from __future__ import annotations

from collections.abc import Iterator

from eas_grpc.codegen._elements import Element, Kind
from eas_grpc.codegen._suppress import Finding
from eas_grpc.codegen.breaking._pairs import Pairs

__all__ = ["findings"]

_TYPES = {
    Kind.MESSAGE: "MESSAGE_NO_DELETE",
    Kind.ENUM: "ENUM_NO_DELETE",
    Kind.EXTENSION: "EXTENSION_NO_DELETE",
    Kind.SERVICE: "SERVICE_SAME_FILE",
}


def findings(pairs: Pairs) -> Iterator[Finding]:
    """What broke."""
    for file in pairs.gone(Kind.FILE):
        yield _file_gone(pairs, file)
    for old, new in pairs.of(Kind.FILE):
        if old.proto.package != new.proto.package:
            yield _package(pairs, old, new)
        for name in [each for each in _public_imports(old) if each not in _public_imports(new)]:
            yield Finding(
                rule="IMPORT_PUBLIC_NO_DELETE",
                element=new,
                about=name,
                text=f"{new.name} no longer imports {name} publicly: code and protos that found its types here break",
                hint=f'keep `import public "{name}";`',
            )
    for element in pairs.gone(Kind.MESSAGE, Kind.ENUM, Kind.EXTENSION):
        # What was inside of something that is gone needs no line of its own.
        if element.parent in pairs.new_of:
            yield _type_gone(pairs, element)
    for old, new in pairs.of(*_TYPES):
        parent = None if old.parent is None else pairs.new_of.get(old.parent)
        if parent is not None and parent is not new.parent:
            yield _moved(pairs, old, new)


def _public_imports(file: Element) -> list[str]:
    names, public = file.proto.dependency, file.proto.public_dependency
    return [name for index, name in enumerate(names) if index in public]


def _file_gone(pairs: Pairs, file: Element) -> Finding:
    inside = pairs.old.inside(file, *_TYPES)
    homes = {pairs.new_of[element].file.full_name for element in inside if element in pairs.new_of}
    moved = f"; what it had is in {', '.join(sorted(homes))} now" if homes else ""
    return Finding(
        rule="FILE_NO_DELETE",
        element=file,
        text=f"the file {file.name} is gone{moved}: code that imports its module breaks",
        hint="keep the file; it may import the new one",
        more=len(inside),
    )


def _package(pairs: Pairs, old: Element, new: Element) -> Finding:
    before, after = old.proto.package or "(none)", new.proto.package or "(none)"
    paths = [
        f"/{service.full_name}/{rpc.name} -> /{pairs.new_of[service].full_name}/{pairs.new_of[rpc].name}"
        for service in pairs.old.inside(old, Kind.SERVICE)
        if service in pairs.new_of and pairs.new_of[service].full_name != service.full_name
        for rpc in pairs.old.inside(service, Kind.RPC)
        if rpc in pairs.new_of
    ]
    calls = f"; a gateway routes by path, and these change: {', '.join(paths)}" if paths else ""
    return Finding(
        rule="FILE_SAME_PACKAGE",
        element=new,
        text=f"package {before} is {after} now, and with it every full name{calls}",
        hint="keep the old package and serve the new one beside it",
    )


def _type_gone(pairs: Pairs, old: Element) -> Finding:
    twins = [
        new
        for new in pairs.fresh(old.kind)
        if old.kind is not Kind.EXTENSION and _members(old) == _members(new) != ()
    ]
    renamed = f"; {twins[0].full_name} has the same members: was it renamed?" if twins else ""
    return Finding(
        rule=_TYPES[old.kind],
        element=pairs.place(old),
        about=old.full_name,
        text=f"{old} is gone{renamed}",
        hint="mark it as deprecated, and leave it",
    )


def _moved(pairs: Pairs, old: Element, new: Element) -> Finding:
    return Finding(
        rule=_TYPES[old.kind],
        element=pairs.place(old),
        about=old.full_name,
        text=f"{old} has moved from {old.file.name} to {new.file.name}: its Python module is another one",
        hint=f"leave it in {old.file.name}",
    )


def _members(element: Element) -> tuple[object, ...]:
    """Names and numbers of fields or values, to recognize a type under another name."""
    proto = element.proto
    if element.kind is Kind.MESSAGE:
        return tuple((field.name, field.number, field.type) for field in proto.field)
    return tuple((value.name, value.number) for value in proto.value)
