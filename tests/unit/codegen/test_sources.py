"""Which protos are meant by what was typed, under which import names, and what is wrong with their bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eas_grpc.codegen._diagnostics import Position
from eas_grpc.codegen._sources import Sources, find_sources, locate, nearby, protos_below, read_sources
from eas_grpc.errors import ConfigError, SchemaError

SYNTAX = 'syntax = "proto3";\n'


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    """An empty working directory, two folders below a temporary one."""
    folder = tmp_path / "work" / "here"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def write(*names: str, package: str = "", content: bytes | None = None) -> None:
    text = SYNTAX + (f"package {package};\n" if package else "")
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if content is None else content)


def found(*inputs: str, includes: tuple[str, ...] = ()) -> tuple[tuple[str, ...], list[str]]:
    sources = find_sources([Path(each) for each in inputs], [Path(each) for each in includes])
    return sources.protos, [str(root) for root in sources.includes]


def refused(*inputs: str, includes: tuple[str, ...] = ()) -> str:
    with pytest.raises(SchemaError) as caught:
        found(*inputs, includes=includes)
    return str(caught.value)


def test_a_folder_is_an_include_root_and_holds_what_lies_below_it():
    write("protos/acme/v1/a.proto", "protos/b.proto", "protos/README.md")
    assert found("protos") == (("acme/v1/a.proto", "b.proto"), ["protos"])


def test_a_folder_below_an_include_root_keeps_the_names_from_there():
    write("protos/acme/v1/a.proto", "protos/other/b.proto")
    assert found("protos/acme", includes=("protos",)) == (("acme/v1/a.proto",), ["protos"])


def test_a_folder_below_none_of_the_include_roots_becomes_one_after_them():
    write("protos/a.proto", "third_party/b.proto")
    assert found("protos", includes=("third_party",)) == (("a.proto",), ["third_party", "protos"])


def test_the_working_directory_may_be_the_folder():
    write("acme/a.proto")
    assert found(".") == (("acme/a.proto",), ["."])


@pytest.mark.parametrize(
    ("path", "package", "expected"),
    [
        ("protos/acme/v1/a.proto", "acme.v1", ("acme/v1/a.proto", "protos")),
        ("acme/v1/a.proto", "acme.v1", ("acme/v1/a.proto", ".")),
        ("protos/acme/v1/a.proto", "other", ("a.proto", "protos/acme/v1")),
        ("protos/a.proto", "", ("a.proto", "protos")),
        ("a.proto", "", ("a.proto", ".")),
    ],
)
def test_a_single_file_belongs_to_the_folder_that_its_package_is_relative_to(path, package, expected):
    """Or else to the folder that it is in."""
    write(path, package=package)
    assert found(path) == ((expected[0],), [expected[1]])


def test_a_file_below_an_include_root_is_named_from_the_first_one_that_holds_it():
    """As protoc names it."""
    write("protos/acme/a.proto")
    assert found("protos/acme/a.proto", includes=("other", "protos", "protos/acme")[1:]) == (
        ("acme/a.proto",),
        ["protos", "protos/acme"],
    )


def test_a_file_below_none_of_the_include_roots_needs_another_one():
    """Guessing here would give it a name that others do not import it by."""
    write("protos/a.proto", "third_party/b.proto")
    with pytest.raises(
        ConfigError, match=r"protos/a\.proto is below none of the include roots \(third_party\)"
    ):
        found("protos/a.proto", includes=("third_party",))


def test_files_named_twice_or_in_another_way_count_once():
    write("protos/acme/a.proto")
    assert found("protos", "protos/acme/a.proto", "./protos", includes=("protos",)) == (
        ("acme/a.proto",),
        ["protos"],
    )


@pytest.mark.parametrize("inputs", [("x/a.proto", "y/a.proto"), ("x", "y")], ids=["files", "folders"])
def test_two_files_of_one_import_name_are_refused(inputs):
    """protoc only ever sees the first; nothing wanted is left out in silence."""
    write("x/a.proto", "y/a.proto")
    text = refused(*inputs)
    assert "x/a.proto" in text
    assert "y/a.proto" in text


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("nowhere", "nowhere does not exist: give .proto files, or folders that hold some"),
        ("notes.txt", "notes.txt is not a .proto file"),
        ("gone.proto", "there is no file gone.proto"),
        ("empty", "there is no .proto file below empty"),
    ],
)
def test_what_is_no_proto_is_refused_by_name(given, text):
    """A wrong path must not look like an empty project, whose output would all be stale."""
    Path("notes.txt").write_text("")
    Path("empty").mkdir()
    assert refused(given).startswith(text)


def test_an_include_root_that_does_not_exist_is_refused():
    write("protos/a.proto")
    assert (
        refused("protos", includes=("nowhere",))
        == "there is no folder nowhere to look for .proto files in (-I)"
    )


@pytest.mark.parametrize("name", [".git", ".venv", "node_modules", "__pycache__", "site-packages"])
def test_copies_tools_and_history_are_passed_over(name):
    write(f"protos/{name}/x/a.proto", "protos/b.proto")
    assert protos_below(Path("protos")) == ("b.proto",)


def test_a_folder_that_is_not_there_is_refused():
    with pytest.raises(SchemaError, match="no folder nowhere"):
        protos_below(Path("nowhere"))


def test_a_folder_that_cannot_be_read_is_refused_by_name(monkeypatch):
    """Its protos would be missing from the output otherwise. (Root may read everything, so the system is replaced.)"""
    write("protos/closed/a.proto", "protos/b.proto")
    scandir = os.scandir

    def closed(path: str = "."):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(SchemaError, match=r"the folder protos/closed cannot be read: Permission denied"):
        protos_below(Path("protos"))


def test_the_first_root_that_has_a_name_wins():
    write("x/a.proto", "y/a.proto", "y/b.proto")
    roots = [Path("x"), Path("y")]
    assert locate("a.proto", roots) == Path("x/a.proto")
    assert locate("b.proto", roots) == Path("y/b.proto")
    assert locate("c.proto", roots) is None


def test_people_see_the_path_that_they_can_open_or_else_the_import_name():
    write("protos/a.proto")
    sources = Sources(protos=("a.proto",), includes=(Path("protos"),))
    assert sources.show("a.proto") == "protos/a.proto"
    assert sources.show("google/protobuf/any.proto") == "google/protobuf/any.proto"


def test_every_proto_is_read_under_its_import_name():
    write("protos/acme/a.proto")
    sources = Sources(protos=("acme/a.proto",), includes=(Path("protos"),))
    assert read_sources(sources) == {"acme/a.proto": SYNTAX.encode()}


def test_a_name_that_no_root_has_is_refused():
    with pytest.raises(SchemaError, match=r"there is no a\.proto below protos, other"):
        read_sources(Sources(protos=("a.proto",), includes=(Path("protos"), Path("other"))))


def test_a_file_that_cannot_be_read_is_refused_by_name(monkeypatch):
    write("a.proto")

    def closed(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", closed)
    with pytest.raises(SchemaError, match=r"^a\.proto cannot be read: Permission denied$"):
        read_sources(Sources(protos=("a.proto",), includes=(Path(),)))


@pytest.mark.parametrize(
    ("content", "line", "column"),
    [
        (b"\xe9", 1, 1),
        (b"// caf\xe9\n", 1, 7),
        (SYNTAX.encode() + b"// caf\xe9\n", 2, 7),
        (SYNTAX.encode() + "// é ".encode() + b"\xff", 2, 7),
        (b"\t\tx\xe9\n", 1, 18),
    ],
    ids=["at once", "first line", "second line", "after two bytes", "after tabs"],
)
def test_a_byte_that_is_not_utf8_has_a_place_as_protoc_counts(content, line, column):
    """protoc itself lets it pass in comments and strings."""
    write("a.proto", content=content)
    with pytest.raises(SchemaError) as caught:
        read_sources(Sources(protos=("a.proto",), includes=(Path(),)))
    (found,) = caught.value.diagnostics
    assert found.at == Position(file="a.proto", line=line, column=column)
    assert found.text.endswith("is not UTF-8")
    assert found.hint == "save the file as UTF-8"


def test_all_files_that_are_not_utf8_are_told_at_once():
    write("a.proto", "b.proto", content=b"\xe9")
    with pytest.raises(SchemaError) as caught:
        read_sources(Sources(protos=("a.proto", "b.proto"), includes=(Path(),)))
    assert [each.at.file for each in caught.value.diagnostics] == ["a.proto", "b.proto"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("third_party/googleapis/acme/x.proto", "third_party/googleapis"),
        ("../acme/x.proto", ".."),
        ("../libs/acme/x.proto", "../libs"),
        ("acme/x.proto", "."),
        ("a/b/c/d/acme/x.proto", ""),
        ("node_modules/acme/x.proto", ""),
        (".cache/acme/x.proto", ""),
    ],
    ids=["below", "beside", "two beside", "here", "too deep", "passed over", "hidden"],
)
def test_a_folder_near_by_that_holds_a_missing_import_is_found(path, expected):
    """A few levels below the working directory and around the include roots."""
    write(path)
    Path("../protos").mkdir()
    assert nearby("acme/x.proto", [Path("../protos")]) == expected


def test_a_folder_that_cannot_be_read_is_no_reason_to_stop_looking(monkeypatch):
    """A hint is not worth an error."""
    write("a/x.proto", "b/acme/x.proto")
    iterdir = Path.iterdir

    def closed(path: Path):
        if path.name == "a":
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", closed)
    assert nearby("acme/x.proto", []) == "b"


def test_a_file_whose_package_cannot_be_read_belongs_to_its_own_folder(monkeypatch):
    write("protos/acme/a.proto", package="acme")

    def closed(path: Path, **_: object) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", closed)
    assert found("protos/acme/a.proto") == (("a.proto",), ["protos/acme"])
