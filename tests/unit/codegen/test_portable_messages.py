"""The text of portable message modules, and what it does when it is imported.

References: the modules that protoc itself wrote for this repository's protos, their type stubs included.
"""

import ast
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import eas_grpc_pb
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from hypothesis import given
from hypothesis import strategies as st
from support.portable_trees import write_portable

from eas_grpc.codegen.portable import EDITION_FLOORS, _tree_build, message_module, pool_module
from eas_grpc.codegen.portable._embed import bytes_literal, embedded

ROOT = Path(__file__).parents[3]
PROGRAMS = ROOT / "tests" / "portable"
GENERATED = Path(eas_grpc_pb.__path__[0]).parent
STOCK = [
    f"eas_grpc_pb.{name}_pb2"
    for name in (
        "greeter.v1.greeter",
        "open_inference.v2.model_config",
        "open_inference.v2.open_inference",
        "tensor.v1.tensor",
        "tf_serving.v1.model",
        "tf_serving.v1.model_service",
        "tf_serving.v1.prediction_service",
        "tf_serving.v1.tensor",
        "tf_serving.v1.types",
    )
]
SHAPES = """
    name: "shapes.proto" package: "acme" syntax: "proto2"
    dependency: "google/protobuf/descriptor.proto" dependency: "points.proto" public_dependency: 1
    message_type {
      name: "Outer"
      field { name: "some_value" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32 json_name: "someValue" }
      field { name: "other_value" number: 2 label: LABEL_OPTIONAL type: TYPE_INT32 json_name: "mine" }
      field { name: "point" number: 3 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".acme.Point" }
      nested_type {
        name: "Inner"
        enum_type { name: "Kind" value { name: "NONE" number: 0 } }
        extension { name: "deep" number: 100 label: LABEL_OPTIONAL type: TYPE_MESSAGE
                    type_name: ".acme.Outer.Inner" extendee: ".acme.Outer" json_name: "deep" }
      }
      extension_range { start: 100 end: 200 }
    }
    enum_type { name: "Level" value { name: "LOW" number: 0 } value { name: "HIGH" number: 3 } }
    extension { name: "extra" number: 101 label: LABEL_OPTIONAL type: TYPE_INT32 extendee: ".acme.Outer"
                json_name: "extra" }
    service { name: "Greeter" method { name: "Go" input_type: ".acme.Outer" output_type: ".acme.Outer" } }
    source_code_info { location { path: 4 path: 0 span: [1, 2, 3] leading_comments: " Said once.\\n" } }
"""
POINTS = """
    name: "points.proto" package: "acme" syntax: "proto3"
    message_type { name: "Point" field { name: "x" number: 1 label: LABEL_OPTIONAL type: TYPE_SINT32 } }
"""
MODERN = """
    name: "new/modern.proto" package: "acme" syntax: "editions" edition: EDITION_2023
    message_type { name: "Modern" field { name: "x" number: 1 label: LABEL_OPTIONAL type: TYPE_SINT32 } }
"""


def parsed(text: str) -> FileDescriptorProto:
    return text_format.Parse(text, FileDescriptorProto())


