"""A tree in a pool of its own: what it is to a tree that imports from it, and to threads."""

import threading

import pytest
from google.protobuf import descriptor_pool, text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from support.portable_trees import run_python, write_portable

from eas_grpc.codegen.portable import _tree_pool, pool_module

# Takes a name of the tree, which is then private.
TAKE = """
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import Default
def take(package, message):
    file = FileDescriptorProto(name=package + "_of_others.proto", package=package)
    file.message_type.add(name=message)
    Default().AddSerializedFile(file.SerializeToString())
"""


def schema(name: str, package: str, message: str, *, imports: dict[str, str]) -> FileDescriptorProto:
    """A message with one field for each imported file."""
    fields = "".join(
        f'field {{ name: "f{number}" number: {number} label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: "{kind}" }}'
        for number, kind in enumerate(imports.values(), 2)
    )
    return text_format.Parse(
        f"""
        name: "{name}" package: "{package}" syntax: "proto3" {"".join(f'dependency: "{each}" ' for each in imports)}
        message_type {{ name: "{message}" field {{ name: "a" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }}
                        {fields} }}
        """,
        FileDescriptorProto(),
    )


STAMP = {"google/protobuf/timestamp.proto": ".google.protobuf.Timestamp"}


@pytest.fixture
def trees(tmp_path):
    """`lib.gen`, whose second file imports its first, and `app.gen`, which imports the second."""
    outside = FileDescriptorProto(name="google/protobuf/timestamp.proto")
    first = schema("lib/gen/a.proto", "base", "A", imports=STAMP)
    second = schema("lib/gen/b.proto", "base", "B", imports={first.name: ".base.A"})
    plain = schema("app/gen/x.proto", "app", "X", imports={})
    user = schema("app/gen/c.proto", "app", "C", imports={second.name: ".base.B"})
    every = [outside, first, second, plain, user]
    write_portable([first, second], every, "lib.gen", tmp_path)
    write_portable([plain, user], every, "app.gen", tmp_path)
    return tmp_path


@pytest.fixture(params=["", "python"], ids=["c", "pure"])
def run(request, trees):
    return lambda program: run_python(TAKE + program, trees, request.param)


def test_importing_from_a_private_tree_is_refused_with_what_to_do(run):
    """The public tree cannot follow: files of it may be in the default pool already. What it has stays usable."""
    out = run("""
take("base", "B")
import app.gen.x_pb2 as x, lib.gen.b_pb2
for _ in range(2):
    try:
        import app.gen.c_pb2
    except ImportError as error:
        print(error)
print(x.X(a="1").a, lib.gen.b_pb2.B(a="2").a)
""")

    sentence = (
        "the generated tree app.gen imports lib/gen/b.proto, which the tree lib.gen keeps in a pool of its own, because"
        " another module took its names: import lib.gen before that module, or generate app.gen and lib.gen in one run"
    )
    assert out == f"{sentence}\n{sentence}\n1 2\n"


def test_what_to_do_helps(run):
    out = run("""
import lib.gen.b_pb2 as b
try:
    take("base", "B")
except Exception as error:
    print("refused")
import app.gen.c_pb2 as c
print(c.C(f2=b.B(a="1")).f2.a)
""")

    # Pure Python only warns of the second definition, on the standard error stream.
    assert out.splitlines()[-1] == "1"


def test_two_private_trees_may_import_from_each_other(run):
    """With classes of its own for what it imports, as a private tree has for all files from outside."""
    out = run("""
take("base", "B")
take("app", "X")
import lib.gen.b_pb2 as b, app.gen.c_pb2 as c
assert len({Default(), b.DESCRIPTOR.pool, c.DESCRIPTOR.pool}) == 3
m = c.C(a="1")
m.f2.MergeFromString(b.B(a="2").SerializeToString())
m.f2.f2.f2.FromSeconds(5)
assert type(m).FromString(m.SerializeToString()) == m and type(m.f2) is not b.B
print(m.f2.a)
""")

    assert out == "2\n"


