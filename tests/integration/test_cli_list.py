"""`eas-grpc list`: services and methods by reflection, and from schemas that need no network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from eas_grpc_pb.greeter.v1 import greeter_pb2
from support.processes import reserved_port
from support.reflection_servers import PROTOS, Reflected, reflecting, shop_files
from support.schemas import PROTOC_PYTHON, need_protoc

from eas_grpc.cli.__main__ import _Group
from eas_grpc.cli._list import list_
from eas_grpc.schema import descriptor_set, from_files
from server_demo import app

TOKEN = "canary-0123456789abcdef"
SHOP = "acme.shop.Shop\nacme.stock.Stock\n"
cli = _Group("cli", commands=[list_])


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("EAS_GRPC_PROTOC_PYTHON", str(PROTOC_PYTHON))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def server():
    with app.build(token=TOKEN) as server:
        yield server


@pytest.fixture(scope="module")
def shop():
    with reflecting(Reflected(shop_files())) as address:
        yield address


@pytest.fixture
def files(tmp_path):
    """The shop as protos, and as a descriptor set."""
    for name, text in PROTOS.items():
        path = tmp_path / "protos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    schema = from_files(shop_files().values(), origin="x")
    (tmp_path / "shop.bin").write_bytes(descriptor_set(schema))
    return tmp_path


def run(*arguments: object, **environ: str):
    done = CliRunner().invoke(cli, ["list", *map(str, arguments)], env=environ)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def listed(*arguments: object) -> str:
    done = run(*arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


def test_the_services_of_the_demo_are_listed(server):
    found = listed("-e", server.address, "--token", TOKEN).splitlines()
    assert found == sorted(found)
    assert {"GreeterService", "helloworld.GreeterService", "grpc.health.v1.Health"} <= set(found)


def test_services_methods_and_those_of_one_service(shop):
    assert listed("-e", shop) == SHOP
    assert listed("-e", shop, "Stock") == "acme.stock.Stock/Count\n"
    every = "acme.shop.Shop/Buy\nacme.shop.Shop/Watch\nacme.stock.Stock/Count\n"
    assert listed("-e", shop, "--methods") == every


def test_json_has_shapes_and_types(shop):
    whole = json.loads(listed("-e", shop, "--json"))
    assert [each["name"] for each in whole["services"]] == SHOP.split()
    one = json.loads(listed("-e", shop, "acme.shop.Shop", "--json"))
    assert [(each["path"], each["shape"], each["response"]) for each in one] == [
        ("/acme.shop.Shop/Buy", "unary_unary", "acme.shop.Receipt"),
        ("/acme.shop.Shop/Watch", "unary_stream", "acme.shop.Receipt"),
    ]


@pytest.mark.parametrize(
    "source",
    [
        ["--descriptor-set", "shop.bin"],
        ["--proto", "protos/acme/shop/shop.proto", "--proto", "protos/acme/stock/stock.proto"],
        ["--proto", "acme/shop/shop.proto", "--proto", "acme/stock/stock.proto", "-I", "protos"],
        ["--proto", "protos/acme/shop/shop.proto", "-I", "protos", "--descriptor-set", "shop.bin"],
        ["--descriptor-set", "shop.bin", "--descriptor-set", "shop.bin"],
    ],
    ids=["set", "protos", "relative", "both", "several"],
)
def test_a_schema_that_is_named_needs_no_network(files, monkeypatch, source):
    need_protoc()
    monkeypatch.chdir(files)
    assert listed(*source, "--no-reflection", "-e", "127.0.0.1:1") == SHOP


def test_only_the_services_of_the_named_proto_are_listed(files, monkeypatch):
    need_protoc()
    monkeypatch.chdir(files)
    assert listed("--proto", "protos/acme/stock/stock.proto") == "acme.stock.Stock\n"


def test_a_module_of_the_working_folder_will_do(tmp_path, monkeypatch):
    source = Path(greeter_pb2.__file__).read_text("utf-8")
    (tmp_path / "mine_of_the_list_test_pb2.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    folders = list(sys.path)
    assert listed("--module", "mine_of_the_list_test_pb2") == "eas_grpc_pb.greeter.v1.GreeterService\n"
    assert sys.path == folders


def test_what_is_not_described_is_listed_with_a_warning():
    with reflecting(Reflected(shop_files(), services=[*SHOP.split(), "acme.Ghost\x1b[31m"])) as address:
        done = run("-e", address)
    assert done.exit_code == 0
    assert done.stdout == "acme.Ghost\\x1b[31m\n" + SHOP
    assert done.stderr.startswith("Warning: acme.Ghost\\x1b[31m is listed, but not described: ")


def test_what_was_mended_is_noted():
    files = shop_files()
    files["types.proto"] = files.pop("acme/common/types.proto")
    files["types.proto"].name = "types.proto"
    with reflecting(Reflected(files)) as address:
        done = run("-e", address)
    assert (done.exit_code, done.stdout) == (0, SHOP)
    assert (
        "Note: 'acme/shop/shop.proto' imports 'acme/common/types.proto', which the service has as"
        in done.stderr
    )


def test_names_are_shown_even_when_no_file_is_complete():
    files = shop_files()
    del files["acme/common/types.proto"], files["acme/stock/stock.proto"]
    with reflecting(Reflected(files)) as address:
        done = run("-e", address)
    assert (done.exit_code, done.stdout) == (3, "acme.shop.Shop\n")
    assert "'acme/shop/shop.proto' imports 'acme/common/types.proto'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--no-reflection"], 2, "--no-reflection leaves nothing"),
        (["--reflection", "--module", "x"], 2, "--reflection and a schema that is named"),
        (["-I", "protos"], 2, "-I says where --proto"),
        (["--module", "x", "-I", "protos"], 2, "-I says where --proto"),
        (["--module", "no_such_pb2"], 3, "there is no module no_such_pb2"),
        (["--descriptor-set", "none.bin"], 3, "--descriptor-set none.bin cannot be read: No such file"),
        (["--descriptor-set", "."], 3, "cannot be read: Is a directory"),
        (["--proto", "none.proto"], 3, "there is no file none.proto"),
        (["--module", "eas_grpc_pb.greeter.v1", "Nope"], 3, "has no service 'Nope'"),
        (["-e", "127.0.0.1:0x"], 2, "the endpoint's port is not a number"),
    ],
)
def test_what_cannot_work_is_a_sentence_and_an_exit_code(tmp_path, monkeypatch, arguments, code, said):
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.exit_code == code, done.output
    assert said in done.stderr
    assert done.stdout == ""


def test_each_way_in_which_a_service_says_no_has_its_exit_code(server):
    with reserved_port() as port:
        closed = run("-e", f"127.0.0.1:{port}")
    assert closed.exit_code == 5
    assert f"Asking 127.0.0.1:{port} for its schema failed with UNAVAILABLE" in closed.stderr
    refused = run("-e", server.address, "--token", "another-0123456789")
    assert refused.exit_code == 64 + 16
    assert "the token was refused" in refused.stderr
    missing = run("-e", server.address)
    assert missing.exit_code == 64 + 16
    assert "no token was given: pass --token-file" in missing.stderr
    with reflecting(Reflected(versions=())) as address:
        off = run("-e", address)
    assert off.exit_code == 3
    assert "has no reflection" in off.stderr


def test_names_are_kept_for_completion(shop, cache):
    from eas_grpc.cli._completion import known_names

    listed("-e", shop)
    environ = {"XDG_CACHE_HOME": str(cache), "HOME": str(cache)}
    assert "acme.shop.Shop/Buy" in known_names(environ, shop)
    listed("-e", shop, "acme.stock.Stock")
    assert "acme.shop.Shop/Buy" in known_names(environ, shop)


def test_a_full_disk_or_no_home_is_no_reason_to_fail(shop, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert run("-e", shop, XDG_CACHE_HOME=str(blocked / "below")).stdout == SHOP


def test_the_program_lists_in_any_locale(shop, tmp_path):
    environ = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "eas_grpc.cli", "list", "-e", shop]
    done = subprocess.run(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, SHOP, "")
