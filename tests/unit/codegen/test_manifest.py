"""The manifest's bytes, and the decision what to write and what to remove."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.codegen._manifest import Manifest, changes, digest
from eas_grpc.errors import SchemaError

MANIFEST = Manifest(
    tools={"grpcio-tools": "1.71.2"},
    options={"client": ("both",), "plugin-opt mypy": ("quiet", "readable_stubs")},
    inputs={"acme/a.proto": digest(b"in")},
    imports={"acme/b.proto": digest(b"imported")},
    outputs={"acme/a_pb2.py": digest(b"out")},
    floor={"protobuf": "5.29.0"},
    descriptor_set=digest(b"set"),
)

NAMES = st.sampled_from(["a_pb2.py", "b_pb2.pyi", "p/__init__.py", "p/py.typed", "p/c_pb2.py"])
CONTENTS = st.sampled_from([b"", b"1", b"2"])


def test_a_manifest_survives_its_file():
    """Written and read, it is the same."""
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST


def test_the_bytes_do_not_depend_on_the_order_in_which_things_were_found():
    """Otherwise `--check` would find a difference where there is none."""
    one = Manifest(
        tools={"a": "1", "b": "2"}, options={}, inputs={}, imports={}, outputs={"x": "1", "y": "2"}, floor={}
    )
    other = Manifest(
        tools={"b": "2", "a": "1"}, options={}, inputs={}, imports={}, outputs={"y": "2", "x": "1"}, floor={}
    )
    assert one.to_json() == other.to_json()
    assert one.to_json().endswith(b"}\n")


def test_a_manifest_of_an_earlier_version_is_read():
    """It had neither imports, nor a floor, nor a descriptor set; its outputs still get removed."""
    data = json.loads(MANIFEST.to_json())
    for key in ("imports", "floor", "descriptor_set"):
        del data[key]
    old = Manifest.from_json(json.dumps(data).encode())
    assert (old.imports, old.floor, old.descriptor_set) == ({}, {}, "")
    assert old.outputs == MANIFEST.outputs


@pytest.mark.parametrize(
    "content",
    [b"", b"<<<<<<< ours", b"[]", b"{}", b'{"tools": 1}', b"\xff", b'{"options": {"a": 1}}', b"null"],
)
def test_a_damaged_manifest_says_what_to_do(content):
    """Among others: a merge conflict."""
    with pytest.raises(SchemaError, match=r"eas_grpc_gen\.json is damaged .* generate again"):
        Manifest.from_json(content)


@pytest.mark.parametrize("path", ["../other.py", "/etc/passwd", "a/../../b.py", "", "."])
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


@given(
    wanted=st.dictionaries(NAMES, CONTENTS),
    present=st.dictionaries(NAMES, CONTENTS),
    previous=st.lists(NAMES),
)
def test_after_the_changes_every_wanted_file_is_there_and_only_known_ones_are_gone(wanted, present, previous):
    """Whatever was there before; and a second look finds nothing to do."""
    found = changes(wanted=wanted, present=present, previous=previous)
    after = {path: content for path, content in present.items() if path not in found.stale}
    after.update({path: wanted[path] for path in (*found.missing, *found.changed)})
    assert set(found.stale) <= set(previous) - set(wanted)
    assert set(wanted) <= set(after)
    assert all(after[path] == content for path, content in wanted.items() if content)
    again = changes(wanted=wanted, present=after, previous=wanted)
    assert (again.missing, again.changed, again.stale) == ((), (), ())
