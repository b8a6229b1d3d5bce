"""Files that a service tells under other names than they are imported by: what is mended, and what cannot be."""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from support.reflection_servers import files_of

from eas_grpc.schema import from_files
from eas_grpc.schema._mend import mend, unresolved

TYPES = 'syntax = "proto3"; package t; message T { int32 x = 1; }'
USER = 'syntax = "proto3"; package u; import "t.proto"; message U { t.T t = 1; }'
THIRD = 'syntax = "proto3"; package w; import "u.proto"; message W { u.U u = 1; }'
LONE = 'syntax = "proto3"; package l; message L { int32 x = 1; }'
STAMPED = (
    'syntax = "proto3"; package x; import "google/protobuf/timestamp.proto";'
    " message X { google.protobuf.Timestamp at = 1; }"
)
GONE = {"t.proto": "not found"}


def named(file: FileDescriptorProto, name: str) -> FileDescriptorProto:
    copy = FileDescriptorProto()
    copy.CopyFrom(file)
    copy.name = name
    return copy


def usable(found) -> bool:
    return from_files(found.files.values(), origin="x").find("u.U.t").kind == "field"


def test_what_fits_is_left_as_it_is():
    files = files_of({"t.proto": TYPES, "u.proto": USER})
    found = mend(files, {})
    assert (found.files, found.notes, found.broken) == (files, [], {})


def test_one_file_under_two_names_becomes_one():
    files = files_of({"t.proto": TYPES, "u.proto": USER})
    files["copies/t.proto"] = named(files["t.proto"], "copies/t.proto")
    found = mend(files, {})
    assert set(found.files) == {"t.proto", "u.proto"}
    assert found.notes == ["'t.proto' and 'copies/t.proto' are one file under two names"]
    assert usable(found)


def test_copies_that_import_copies_become_one_too():
    files = files_of({"t.proto": TYPES, "u.proto": USER, "w.proto": THIRD})
    for name in ("t.proto", "u.proto"):
        files[f"copies/{name}"] = named(files[name], f"copies/{name}")
    files["copies/u.proto"].dependency[:] = ["copies/t.proto"]
    found = mend(files, {})
    assert set(found.files) == {"t.proto", "u.proto", "w.proto"}
    assert usable(found)


def test_files_of_one_name_that_differ_are_left_to_be_refused():
    files = files_of({"t.proto": TYPES, "u.proto": USER})
    files["other.proto"] = named(files["t.proto"], "other.proto")
    files["other.proto"].message_type[0].field[0].name = "y"
    assert set(mend(files, {}).files) == {"t.proto", "u.proto", "other.proto"}


def test_a_missing_import_is_replaced_by_the_file_that_defines_what_it_was_for():
    files = files_of({"t.proto": TYPES, "u.proto": USER})
    files["elsewhere.proto"] = named(files.pop("t.proto"), "elsewhere.proto")
    found = mend(files, GONE)
    assert list(found.files["u.proto"].dependency) == ["elsewhere.proto"]
    assert found.notes == ["'u.proto' imports 't.proto', which the service has as 'elsewhere.proto'"]
    assert usable(found)


def test_a_missing_import_that_nothing_needs_is_left_out():
    files = files_of({"t.proto": TYPES, "u.proto": USER, "l.proto": LONE})
    files["l.proto"].dependency.append("options.proto")
    found = mend(files, {"options.proto": "not found"})
    assert list(found.files["l.proto"].dependency) == []
    assert "it needs nothing of it" in found.notes[0]
    assert found.broken == {}


def test_what_needs_a_missing_file_is_broken_with_all_that_imports_it():
    files = files_of({"t.proto": TYPES, "u.proto": USER, "w.proto": THIRD, "l.proto": LONE})
    del files["t.proto"]
    found = mend(files, GONE)
    assert set(found.files) == {"l.proto"}
    why = "'u.proto' imports 't.proto', which the service does not have (not found); it needs t.T of it"
    assert found.broken == {"u.proto": why, "w.proto": why}


def test_what_a_missing_file_passed_on_is_imported_directly():
    texts = {
        "t.proto": TYPES,
        "hub.proto": 'syntax = "proto3"; import public "t.proto";',
        "u.proto": USER.replace("t.proto", "hub.proto"),
    }
    files = files_of(texts)
    del files["hub.proto"]
    found = mend(files, {"hub.proto": "not found"})
    assert list(found.files["u.proto"].dependency) == ["t.proto"]
    assert usable(found)


