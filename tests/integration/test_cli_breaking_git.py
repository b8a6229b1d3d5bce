"""`eas-grpc breaking --against git:REF`: links, submodules and what a clone lacks."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from support.schema_versions import NEW, OLD, TYPE, X, write
from support.schemas import descriptors, proto


def test_links_to_folders_of_a_commit_are_followed_by_imports_and_by_what_was_named(found, git, run):
    git("init", "-q", "-b", "main")
    write("shared/v1/o.proto", proto("message O { int32 a = 1; }", package="other"))
    write("real/acme/v1/x.proto", proto('import "other/v1/o.proto";\nmessage A { other.O o = 1; }'))
    Path("real/other").symlink_to("../once")
    Path("once").symlink_to("shared")
    Path("protos").symlink_to("real")
    Path("real/dangling").symlink_to("nowhere")
    Path("real/readme.md").symlink_to("/etc/hostname")
    git("add", ".")
    git("commit", "-qm", "one")
    assert run("protos", "--against", "git:main") == (0, "nothing found in 1 file\n")
    assert run("real/acme/v1/x.proto", "-I", "real", "--against", "git:main")[0] == 0
    write(
        "real/acme/v1/x.proto",
        proto('import "other/v1/o.proto";\nmessage A { other.O o = 1; }\nmessage B {}'),
    )
    Path("protos").unlink()
    Path("real").rename("protos")
    # It was a link then, and is a folder now.
    write("protos/acme/v1/x.proto", proto("message A { int32 o = 1; }"))
    assert found("protos", "--against", "git:main") == [("protos/acme/v1/x.proto", 3, TYPE)]


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("protos/acme/v1/y.proto", "y.proto"),
        ("protos/acme/v1/y.proto", "../../../../x.proto"),
        ("protos/acme/v1/y.proto", "/etc/y.proto"),
        ("protos/acme/v1/y.proto", "nowhere.proto"),
    ],
    ids=["a circle", "out of the tree", "absolute", "nowhere"],
)
def test_a_link_that_cannot_be_followed_is_refused_by_name(run, repository, git, name, target):
    Path(name).symlink_to(target)
    git("add", ".")
    git("commit", "-qm", "two")
    Path(name).unlink()
    write(name, proto("message B {}"))
    assert run("protos", "--against", "git:main") == (
        3,
        f"Error: {name} is a link that leads to no file of the commit: git:REF cannot follow it\n",
    )
    assert run(X, "-I", "protos/acme", "--against", "git:main~1")[0] == 0


def test_a_linked_file_that_was_named_is_found_at_the_commit(found, git, run):
    git("init", "-q", "-b", "main")
    write("shared/x.proto", OLD)
    Path("protos/acme/v1").mkdir(parents=True)
    Path(X).symlink_to("../../../shared/x.proto")
    git("add", ".")
    git("commit", "-qm", "one")
    write("shared/x.proto", NEW)
    assert found(X, "-I", "protos", "--against", "git:main") == [(X, 4, TYPE)]


@pytest.fixture
def submodule(run, repository, git, tmp_path) -> None:
    """A submodule `protos/deep` with other/o.proto."""
    write("origin/other/o.proto", proto("message O {}", package="other"))
    for arguments in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-qm", "one")):
        git(*arguments, cwd=tmp_path / "origin")
    git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(tmp_path / "origin"), "protos/deep")
    git("commit", "-qm", "two")


@pytest.mark.parametrize("named", ["protos", "protos/deep/other"])
def test_protos_in_a_submodule_cannot_be_compared(run, submodule, named):
    assert run("protos/acme", named, "-I", "protos", "--against", "git:main") == (
        3,
        "Error: protos/deep is a submodule, which git:REF cannot look into: compare with a folder\n",
    )


def test_a_submodule_without_protos_or_beside_those_that_were_named_is_no_matter(found, run, submodule):
    write(X, proto('import "other/o.proto";\nmessage A {\n  other.O a = 1;\n}'))
    imports = ("-I", "protos", "-I", "protos/deep")
    assert found("protos/acme", *imports, "--against", "git:main") == [(X, 5, TYPE)]
    shutil.rmtree("protos/deep")
    write(X, NEW)
    assert found("protos", "--against", "git:main") == [(X, 4, TYPE)]


def test_an_include_root_in_a_submodule_is_as_it_is_today(found, submodule, git):
    write(X, proto('import "other/o.proto";\nmessage A { other.O a = 1; }'))
    git("add", ".")
    git("commit", "-qm", "three")
    write(X, NEW)
    assert found("protos/acme", "-I", "protos", "-I", "protos/deep", "--against", "git:main") == [
        (X, 4, TYPE)
    ]


def test_content_that_a_partial_clone_lacks_is_one_clear_sentence(run, repository, tmp_path):
    done = subprocess.run(
        ["git", "rev-parse", f"HEAD:{X}"],
        capture_output=True,
        text=True,
        check=True,
    )
    blob = done.stdout.strip()
    (tmp_path / ".git/objects" / blob[:2] / blob[2:]).unlink()
    code, output = run("protos", "--against", "git:main")
    assert code == 3
    assert re.fullmatch(rf"Error: {X} at [0-9a-f]{{10}} is not in this clone: fetch it first\n", output)


def test_where_links_cannot_be_made_the_reason_is_said(run, git, monkeypatch):
    """On Windows that needs a right of its own."""
    git("init", "-q", "-b", "main")
    write("shared/x.proto", OLD)
    Path("protos/acme/v1").mkdir(parents=True)
    Path(X).symlink_to("../../../shared/x.proto")
    git("add", ".")
    git("commit", "-qm", "one")

    def refuse(*_: object) -> None:
        raise PermissionError(1, "a privilege is not held")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert run("protos", "--against", "git:main") == (
        3,
        f"Error: {X} is a link, and none can be made here (a privilege is not held): compare with a folder\n",
    )


def test_a_malformed_descriptor_set_is_one_clear_sentence(run):
    write(X, proto("message A { map<string, int32> a = 1; }"))
    files = FileDescriptorSet()
    files.CopyFrom(descriptors({"acme/v1/x.proto": Path(X).read_text()}))
    del files.file[0].message_type[0].nested_type[0].field[1]
    Path("old.binpb").write_bytes(files.SerializeToString())
    assert run("protos", "--against", "old.binpb") == (
        3,
        "Error: old.binpb is no descriptor set of a compiler: field acme.v1.A.a cannot be read\n",
    )
