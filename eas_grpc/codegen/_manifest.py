"""What an earlier run wrote, what must change now, and the file in which that is remembered.

Pure: knows neither the disk nor the compiler. The manifest holds no time and no absolute path, so that
the same protos and tools give the same bytes everywhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

from eas_grpc.errors import SchemaError

__all__ = ["EMPTY", "MANIFEST", "OWN_TOOL", "Changes", "Manifest", "changes", "digest", "is_inside"]

MANIFEST = "eas_grpc_gen.json"

# The name under which our own part in the output is listed among the tools.
OWN_TOOL = "eas-grpc output"

_NEEDED = ("tools", "inputs", "outputs")
_MAPS = (*_NEEDED, "imports", "floor")


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


EMPTY = digest(b"")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One run: versions by tool, options, and SHA-256 by relative path of what went in and came out.

    `imports` are protos that the inputs need and that were not generated. `floor` is the lowest version by package
    that the output accepts. `descriptor_set` is the SHA-256 of that file, "" if none was asked for. `is_intact` is false
    for one that was edited or merged by hand since it was written: it may be acted upon, but it proves nothing.
    """

    tools: Mapping[str, str]
    options: Mapping[str, tuple[str, ...]]
    inputs: Mapping[str, str]
    imports: Mapping[str, str]
    outputs: Mapping[str, str]
    floor: Mapping[str, str]
    descriptor_set: str = ""

    is_intact: bool = field(default=True, compare=False)

    def to_json(self) -> bytes:
        """The file's bytes; they end with a seal over the rest."""
        data = asdict(self)
        del data["is_intact"]
        return (json.dumps({**data, "seal": _seal(data)}, indent=2, sort_keys=True) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes) -> Manifest:
        """Read the file's bytes; raises SchemaError if they are not a manifest that may be acted upon."""
        try:
            data: Any = json.loads(content)
            options = {str(key): tuple(map(str, values)) for key, values in data["options"].items()}
            maps = {key: _texts(data[key]) if key in _NEEDED else _texts(data.get(key, {})) for key in _MAPS}
            descriptor_set = str(data.get("descriptor_set", ""))
            # What could just be read may be nested too deeply to be written.
            is_intact = data.pop("seal", "") == _seal(data)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise SchemaError(
                f"{MANIFEST} is damaged ({type(error).__name__}: {error}); restore it or delete it, then generate again"
            ) from error
        # Paths of the manifest get deleted, so one that leads out of the folder must not be believed.
        for path in maps["outputs"]:
            if not is_inside(path):
                raise SchemaError(
                    f"{MANIFEST} lists {path!r}, which is outside its folder; delete the manifest, then generate again"
                )
        return cls(options=options, descriptor_set=descriptor_set, is_intact=is_intact, **maps)


def is_inside(path: str) -> bool:
    """Whether a relative path stays in its folder, and is written in the one way that it can be."""
    pure = PurePosixPath(path)
    tidy = path == str(pure) and path.isprintable() and pure.parts
    return bool(tidy) and not pure.is_absolute() and ".." not in pure.parts


def _seal(data: Mapping[str, Any]) -> str:
    return digest(json.dumps(data, sort_keys=True).encode())


def _texts(data: Any) -> dict[str, str]:
    return {str(key): str(value) for key, value in data.items()}


@dataclass(frozen=True, kw_only=True)
class Changes:
    """How a folder differs from what a run gives, as sorted relative paths."""

    missing: tuple[str, ...]
    changed: tuple[str, ...]
    stale: tuple[str, ...]


def changes(*, wanted: Mapping[str, bytes], present: Mapping[str, bytes], previous: Iterable[str]) -> Changes:
    """Compare `wanted` with the files that are `present`; `previous` are the outputs of the run before.

    An empty file only marks a folder as a package. Where somebody put text of their own into it, it still
    does, so it is neither overwritten nor removed.
    """
    return Changes(
        missing=tuple(sorted(path for path in wanted if path not in present)),
        changed=tuple(
            sorted(
                path
                for path, content in wanted.items()
                if (content or not _is_marker(path)) and present.get(path, content) != content
            )
        ),
        stale=tuple(
            sorted(
                path
                for path in set(previous) - set(wanted)
                if path in present and not (_is_marker(path) and present[path])
            )
        ),
    )


def _is_marker(path: str) -> bool:
    return PurePosixPath(path).name in {"__init__.py", "py.typed"}