def test_a_public_import_keeps_its_kind_when_another_goes():
    texts = {
        "t.proto": TYPES,
        "l.proto": LONE,
        "u.proto": 'syntax = "proto3"; package u; import "l.proto"; import public "t.proto"; message U { t.T t = 1; }',
    }
    files = files_of(texts)
    del files["l.proto"]
    found = mend(files, {"l.proto": "not found"})
    assert list(found.files["u.proto"].dependency) == ["t.proto"]
    assert list(found.files["u.proto"].public_dependency) == [0]


def test_types_that_no_file_defines_are_asked_for():
    files = files_of({"t.proto": TYPES, "u.proto": USER, "w.proto": THIRD})
    assert unresolved(files) == []
    del files["t.proto"]
    assert unresolved(files) == ["t.T"]


def test_files_that_name_no_imports_get_those_that_they_need():
    files = files_of({"t.proto": TYPES, "u.proto": USER, "x.proto": STAMPED})
    for file in files.values():
        del file.dependency[:]
    found = mend(files, {})
    assert list(found.files["u.proto"].dependency) == ["t.proto"]
    assert list(found.files["x.proto"].dependency) == ["google/protobuf/timestamp.proto"]
    assert "'u.proto' uses 't.proto' without importing it" in found.notes
    assert usable(found)


def test_names_that_are_relative_to_their_place_are_found_from_the_inside_outwards():
    texts = {
        "n.proto": 'syntax = "proto3"; package n; message T { int32 x = 1; } service S { rpc M(T) returns (U); }'
        " message U { message T { int32 y = 1; } T t = 1; n.T outer = 2; map<string, T> by = 3; }"
    }
    files = files_of(texts)
    wanted = files["n.proto"].SerializeToString()
    (method,), (_, message) = files["n.proto"].service[0].method, files["n.proto"].message_type
    method.input_type, method.output_type = "T", "U"
    for field, name in zip(message.field, ("T", "n.T", "ByEntry"), strict=True):
        field.type_name = name
    message.nested_type[1].field[1].type_name = "T"
    assert unresolved(files) == []
    assert mend(files, {}).files["n.proto"].SerializeToString() == wanted


def test_a_part_of_protobufs_own_types_in_a_file_of_another_name_gives_way_to_ours():
    files = files_of({"x.proto": STAMPED})
    part = FileDescriptorProto(name="google_protobuf.proto", package="google.protobuf", syntax="proto3")
    part.message_type.add(name="Timestamp")
    files["x.proto"].dependency[:] = ["google_protobuf.proto"]
    found = mend(files | {part.name: part}, {})
    assert set(found.files) == {"x.proto"}
    assert list(found.files["x.proto"].dependency) == ["google/protobuf/timestamp.proto"]


def test_all_of_protobufs_own_types_in_one_of_its_files_give_way_to_ours():
    # As grpc-js joins them.
    joined = FileDescriptorProto(
        name="google/protobuf/wrappers.proto", package="google.protobuf", syntax="proto3"
    )
    joined.message_type.add(name="Timestamp")
    joined.message_type.add(name="StringValue")
    files = files_of({"x.proto": STAMPED})
    del files["x.proto"].dependency[:]
    found = mend(files | {joined.name: joined}, {})
    assert set(found.files) == {"x.proto"}
    assert list(found.files["x.proto"].dependency) == ["google/protobuf/timestamp.proto"]


def test_what_nobody_defines_breaks_a_file_without_imports_too():
    files = files_of({"t.proto": TYPES, "u.proto": USER})
    del files["t.proto"], files["u.proto"].dependency[:]
    assert mend(files, {}).broken == {
        "u.proto": "'u.proto' needs t.T and imports no file for it, nor does the service have it"
    }


def test_what_was_told_is_not_changed():
    files = files_of({"t.proto": TYPES, "u.proto": USER})
    files["elsewhere.proto"] = named(files.pop("t.proto"), "elsewhere.proto")
    before = {name: file.SerializeToString() for name, file in files.items()}
    mend(files, GONE)
    assert {name: file.SerializeToString() for name, file in files.items()} == before
