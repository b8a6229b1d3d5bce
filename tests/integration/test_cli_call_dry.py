"""`eas-grpc call --dry-run`, and where the schema comes from: nothing is sent, and what is printed can be run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from interop.programs import environment, unavailable
from support.call_schema import NAME, TEXT
from support.call_server import StoreServer, write_schema
from support.processes import reserved_port
from support.schemas import PROTOC_PYTHON, need_protoc

from eas_grpc.cli.__main__ import cli
from server_demo import app

TOKEN = "canary-of-call-dry-run-77"
GREETER = "helloworld.GreeterService"


@pytest.fixture(scope="module")
def demo():
    with app.build(token=TOKEN) as server:
        yield server


@pytest.fixture
def store():
    with StoreServer() as server:
        yield server


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("EAS_ENDPOINT", "EAS_TOKEN_FILE", "EAS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EAS_TOKEN", TOKEN)

    def run(*args: str, code: int = 0):
        done = CliRunner().invoke(cli, ["call", *args])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code == code, done.output
        assert TOKEN not in done.output
        return done

    return run


@pytest.fixture
def shell(tmp_path):
    """Runs a printed line as its reader would, with the token in EAS_TOKEN."""

    def shell(line: str) -> subprocess.CompletedProcess[str]:
        programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        tool = line.split(maxsplit=1)[0]
        if shutil.which(tool, path=programs) is None:
            unavailable(f"no `{tool}`: install the wheel buf-bin")
        variables = {"PATH": programs, "EAS_TOKEN": TOKEN, "HOME": str(tmp_path)}
        return subprocess.run(
            ["sh", "-c", line],
            cwd=tmp_path,
            env=environment() | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return shell


def printed(output: str, tool: str) -> str:
    (line,) = [line for line in output.splitlines() if line.startswith(f"{tool} ")]
    return line


def values(text: str) -> list:
    decoder, found = json.JSONDecoder(), []
    while text := text.strip():
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:]
    return found


@pytest.mark.interop
@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("SayHello", ["-d", '{"name": "it\'s \\"W\\" $HOME"}']),
        ("SayHello", ["-d", "{}", "--emit-defaults", "-H", 'x-list: a, "b"', "-H", "x-data-bin: //4="]),
        ("SayHelloManyTimes", ["-d", '{"name": "A", "count": 2}', "--timeout", "20s"]),
        ("SayHelloToAll", ["-d", '{"name": "A"}', "-d", '{"name": "B"}']),
        ("Chat", ["-d", '{"name": "A"}{"name": "B"}', "--authority", "other.example"]),
    ],
    ids=["quotes", "metadata", "answers", "requests", "both"],
)
def test_the_line_for_buf_gives_the_same_answer(run, shell, demo, method, args):
    call = [f"{GREETER}/{method}", "-e", demo.address, *args]
    done = shell(printed(run(*call, "--dry-run").stdout, "buf curl"))
    assert done.returncode == 0, done.stderr
    assert values(done.stdout) == values(run(*call).stdout)


@pytest.mark.interop
def test_the_line_for_buf_works_with_a_descriptor_set(run, shell, store, tmp_path):
    call = ["Store/Put", "-e", store.address, "--descriptor-set", str(write_schema(tmp_path))]
    call += ["-d", '{"caption": "x", "parts": [{"data": "/w=="}]}']
    done = shell(printed(run(*call, "--dry-run").stdout, "buf curl"))
    assert done.returncode == 0, done.stderr
    assert values(done.stdout) == values(run(*call).stdout)


@pytest.mark.interop
def test_the_line_for_buf_reads_a_long_request_from_the_file_that_it_names(run, shell, demo, tmp_path):
    call = [f"{GREETER}/SayHello", "-e", demo.address, "-d", json.dumps({"name": "y" * 150_000})]
    plan = json.loads(run(*call, "--dry-run", "--output", "json").stdout)
    (tmp_path / "request.json").write_text(json.dumps(plan["messages"][0]))
    done = shell(plan["commands"]["buf curl"])
    assert done.returncode == 0, done.stderr
    assert values(done.stdout) == values(run(*call).stdout)
    assert "save the requests as request.json" in run(*call, "--dry-run").stdout


def test_a_dry_run_says_what_would_be_sent_and_who_was_asked(run, demo):
    done = run(
        f"{GREETER}/SayHello",
        "-e",
        demo.address,
        "-d",
        '{"name": "W"}',
        "-H",
        "x-api-key: s3cret",
        "--dry-run",
    )
    lines = done.stdout.splitlines()
    assert lines[:10] == [
        f"method    {GREETER}/SayHello (unary_unary)",
        f"endpoint  {demo.address} (plaintext)",
        f"schema    reflection v1 of {demo.address}, which was asked for it",
        "deadline  5 s",
        "metadata  x-api-key: ***",
        "metadata  authorization: Bearer ***  (token from EAS_TOKEN)",
        "requests  1",
        "{",
        '  "name": "W"',
        "}",
    ]
    assert lines[10] == (
        "grpcurl -plaintext -H \"authorization: Bearer $EAS_TOKEN\" -H 'x-api-key: ***' -max-time 5"
        f""" -d '{{"name": "W"}}' {demo.address} {GREETER}/SayHello"""
    )


def test_with_a_schema_of_ones_own_nobody_is_asked(run, tmp_path):
    with reserved_port() as port:
        call = ["-e", f"127.0.0.1:{port}", "--descriptor-set", str(write_schema(tmp_path)), "Store/Swap"]
        done = run(*call, "-d", '{"caption": "a"}{"caption": "b"}', "--dry-run", "--output", "json")
        assert run(*call, "--template").stdout.startswith("{")
    plan = json.loads(done.stdout)
    assert plan["messages"] == [{"caption": "a"}, {"caption": "b"}]
    assert (plan["deadline"], plan["shape"], plan["token"]) == (None, "stream_stream", "EAS_TOKEN")
    assert plan["metadata"] == {"authorization": ["Bearer ***"]}
    assert "which was asked" not in run(*call, "-d", "{}", "--dry-run").stdout


def test_files_and_arrays_are_part_of_the_request_that_is_shown(run, demo, tmp_path):
    np.save(tmp_path / "x.npy", np.array([1], np.uint8))
    call = [
        "TensorService/Predict",
        "-e",
        demo.address,
        "--model",
        "echo",
        "--tensor",
        f"x=@{tmp_path / 'x.npy'}",
    ]
    plan = json.loads(run(*call, "--dry-run", "--output", "json").stdout)
    tensor = {"name": "x", "dtype": "DTYPE_UINT8", "shape": ["1"], "data": "AQ=="}
    assert plan["messages"] == [{"model": "echo", "inputs": [tensor]}]


def test_an_authorization_of_ones_own_is_masked_and_replaced(run, demo):
    own = "authorization: Bearer another-secret-word"
    done = run(f"{GREETER}/SayHello", "-e", demo.address, "-H", own, "--dry-run", code=80)
    assert "another-secret-word" not in done.output
    done = run(
        f"{GREETER}/SayHello",
        "-H",
        own,
        "--module",
        "eas_grpc_pb.greeter.v1.greeter_pb2",
        "--dry-run",
        code=3,
    )
    done = run(
        "GreeterService/SayHello", "-H", own, "--module", "eas_grpc_pb.greeter.v1.greeter_pb2", "--dry-run"
    )
    assert "another-secret-word" not in done.output
    assert done.stdout.count("$EAS_TOKEN") == 2


@pytest.mark.parametrize("kind", ["set", "proto", "module"])
def test_the_schema_may_come_from_files_and_modules(run, store, demo, tmp_path, kind):
    if kind == "module":
        name = "eas_grpc_pb.greeter.v1.GreeterService/SayHello"
        done = run(
            name, "-e", demo.address, "--module", "eas_grpc_pb.greeter.v1.greeter_pb2", "-d", '{"name": "M"}'
        )
        assert values(done.stdout) == [{"message": "Hello, M!"}]
        return
    source = ["--descriptor-set", str(write_schema(tmp_path))]
    if kind == "proto":
        need_protoc()
        proto = tmp_path / "protos" / NAME
        proto.parent.mkdir(parents=True)
        proto.write_text(TEXT)
        source = [
            "--proto",
            str(proto),
            "-I",
            str(tmp_path / "protos"),
            "--protoc-python",
            str(PROTOC_PYTHON),
        ]
    done = run("Store/Put", "-e", store.address, *source, "-d", '{"caption": "x"}')
    assert values(done.stdout) == [{"caption": "x"}]


def test_no_command_of_ours_loads_numpy_without_an_array(demo, tmp_path):
    program = (
        "import sys; from eas_grpc.cli.__main__ import cli\n"
        "cli(sys.argv[1:], standalone_mode=False)\n"
        "print(sorted({'numpy', 'rich', 'grpc_tools', 'yaml'} & sys.modules.keys()), file=sys.stderr)"
    )
    args = ["call", f"{GREETER}/SayHello", "-e", demo.address, "--token", TOKEN, "-d", '{"name": "W"}']
    done = subprocess.run(
        [sys.executable, "-c", program, *args],
        env=environment() | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (json.loads(done.stdout), done.stderr) == ({"message": "Hello, W!"}, "[]\n")


def test_the_line_has_what_a_profile_says(run, monkeypatch, tmp_path):
    folder = tmp_path / "config" / "eas-grpc"
    folder.mkdir(parents=True)
    (folder / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (folder / "config.toml").write_text(
        '[prod]\nendpoint = "https://demo.example:8443"\ncacert = "ca.pem"\nauthority = "inner.example"\ntimeout = 9\n'
    )
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    plan = run(
        "Store/Put", "--profile", "prod", "--descriptor-set", str(write_schema(tmp_path)), "--dry-run"
    ).stdout
    assert f"--cacert {folder / 'ca.pem'} --servername inner.example" in printed(plan, "buf curl")
    assert "--timeout 9s" in printed(plan, "buf curl")
    assert "-authority inner.example" in printed(plan, "grpcurl")
