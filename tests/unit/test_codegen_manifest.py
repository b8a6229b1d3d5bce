"""The manifest's bytes, and the decision what to write and what to remove."""

from __future__ import annotations

import json

import pytest

from eas_grpc.codegen._manifest import Manifest, changes, digest
from eas_grpc.errors import SchemaError

MANIFEST = Manifest(
    tools={"grpcio-tools": "1.71.2"},
    options={"generators": ("mypy", "python")},
    inputs={"acme/a.proto": digest(b"in")},
    outputs={"acme/a_pb2.py": digest(b"out")},
)


def test_a_manifest_survives_its_file():
    """Written and read, it is the same."""
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST


@pytest.mark.parametrize("content", [b"", b"<<<<<<< ours", b"[]", b"{}", b'{"tools": 1}', b"\xff"])
def test_a_damaged_manifest_says_what_to_do(content):
    """Among others: a merge conflict."""
    with pytest.raises(SchemaError, match=r"eas_grpc_gen\.json is damaged .* generate again"):
        Manifest.from_json(content)


@pytest.mark.parametrize("path", ["../other.py", "/etc/passwd", "a/../../b.py", ""])
def test_a_manifest_cannot_reach_out_of_its_folder(path):
    """Its paths get removed."""
    data = json.loads(MANIFEST.to_json())
    data["outputs"][path] = "0"
    with pytest.raises(SchemaError, match="outside its folder"):
        Manifest.from_json(json.dumps(data).encode())


@pytest.mark.parametrize(
    ("wanted", "present", "previous", "expected"),
    [
        ({"a_pb2.py": b"1"}, {}, [], (["a_pb2.py"], [], [])),
        ({"a_pb2.py": b"1"}, {"a_pb2.py": b"1"}, [], ([], [], [])),
        ({"a_pb2.py": b"1"}, {"a_pb2.py": b"2"}, [], ([], ["a_pb2.py"], [])),
        ({}, {"a_pb2.py": b"1"}, ["a_pb2.py"], ([], [], ["a_pb2.py"])),
        ({}, {}, ["a_pb2.py"], ([], [], [])),
        ({}, {"unknown_pb2.py": b"1"}, [], ([], [], [])),
        ({"a/__init__.py": b""}, {"a/__init__.py": b"mine"}, [], ([], [], [])),
        (
            {},
            {"a/__init__.py": b"mine", "a/py.typed": b""},
            ["a/__init__.py", "a/py.typed"],
            ([], [], ["a/py.typed"]),
        ),
    ],
    ids=[
        "new",
        "same",
        "other",
        "stale",
        "already gone",
        "unknown",
        "marker with text",
        "stale marker with text",
    ],
)
def test_what_differs_is_decided_from_bytes_and_the_run_before(wanted, present, previous, expected):
    """A user's own text in an __init__.py is neither overwritten nor removed."""
    found = changes(wanted=wanted, present=present, previous=previous)
    assert (list(found.missing), list(found.changed), list(found.stale)) == expected
