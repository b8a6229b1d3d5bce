"""Trees whose definitions disagree live side by side in one process; a tree alone lives in the default pool."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from eas_grpc_pb.tensor.v1 import tensor_pb2
from google.protobuf import descriptor_pool, text_format, timestamp_pb2, type_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from support.portable_trees import write_portable

from eas_grpc.codegen.portable import _tree_pool, pool_module

PROGRAMS = Path(__file__).parents[2] / "portable"


def helloworld(package: str) -> FileDescriptorProto:
    """The same as tests/portable/protos/*/helloworld.proto: the two differ in every message."""
    is_two = package.startswith("two")
    field = "label: LABEL_OPTIONAL type:"
    return text_format.Parse(
        f"""
        name: "{package.replace(".", "/")}/helloworld.proto" package: "helloworld" syntax: "proto3"
        dependency: "google/protobuf/timestamp.proto"
        message_type {{
          name: "HelloRequest"
          field {{ name: "{"number" if is_two else "name"}" number: 1
                   {field} {"TYPE_INT32" if is_two else "TYPE_STRING"} }}
        }}
        message_type {{
          name: "HelloReply"
          field {{ name: "message" number: 1 {field} TYPE_STRING }}
          field {{ name: "at" number: 2 {field} TYPE_MESSAGE type_name: ".google.protobuf.Timestamp" }}
          field {{ name: "detail" number: 3 {field} TYPE_MESSAGE type_name: ".helloworld.HelloReply.Detail" }}
          field {{ name: "mood" number: {5 if is_two else 4} {field} TYPE_ENUM type_name: ".helloworld.Mood" }}
          nested_type {{
            name: "Detail"
            field {{ name: "{"words" if is_two else "text"}" number: {2 if is_two else 1} {field} TYPE_STRING }}
          }}
        }}
        enum_type {{ name: "Mood" value {{ name: "MOOD_UNSPECIFIED" number: 0 }}
                     value {{ name: "MOOD_GLAD" number: 1 }} }}
        service {{ name: "Greeter" method {{ name: "SayHello" input_type: ".helloworld.HelloRequest"
                                             output_type: ".helloworld.HelloReply" }} }}
        """,
        FileDescriptorProto(),
    )


@pytest.fixture
def trees(tmp_path):
    outside = FileDescriptorProto(name="google/protobuf/timestamp.proto")
    for package in ("one.gen", "two.gen"):
        file = helloworld(package)
        write_portable([file], [file, outside], package, tmp_path)
    return tmp_path


@pytest.fixture(params=["", "python"], ids=["c", "pure"])
def run(request, trees):
    def run(*arguments: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(trees)}
        environment.pop("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", None)
        if request.param:
            environment["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = request.param
        done = subprocess.run(
            [sys.executable, "-B", *arguments], capture_output=True, text=True, env=environment, cwd=trees
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize("order", [("one.gen", "two.gen"), ("two.gen", "one.gen")], ids=["1-2", "2-1"])
def test_two_helloworlds_live_in_one_process_in_either_order(trees, run, order):
    assert run(str(PROGRAMS / "check_two.py"), str(trees), *order, "portable") == "ok\n"


def test_a_tree_claims_its_names_before_its_first_file_is_there(run):
    out = run(
        "-c",
        """
import one.gen._eas_grpc_pool, two.gen.helloworld_pb2 as two, one.gen.helloworld_pb2 as one
from google.protobuf.descriptor_pool import Default
print(one.DESCRIPTOR.pool is Default(), two.DESCRIPTOR.pool is Default())
""",
    )

    assert out == "True False\n"


def test_a_tree_that_gave_way_claims_nothing(trees, run):
    both = helloworld("both.gen")
    both.message_type.add(name="Extra")
    extra = FileDescriptorProto(name="extra/gen/extra.proto", package="helloworld")
    extra.message_type.add(name="Extra")
    outside = FileDescriptorProto(name="google/protobuf/timestamp.proto")
    write_portable([both], [both, outside], "both.gen", trees)
    write_portable([extra], [extra], "extra.gen", trees)

    out = run(
        "-c",
        """
import one.gen.helloworld_pb2 as one, both.gen.helloworld_pb2 as both, extra.gen.extra_pb2 as extra
from google.protobuf.descriptor_pool import Default
print([each.DESCRIPTOR.pool is Default() for each in (one, both, extra)])
""",
    )

    assert out == "[True, False, True]\n"


def test_a_tree_gives_way_to_a_module_that_is_not_of_a_tree(run):
    out = run(
        "-c",
        """
from google.protobuf.descriptor_pool import Default
from google.protobuf.descriptor_pb2 import FileDescriptorProto
foreign = FileDescriptorProto(name="helloworld.proto", package="helloworld")
foreign.enum_type.add(name="Faces").value.add(name="MOOD_GLAD", number=0)
Default().AddSerializedFile(foreign.SerializeToString())
import one.gen.helloworld_pb2 as one
assert one.HelloReply(message="m", mood=1).SerializeToString() == b"\\n\\x01m \\x01"
print(one.DESCRIPTOR.pool is Default())
""",
    )

    assert out == "False\n"


def test_trees_imported_by_many_threads_at_once_are_all_usable(tmp_path, run):
    outside = FileDescriptorProto(name="google/protobuf/timestamp.proto")
    packages = [f"{name}{index}.gen" for index in range(6) for name in ("one", "two")]
    for package in packages:
        file = helloworld(package)
        write_portable([file], [file, outside], package, tmp_path)

    out = run(
        "-c",
        f"""
import importlib, sys, threading
from concurrent.futures import ThreadPoolExecutor
sys.setswitchinterval(1e-6)
packages = {packages!r}
together = threading.Barrier(len(packages))
def use(package):
    together.wait()
    messages = importlib.import_module(package + ".helloworld_pb2")
    reply = messages.HelloReply(message=package)
    reply.at.FromSeconds(5)
    assert type(reply).FromString(reply.SerializeToString()) == reply
    return messages.DESCRIPTOR.pool
with ThreadPoolExecutor(len(packages)) as threads:
    pools = list(threads.map(use, packages))
print(len(set(map(id, pools))) >= len(packages) - 1)
""",
    )

    assert out == "True\n"


@pytest.mark.parametrize(
    ("symbols", "expected"),
    [
        ({}, False),
        ({"acme.Nobody": "acme.proto"}, False),
        ({"eas_grpc_pb.tensor.v1.Tensor": "eas_grpc_pb/tensor/v1/tensor.proto"}, False),
        ({"eas_grpc_pb.tensor.v1.Tensor": "mine.proto"}, True),
        ({"acme.Nobody": "acme.proto", "eas_grpc_pb.tensor.v1.Tensor": "mine.proto"}, True),
        # Whoever ships these may be imported later, and would be refused.
        ({"google.api.Http": "mine.proto"}, True),
        ({"grpc.health.v1.Health": "mine.proto"}, True),
    ],
)
def test_a_name_is_taken_if_another_file_of_the_default_pool_defines_it(symbols, expected):
    assert tensor_pb2.DESCRIPTOR.pool is descriptor_pool.Default()
    assert _tree_pool._is_taken(symbols) is expected


@pytest.mark.parametrize(
    ("claimed", "expected"),
    [
        ({}, False),
        ({"acme.Other": "theirs.proto"}, False),
        ({"acme.Nobody": "acme.proto"}, False),
        ({"acme.Nobody": "theirs.proto"}, True),
    ],
)
def test_a_name_is_taken_if_another_tree_claims_it(monkeypatch, claimed, expected):
    monkeypatch.setitem(sys.modules, "theirs.gen._eas_grpc_pool", SimpleNamespace(CLAIMED=claimed))
    # One that has not come to its claims yet will ask itself, and find ours.
    monkeypatch.setitem(sys.modules, "young.gen._eas_grpc_pool", SimpleNamespace())

    assert _tree_pool._is_taken({"acme.Nobody": "acme.proto"}) is expected


def test_a_private_pool_copies_from_outside_what_a_file_needs_and_no_more(monkeypatch):
    pool = descriptor_pool.DescriptorPool()
    monkeypatch.setattr(_tree_pool, "_private", pool)
    file = FileDescriptorProto(name="mine.proto", package="acme", dependency=[type_pb2.DESCRIPTOR.name])
    again = FileDescriptorProto(name="more.proto", package="acme", dependency=[file.name, *file.dependency])

    for each in (file, again):
        assert _tree_pool.add(each.SerializeToString()).pool is pool

    # type.proto itself imports these two.
    for name in ("google/protobuf/any.proto", "google/protobuf/source_context.proto"):
        assert pool.FindFileByName(name).pool is pool
    with pytest.raises(KeyError):
        pool.FindFileByName(timestamp_pb2.DESCRIPTOR.name)


def test_a_public_tree_adds_to_the_default_pool():
    file = FileDescriptorProto(name="eas_grpc_test/public.proto", package="eas_grpc_test.public")

    assert _tree_pool.add(file.SerializeToString()).pool is descriptor_pool.Default()


def test_the_module_lists_every_top_level_name_with_its_file():
    text = pool_module(
        [helloworld("one.gen"), FileDescriptorProto(name="b.proto", message_type=[{"name": "B"}])]
    )

    names = {}
    exec(text.split("def ")[0], names)

    assert names["SYMBOLS"] == {
        "B": "b.proto",
        **dict.fromkeys(
            [
                "helloworld.Greeter",
                "helloworld.HelloReply",
                "helloworld.HelloRequest",
                "helloworld.MOOD_GLAD",
                "helloworld.MOOD_UNSPECIFIED",
                "helloworld.Mood",
            ],
            "one/gen/helloworld.proto",
        ),
    }


def test_only_a_portable_tree_carries_what_builds_classes():
    assert "def _build(" in pool_module([], portable=True)
    assert "_build" not in pool_module([])