@pytest.fixture(params=["", "python"], ids=["c", "pure"])
def run(request, tmp_path):
    """Runs a program with protobuf's C implementation and without; gives what it prints."""

    def run(program: str, *arguments: str) -> str:
        environment = {**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": request.param}
        if not request.param:
            del environment["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"]
        start = f"import sys; sys.path[:0] = {[str(tmp_path), str(PROGRAMS)]!r}\n"
        done = subprocess.run(
            [sys.executable, "-B", "-c", start + program, *arguments],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize("module", STOCK)
def test_what_is_embedded_is_what_protoc_embeds(module):
    stock = importlib.import_module(module).DESCRIPTOR
    file = FileDescriptorProto.FromString(stock.serialized_pb)
    # As a descriptor set has it: positions, and a JSON name on every field, here by protobuf's own rule.
    file.source_code_info.location.add(path=[4, 0], span=[1, 2, 3], leading_comments=" Said once.\n")

    def name(messages, described):
        for message in messages:
            here = described[message.name]
            for field in message.field:
                field.json_name = here.fields_by_name[field.name].json_name
            name(message.nested_type, here.nested_types_by_name)

    name(file.message_type, stock.message_types_by_name)
    before = file.SerializeToString()

    assert embedded(file) == stock.serialized_pb
    assert file.SerializeToString() == before


def test_a_json_name_of_the_authors_own_stays_and_so_do_no_others():
    small = FileDescriptorProto.FromString(embedded(parsed(SHAPES)))

    outer = small.message_type[0]
    assert [field.json_name for field in outer.field] == ["", "mine", ""]
    assert not outer.nested_type[0].extension[0].HasField("json_name")
    assert not small.extension[0].HasField("json_name")
    assert not small.HasField("source_code_info")


@given(st.binary(max_size=400))
def test_a_literal_is_read_back_as_the_same_bytes_from_lines_of_sane_width(content):
    text = bytes_literal(content, "    ")

    assert ast.literal_eval(f"(\n{text}\n)") == content
    assert max(map(len, text.splitlines())) <= 110
    assert text.isascii()


@pytest.mark.parametrize("package", ["mine.gen", ""])
def test_every_name_of_the_type_stubs_is_there(tmp_path, run, package):
    own, every = [], []
    for module in STOCK:
        file = FileDescriptorProto.FromString(importlib.import_module(module).DESCRIPTOR.serialized_pb)
        every.append(file)
        own.append(file)
        stub = GENERATED.joinpath(*module.split(".")).with_suffix(".pyi")
        renamed = tmp_path.joinpath(*package.split("."), *module.split(".")).with_suffix(".pyi")
        renamed.parent.mkdir(parents=True, exist_ok=True)
        renamed.write_bytes(stub.read_bytes())
    prefix = package.replace(".", "/") + "/" if package else ""
    for file in own:
        file.name = prefix + file.name
        file.dependency[:] = [
            prefix + name if name.startswith("eas_grpc_pb/") else name for name in file.dependency
        ]
    outside = [
        FileDescriptorProto(name=name)
        for file in own
        for name in file.dependency
        if name.startswith("google/")
    ]
    write_portable(own, [*every, *outside], package, tmp_path)

    run(f"import check_tree; check_tree.check_names(check_tree.Tree({str(tmp_path)!r}, {package!r}))")


@pytest.mark.parametrize("package", ["mine.gen", ""])
def test_a_module_defines_what_stock_output_defines_and_its_messages_travel(tmp_path, run, package):
    prefix = package.replace(".", "/") + "/" if package else ""
    own = [parsed(text) for text in (POINTS, SHAPES, MODERN)]
    for file in own:
        file.name = prefix + file.name
        file.dependency[:] = [name if "google" in name else prefix + name for name in file.dependency]
    write_portable(
        own, [*own, FileDescriptorProto(name="google/protobuf/descriptor.proto")], package, tmp_path
    )
    dotted = f"{package}." if package else ""

    out = run(f"""
import copy, importlib, json, pickle
shapes = importlib.import_module("{dotted}shapes_pb2")
modern = importlib.import_module("{dotted}new.modern_pb2")
inner = shapes.Outer.Inner()
outer = shapes.Outer(some_value=1, point=shapes.Point(x=-1))
outer.Extensions[shapes.extra] = 5
outer.Extensions[shapes.Outer.Inner.deep].SetInParent()
assert shapes.Outer.FromString(outer.SerializeToString()) == outer
for each in (inner, outer, outer.point, modern.Modern(x=0)):
    for copied in (pickle.loads(pickle.dumps(each)), copy.deepcopy(each)):
        assert type(copied) is type(each) and copied == each
print(json.dumps({{
    "names": sorted(name for name in vars(shapes) if not name.startswith("__") and "_dot_" not in name),
    "module": [shapes.Outer.Inner.__module__, shapes.Outer.Inner.__qualname__, shapes.Point.__module__],
    "numbers": [shapes.EXTRA_FIELD_NUMBER, shapes.HIGH, shapes.Level.Value("HIGH"), shapes.Outer.Inner.NONE],
    "presence": modern.Modern(x=0).HasField("x"),
    "descriptors": [shapes._OUTER_INNER_KIND.full_name, shapes._LEVEL.full_name, shapes._GREETER.full_name],
}}))
""")

    found = json.loads(out)
    stock = {
        "DESCRIPTOR",
        "EXTRA_FIELD_NUMBER",
        "HIGH",
        "LOW",
        "Level",
        "Outer",
        "Point",
        "_GREETER",
        "_LEVEL",
        "_OUTER",
        "_OUTER_INNER",
        "_OUTER_INNER_KIND",
        "extra",
    }
    assert stock <= set(found["names"])
    assert all(name.startswith("_") or name == "points__pb2" for name in set(found["names"]) - stock)
    assert found["module"] == [f"{dotted}shapes_pb2", "Outer.Inner", f"{dotted}points_pb2"]
    assert found["numbers"] == [101, 3, 3, 0]
    assert found["presence"] is True
    assert found["descriptors"] == ["acme.Outer.Inner.Kind", "acme.Level", "acme.Greeter"]


def test_a_file_in_an_edition_refuses_a_runtime_that_would_misread_it(monkeypatch):
    text = message_module(parsed(MODERN), modules={}, pool=None)
    compile(text, "modern_pb2.py", "exec")
    monkeypatch.setattr("google.protobuf.__version__", "5.26.1")

    with pytest.raises(ImportError, match=r"modern\.proto is written in an edition .* needs protobuf 5\.27"):
        exec(text, {"__name__": "modern_pb2"})


@pytest.mark.parametrize("edition", ["2023", "2024"])
def test_each_edition_has_its_own_lowest_runtime(edition):
    major, minor, _ = EDITION_FLOORS[edition].split(".")
    text = message_module(parsed(MODERN.replace("2023", edition)), modules={}, pool=None)

    assert f"< ({major}, {minor}):\n" in text
    assert f"needs protobuf {major}.{minor} or later" in text


def test_the_text_names_the_source_and_reads_from_top_to_bottom():
    modules = {
        "google/protobuf/descriptor.proto": "google.protobuf.descriptor_pb2",
        "points.proto": "points_pb2",
    }

    text = message_module(parsed(SHAPES), modules=modules, pool="mine.gen", source="original/shapes.proto")

    before, _, after = text.partition("DESCRIPTOR = ")
    assert before == (
        "# Generated by eas-grpc. DO NOT EDIT!\n"
        "# source: original/shapes.proto\n"
        '"""Messages and enums, built from their descriptor when this module is imported."""\n'
        "\n"
        "from mine.gen import _eas_grpc_pool as _eas_grpc_pool\n"
        "\n"
        "_globals = globals()\n"
        "\n"
        "from google.protobuf import descriptor_pb2 as google_dot_protobuf_dot_descriptor__pb2\n"
        "import points_pb2 as points__pb2\n"
        "\n"
        "from points_pb2 import *\n"
        "\n"
    )
    assert after.startswith('_eas_grpc_pool.add(\n    b"')
    assert after.endswith('"\n)\n_eas_grpc_pool.build(DESCRIPTOR, _globals)\n')


def test_the_support_module_does_not_depend_on_the_order_of_the_files():
    files = [parsed(SHAPES), parsed(POINTS), parsed(MODERN)]

    assert pool_module(files) == pool_module(files[::-1])


def private(*texts: str):
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(descriptor_pb2.DESCRIPTOR.serialized_pb)
    return [pool.AddSerializedFile(parsed(text).SerializeToString()) for text in texts]


def test_classes_are_built_in_a_module_of_any_name():
    names = {"__name__": "some.where"}
    points, shapes = private(POINTS, SHAPES)
    _tree_build._build(points, {"__name__": "else.where"})

    _tree_build._build(shapes, names)

    inner = names["Outer"].Inner
    assert (inner.__module__, inner.__qualname__) == ("some.where", "Outer.Inner")
    assert inner().__reduce__()[:2] == (inner, ())
    assert names["Level"].Name(3) == "HIGH"


def test_before_4_22_classes_come_from_a_factory_and_c_may_refuse_to_be_told_extensions(monkeypatch):
    asked = []

    class Factory:
        def __init__(self, pool):
            self.pool = pool

        def GetPrototype(self, message):
            asked.append(message.full_name)
            if message.name == "Outer":
                raise NotImplementedError
            return made(message)

    made = message_factory.GetMessageClass
    monkeypatch.delattr(message_factory, "GetMessageClass")
    monkeypatch.setattr(message_factory, "MessageFactory", Factory)
    _, shapes = private(POINTS, SHAPES)

    _tree_build._build(shapes, {"__name__": "some.where"})

    assert sorted(asked) == ["acme.Outer", "acme.Outer", "acme.Outer.Inner", "acme.Point"]


def test_a_class_in_the_default_pool_can_be_found_by_its_name():
    from google.protobuf import symbol_database

    file = parsed(POINTS)
    file.name, file.package = "eas_grpc_test/points.proto", "eas_grpc_test.by_name"
    names = {"__name__": "some.where"}

    _tree_build._build(descriptor_pool.Default().AddSerializedFile(file.SerializeToString()), names)

    assert symbol_database.Default().GetSymbol("eas_grpc_test.by_name.Point") is names["Point"]
