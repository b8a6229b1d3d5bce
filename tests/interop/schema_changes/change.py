"""One change of a schema, and short ways to write down the usual ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

_MESSAGES = "message Req {}\nmessage Res {}\nmessage Other {}\n"


@dataclass(frozen=True)
class Change:
    """Files by path below the change's folder; `PKG` stands for the package, `DIR` for the folder."""

    name: str
    old: Mapping[str, str]
    new: Mapping[str, str]

    def with_new(self, before: str, after: str) -> Change:
        """With something else changed in the new files, too."""
        new = {name: text.replace(before, after) for name, text in self.new.items()}
        return replace(self, new=new)

    @property
    def slug(self) -> str:
        """The name as it is used in packages and paths."""
        return "case_" + re.sub(r"\W+", "_", self.name)

    @property
    def folder(self) -> str:
        """Where its files stand below the root."""
        return f"{self.slug}/v1"

    def files(self, side: Mapping[str, str]) -> dict[str, str]:
        """The files of one side by their import name."""
        package = f"{self.slug}.v1"
        return {
            name.replace("DIR", self.folder): text.replace("PKG", package).replace("DIR", self.folder)
            for name, text in side.items()
        }


def proto(body: str, syntax: str = 'syntax = "proto3"', package: str = "PKG") -> str:
    """A whole file."""
    return f"{syntax};\n\npackage {package};\n\n{body}\n"


def one(name: str, old: str, new: str, syntax: str = 'syntax = "proto3"') -> Change:
    """A change within one file."""
    return Change(name, {"DIR/x.proto": proto(old, syntax)}, {"DIR/x.proto": proto(new, syntax)})


def field(name: str, old: str, new: str, beside: str = "", syntax: str = 'syntax = "proto3"') -> Change:
    """A change within one message; types that it needs stand beside it."""
    return one(name, f"message M {{ {old} }}\n{beside}", f"message M {{ {new} }}\n{beside}", syntax)


def field2(name: str, old: str, new: str, beside: str = "") -> Change:
    """The same in proto2."""
    return field(name, old, new, beside, 'syntax = "proto2"')


def values(name: str, old: str, new: str) -> Change:
    """A change within one enum."""
    return one(name, f"enum E {{ E_UNSPECIFIED = 0; {old} }}", f"enum E {{ E_UNSPECIFIED = 0; {new} }}")


def rpcs(name: str, old: str, new: str) -> Change:
    """A change within one service."""
    return one(name, f"{_MESSAGES}service S {{ {old} }}", f"{_MESSAGES}service S {{ {new} }}")


def files(name: str, old: Mapping[str, str], new: Mapping[str, str]) -> Change:
    """A change of several files."""
    return Change(name, old, new)
