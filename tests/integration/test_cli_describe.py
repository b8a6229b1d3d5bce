"""`eas-grpc describe`: text, JSON, templates, and files that stay where they belong."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from click.testing import CliRunner
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from support.reflection_servers import PROTOS, Reflected, reflecting, shop_files
from support.schemas import PROTOC_PYTHON, need_protoc

from eas_grpc.cli.__main__ import _Group
from eas_grpc.cli._describe import describe

cli = _Group("cli", commands=[describe])

ORDER = """\
// acme.shop.Order, a message of acme/shop/shop.proto

message Order {
  string item = 1;
  acme.common.Unit unit = 2;
}
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("EAS_GRPC_PROTOC_PYTHON", str(PROTOC_PYTHON))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def shop():
    with reflecting(Reflected(shop_files())) as address:
        yield address


def run(*arguments: object):
    done = CliRunner().invoke(cli, ["describe", *map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def shown(*arguments: object) -> str:
    done = run(*arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


def test_a_message_is_shown_with_its_file(shop):
    assert shown("-e", shop, "acme.shop.Order") == ORDER


def test_a_method_is_shown_with_its_messages(shop):
    text = shown("-e", shop, "Shop/Watch")
    assert "rpc Watch(Order) returns (stream Receipt);" in text
    assert ORDER in text
    assert "message Receipt {" in text


def test_without_a_name_all_services_are_shown(shop):
    text = shown("-e", shop)
    assert text.count("\nservice ") == 2
    assert "// acme.stock.Stock, a service of acme/stock/stock.proto" in text


def test_comments_come_with_local_protos(place):
    need_protoc()
    (place / "x.proto").write_text(
        'syntax = "proto3";\n// Words.\nmessage M { \n  int32 a = 1; // more words\n}\n'
    )
    assert "// Words.\nmessage M {\n  int32 a = 1;  // more words\n}\n" in shown("--proto", "x.proto", "M")
    data = json.loads(shown("--proto", "x.proto", "M", "--json"))
    assert (data["comment"], data["fields"][0]["comment"]) == ("Words.", "more words")


def test_json_is_one_element_or_a_list_of_all_services(shop):
    assert json.loads(shown("-e", shop, "--json", "Order"))["name"] == "acme.shop.Order"
    every = json.loads(shown("-e", shop, "--json"))
    assert [each["name"] for each in every] == ["acme.shop.Shop", "acme.stock.Stock"]


@pytest.mark.parametrize("name", ["acme.shop.Order", "acme.shop.Shop/Buy"])
def test_the_template_is_that_of_the_message_or_of_the_request(shop, name):
    assert json.loads(shown("-e", shop, "--template", name)) == {"item": "", "unit": "UNIT_UNSPECIFIED"}


def compiled(folder, *names: str) -> FileDescriptorSet:
    need_protoc()
    command = [PROTOC_PYTHON, "-m", "grpc_tools.protoc", f"-I{folder}", "--include_imports"]
    out = folder / "again.bin"
    done = subprocess.run(
        [*command, f"--descriptor_set_out={out}", *names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return FileDescriptorSet.FromString(out.read_bytes())


def test_saved_protos_compile_to_what_the_service_has(shop, place):
    done = run("-e", shop, "--save-protos", "out")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "3 files below out\n")
    again = {file.name: file for file in compiled(place / "out", *PROTOS).file}
    for name, file in shop_files().items():
        assert again[name] == file


def test_only_what_a_name_needs_is_saved(shop, place):
    assert run("-e", shop, "Stock", "--save-protos", "out", "--save-descriptor-set", "out.bin").exit_code == 0
    assert [path.name for path in (place / "out").rglob("*.proto")] == ["stock.proto"]
    saved = FileDescriptorSet.FromString((place / "out.bin").read_bytes())
    assert [file.name for file in saved.file] == ["acme/stock/stock.proto"]


def test_a_saved_set_is_read_again_without_the_service(shop):
    run("-e", shop, "--save-descriptor-set", "out.bin")
    assert shown("--descriptor-set", "out.bin", "acme.shop.Order") == ORDER


def test_a_set_goes_to_standard_output_as_bytes(shop):
    done = run("-e", shop, "Stock", "--save-descriptor-set", "-")
    assert [file.name for file in FileDescriptorSet.FromString(done.stdout_bytes).file] == [
        "acme/stock/stock.proto"
    ]


def test_saving_again_changes_nothing_and_other_files_are_not_overwritten(shop, place):
    arguments = ("-e", shop, "--save-protos", "out", "--save-descriptor-set", "out.bin")
    assert run(*arguments).exit_code == 0
    assert run(*arguments).exit_code == 0
    path = place / "out/acme/stock/stock.proto"
    good = path.read_text()
    path.write_text("mine")
    done = run(*arguments)
    assert done.exit_code == 3
    assert (
        "out/acme/stock/stock.proto would be overwritten: name another folder, or add --force" in done.stderr
    )
    assert path.read_text() == "mine"
    assert run(*arguments, "--force").exit_code == 0
    assert path.read_text() == good
    (place / "out.bin").write_bytes(b"mine")
    assert "out.bin would be overwritten" in run(*arguments).stderr
    assert (place / "out.bin").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "name",
    [
        "../escaped.proto",
        "/tmp/escaped.proto",
        "a/../../escaped.proto",
        "a//b.proto",
        "./a.proto",
        ".git/hooks/a.proto",
        "a/.hidden.proto",
        ".proto",
        "..\\escaped.proto",
        "C:/escaped.proto",
        "setup.py",
        "Makefile",
        "new\nline.proto",
        "\x1b[31m.proto",
        f"{'x' * 300}.proto",
    ],
)
def test_a_name_that_leads_elsewhere_writes_nothing_at_all(place, name):
    hostile = FileDescriptorProto(name=name, package="evil", syntax="proto3")
    hostile.service.add(name="Evil")
    files = {**shop_files(), name: hostile}
    with reflecting(Reflected(files)) as address:
        done = run("-e", address, "--save-protos", "deep/out", "--force")
    assert done.exit_code == 3, done.output
    assert "which is not written" in done.stderr
    assert "\x1b" not in done.stderr
    assert not list(place.rglob("*.proto"))
    assert not (place / "deep").exists()


def test_a_file_whose_name_is_the_folder_of_another_writes_nothing_at_all(place):
    files = dict(shop_files())
    for name in ("x.proto", "x.proto/y.proto"):
        files[name] = FileDescriptorProto(name=name, package=f"p{len(files)}", syntax="proto3")
        files[name].service.add(name="S")
    with reflecting(Reflected(files)) as address:
        done = run("-e", address, "--save-protos", "out")
    assert done.exit_code == 3, done.output
    assert "no folder can have both" in done.stderr
    assert not (place / "out").exists()


def test_json_of_a_hostile_schema_does_not_steer_the_terminal():
    hostile = FileDescriptorProto(name="e.proto", package="evil", syntax="proto3")
    hostile.service.add(name="Evil")
    location = hostile.source_code_info.location.add(path=[6, 0], span=[0, 0, 1])
    location.leading_comments = " turned \u202e around \x9b31m\n"
    with reflecting(Reflected({"e.proto": hostile})) as address:
        done = run("-e", address, "evil.Evil", "--json")
    assert "turned \u202e around \x9b31m" in json.loads(done.stdout)["comment"]
    assert not {"\u202e", "\x9b"} & set(done.stdout)


def test_a_link_that_leads_out_of_the_folder_is_not_followed(shop, place):
    (place / "out").mkdir()
    (place / "elsewhere").mkdir()
    (place / "out/acme").symlink_to(place / "elsewhere")
    done = run("-e", shop, "--save-protos", "out", "--force")
    assert done.exit_code == 3
    assert "a link on the way leads out of out" in done.stderr
    assert not list((place / "elsewhere").rglob("*"))


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_written_through(shop, place):
    (place / "precious").write_text("mine")
    (place / "out/acme/stock").mkdir(parents=True)
    (place / "out/acme/stock/stock.proto").symlink_to(place / "precious")
    assert run("-e", shop, "Stock", "--save-protos", "out").exit_code == 3
    assert run("-e", shop, "Stock", "--save-protos", "out", "--force").exit_code == 0
    assert (place / "precious").read_text() == "mine"
    assert not (place / "out/acme/stock/stock.proto").is_symlink()


def test_what_cannot_be_written_is_said(shop, place):
    (place / "file").write_text("")
    done = run("-e", shop, "--save-descriptor-set", "file/out.bin")
    assert (done.exit_code, "cannot be written" in done.stderr) == (3, True)
    os.mkfifo(place / "pipe")
    done = run("-e", shop, "--save-descriptor-set", "pipe", "--force")
    assert done.exit_code == 3
    assert "there is something that is no file" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--json", "--template", "x"], 2, "exclude each other"),
        (["--template"], 2, "--template is of a message or a method"),
        (["--force"], 2, "--force belongs to"),
        (
            ["--template", "acme.shop.Shop"],
            3,
            "acme.shop.Shop is a service: a template is of a message or a method",
        ),
        (["acme.shop.Odrer"], 3, "do you mean acme.shop.Order"),
        (["acme.shop.Shop/Bye"], 3, "do you mean acme.shop.Shop.Buy"),
    ],
)
def test_what_cannot_work_is_a_sentence_and_an_exit_code(shop, arguments, code, said):
    done = run("-e", shop, *arguments)
    assert (done.exit_code, done.stdout) == (code, ""), done.output
    assert said in done.stderr


def test_a_service_that_is_listed_without_a_file_is_said_to_be():
    with reflecting(Reflected(shop_files(), services=["acme.shop.Shop", "acme.Ghost"])) as address:
        done = run("-e", address, "acme.Ghost")
        every = run("-e", address)
    assert done.exit_code == 3
    assert "lists acme.Ghost, but does not describe it" in done.stderr
    assert every.exit_code == 0
    assert "service Shop {" in every.stdout
