"""The side that is compared with: where links of a commit lead, git's own variables, descriptors of other tools."""

from __future__ import annotations

import subprocess

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from support.schemas import NAME, descriptors, proto

from eas_grpc.codegen._against import _HOOKS, _end
from eas_grpc.codegen._elements import read_schema
from eas_grpc.codegen.breaking._shape import malformed
from eas_grpc.errors import SchemaError

LINKS = {
    "a/one": "two",
    "a/two": "../b/c.proto",
    "folder": "./b/",
    "in/a/circle": "../a/circle",
    "out": "../../elsewhere",
    "absolute": "/etc/x.proto",
    "top": "a/..",
}


@pytest.mark.parametrize(
    ("path", "end"),
    [
        ("b/c.proto", "b/c.proto"),
        ("a/one", "b/c.proto"),
        ("folder", "b"),
        ("folder/c.proto", "b/c.proto"),
        ("top/a/../folder/x", "b/x"),
        (".", ""),
        ("in/a/circle", None),
        ("out/x", None),
        ("absolute", None),
    ],
)
def test_where_a_path_of_a_commit_leads(path, end):
    assert _end(path, LINKS.get) == end


def test_every_variable_is_cleared_that_names_another_repository():
    said = subprocess.run(
        ["git", "rev-parse", "--local-env-vars"],
        capture_output=True,
        text=True,
        check=True,
    )
    # Settings of `git -c`, such as safe.directory, hold for every repository: git passes them on as well.
    assert set(said.stdout.split()) - {"GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"} <= _HOOKS
    assert not _HOOKS & {"GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"}


def changed(body: str, change) -> FileDescriptorSet:
    files = FileDescriptorSet()
    files.CopyFrom(descriptors({NAME: proto(body, 'syntax = "proto2"')}))
    change(files.file[0])
    return files


MALFORMED = {
    "an entry without a value": lambda file: file.message_type[0].nested_type[0].field.pop(),
    "an entry of other numbers": lambda file: setattr(
        file.message_type[0].nested_type[0].field[1], "number", 3
    ),
    "a oneof that is not there": lambda file: setattr(file.message_type[0].field[0], "oneof_index", 1),
    "a oneof before the first": lambda file: setattr(file.message_type[0].field[0], "oneof_index", -1),
    "an extension in a oneof": lambda file: setattr(file.extension[0], "oneof_index", 0),
    "a default that is no number": lambda file: setattr(file.message_type[0].field[1], "default_value", "x"),
}
BODY = (
    "message M { map<string, int32> m = 1; optional int32 a = 2; oneof o { int32 b = 3; } extensions 100 to 199; }\n"
    "extend M { optional int32 e = 100; }"
)


@pytest.mark.parametrize("change", MALFORMED.values(), ids=MALFORMED)
def test_what_no_compiler_writes_is_noticed_before_it_is_compared(change):
    assert malformed(read_schema(changed(BODY, change), [NAME], {})) is not None


def test_what_a_compiler_writes_is_fine():
    assert malformed(read_schema(changed(BODY, lambda _: None), [NAME], {})) is None


def test_a_syntax_of_the_future_is_one_clear_sentence():
    files = changed(BODY, lambda file: setattr(file, "syntax", "proto4"))
    with pytest.raises(SchemaError, match=f"{NAME} has the syntax `proto4`, which is not known here"):
        read_schema(files, [NAME], {})


def test_a_position_that_is_none_points_at_the_start():
    def no_spans(file):
        for place in file.source_code_info.location:
            place.ClearField("span")

    (message,) = read_schema(changed("message M {}", no_spans), [NAME], {}).elements[1:]
    assert (message.at.line, message.at.column) == (1, 1)
