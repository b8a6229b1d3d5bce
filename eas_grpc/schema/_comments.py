"""The comments of a file by the place of what they stand at, and their text as lines of a .proto file. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from eas_grpc.schema._elements import Comments, Element
from eas_grpc.schema._errors import visible

__all__ = ["Places", "above", "behind", "comments", "places"]


class Places:
    """Where the elements of a file stood and what was written there; empty without source info."""

    def __init__(self, file: FileDescriptorProto) -> None:
        self._locations: dict[tuple[int, ...], Any] = {}
        for location in file.source_code_info.location:
            # The first one is the element itself; an `extend` or a `reserved` may come several times.
            self._locations.setdefault(tuple(location.path), location)

    def at(self, path: tuple[int, ...]) -> Comments:
        """The comments of the element at a path."""
        found = self._locations.get(path)
        if found is None:
            return Comments()
        return Comments(
            tuple(found.leading_detached_comments), found.leading_comments, found.trailing_comments
        )

    def position(self, path: tuple[int, ...]) -> tuple[int, int] | None:
        """Line and column of an element, both from 0."""
        found = self._locations.get(path)
        return None if found is None or len(found.span) < 2 else (found.span[0], found.span[1])


def comments(element: Element) -> Comments:
    """The comments at an element."""
    return places(element).at(element.path)


def places(element: Element) -> Places:
    """The places of the file that an element is in."""
    return _places(_ById(element.file))


class _ById:
    """A message cannot be a key, its identity can; while it is one, it lives."""

    def __init__(self, file: FileDescriptorProto) -> None:
        self.file = file

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ById) and other.file is self.file

    def __hash__(self) -> int:
        return id(self.file)


@lru_cache(maxsize=8)
def _places(key: _ById) -> Places:
    return Places(key.file)


def above(found: Comments, indent: str) -> list[str]:
    """The lines above an element: what stands alone, with an empty line after it, and what belongs to it."""
    lines: list[str] = []
    for each in found.detached:
        lines += [*_lines(each, indent), ""]
    return [*lines, *_lines(found.leading, indent)]


def behind(line: str, found: Comments) -> list[str]:
    """A line with the comment that follows it, further lines of which stand below each other."""
    trailing = _lines(found.trailing, "")
    if not trailing:
        return [line]
    return [f"{line}  {trailing[0]}", *(" " * (len(line) + 2) + each for each in trailing[1:])]


def _lines(text: str, indent: str) -> list[str]:
    if not text:
        return []
    shown = [visible(line.rstrip()) for line in text.removesuffix("\n").split("\n")]
    return [f"{indent}//{line}" if line[:1] in {" ", "", "/"} else f"{indent}// {line}" for line in shown]
