"""`eas-grpc breaking --against`: what is on the other side, and what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from support.schema_versions import NEW, OLD, TYPE, X, write
from support.schemas import proto


def test_a_link_in_the_commit_leads_to_what_it_led_to_then(found, run, git):
    """A schema that several services share is often linked, and its change is a change of theirs."""
    git("init", "-q", "-b", "main")
    write("shared/api.proto", OLD)
    Path("protos/acme/v1").mkdir(parents=True)
    Path("protos/acme/v1/api.proto").symlink_to("../../../shared/api.proto")
    git("add", ".")
    git("commit", "-qm", "one")
    assert run("protos", "--against", "git:main") == (0, "nothing found in 1 file\n")
    write("shared/api.proto", NEW)
    assert found("protos", "--against", "git:main") == [("protos/acme/v1/api.proto", 4, TYPE)]
    Path("protos/acme/v1/other.proto").symlink_to("/nowhere/x.proto")
    git("add", ".")
    git("commit", "-qm", "two")
    Path("protos/acme/v1/other.proto").unlink()
    write("protos/acme/v1/other.proto", proto("message B {}"))
    code, output = run("protos", "--against", "git:main")
    assert (code, "other.proto is a link that leads to no file of the commit" in output) == (3, True), output


def test_a_submodule_is_said_to_be_one(run, git, tmp_path):
    (tmp_path / "other").mkdir()
    write("other/x.proto", OLD)
    git("init", "-q", "-b", "main", cwd=tmp_path / "other")
    git("add", ".", cwd=tmp_path / "other")
    git("commit", "-qm", "one", cwd=tmp_path / "other")
    git("init", "-q", "-b", "main")
    git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(tmp_path / "other"), "protos/deep")
    git("commit", "-qm", "two")
    code, output = run("protos", "--against", "git:main")
    assert (code, "protos/deep is a submodule" in output) == (3, True), output


@pytest.mark.parametrize(
    "content",
    [b"", FileDescriptorSet(file=[{"name": "google/protobuf/any.proto"}]).SerializeToString()],
    ids=["cut off", "of others"],
)
def test_a_descriptor_set_that_holds_nothing_of_ours_proves_nothing(run, content):
    """A download that failed must not turn the gate green."""
    write(X, OLD)
    Path("old.pb").write_bytes(content)
    code, output = run("protos", "--against", "old.pb")
    assert (code, "old.pb holds no file of yours" in output) == (3, True), output


def test_a_folder_that_lacks_what_is_new_is_still_laid_out_alike(found):
    write("one/acme/v1/x.proto", NEW)
    write("two/acme/v2/y.proto", proto("message Y {}").replace("acme.v1", "acme.v2"))
    write("before/one/acme/v1/x.proto", OLD)
    assert found("one", "two", "--against", "before") == [("one/acme/v1/x.proto", 4, TYPE)]


def test_in_a_hook_of_git_the_folder_decides_which_repository_is_meant(
    run, repository, monkeypatch, tmp_path
):
    write(X, NEW)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "objects"))
    monkeypatch.setenv("GIT_COMMON_DIR", str(tmp_path / "common"))
    code, output = run("protos", "--against", "git:main")
    assert (code, TYPE in output) == (1, True), output
