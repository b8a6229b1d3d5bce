"""`eas-grpc breaking` against real folders, descriptor sets and git repositories."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.schema_versions import NEW, OLD, RENAMED, TYPE, X, Y, write
from support.schemas import descriptors, proto


def test_a_branch_of_git_is_compared_with_the_working_tree(run, repository):
    assert run("protos", "--against", "git:main") == (0, "nothing found in 1 file\n")
    write(X, NEW)
    code, output = run("protos", "--against", "git:main")
    assert code == 1
    assert output.splitlines() == [
        (
            f"{X}:4:10: error: field acme.v1.A.a was int32 and is string now: old bytes mean something else to it, or "
            f"nothing [{TYPE}]"
        ),
        "  |   string a = 1;",
        "  |          ^",
        "  hint: add a field with a new number, and reserve the old one",
        "1 error found in 1 file",
    ]


def test_every_way_to_name_a_commit_works(found, repository, git):
    git("tag", "v1")
    write(X, NEW)
    git("commit", "-qam", "two")
    for ref in ("v1", "HEAD~1", "main^"):
        assert found("protos", "--against", f"git:{ref}") == [(X, 4, TYPE)]
    assert found("protos", "--against", "git:HEAD") == []


def test_one_file_can_be_compared_from_any_folder(found, repository, monkeypatch):
    write(X, NEW)
    monkeypatch.chdir("protos/acme")
    assert found("v1/x.proto", "--against", "git:main") == [("v1/x.proto", 4, TYPE)]
    monkeypatch.chdir("..")
    assert found(".", "--against", "git:main") == [("acme/v1/x.proto", 4, TYPE)]


def test_the_whole_repository_may_be_the_proto_root(found, git, run, tmp_path):
    git("init", "-q", "-b", "main")
    write("acme/v1/x.proto", OLD)
    write("binary.bin", "\0")
    git("add", ".")
    git("commit", "-qm", "one")
    write("acme/v1/x.proto", NEW)
    assert found(".", "--against", "git:main") == [("acme/v1/x.proto", 4, TYPE)]


def test_a_file_that_was_deleted_is_noticed_and_shown_as_git_names_it(found, repository, git):
    write(Y, proto("message B {}"))
    git("add", ".")
    git("commit", "-qm", "two")
    Path(Y).unlink()
    assert found("protos", "--against", "git:main", "--level", "source") == [
        (f"git:main:{Y}", 2, "FILE_NO_DELETE")
    ]


def test_a_file_that_is_new_breaks_nothing(found, repository):
    write(Y, proto('import "acme/v1/x.proto";\nmessage B { A a = 1; }'))
    assert found("protos", "--against", "git:main", "--level", "source") == []
    assert found("protos", Y, "--against", "git:main", "-I", "protos") == []


def test_include_roots_are_taken_from_the_commit_too(found, git, run):
    git("init", "-q", "-b", "main")
    write(
        "protos/acme/v1/x.proto",
        proto('import "other/o.proto";\nmessage A { other.O o = 1; other.P p = 2; }'),
    )
    write("lib/other/o.proto", proto("message O {}\nmessage P {}", package="other"))
    git("add", ".")
    git("commit", "-qm", "one")
    # The type that the old protos need is gone from today's.
    write("protos/acme/v1/x.proto", proto('import "other/o.proto";\nmessage A { other.O o = 1; }'))
    write("lib/other/o.proto", proto("message O {}", package="other"))
    assert found("protos", "-I", "protos", "-I", "lib", "--against", "git:main") == [
        ("protos/acme/v1/x.proto", 4, "FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED")
    ]


def test_an_include_root_outside_of_the_repository_stays_as_it_is(found, git, run, tmp_path):
    write("lib/other/o.proto", proto("message O {}", package="other"))
    write("repo/protos/acme/v1/x.proto", proto('import "other/o.proto";\nmessage A { other.O a = 1; }'))
    git("init", "-q", "-b", "main", cwd=tmp_path / "repo")
    git("add", ".", cwd=tmp_path / "repo")
    git("commit", "-qm", "one", cwd=tmp_path / "repo")
    write("repo/protos/acme/v1/x.proto", NEW)
    arguments = ("repo/protos", "-I", "repo/protos", "-I", "lib", "--against", "git:main")
    assert found(*arguments) == [("repo/protos/acme/v1/x.proto", 4, TYPE)]


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("nope", "git knows no commit `nope` here; in a shallow clone it has to be fetched first"),
        ("", "git knows no commit `` here"),
        ("--help", "git knows no commit `--help` here"),
        ("main:protos", "git knows no commit `main:protos` here"),
    ],
)
def test_a_commit_that_does_not_exist_is_one_clear_sentence(run, repository, ref, message):
    code, output = run("protos", "--against", f"git:{ref}")
    assert code == 2
    assert output.startswith(f"Error: {message}")
    assert output.count("\n") == 1


def test_no_repository_is_one_clear_sentence(run, git):
    write(X, OLD)
    code, output = run("protos", "--against", "git:main")
    assert code == 2
    assert output.startswith("Error: protos is in no git repository (fatal: not a git repository")


def test_a_folder_that_the_commit_lacks_is_one_clear_sentence(run, repository):
    write("fresh/acme/v1/x.proto", OLD)
    code, output = run("fresh", "--against", "git:main")
    assert (code, output) == (3, "Error: there is no .proto in fresh at git:main\n")


def test_protos_of_two_repositories_are_refused(run, repository, git, tmp_path):
    write("../elsewhere/acme/v2/z.proto", proto("message Z {}", package="acme.v2"))
    try:
        code, output = run("protos", "../elsewhere", "--against", "git:main")
    finally:
        shutil.rmtree(tmp_path.parent / "elsewhere")
    assert code == 2
    assert output.startswith("Error: ../elsewhere is not in the git repository")


def test_without_git_the_reason_is_said(run, repository, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, output = run("protos", "--against", "git:main")
    assert code == 2
    assert output.startswith("Error: git cannot be started")


def test_an_old_schema_that_does_not_compile_is_shown_where_it_is(run, repository, git):
    write(X, proto("message A { Missing m = 1; }"))
    git("commit", "-qam", "broken")
    write(X, OLD)
    code, output = run("protos", "--against", "git:main")
    assert code == 3
    assert output.startswith(f"the old protos do not compile:\ngit:main:{X}:3:13: error: ")


def test_a_hook_of_git_does_not_lead_to_another_repository(found, repository, monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    write(X, NEW)
    assert found("protos", "--against", "git:main") == [(X, 4, TYPE)]


def test_a_folder_may_be_the_old_root(found):
    write("before/acme/v1/x.proto", OLD)
    write(X, NEW)
    assert found("protos", "--against", "before") == [(X, 4, TYPE)]
    assert found("protos", "--against", "protos") == []


def test_a_folder_may_be_another_checkout(found):
    write(f"checkout/{X}", OLD)
    write(X, NEW)
    assert found("protos", "--against", "checkout") == [(X, 4, TYPE)]
    assert found(X, "--against", "checkout") == [(X, 4, TYPE)]


def test_an_old_root_uses_the_include_roots_of_today(found):
    write("before/acme/v1/x.proto", proto('import "other/o.proto";\nmessage A { other.O a = 1; }'))
    write("lib/other/o.proto", proto("message O {}", package="other"))
    write(X, NEW)
    assert found("protos", "-I", "protos", "-I", "lib", "--against", "before") == [(X, 4, TYPE)]


def test_a_file_that_is_gone_from_a_folder_is_shown_where_it_was(found):
    write("before/acme/v1/x.proto", OLD)
    write("before/acme/v1/y.proto", proto("message B {}"))
    write(X, OLD)
    assert found("protos", "--against", "before", "--level", "source") == [
        ("before/acme/v1/y.proto", 2, "FILE_NO_DELETE")
    ]


def test_a_descriptor_set_is_compared_without_its_imports(found):
    imports = 'import "google/protobuf/empty.proto";\nimport "other/o.proto";\nmessage A {\n  int32 a = 1;\n}'
    used = imports.replace("int32 a = 1;", "google.protobuf.Empty e = 2; other.O o = 3; int32 a = 1;")
    old = {
        "acme/v1/x.proto": proto(used),
        "other/o.proto": proto("message O { int32 x = 1; }", package="other"),
    }
    Path("old.binpb").write_bytes(descriptors(old).SerializeToString())
    write(X, proto(used.replace("int32 a", "string a")))
    # Here the other file is an import, and that it has changed is for its owner to say.
    write("lib/other/o.proto", proto("message O {}", package="other"))
    arguments = ("protos", "-I", "protos", "-I", "lib", "--against", "old.binpb", "--level", "source")
    assert [rule for _, _, rule in found(*arguments)] == [TYPE]


def test_a_file_that_is_no_descriptor_set_is_said(run):
    write(X, OLD)
    write("old.binpb", "this is no descriptor set")
    code, output = run("protos", "--against", "old.binpb")
    assert code == 3
    assert output.startswith("Error: old.binpb is no descriptor set: write one with")


def test_a_descriptor_set_that_cannot_be_read_is_said(run, monkeypatch):
    write(X, OLD)
    write("old.binpb", "")

    def refuse(path: Path) -> bytes:
        if path.name == "old.binpb":
            raise PermissionError(13, "Permission denied")
        return read(path)

    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert run("protos", "--against", "old.binpb") == (
        3,
        "Error: old.binpb cannot be read: Permission denied\n",
    )


def test_what_does_not_exist_is_wrong_usage(run):
    write(X, OLD)
    code, output = run("protos", "--against", "main")
    assert code == 2
    assert output.startswith(
        "Error: there is no folder and no file main to compare with: give one, or `git:REF`"
    )


def test_nothing_to_compare_with_is_wrong_usage(run):
    write(X, OLD)
    code, output = run("protos")
    assert code == 2
    assert "nothing to compare with: give --against git:main" in output


def test_the_level_decides_what_is_a_break(found, repository):
    write(X, RENAMED)
    assert found("protos", "--against", "git:main") == []
    for level in ("json", "source"):
        assert found("protos", "--against", "git:main", "--level", level) == [(X, 4, "FIELD_SAME_NAME")]


def test_a_rule_can_be_switched_off_and_must_exist(run, found, repository):
    write(X, NEW)
    assert found("protos", "--against", "git:main", "--except", TYPE) == []
    code, output = run("protos", "--against", "git:main", "--except", "FIELD_WIRE_COMPATIBLE_TYP")
    assert code == 2
    assert f"did you mean {TYPE}?" in output


def test_a_project_says_what_is_compared_with_what(found, repository, monkeypatch):
    table = '[tool.eas-grpc]\nprotos = ["protos"]\n[tool.eas-grpc.breaking]\nagainst = "git:main"\nlevel = "json"\n'
    write("pyproject.toml", table)
    write(X, RENAMED)
    assert found() == [(X, 4, "FIELD_SAME_NAME")]
    assert found("--level", "wire") == []
    write("pyproject.toml", f'{table}except = ["FIELD_SAME_NAME", "FIELD_SAME_JSON_NAME"]\n')
    assert found() == []


def test_a_folder_in_a_project_is_relative_to_the_project(found, monkeypatch):
    write(
        "pyproject.toml",
        '[tool.eas-grpc]\nprotos = ["protos"]\n[tool.eas-grpc.breaking]\nagainst = "before"\n',
    )
    write("before/acme/v1/x.proto", OLD)
    write(X, NEW)
    Path("below").mkdir()
    monkeypatch.chdir("below")
    assert [rule for _, _, rule in found()] == [TYPE]


def test_a_level_of_a_project_that_does_not_exist_is_wrong_usage(run):
    write("pyproject.toml", '[tool.eas-grpc.breaking]\nagainst = "git:main"\nlevel = "bytes"\n')
    write(X, OLD)
    code, output = run("protos")
    assert code == 2
    assert "`level` of pyproject.toml is 'bytes': write one of wire, json, source" in output


def test_an_ignore_comment_accepts_a_change(found, repository):
    write(X, NEW.replace("string a = 1;", f"string a = 1; // eas-grpc:ignore {TYPE} nobody stored it"))
    assert found("protos", "--against", "git:main", "--level", "source") == []


def test_a_checkout_that_lacks_a_new_folder_keeps_its_include_roots(found):
    write("one/acme/v1/x.proto", proto('import "acme/v1/y.proto";\nmessage A { B b = 1; }'))
    write("one/acme/v1/y.proto", proto("message B {}"))
    write("two/acme/v2/z.proto", proto("message Z {}", package="acme.v2"))
    shutil.copytree("one", "before/one")
    assert found("one", "two", "--against", "before", "--level", "source") == []