def test_a_copy_that_another_tree_made_does_not_make_it_the_owner(run):
    """`app.gen` is private and holds a copy of lib's file, which is in the default pool for everybody else."""
    out = run("""
take("app", "X")
import app.gen.c_pb2 as c
import sys, types
import app.gen._eas_grpc_pool as pool
assert pool._find(pool._private, "lib/gen/b.proto")
print(pool._private_owner("lib/gen/b.proto"), pool._private_owner("app/gen/c.proto")[0], pool._private_owner("no.proto"))
""")

    assert out == "('', None) app.gen ('', None)\n"


@pytest.fixture
def visitor():
    """To be called by two threads; `met` is set if both were inside at once, for which the first waits a while."""
    inside = []

    def visit(*arguments):
        inside.append(arguments)
        if len(inside) > 1:
            visit.met.set()
        visit.met.wait(0.3)
        inside.pop()

    visit.met = threading.Event()
    return visit


def in_two_threads(function, *arguments):
    threads = [threading.Thread(target=function, args=arguments) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_one_thread_at_a_time_changes_a_private_pool(monkeypatch, visitor):
    """Looking a file up and copying it are one step: in pure Python a second copy would be another type."""

    class Pool:
        AddSerializedFile = staticmethod(visitor)

        def FindFileByName(self, name):
            raise KeyError(name)

    monkeypatch.setattr(_tree_pool, "_private", Pool())

    in_two_threads(_tree_pool.add, b"")

    assert not visitor.met.is_set()


def test_one_thread_at_a_time_makes_classes(visitor):
    """Of a type that two modules import, both would make one, and use the other's before it is complete."""
    pool = {"__name__": "eas_grpc_test._eas_grpc_pool"}
    exec(pool_module([], portable=True), pool)
    pool["_build"] = visitor

    in_two_threads(pool["build"], None, {})

    assert not visitor.met.is_set()


@pytest.mark.parametrize("implementation", ["", "python"], ids=["c", "pure"])
def test_many_threads_import_modules_of_one_private_tree(tmp_path, implementation):
    """Each needs the same copies from outside the tree, all of them for the first time."""
    outside = {
        "google/protobuf/type.proto": ".google.protobuf.Type",
        "google/protobuf/api.proto": ".google.protobuf.Api",
        "google/protobuf/struct.proto": ".google.protobuf.Struct",
        **STAMP,
    }
    files = [schema(f"many/gen/m{n}.proto", "many", f"M{n}", imports=outside) for n in range(12)]
    write_portable(
        files, [*files, *(FileDescriptorProto(name=name) for name in outside)], "many.gen", tmp_path
    )

    out = run_python(
        TAKE
        + """
import importlib, sys, threading
from concurrent.futures import ThreadPoolExecutor
take("many", "M0")
import many.gen._eas_grpc_pool as pool
import google.protobuf.api_pb2, google.protobuf.struct_pb2, google.protobuf.timestamp_pb2
sys.setswitchinterval(1e-6)
together = threading.Barrier(12)
def use(number):
    together.wait()
    module = importlib.import_module(f"many.gen.m{number}_pb2")
    made = getattr(module, f"M{number}")()
    made.f5.FromSeconds(5)
    assert type(made).FromString(made.SerializeToString()) == made
    return [field.message_type for field in made.DESCRIPTOR.fields[1:]]
with ThreadPoolExecutor(12) as threads:
    used = list(threads.map(use, range(12)))
for message in used[0]:
    assert message.file.pool is pool._private
    assert pool._private.FindMessageTypeByName(message.full_name) is message
print(all(types == used[0] for types in used))
""",
        tmp_path,
        implementation,
    )

    assert out == "True\n"


def test_a_file_that_nobody_has_is_left_to_protobuf_to_report(monkeypatch):
    file = schema("mine/z.proto", "mine", "Z", imports={"nobody/has.proto": ".mine.Z"})
    for private in (None, descriptor_pool.DescriptorPool()):
        monkeypatch.setattr(_tree_pool, "_private", private)
        with pytest.raises(TypeError, match="nobody/has"):
            _tree_pool.add(file.SerializeToString())
