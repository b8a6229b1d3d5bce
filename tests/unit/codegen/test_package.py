"""The package that output lives in: names checked, files renamed, folders marked, and the guess from what is around."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.codegen._package import check_package, guess_package, markers, moved
from eas_grpc.codegen.portable._embed import json_name
from eas_grpc.errors import ConfigError

FIELD = descriptor_pb2.FieldDescriptorProto
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True)


@pytest.mark.parametrize("package", ["", "gen", "my_service.pb", "a.b.c", "ünï"])
def test_a_dotted_name_is_a_package(package):
    assert check_package(package) == package


@pytest.mark.parametrize("package", ["my-service", "a..b", ".a", "a.", "a/b", "1a", "a.class", " "])
def test_anything_else_is_refused_with_the_way_to_write_it(package):
    with pytest.raises(ConfigError, match=r"is not the name of a Python package: write it with dots"):
        check_package(package)


@given(NAMES)
def test_json_names_are_those_that_protobuf_makes(name):
    """Asked of protobuf itself, which derives the name when a descriptor does not give it."""
    file = descriptor_pb2.FileDescriptorProto(name="x.proto", syntax="proto3")
    file.message_type.add(name="M").field.add(
        name=name, number=1, type=FIELD.TYPE_INT32, label=FIELD.LABEL_OPTIONAL
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    assert json_name(name) == pool.FindMessageTypeByName("M").fields[0].json_name


def files() -> FileDescriptorSet:
    """`a.proto` imports `b.proto`, both wanted, and a well-known proto; JSON names as protoc spells them out."""
    result = FileDescriptorSet()
    first = result.file.add(
        name="acme/a.proto",
        package="acme.v1",
        dependency=["acme/b.proto", "google/protobuf/any.proto"],
        public_dependency=[0],
    )
    outer = first.message_type.add(name="Outer")
    outer.field.add(name="long_name", number=1, json_name="longName")
    outer.field.add(name="other_name", number=2, json_name="mine")
    inner = outer.nested_type.add(name="Inner")
    inner.field.add(name="deep_name", number=1, json_name="deepName")
    inner.extension.add(name="nested_ext", number=1, json_name="nestedExt")
    first.extension.add(name="top_ext", number=1, json_name="topExt")
    first.extension.add(name="other_ext", number=2, json_name="mine")
    result.file.add(name="acme/b.proto")
    result.file.add(name="google/protobuf/any.proto")
    return result


def test_files_move_into_the_package_and_what_they_do_not_own_stays():
    """Names and imports alike; the proto's own `package`, which travels, is untouched."""
    first, second, third = moved(files(), ["acme/a.proto", "acme/b.proto"], "my.gen").file
    assert first.name == "my/gen/acme/a.proto"
    assert list(first.dependency) == ["my/gen/acme/b.proto", "google/protobuf/any.proto"]
    assert (first.package, list(first.public_dependency)) == ("acme.v1", [0])
    assert (second.name, third.name) == ("my/gen/acme/b.proto", "google/protobuf/any.proto")


def test_imports_of_options_move_as_well():
    """Edition 2024 lists them apart; a protobuf that does not know that field has nothing to move."""
    given_files = files()
    if not hasattr(given_files.file[0], "option_dependency"):
        pytest.skip("this protobuf has no option_dependency")
    given_files.file[0].option_dependency.append("acme/b.proto")
    changed = moved(given_files, ["acme/a.proto", "acme/b.proto"], "my")
    assert list(changed.file[0].option_dependency) == ["my/acme/b.proto"]


def test_without_a_package_nothing_is_renamed():
    assert [file.name for file in moved(files(), ["acme/a.proto"], "").file] == [
        file.name for file in files().file
    ]


def test_the_files_that_were_given_are_not_changed():
    """They are also what the descriptor set on disk is written from."""
    given_files = files()
    moved(given_files, ["acme/a.proto"], "my")
    assert given_files == files()


