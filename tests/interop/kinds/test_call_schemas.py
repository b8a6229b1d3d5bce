"""`eas-grpc call` knows the same messages wherever the schema comes from, as a program of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from interop.kinds.cases import DETAILS
from interop.kinds.judge import FILES, INCLUDES, KINDS, NEWER, OLDER, assert_same, stream, values
from interop.kinds.samples import samples
from interop.programs import PROTOC_PYTHON, finish, protoc, serving

pytestmark = pytest.mark.interop

METHODS = {
    "everything": (f"{KINDS}/Chat", "kinds.v1.Everything"),
    "older": (f"{OLDER}/ChatOlder", "kinds.older.v1.Older"),
    "newer": (f"{NEWER}/ChatNewer", "kinds.newer.v1.Newer"),
}
NOT_ASKED = "--no-reflection"
LOCAL_SCHEMA = 3


@pytest.fixture(scope="module")
def modules(tmp_path_factory) -> Path:
    """A package of generated Python, where a program can import it."""
    out = tmp_path_factory.mktemp("modules")
    protoc(*(f"-I{folder}" for folder in INCLUDES), f"--python_out={out}", *FILES[:4])
    for folder in (out / "kinds", *(out / "kinds").rglob("*/")):
        (folder / "__init__.py").touch()
    protoc(f"-I{INCLUDES[1]}", "--include_imports", f"--descriptor_set_out={out / 'rpc.binpb'}", *FILES[4:])
    return out


@pytest.fixture(params=["reflection", "proto", "descriptor set", "module and descriptor set"])
def source(request) -> dict[str, Any]:
    """The options that name the schema, and the variables that go with them."""
    if request.param == "proto":
        paths = [folder / name for name in FILES for folder in INCLUDES if (folder / name).exists()]
        options = [option for path in paths for option in ("--proto", str(path))]
        options += [option for folder in INCLUDES for option in ("-I", str(folder))]
        return {"options": [*options, "--protoc-python", PROTOC_PYTHON, NOT_ASKED], "variables": {}}
    if request.param == "descriptor set":
        path = request.getfixturevalue("schema_file")
        return {"options": ["--descriptor-set", str(path), NOT_ASKED], "variables": {}}
    if request.param == "module and descriptor set":
        folder = request.getfixturevalue("modules")
        # Both together, since what google.rpc defines is no part of the package.
        options = ["--module", "kinds", "--descriptor-set", str(folder / "rpc.binpb"), NOT_ASKED]
        return {"options": options, "variables": {"PYTHONPATH": str(folder)}}
    return {"options": [], "variables": {}}


def call(address: str, method: str, *options: object, **variables: str) -> subprocess.CompletedProcess[str]:
    return finish(
        *(sys.executable, "-m", "eas_grpc.cli", "call", "-e", f"http://{address}", *options, method),
        **variables,
    )


@pytest.mark.parametrize("field", METHODS)
def test_every_source_gives_the_same_answer(go_server, source, field, pool, tmp_path):
    method, name = METHODS[field]
    sent = samples(pool.FindMessageTypeByName(name))
    text = stream({field: json_format.MessageToDict(message, descriptor_pool=pool)} for message in sent)
    (tmp_path / "request.json").write_text(text, "utf-8")
    done = call(
        go_server, method, "-d", f"@{tmp_path}/request.json", *source["options"], **source["variables"]
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert_same(values(done.stdout), values(text))


def test_every_source_decodes_the_details_of_a_failure(go_server, source):
    request = {"failure": {"code": 5, "message": "nothing", "details": list(DETAILS)}}
    options = ("-d", json.dumps(request), "--output", "json", *source["options"])
    done = call(go_server, f"{KINDS}/Echo", *options, **source["variables"])
    assert done.returncode == 64 + 5, done.stderr
    assert json.loads(done.stdout)["error_details"] == list(DETAILS)


@pytest.mark.parametrize("named", [False, True], ids=["reflection", "descriptor set"])
def test_the_buf_line_of_a_dry_run_gives_the_same_answer(go_server, schema_file, named, buf, tmp_path):
    request = {"everything": {"names": {"class": "it's $HOME `x` \\ ü"}, "scalars": {"aBytes": "AA=="}}}
    options = ["--descriptor-set", schema_file] if named else []
    options += ["-d", json.dumps(request), "-H", "x-kinds-say: it's"]
    planned = call(go_server, f"{KINDS}/Echo", *options, "--dry-run")
    assert planned.returncode == 0, planned.stderr
    (line,) = [line for line in planned.stdout.splitlines() if line.startswith("buf curl ")]
    done = finish("sh", "-c", line.replace("buf", buf, 1), HOME=str(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == request


def test_reflection_whose_files_do_not_name_their_imports_is_used_or_refused_with_a_way_out(
    node_programs, schema_file
):
    """As proto-loader of grpc-js shows its files; `buf curl` only says that there is no such service."""
    node, folder = node_programs
    request = '{"everything": {"wellKnown": {"timestamp": "2026-01-01T00:00:00Z"}}}'
    with serving(node, folder / "kinds.js", schema_file, "joined") as address:
        asked = call(address, f"{KINDS}/Echo", "-d", request)
        named = call(address, f"{KINDS}/Echo", "-d", request, "--descriptor-set", schema_file)
    assert (named.returncode, json.loads(named.stdout)) == (0, json.loads(request))
    if asked.returncode == 0:
        assert json.loads(asked.stdout) == json.loads(request)
    else:
        assert asked.returncode == LOCAL_SCHEMA
        assert "--descriptor-set" in asked.stderr
