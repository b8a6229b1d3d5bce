"""Descriptors as .proto text: what is written compiles again, and to the same descriptors."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import google.api
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from support.schemas import ROOT, descriptors

from eas_grpc.schema import describe, from_files, protos

HERE = Path(__file__).parent / "protos"
FORTY = ROOT / "tests/protos/forty"
GOOGLE = Path(google.api.__path__[0]).parents[1]
OURS = ROOT / "protos"


def texts(root: Path, pattern: str = "**/*.proto") -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): path.read_text("utf-8")
        for path in sorted(root.glob(pattern))
        if "google/protobuf/" not in path.as_posix()
    }


@cache
def tree(name: str) -> FileDescriptorSet:
    if name == "forty":
        found = texts(GOOGLE, "google/**/*.proto") | texts(OURS) | texts(FORTY)
    else:
        found = texts({"traps": HERE, "ours": OURS}[name])
    return descriptors(found)


def bare(files) -> dict[str, FileDescriptorProto]:
    """Without comments and positions, by name; protobuf's own are every compiler's."""
    found = {}
    for file in files:
        if not file.name.startswith("google/protobuf/"):
            found[file.name] = copy = FileDescriptorProto()
            copy.CopyFrom(file)
            copy.ClearField("source_code_info")
    return found


@pytest.mark.parametrize("name", ["traps", "forty", "ours"])
@pytest.mark.parametrize("with_source", [True, False], ids=["comments", "bare"])
def test_the_text_of_a_schema_compiles_to_the_same_descriptors(name, with_source):
    files = tree(name).file
    original = bare(files)
    assert len(original) >= 3
    schema = from_files(files if with_source else original.values(), origin=name)
    again = bare(descriptors(protos(schema)).file)
    assert again.keys() == original.keys()
    for path, file in original.items():
        assert again[path] == file, path


def schema_of(text: str, **others: str):
    return from_files(descriptors({"x.proto": text, **others}).file, origin="x.proto")


GREETER = """
// A licence that belongs to nobody below.

syntax = "proto3";
package acme.v1;

// Greets people.
//
//  indented
service Greeter {
  // Says hello.
  rpc Hello(Request) returns (stream Reply) { option deprecated = true; }  // old
}

message Request {
  string name = 1 [json_name = "who"];  // whom to greet
  // One of these.
  oneof how { bool loud = 2; Reply as = 3; }
  map<string, Reply.Kind> kinds = 4;
  optional int32 times = 5;
  reserved 8, 10 to 12;
  reserved "old";
}
message Reply {
  enum Kind { KIND_UNSPECIFIED = 0; KIND_NEW = 1 [deprecated = true]; }
  repeated Kind kinds = 1;
}
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "acme.v1.Greeter",
            """\
// Greets people.
//
//  indented
service Greeter {
  // Says hello.
  rpc Hello(Request) returns (stream Reply) {
    option deprecated = true;
  }
}
""",
        ),
        (
            "Request",
            """\
message Request {
  string name = 1 [json_name = "who"];  // whom to greet

  // One of these.
  oneof how {
    bool loud = 2;
    Reply as = 3;
  }

  map<string, Reply.Kind> kinds = 4;
  optional int32 times = 5;
  reserved 8, 10 to 12;
  reserved "old";
}
""",
        ),
        (
            "acme.v1.Reply.Kind",
            "enum Kind {\n  KIND_UNSPECIFIED = 0;\n  KIND_NEW = 1 [deprecated = true];\n}\n",
        ),
        ("KIND_NEW", "KIND_NEW = 1 [deprecated = true];\n"),
        ("Request.name", 'string name = 1 [json_name = "who"];  // whom to greet\n'),
        ("Request.kinds", "map<string, Reply.Kind> kinds = 4;\n"),
        ("Request.times", "optional int32 times = 5;\n"),
        ("how", "// One of these.\noneof how {\n  bool loud = 2;\n  Reply as = 3;\n}\n"),
    ],
)
def test_one_element_is_shown_with_its_comments(name, text):
    assert describe(schema_of(GREETER).find(name)) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.b.ex", "extend G {\n  optional int32 ex = 16;\n}\n"),
        ("a.b.G.nested_ext", "extend G {\n  optional int32 nested_ext = 17;\n}\n"),
        ("a.b.topg", "extend G.Result {\n  optional group TopG = 5 {}\n}\n"),
        (
            "a.b.G.result",
            "optional group Result = 1 [deprecated = true] {\n  optional Before bf = 1;\n  extensions 5 to max;\n}\n",
        ),
    ],
)
def test_extensions_and_groups_are_shown_alone(name, text):
    assert describe(from_files(tree("traps").file, origin="traps").find(name)) == text


def test_what_a_comment_holds_does_not_steer_the_terminal():
    (file,) = bare(descriptors({"x.proto": GREETER}).file).values()
    file.source_code_info.location.add(
        path=[6, 0], span=[3, 0, 1], leading_comments=" a\x1b[31m\u202ered\n */ b\n"
    )
    text = describe(from_files([file], origin="x").find("Greeter"))
    assert text.startswith("// a\\x1b[31m\\u202ered\n// */ b\nservice")


def test_an_option_that_nobody_defines_is_noted():
    texts = {
        "opt.proto": 'syntax = "proto3"; import "google/protobuf/descriptor.proto";'
        " extend google.protobuf.FieldOptions { string note = 50001; }",
        "x.proto": 'syntax = "proto3"; import "opt.proto"; message M { int32 a = 1 [(note) = "x"]; }',
    }
    files = bare(descriptors(texts).file)
    whole = from_files(files.values(), origin="x")
    assert describe(whole.find("M.a")) == 'int32 a = 1 [(.note) = "x"];\n'
    alone = files["x.proto"]
    del alone.dependency[:]
    assert describe(from_files([alone], origin="x").find("M.a")) == (
        "// An option that this schema does not define: 50001.\nint32 a = 1;\n"
    )
