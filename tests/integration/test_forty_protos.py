"""A tree of some fifty protos, with everything that trees have, in each form that can be generated.

The protos are in `tests/protos/forty`, the programs that use the output in `tests/protos/programs`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from support.generated import FORTY, OUR_SOURCES, PYTHON, Tree, command, content, generate, need_tools, write

PYPROJECT = '[project]\nname = "my-service"\nversion = "1"\n'
MODES = {
    "source root": (),
    "package": ("--package", "my_service.pb"),
    "portable": ("--package", "my_service.pb", "--runtime", "portable"),
    "portable source root": ("--runtime", "portable"),
}


def make(home: Path, mode: str) -> Tree:
    """A user's project with modules of its own, and the tree generated into it."""
    project = write(
        home,
        {
            "pyproject.toml": PYPROJECT,
            "src/my_service/__init__.py": "",
            # Named like things that generated modules import: they must not be taken for them.
            "src/my_service/google.py": "raise ImportError('the wrong google')\n",
            "src/my_service/app.py": "from my_service.pb.acme.common.v1 import types_pb2\n",
        },
    )
    packaged = "--package" in MODES[mode]
    out = "src/my_service/pb" if packaged else "generated"
    generate(FORTY, "--out", out, *MODES[mode], cwd=project)
    if packaged:
        return Tree(root=project / "src", package="my_service.pb", mode=mode)
    return Tree(root=project / "generated", mode=mode)


@pytest.fixture(scope="session", params=MODES)
def tree(request, tmp_path_factory) -> Tree:
    need_tools()
    return make(tmp_path_factory.mktemp("forty"), request.param)


def protos() -> list[str]:
    return sorted(path.relative_to(FORTY).as_posix() for path in FORTY.rglob("*.proto"))


def test_the_tree_has_forty_protos_and_what_they_should_exercise():
    """Otherwise the tests below would say less than they seem to."""
    assert len(protos()) >= 40
    text = "\n".join((FORTY / name).read_text() for name in protos())
    for needed in (
        'syntax = "proto2"', 'edition = "2023"', "import public", "oneof ", "optional ", "map<string, ", "group ",
        "extend Old", "extensions 100", "deprecated = true", "reserved ", "json_name", "message_set_wire_format",
        "google/api/annotations.proto", "eas_grpc_pb/tensor/v1/tensor.proto", "allow_alias", "features.",
    ):  # fmt: skip
        assert needed in text, needed
    names = set(protos())
    assert {
        "acme/names/v1/my-svc.proto",
        "acme/names/v1/dotted.name.proto",
        "acme/names/v1/Ünï.proto",
    } <= names
    assert any(name.startswith("google/") for name in names)
    assert len(re.findall(r"^message Thing ", text, re.MULTILINE)) >= 2


def test_every_module_imports_first_in_a_fresh_process(tree):
    """Whichever module a program begins with, its imports come in the right order."""
    found = tree.run("use_tree.py", "imports")
    assert found["failed"] == {}
    assert found["modules"] >= len(protos())


@pytest.fixture(scope="session")
def reference(tmp_path_factory) -> Path:
    """What protoc alone makes of the protos."""
    need_tools()
    path = tmp_path_factory.mktemp("reference") / "descriptors.bin"
    roots = (FORTY, OUR_SOURCES, sysconfig.get_path("purelib"))
    line = [
        PYTHON,
        "-m",
        "grpc_tools.protoc",
        *(f"-I{root}" for root in roots),
        f"--descriptor_set_out={path}",
    ]
    subprocess.run([*line, *protos()], check=True, capture_output=True)
    return path


def test_the_schema_that_modules_embed_is_protocs(tree, reference):
    """Every name, number, type, default and option: the tests below take the embedded schema at its word."""
    assert tree.run("use_tree.py", "descriptors", str(reference)) == {"files": len(protos())}


def test_every_message_enum_and_extension_works(tree):
    """Filled in all fields; through bytes, pickle, a deep copy, text and JSON; and found where a user looks."""
    found = tree.run("use_tree.py", "messages")
    assert found["files"] == len(protos())
    assert found["messages"] > 200
    assert found["enums"] > 12
    assert found["extensions"] > 12


