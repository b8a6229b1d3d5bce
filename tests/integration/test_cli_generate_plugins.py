"""`eas-grpc generate --plugin`: further plugins, tiny real programs, beside our own; and those that fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.cli_generate import INFER, generated, run
from support.generated import need_tools


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch) -> Path:
    need_tools()
    folder = tmp_path / "project"
    (folder / "protos/acme/v1").mkdir(parents=True)
    (folder / "protos/acme/v1/infer.proto").write_text(INFER)
    monkeypatch.chdir(folder)
    return folder


PLUGIN = f"""#!{sys.executable}
import sys
from google.protobuf.compiler import plugin_pb2
request = plugin_pb2.CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
answer = plugin_pb2.CodeGeneratorResponse()
for name in request.file_to_generate:
    answer.file.add(name=name.replace(".proto", "_list.txt"), content=f"{{name}} {{request.parameter}}\\n")
sys.stdout.buffer.write(answer.SerializeToString())
"""


def plugin(name: str, text: str = PLUGIN) -> str:
    path = Path(name)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_a_further_plugin_writes_its_files_beside_ours_with_its_options():
    """Its files are part of the check, and so is its program."""
    args = [
        "--no-types",
        "--plugin",
        f"list={plugin('mine')}",
        "--plugin-opt",
        "list=a=b",
        "--plugin-opt",
        "list=c",
    ]
    generated(*args)
    assert Path("out/acme/v1/infer_list.txt").read_text() == "acme/v1/infer.proto a=b,c\n"
    assert run("protos", "-o", "out", "--check", *args).exit_code == 0
    plugin("mine", PLUGIN + "# another version\n")
    done = run("protos", "-o", "out", "--check", *args)
    assert (done.exit_code, done.stdout.startswith("tools: eas_grpc_gen.json: made with plugin list ")) == (
        1,
        True,
    )
    generated("--no-types")
    assert not Path("out/acme/v1/infer_list.txt").exists()


def test_a_plugins_name_may_be_given_as_protoc_spells_the_program():
    generated("--no-types", "--plugin", f"protoc-gen-list={plugin('mine')}")
    assert Path("out/acme/v1/infer_list.txt").exists()


def test_a_plugin_that_writes_over_our_files_is_refused():
    done = run(
        "protos",
        "-o",
        "out",
        "--no-types",
        "--plugin",
        f"list={plugin('mine', PLUGIN.replace('_list.txt', '_pb2.py'))}",
    )
    assert (done.exit_code, Path("out").exists()) == (3, False)
    assert "acme/v1/infer_pb2.py" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise KeyError('boom')", "KeyError: 'boom'"),
        ("import sys; sys.stdin.buffer.read(); print('rubbish')", "Plugin output is unparseable"),
    ],
)
def test_a_plugin_that_fails_shows_what_it_said(text, said):
    done = run(
        "protos",
        "-o",
        "out",
        "--no-types",
        "--plugin",
        f"list={plugin('mine', f'#!{sys.executable}{chr(10)}{text}{chr(10)}')}",
    )
    assert (done.exit_code, Path("out").exists()) == (3, False)
    assert said in done.stderr


@pytest.mark.parametrize(
    "path", ["nowhere", "protos", "protos/acme/v1/infer.proto"], ids=["none", "folder", "text"]
)
def test_a_plugin_that_is_no_program_is_refused_by_its_path(path):
    done = run("protos", "-o", "out", "--no-types", "--plugin", f"list={path}")
    assert done.exit_code == 3
    assert f"there is no program {path} for the protoc plugin protoc-gen-list" in done.stderr
