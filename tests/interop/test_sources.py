"""What is committed for the other languages: generated from our protos, formatted, free of host names."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from interop.programs import HERE, PROTOC_PYTHON, finish, locked, unavailable

pytestmark = pytest.mark.interop

GO = HERE / "go"


def sources(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*.pb.go"))}


def test_the_generated_go_code_is_what_the_generators_write_today(go_programs, tmp_path):
    if not os.access(PROTOC_PYTHON, os.X_OK):
        unavailable(f"no protoc environment at {PROTOC_PYTHON}: run `make setup`")
    with locked("go"):
        done = finish("sh", GO / "generate.sh", tmp_path, timeout=600, EAS_GRPC_PROTOC_PYTHON=PROTOC_PYTHON)
    assert done.returncode == 0, done.stderr
    assert len(sources(GO)) == 13
    assert sources(tmp_path) == sources(GO)


def test_the_go_code_is_formatted_and_vetted(go_programs):
    gofmt = shutil.which("gofmt") or unavailable("no `gofmt` on the PATH")
    formatted = finish(gofmt, "-l", GO)
    assert (formatted.returncode, formatted.stdout) == (0, "")
    vetted = finish("go", "vet", "./...", cwd=GO, timeout=600)
    assert vetted.returncode == 0, vetted.stderr


def test_the_npm_lock_names_exact_versions_and_no_registry():
    lock = json.loads((HERE / "node/package-lock.json").read_text())
    wanted = json.loads((HERE / "node/package.json").read_text())["dependencies"]
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert all(entry["version"] and entry["integrity"] for entry in packages.values())
    assert not any("resolved" in entry for entry in packages.values())
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
