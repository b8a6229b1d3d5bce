"""Names in portable modules: none that a schema may use stands in the way, none that it may not becomes code."""

import ast
import builtins
import keyword

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from support.portable_trees import run_python, write_portable

from eas_grpc.codegen.portable import message_module, pool_module, service_module
from eas_grpc.codegen.portable._imports import alias, import_line
from eas_grpc.errors import SchemaError

# What a module without a package defines beside its own messages, all imports and helpers of the builder.
HELPERS: dict[str, object] = {"__name__": "empty_pb2"}
exec(
    message_module(FileDescriptorProto(name="eas_grpc_test/empty.proto"), modules={}, pool=None),
    HELPERS,
)
NAMES = sorted(
    name
    for name in {*HELPERS, *dir(builtins), "_eas_grpc_pool", "_protobuf"} - {"DESCRIPTOR"}
    if name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("__")
)


def schema(package: str, kind: str) -> FileDescriptorProto:
    """One of everything that a module defines, and a definition of each of the names."""
    file = text_format.Parse(
        f"""
        name: "{package}.proto" package: "{package}" syntax: "proto2"
        message_type {{
          name: "Outer"
          field {{ name: "value" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32 }}
          nested_type {{ name: "Inner" enum_type {{ name: "Kind" value {{ name: "NONE" number: 0 }} }} }}
          extension_range {{ start: 100 end: 200 }}
        }}
        extension {{ name: "extra" number: 101 label: LABEL_OPTIONAL type: TYPE_INT32 extendee: ".{package}.Outer" }}
        service {{ name: "Go" method {{ name: "On" input_type: ".{package}.Outer" output_type: ".{package}.Outer" }} }}
        """,
        FileDescriptorProto(),
    )
    if kind == "message":
        for name in NAMES:
            file.message_type.add(name=name).nested_type.add(name="Inside")
    else:
        values = file.enum_type.add(name="Names").value
        for number, name in enumerate(NAMES):
            values.add(name=name, number=number)
    return file


@pytest.mark.parametrize("implementation", ["", "python"], ids=["c", "pure"])
@pytest.mark.parametrize("kind", ["message", "enum value"])
@pytest.mark.parametrize("package", ["mine.gen", ""])
def test_definitions_may_be_named_like_all_that_builds_them(tmp_path, package, kind, implementation):
    """Without a package they share a module with it; a public import brings them in before it is at work."""
    assert {"_reflection", "_build", "_build_class", "_make_known", "_globals", "dict", "globals"} <= {*NAMES}
    files = [schema("first", kind), schema("second", kind)]
    for file in files:
        file.name = f"{package.replace('.', '/')}/{file.name}".lstrip("/")
    files[1].dependency.append(files[0].name)
    files[1].public_dependency.append(0)
    write_portable(files, files, package, tmp_path)

    program = f"""
import importlib, pickle
names, is_message = {NAMES!r}, {kind == "message"}
for stem in ("second", "first"):
    m = importlib.import_module("{f"{package}." if package else ""}" + stem + "_pb2")
    outer = m.Outer(value=1)
    outer.Extensions[m.extra] = 5
    for message in (outer, m.Outer.Inner(), *(getattr(m, name).Inside() for name in names if is_message)):
        copied = pickle.loads(pickle.dumps(message))
        assert type(copied) is type(message) and copied == message
    for number, name in enumerate(names):
        found = getattr(m, name)
        assert found.DESCRIPTOR.full_name == stem + "." + name if is_message else found == number
    assert m.DESCRIPTOR.name.endswith(stem + ".proto") and m.Outer.Inner.Kind.Name(0) == "NONE"
print("ok")
"""
    assert run_python(program, tmp_path, implementation) == "ok\n"


BAD = ["a..b", "a-b", "a b", "a\nb", "a;b", "class", "a.import.b", "1a", "a as b", ".a", "a.", " "]


@pytest.mark.parametrize("bad", BAD)
def test_no_name_of_a_module_becomes_code(bad):
    private = FileDescriptorProto(name="a.proto", dependency=["b.proto"])
    public = FileDescriptorProto(name="a.proto", dependency=["b.proto"], public_dependency=[0])

    for write in (
        lambda: import_line(bad),
        lambda: alias(bad),
        lambda: message_module(private, modules={"b.proto": bad}, pool="mine.gen"),
        lambda: message_module(public, modules={"b.proto": bad}, pool=None),
        lambda: message_module(FileDescriptorProto(name="a.proto"), modules={}, pool=bad),
    ):
        with pytest.raises(SchemaError, match="cannot be imported: a module's name is words of Python, with"):
            write()


def test_names_of_other_alphabets_are_words_of_python():
    assert import_line("pakiet.é_pb2") == "from pakiet import é_pb2 as pakiet_dot_é__pb2\n"


@pytest.mark.parametrize(
    "name", ['a"\nraise 1\n".proto', "a\rraise 1.proto", "a\\.proto", 'b"c.proto', "é.proto", "a\n.proto"]
)
def test_no_name_of_a_file_becomes_code(name):
    """A comment and strings hold it, and no more: a descriptor may come from elsewhere than protoc."""
    file = FileDescriptorProto(name=name, syntax="editions", edition=1000, message_type=[{"name": "A"}])
    clean = FileDescriptorProto(name="a.proto", syntax="editions", edition=1000, message_type=[{"name": "A"}])

    def nodes(file):
        text = message_module(file, modules={}, pool="mine.gen")
        services = service_module(
            file, files=[file], modules={file.name: "a_pb2"}, client=True, servicer=True
        )
        pool = pool_module([file], portable=True)
        trees = [ast.parse(each) for each in (text, services, pool)]
        return [type(node) for tree in trees for node in ast.walk(tree)], trees

    (found, trees), (expected, _) = nodes(file), nodes(clean)

    assert found == expected
    (table,) = (
        node.value
        for node in trees[2].body
        if isinstance(node, ast.AnnAssign) and "SYMBOLS" in ast.dump(node.target)
    )
    assert ast.literal_eval(table) == {"A": name}
