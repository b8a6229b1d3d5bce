"""The Python sample of the vendor's page, on plain grpc and a user's own stubs, against `eas-grpc serve`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from interop.differences import differences
from interop.programs import HERE, ROOT, TOKEN, finish, protoc

pytestmark = pytest.mark.interop

FOLDER = HERE / "python_sample"
HOST_LINE = 'host = "your-service-endpoint:your port"'
TOKEN_LINE = 'token = "your-service-token"'
IMPORTS = {
    "import helloworld_pb2\n": "from eas_grpc_pb.greeter.v1 import greeter_pb2 as helloworld_pb2\n",
    "import helloworld_pb2_grpc\n": (
        "from eas_grpc_pb.greeter.v1 import greeter_pb2_grpc as helloworld_pb2_grpc\n"
    ),
}


def filled_in(host: str, token: str) -> str:
    """The sample as a user runs it who did what its comments say."""
    text = (FOLDER / "sample.py").read_text()
    return text.replace(HOST_LINE, f'host = "{host}"').replace(TOKEN_LINE, f'token = "{token}"')


@pytest.fixture(params=["no_package", "packaged"])
def stubs(request, tmp_path) -> Path:
    """A folder with the user's helloworld_pb2 modules, by the command on the page."""
    protoc(
        f"-I{HERE / 'protos' / request.param}",
        f"--python_out={tmp_path}",
        f"--grpc_python_out={tmp_path}",
        "helloworld.proto",
    )
    return tmp_path


def run(folder: Path, text: str) -> str:
    (folder / "client.py").write_text(text)
    done = finish(sys.executable, "client.py", cwd=folder, PYTHONPATH=str(ROOT / "generated"))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_committed_sample_is_the_text_of_the_page():
    original = (FOLDER / "original.txt").read_text()
    assert differences(original, (FOLDER / "sample.py").read_text()) == []


def test_only_the_host_and_the_token_are_filled_in():
    original = (FOLDER / "original.txt").read_text()
    assert differences(original, filled_in("127.0.0.1:1", "T")) == [
        '- host="your-service-endpoint:yourport"',
        '+ host="127.0.0.1:1"',
        '- token="your-service-token"',
        '+ token="T"',
    ]


def test_the_sample_prints_the_greeting(serve, stubs):
    assert run(stubs, filled_in(serve, TOKEN)) == "Initiating gRPC call...\nHello, World!\n"


def test_the_sample_prints_unauthenticated_for_a_wrong_token(serve, stubs):
    printed = run(stubs, filled_in(serve, "wrong"))
    assert "Call failed: StatusCode.UNAUTHENTICATED - wrong token" in printed
    assert "Hello" not in printed


def test_the_sample_runs_on_our_stubs_with_the_import_lines_changed(serve, tmp_path):
    text = filled_in(serve, TOKEN)
    for theirs, ours in IMPORTS.items():
        assert text.count(theirs) == 1
        text = text.replace(theirs, ours)
    assert run(tmp_path, text).endswith("Hello, World!\n")
