"""The file in which the generator remembers what it wrote: what it names may be deleted. One that is intact stays so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from eas_grpc.codegen._manifest import EMPTY, Manifest, changes
from eas_grpc.errors import SchemaError

RATE = 20000


def check(data: bytes) -> None:
    """Only SchemaError is allowed."""
    try:
        found = Manifest.from_json(data)
    except SchemaError as error:
        assert len(str(error)) < 20_000
        return
    for path in found.outputs:
        assert not PurePosixPath(path).is_absolute()
        assert ".." not in path.split("/")
    again = Manifest.from_json(found.to_json())
    assert again == found
    assert again.is_intact
    assert (
        changes(wanted={}, present=dict.fromkeys(found.outputs, b"x"), previous=found.outputs).missing == ()
    )


def seeds() -> Iterator[bytes]:
    """One as it is written, damaged ones, and some nested as deeply as Python just goes."""
    written = Manifest(
        tools={"protoc": "25.3"},
        options={"client": ("both",)},
        inputs={"a.proto": EMPTY},
        imports={},
        outputs={"a/__init__.py": EMPTY, "a/a_pb2.py": EMPTY},
        floor={"protobuf": "5.29"},
    ).to_json()
    yield written
    yield written.replace(b"a/a_pb2.py", b"../a_pb2.py")
    yield b'{"tools": {}, "inputs": {}, "outputs": {"/x": 1, "\\ud800": 2}, "options": {"a": "bc", "d": [1, null]}}'
    yield b'{"tools": [], "inputs": {}, "outputs": {}, "options": []}'
    yield b'{"tools": {}, "inputs": {}, "outputs": {}, "options": {}, "x": 1' + b"0" * 4500 + b"}"
    for depth in range(900, 1000, 3):
        deep = b"[" * depth + b"]" * depth
        yield b'{"tools": {}, "inputs": {}, "outputs": {}, "options": {}, "x": %s}' % deep