@pytest.mark.parametrize("package", ["", "my.gen"])
def test_json_names_that_every_runtime_derives_are_dropped_and_others_kept(package):
    """At the top, nested, and of extensions: they would double what is embedded."""
    file = moved(files(), ["acme/a.proto"], package).file[0]
    outer = file.message_type[0]
    fields = [*outer.field, *outer.nested_type[0].field, *outer.nested_type[0].extension, *file.extension]
    assert [(each.name, each.json_name) for each in fields if each.HasField("json_name")] == [
        ("other_name", "mine"),
        ("other_ext", "mine"),
    ]


MODULES = ["acme/v1/a_pb2.py", "other/b_pb2.py", "c_pb2.py"]


def test_every_folder_is_a_package_and_the_output_root_is_not():
    """__init__.py in each folder, py.typed in each top folder."""
    assert markers(MODULES, package="", typed=True) == (
        "acme/__init__.py",
        "acme/py.typed",
        "acme/v1/__init__.py",
        "other/__init__.py",
        "other/py.typed",
    )


def test_inside_a_package_the_output_root_is_one_too():
    assert markers(MODULES, package="my.gen", typed=True) == (
        "__init__.py",
        "acme/__init__.py",
        "acme/v1/__init__.py",
        "other/__init__.py",
        "py.typed",
    )


def test_output_without_stubs_does_not_claim_to_be_typed():
    """py.typed would turn every message into an error for mypy."""
    assert markers(["acme/a_pb2.py"], package="", typed=False) == ("acme/__init__.py",)


@pytest.mark.parametrize("top", ["google", "grpc"])
def test_trees_shared_with_installed_packages_get_no_markers(top):
    """An __init__.py there would hide protobuf or grpcio; inside of a package it hides nothing."""
    assert markers([f"{top}/api/a_pb2.py"], package="", typed=True) == ()
    assert f"{top}/__init__.py" in markers([f"{top}/api/a_pb2.py"], package="my", typed=True)


def test_no_modules_need_no_markers():
    assert markers([], package="my", typed=True) == ()


def project(folder: Path, *inits: str) -> None:
    (folder / "pyproject.toml").write_text("")
    for name in inits:
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "__init__.py").touch()


@pytest.mark.parametrize(
    ("inits", "out", "package"),
    [
        ((), "generated", ""),
        ((), ".", ""),
        ((), "src", ""),
        ((), "src/gen", "gen"),
        ((), "src/my/gen", "my.gen"),
        (("my",), "my/gen", "my.gen"),
        (("my", "my/deep"), "my/deep/gen", "my.deep.gen"),
        (("lib/my",), "lib/my/gen", "my.gen"),
        (("src/my",), "src/my/gen", "my.gen"),
        (("generated",), "generated", "generated"),
    ],
    ids=[
        "source root",
        "the project itself",
        "src",
        "below src",
        "namespace below src",
        "in a package",
        "in a nested package",
        "in a package anywhere",
        "in a package below src",
        "marked itself only",
    ],
)
def test_the_package_is_guessed_from_what_is_around(tmp_path, monkeypatch, inits, out, package):
    """The same from wherever one looks, and whether or not the folder is there yet."""
    project(tmp_path, *inits)
    assert guess_package(tmp_path / out) == package
    monkeypatch.chdir(tmp_path)
    assert guess_package(Path(out)) == package


def test_without_a_project_a_src_folder_counts_below_the_working_directory_only(tmp_path, monkeypatch):
    """`/usr/src/app` is a common home of programs, and not the package `app`."""
    assert guess_package(tmp_path / "src" / "gen") == ""
    (tmp_path / "src/app").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "src/app")
    assert guess_package(Path("gen")) == ""
    monkeypatch.chdir(tmp_path)
    assert guess_package(Path("src/app/gen")) == "app.gen"
    assert guess_package(tmp_path / "src/app/gen") == "app.gen"


def test_a_folder_that_has_the_name_of_the_project_is_its_package(tmp_path):
    (tmp_path / "pyproject.toml").write_text("")
    assert guess_package(tmp_path / "my_service/pb", project="My-Service") == "my_service.pb"
    assert guess_package(tmp_path / "generated", project="My-Service") == ""
