"""Files that make a whole or do not: order, missing imports, circles, doubles; descriptor sets and modules."""

from __future__ import annotations

import contextlib
import pickle
import sys

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from hypothesis import given
from hypothesis import strategies as st
from support.reflection_servers import files_of, shop_files
from support.schemas import ROOT

from eas_grpc.errors import SchemaError
from eas_grpc.schema import ReflectionError, descriptor_set, from_descriptor_set, from_files, from_module


def file(name: str, *imports: str, package: str = "", message: str = "", public=()) -> FileDescriptorProto:
    made = FileDescriptorProto(name=name, package=package, syntax="proto3", dependency=imports)
    made.public_dependency.extend(public)
    if message:
        made.message_type.add(name=message)
    return made


def refused(*files: FileDescriptorProto) -> str:
    with pytest.raises(SchemaError) as caught:
        from_files(files, origin="here")
    return str(caught.value)


@given(st.permutations(list(shop_files().values())))
def test_files_may_come_in_any_order(files):
    schema = from_files(files, origin="x")
    seen: set[str] = set()
    for each in schema.files:
        assert seen.issuperset(each.dependency)
        seen.add(each.name)
    assert schema.services == ("acme.shop.Shop", "acme.stock.Stock")


def test_a_file_may_come_twice():
    files = list(shop_files().values())
    assert len(from_files(files + files, origin="x").files) == 4


def test_protobufs_own_files_are_added_where_they_are_imported():
    names = [each.name for each in from_files(shop_files().values(), origin="x").files]
    assert "google/protobuf/timestamp.proto" in names
    assert "google/protobuf/struct.proto" not in names


def test_types_of_an_any_are_known_without_an_import():
    schema = from_files([file("a.proto", message="A")], origin="x")
    assert schema.message_class("google.protobuf.Struct").DESCRIPTOR.full_name == "google.protobuf.Struct"


def test_a_well_known_type_of_another_file_does_not_collide():
    schema = from_files([file("gogo/any.proto", package="google.protobuf", message="Any")], origin="x")
    assert schema.find("google.protobuf.Any").file.name == "gogo/any.proto"


def test_a_chain_of_imports_may_be_longer_than_the_stack():
    depth = sys.getrecursionlimit() + 100
    files = [file(f"{index}.proto", f"{index + 1}.proto") for index in range(depth)]
    assert len(from_files([*files, file(f"{depth}.proto")], origin="x").files) == depth + 1


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([file("a", "b")], "here: 'a' imports 'b', which is missing"),
        ([file("a", "a")], "in a circle: a -> a"),
        ([file("x", "a"), file("a", "b"), file("b", "c"), file("c", "a")], "in a circle: a -> b -> c -> a"),
        ([file("a", message="A"), file("a", message="B")], "here holds two different files called 'a'"),
        (
            [file("a", package="p", message="A"), file("b", package="p", message="A")],
            "'a' and 'b' both define p.A",
        ),
        ([file("a", message="1x")], "'a' cannot be used"),
    ],
)
def test_what_makes_no_whole_is_said(files, said):
    assert said in refused(*files)


def test_a_descriptor_set_is_read_as_it_is_written():
    schema = from_files(shop_files().values(), origin="x")
    again = from_descriptor_set(descriptor_set(schema), origin="saved.bin")
    assert again.files == schema.files
    assert again.origin == "saved.bin"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "x.bin is an empty descriptor set"),
        (b"\xff\xff", "x.bin is no descriptor set: write one with `protoc"),
        (b'syntax = "proto3";', "x.bin is no descriptor set"),
        (b"{}", "x.bin is no descriptor set"),
        (FileDescriptorSet(file=[FileDescriptorProto()]).SerializeToString(), "x.bin is no descriptor set"),
        (
            FileDescriptorSet(file=[file("a", "b")]).SerializeToString(),
            "'a' imports 'b', which is missing: write it with `protoc --include_imports`",
        ),
    ],
)
def test_bytes_that_are_no_whole_set_are_refused(data, said):
    with pytest.raises(SchemaError) as caught:
        from_descriptor_set(data, origin="x.bin")
    assert said in str(caught.value)


@given(st.binary(max_size=200))
def test_no_bytes_at_all_break_the_reading(data):
    with contextlib.suppress(SchemaError):
        from_descriptor_set(data, origin="x")


def test_a_module_and_what_it_imports_are_copied_out_of_the_default_pool():
    schema = from_module("eas_grpc_pb.greeter.v1.greeter_pb2")
    assert schema.services == ("eas_grpc_pb.greeter.v1.GreeterService",)
    assert schema.pool is not descriptor_pool.Default()
    request = schema.method("SayHello").request
    from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloRequest

    assert request is not HelloRequest
    assert HelloRequest.FromString(request(name="x").SerializeToString()).name == "x"


@pytest.mark.parametrize("name", ["eas_grpc_pb.greeter.v1", "eas_grpc_pb.greeter.v1.greeter_pb2_grpc"])
def test_a_package_and_a_module_of_services_will_do(name):
    assert from_module(name).services == ("eas_grpc_pb.greeter.v1.GreeterService",)


def test_folders_of_modules_need_no_init_file(tmp_path, monkeypatch):
    source = (ROOT / "generated/eas_grpc_pb/greeter/v1/greeter_pb2.py").read_text("utf-8")
    folder = tmp_path / "plain_tree_of_a_test" / "v1"
    folder.mkdir(parents=True)
    (folder / "greeter_pb2.py").write_text(source)
    (folder / "not-a-name_pb2.py").write_text("raise RuntimeError")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert from_module("plain_tree_of_a_test").services == ("eas_grpc_pb.greeter.v1.GreeterService",)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_module_pb2", "there is no module no_such_module_pb2"),
        ("json", "was made of no .proto file"),
        ("eas_grpc.errors", "was made of no .proto file"),
    ],
)
def test_a_module_that_is_none_is_said(name, said):
    with pytest.raises(SchemaError, match=said):
        from_module(name)


def test_a_module_that_breaks_is_quoted(tmp_path, monkeypatch):
    (tmp_path / "broken_pb2.py").write_text("import nothing_of_this_name")
    (tmp_path / "failing_pb2.py").write_text("raise RuntimeError('generated for a newer protobuf')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        SchemaError, match="the module broken_pb2 needs nothing_of_this_name, which is not installed"
    ):
        from_module("broken_pb2")
    with pytest.raises(SchemaError, match="cannot be imported: RuntimeError: generated for a newer protobuf"):
        from_module("failing_pb2")


def test_a_reflection_error_survives_pickling():
    error = pickle.loads(pickle.dumps(ReflectionError("text", "off")))
    assert (str(error), error.reason, error.failure) == ("text", "off", None)


EXTENDED = {
    "a.proto": 'syntax = "proto2"; package a; message M { optional int32 x = 1; extensions 5; }',
    "b.proto": 'syntax = "proto2"; package b; import "a.proto"; extend a.M { optional string more = 5; }',
}


def test_extensions_are_known_to_json():
    schema = from_files(files_of(EXTENDED).values(), origin="x")
    kind = schema.message_class("a.M")
    message = schema.parse(kind, '{"x": 1, "[b.more]": "y"}', where="x")
    assert schema.to_json(message) == '{"x": 1, "[b.more]": "y"}'