def test_all_four_shapes_of_call_travel_in_both_colours(tree):
    """Every rpc of every service, over a real port, with the generated stubs and servicers."""
    found = tree.run("use_tree.py", "calls")
    assert found["sync"] == found["aio"]
    assert set(found["sync"]) == {"unary_unary", "unary_stream", "stream_unary", "stream_stream"}
    assert min(found["sync"].values()) >= 2
    assert found["served"] == sum(found["sync"].values()) + sum(found["aio"].values())


@pytest.mark.parametrize("verb", ["messages", "calls"])
def test_protobufs_implementation_in_python_takes_it_too(tree, verb):
    """The one for machines without a compiled wheel; it is stricter about how modules are built."""
    found = tree.run("use_tree.py", verb, PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python")
    assert found == tree.run("use_tree.py", verb)


def test_names_on_the_wire_do_not_depend_on_where_the_code_lies(tree):
    """The gateway routes by `/package.Service/Method`; JSON and Any carry full names."""
    said = tree.python(
        "import json\n"
        f"from {tree.module('acme.infer.v1')} import infer_pb2 as m, infer_pb2_grpc as g\n"
        "from google.protobuf import any_pb2\n"
        "class Channel:\n"
        "    paths = []\n"
        "    def __getattr__(self, shape):\n"
        "        return lambda path, **_: self.paths.append((shape, path))\n"
        "g.InferStub(Channel())\n"
        "packed = any_pb2.Any(); packed.Pack(m.InferReply(message='x'))\n"
        "reply = m.InferReply(); assert packed.Unpack(reply) and reply.message == 'x'\n"
        "print(json.dumps([Channel.paths, packed.type_url]))\n"
    )
    paths, url = json.loads(said)
    assert paths[:4] == [
        ["unary_unary", "/acme.infer.v1.Infer/Run"],
        ["unary_stream", "/acme.infer.v1.Infer/Watch"],
        ["stream_unary", "/acme.infer.v1.Infer/Collect"],
        ["stream_stream", "/acme.infer.v1.Infer/Chat"],
    ]
    assert url == "type.googleapis.com/acme.infer.v1.InferReply"


def test_what_the_schema_says_is_still_there(tree):
    """Defaults, presence, JSON names, options of one's own and Google's, aliases, and names made of keywords."""
    tree.python(
        f"""
from google.api import annotations_pb2
from google.protobuf import json_format, timestamp_pb2
from {tree.module("acme.legacy")} import old_pb2, options_pb2, with_options_pb2, extensions_pb2
from {tree.module("acme.deep.v1")} import json_names_pb2, wellknown_pb2
from {tree.module("acme.infer.v1")} import http_pb2, keywords_pb2, model_pb2, tensors_pb2
from {tree.module("acme.common.v1")} import only_enums_pb2, public_pb2, types_pb2
from {tree.module("acme.editions.v1")} import features_pb2
from {tree.module("acme.common.v1.geo")} import shape_pb2

old = old_pb2.Old()
assert (old.count, old.text, old.grade, old.raw) == (41, 'a "quoted" \\\\ text\\n', 2, b"\\x00\\xff")
assert old.limit == float("inf") and old.flag and not old.HasField("count")
old.item.add(label="x").deep.value = 3
assert not old.IsInitialized() and old.FindInitializationErrors() == ["name"]
old.name = "n"
assert old_pb2.Old.FromString(old.SerializeToString()).item[0].deep.value == 3

password = with_options_pb2.Guarded.DESCRIPTOR.fields_by_name["password"]
assert password.GetOptions().Extensions[options_pb2.secret]
assert list(with_options_pb2.Guarded.DESCRIPTOR.GetOptions().Extensions[options_pb2.owners]) == ["me", "you"]
get = http_pb2.DESCRIPTOR.services_by_name["Http"].methods_by_name["Get"]
assert get.GetOptions().Extensions[annotations_pb2.http].get == "/v1/{{name=models/*}}"

names = json_names_pb2.JsonNames(some_name="1", other_name="2", camelCase="3", odd="4", UPPER_CASE="5")
found = json_format.MessageToDict(names)
assert found == {{"renamed": "1", "otherName": "2", "camelCase": "3", "@odd key": "4", "UPPERCASE": "5"}}, found

words = keywords_pb2.Keywords(**{{"from": "a", "class": 2, "None": "n", "if": "i"}})
assert getattr(words, "from") == "a" and words.WhichOneof("try") == "if"
assert keywords_pb2.Word.Value("pass") == 1 and getattr(keywords_pb2, "None") == 2

model = model_pb2.Model(replicas=0, path="p")
assert model.HasField("replicas") and not model.HasField("version") and model.WhichOneof("limit") is None
assert model_pb2.Model.FromString(model.SerializeToString()).HasField("replicas")
model.things[3].name = "three"
model.thing.CopyFrom(types_pb2.Thing(name="x"))
assert public_pb2.Thing is types_pb2.Thing
assert only_enums_pb2.LEVEL_LOW == only_enums_pb2.LEVEL_MIN == 1

features = features_pb2.Features(explicit="", required="")
assert features.HasField("explicit") and not features.HasField("closed")
features.delimited.required = "r"
assert features_pb2.Features.FromString(features.SerializeToString()).delimited.required == "r"

from eas_grpc_pb.tensor.v1 import tensor_pb2
assert tensors_pb2.Batch(tensors=[tensor_pb2.Tensor(name="t")]).tensors[0].name == "t"
known = wellknown_pb2.WellKnown(timestamp=timestamp_pb2.Timestamp(seconds=5))
known.struct.update({{"a": [1, None]}})
known.any.Pack(names)
assert json_format.Parse(json_format.MessageToJson(known), wellknown_pb2.WellKnown()) == known
"""
    )


def test_a_users_own_module_beside_the_tree_is_left_alone(tree):
    """Generating into a package must not make a package of the project above it, nor touch its files."""
    home = tree.root.parent
    assert (home / "src/my_service/google.py").read_text().startswith("raise ImportError")
    if tree.package:
        assert (
            tree.python("import my_service.app; print(my_service.app.types_pb2.Thing(name='x').name)")
            == "x\n"
        )
    else:
        assert not (tree.root / "__init__.py").exists()
        assert not (tree.root / "google/__init__.py").exists()


def test_a_second_run_elsewhere_gives_the_same_bytes(tree, tmp_path):
    """Absolute paths, another folder, another order, one file at a time named: nothing of it is in the output."""
    other = tmp_path / "very" / "different"
    copy = shutil.copytree(FORTY, other / "protos")
    work = tmp_path / "work"
    work.mkdir()
    files = sorted(copy.rglob("*.proto"), reverse=True)
    out = work / "pb"
    package = MODES[tree.mode] if tree.package else (*MODES[tree.mode], "--package", "")
    generate("-I", copy, *files, "--out", out, *package, cwd=work)
    assert content(out) == content(tree.out)
    assert not any(str(tmp_path).encode() in text for text in content(out).values())


def test_a_run_again_writes_nothing(tree):
    """Not even the same bytes, since a build system looks at times."""
    before = {
        path: path.stat().st_mtime_ns for path in tree.out.rglob("*") if "__pycache__" not in path.parts
    }
    done = generate(FORTY, "--out", tree.out, *MODES[tree.mode], "--format", "json", cwd=tree.root)
    report = json.loads(done.stdout)
    assert (report["written"], report["removed"]) == ([], [])
    assert set(report["unchanged"]) == set(content(tree.out))
    after = {path: path.stat().st_mtime_ns for path in tree.out.rglob("*") if "__pycache__" not in path.parts}
    assert after == before


def test_the_check_finds_it_fresh_and_then_one_edit(tree):
    """What CI runs; and it puts nothing right by itself."""
    arguments = (FORTY, "--out", tree.out, *MODES[tree.mode], "--check")
    assert command(*arguments, cwd=tree.root).returncode == 0
    edited = tree.out / "acme/common/v1/types_pb2.py"
    text = edited.read_bytes()
    try:
        edited.write_bytes(text + b"# edited\n")
        done = command(*arguments, cwd=tree.root)
        assert done.returncode == 1
        assert "changed: acme/common/v1/types_pb2.py" in done.stdout
        assert edited.read_bytes() == text + b"# edited\n"
    finally:
        edited.write_bytes(text)


def test_the_output_says_nothing_of_this_machine(tree):
    """It is committed and compared on others."""
    home = str(Path.home()).encode()
    for name, text in content(tree.out).items():
        for secret in (
            str(FORTY).encode(),
            str(tree.root).encode(),
            str(PYTHON.parent).encode(),
            os.fsencode(Path.cwd()),
        ):
            assert secret not in text, (name, secret)
        assert home == b"/" or home + b"/" not in text, name
