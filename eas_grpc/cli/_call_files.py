"""What of an answer goes into files: arrays as .npy or .npz, fields of bytes as they are."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eas_grpc.errors import ConfigError, EasError, SchemaError

if TYPE_CHECKING:
    from eas_grpc.schema import Method, Received
    from eas_grpc.tensors._arrays import Array

__all__ = ["Saved", "file_name", "storable"]

Say = Callable[[str], None]

# An array of byte strings may take this much in any case, and otherwise so many times what it holds.
_ANY_BYTES, _SPREAD = 64 << 20, 16
_NOT_IN_NAMES = re.compile(r"[^\w.\-]")


class Saved:
    """Writes what the options ask for while answers arrive.

    `tensors` is a folder, or a path that ends in .npz; `fields` are pairs of a path in the answer and of a file.
    Raises ConfigError where the method's answers have no arrays, and SchemaError where a file cannot be written.
    """

    def __init__(
        self, method: Method, tensors: Path | None, fields: Sequence[tuple[str, Path]], say: Say
    ) -> None:
        from eas_grpc.schema._payload import has_tensors
        from eas_grpc.schema._payload_fields import check_readable

        if tensors is not None and not has_tensors(method):
            name = method.response.DESCRIPTOR.full_name
            raise ConfigError(f"--save-tensors: the answer {name} is of no tensor protocol; try --save-bytes")
        self._method = method
        self._tensors = tensors
        self._say = say
        self._count = 0
        self._archive: Any = None
        self._open: dict[Path, Any] = {}
        self._names: set[str] = set()
        self._problems: list[str] = []
        self._fields = tuple(fields)
        # What cannot work should fail before the call, and leave the files as they are.
        for name, path in fields:
            check_readable(method.response.DESCRIPTOR, name)
            _check(path)
        if tensors is not None:
            self._prepare(tensors)

    @property
    def problem(self) -> str:
        """What could not be saved; "" if everything was."""
        return "; ".join(dict.fromkeys(self._problems))

    def take(self, answer: Received) -> None:
        """Saves what is wanted of one answer, and takes arrays that were saved out of its message."""
        from eas_grpc.schema._payload import decoded, strip_tensors

        self._count += 1
        self._take_fields(answer)
        if self._tensors is None:
            return
        try:
            found = {
                name: storable(name, array) for name, array in decoded(self._method, answer.data).items()
            }
        except EasError as error:
            self._problems.append(f"--save-tensors: {error}")
            return
        # numbered where a stream may bring the same names again
        ending = f".{self._count}" if self._method.server_streaming else ""
        for name, array in found.items():
            self._save(f"{name}{ending}", array)
        strip_tensors(answer.message)

    def close(self) -> None:
        """Ends the files; without an answer none has been touched."""
        for file in self._open.values():
            _written(Path(file.name), file.close)
        if self._archive is not None:
            assert self._tensors is not None
            _written(self._tensors, self._archive.close)

    def _take_fields(self, answer: Received) -> None:
        from eas_grpc.schema._payload_fields import get

        for path, name in self._fields:
            try:
                content = get(answer.message, path)
            except ConfigError as error:
                self._problems.append(f"--save-bytes {path}: {error}")
                continue
            # The pieces of a stream make one file.
            if name not in self._open:
                self._open[name] = _written(name, partial(name.open, "wb", buffering=0))
            _written(name, partial(self._open[name].write, content))
            self._say(f"{name}: {len(content)} bytes of {path}")

    def _save(self, name: str, array: Array) -> None:
        assert self._tensors is not None
        kind = array.dtype.str[1:] if array.dtype.kind == "S" else array.dtype.name
        told = f"{kind} of shape {list(array.shape)}"
        if array.dtype.kind == "V":
            # numpy's format has no word for the types of ml_dtypes and keeps their bytes alone.
            told += f", to be read with .view(ml_dtypes.{array.dtype.name})"
        if self._tensors.suffix == ".npz":
            _written(self._tensors, partial(self._add, name, array))
            self._say(f"{self._tensors}: {name}, {told}")
            return
        import numpy as np

        path = self._tensors / file_name(name, self._names)
        _written(path, partial(np.save, path, array, allow_pickle=False))
        self._say(f"{path}: {told}")

    def _add(self, name: str, array: Array) -> None:
        # Not numpy.savez, which takes names as keywords, and has some of its own.
        import zipfile

        from numpy.lib import format as npy

        if self._archive is None:
            assert self._tensors is not None
            self._archive = zipfile.ZipFile(self._tensors, "w")
        with self._archive.open(f"{name}.npy", "w", force_zip64=True) as member:
            npy.write_array(member, array, allow_pickle=False)

    @staticmethod
    def _prepare(target: Path) -> None:
        if target.suffix == ".npz":
            _check(target)
        else:
            _written(target, partial(target.mkdir, parents=True, exist_ok=True))


def file_name(tensor: str, taken: set[str]) -> str:
    """A name of a file for a tensor, whatever the service calls it, that is not `taken` yet; it then is."""
    base = _NOT_IN_NAMES.sub("_", tensor)[:100].lstrip(".") or "_"
    name, number = f"{base}.npy", 1
    while name in taken:
        number += 1
        name = f"{base}-{number}.npy"
    taken.add(name)
    return name


def storable(name: str, array: Array) -> Array:
    """The array as .npy holds it: byte strings as dtype S. ConfigError for those that end in a zero byte."""
    if array.dtype != object:
        return array
    import numpy as np

    items = array.ravel().tolist()
    if any(item.endswith(b"\0") for item in items):
        raise ConfigError(f"{name!r} has byte strings that end in a zero byte, which .npy cannot hold")
    longest = max(map(len, items), default=1)
    # Each takes as much there as the longest; a service could ask for more memory than there is.
    size, plain = longest * len(items), sum(map(len, items))
    if size > max(_ANY_BYTES, _SPREAD * plain):
        raise ConfigError(
            f"{name!r} has byte strings of very different lengths: .npy would take {size >> 20} MiB for {plain} bytes"
        )
    return np.array(items, f"S{max(longest, 1)}").reshape(array.shape)


def _check(path: Path) -> None:
    if path.is_dir():
        raise SchemaError(f"{path} cannot be written: it is a folder")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise SchemaError(f"{path} cannot be written: {_why_not(path)}")


def _why_not(path: Path) -> str:
    return "permission denied" if path.parent.is_dir() else f"there is no folder {path.parent}"


def _written(path: Path, write: Callable[[], Any]) -> Any:
    try:
        return write()
    except OSError as error:
        raise SchemaError(f"{path} cannot be written: {error.strerror or error}") from None
