"""The plan on plain data: names refused, runs of protoc, expected files."""

from __future__ import annotations

import pytest

from eas_grpc.codegen._plan import Message, Position, ProtoFile, Rpc, Service, check_files, plan
from eas_grpc.errors import ConfigError, SchemaError

ALL = ("grpc_python", "python", "mypy", "mypy_grpc")


def at(line: int, file: str = "protos/acme/v1/x.proto") -> Position:
    return Position(file=file, line=line, column=3)


def message(name: str, line: int = 9) -> Message:
    return Message(full_name=f"acme.v1.{name}", path=name, at=at(line))


def service(name: str, *rpcs: Rpc, line: int = 4) -> Service:
    return Service(name=name, rpcs=rpcs, at=at(line))


def rpc(name: str, request: str = "acme.v1.Request", response: str = "acme.v1.Reply", line: int = 5) -> Rpc:
    return Rpc(name=name, request=request, response=response, at=at(line))


def proto(name: str, *services: Service, messages: tuple[Message, ...] = ()) -> ProtoFile:
    return ProtoFile(name=name, services=services, messages=messages)


def planned(*files: ProtoFile, generators: tuple[str, ...] = ALL):
    return plan(files, wanted=[file.name for file in files], generators=generators)


def refusal(*files: ProtoFile) -> str:
    with pytest.raises(SchemaError) as caught:
        planned(*files)
    return str(caught.value)


def test_grpc_stubs_are_planned_only_for_protos_with_a_service():
    """A file of messages gets no gRPC module."""
    result = planned(proto("acme/v1/types.proto"), proto("acme/v1/infer.proto", service("Infer", rpc("Run"))))
    assert result.modules == (
        "acme/v1/infer_pb2.py",
        "acme/v1/infer_pb2.pyi",
        "acme/v1/infer_pb2_grpc.py",
        "acme/v1/infer_pb2_grpc.pyi",
        "acme/v1/types_pb2.py",
        "acme/v1/types_pb2.pyi",
    )
    assert [(run.generators, run.protos) for run in result.runs] == [
        (("mypy", "python"), ("acme/v1/infer.proto", "acme/v1/types.proto")),
        (("grpc_python", "mypy_grpc"), ("acme/v1/infer.proto",)),
    ]


def test_without_any_service_there_is_one_run():
    """The gRPC generators are not started for nothing."""
    assert len(planned(proto("a.proto")).runs) == 1


def test_imported_files_are_not_generated():
    """Only what was asked for, though the descriptor set holds more."""
    files = (proto("acme/a.proto"), proto("google/protobuf/empty.proto"))
    assert plan(files, wanted=["acme/a.proto"], generators=["python"]).modules == ("acme/a_pb2.py",)


def test_every_folder_is_a_package_and_the_output_root_is_not():
    """__init__.py in each folder, py.typed in each top folder."""
    assert planned(proto("acme/v1/a.proto"), proto("other/b.proto"), proto("c.proto")).markers == (
        "acme/__init__.py",
        "acme/py.typed",
        "acme/v1/__init__.py",
        "other/__init__.py",
        "other/py.typed",
    )


def test_output_without_stubs_does_not_claim_to_be_typed():
    """py.typed would turn every message into an error for mypy."""
    assert planned(proto("acme/a.proto"), generators=("python",)).markers == ("acme/__init__.py",)


@pytest.mark.parametrize("top", ["google", "grpc"])
def test_trees_shared_with_installed_packages_get_no_markers(top):
    """An __init__.py there would hide protobuf or grpcio."""
    assert planned(proto(f"{top}/api/a.proto")).markers == ()


def test_a_dotted_file_name_makes_a_package():
    """protoc writes my.svc.proto to my/svc_pb2.py."""
    result = planned(proto("my.svc.proto"))
    assert (result.modules, result.markers) == (
        ("my/svc_pb2.py", "my/svc_pb2.pyi"),
        ("my/__init__.py", "my/py.typed"),
    )


def test_arguments_name_only_the_plugins_of_the_run():
    """Includes, plugins, one output folder per generator, files."""
    plugins = {"protoc-gen-mypy": "/p/protoc-gen-mypy", "protoc-gen-mypy_grpc": "/p/protoc-gen-mypy_grpc"}
    assert planned(proto("a.proto")).runs[0].arguments(includes=["/i"], out="/o", plugins=plugins) == (
        "-I/i",
        "--plugin=protoc-gen-mypy=/p/protoc-gen-mypy",
        "--mypy_out=/o",
        "--python_out=/o",
        "a.proto",
    )


def test_an_unknown_generator_is_a_configuration_error():
    """Its output files could not be checked."""
    with pytest.raises(ConfigError, match="`betterproto` are not known"):
        planned(proto("a.proto"), generators=("python", "betterproto"))


def test_a_name_that_protoc_spells_differently_is_not_skipped():
    """Nothing wanted is left out in silence."""
    with pytest.raises(SchemaError, match=r"does not know `\./a\.proto`"):
        plan([proto("a.proto")], wanted=["./a.proto"], generators=ALL)


@pytest.mark.parametrize(
    ("services", "text"),
    [
        (
            [service("class", rpc("Run"))],
            "protos/acme/v1/x.proto:4:3: error: service `class` is a Python keyword",
        ),
        (
            [service("S", rpc("import"))],
            "protos/acme/v1/x.proto:5:3: error: rpc `import` is a Python keyword",
        ),
        (
            [service("S", rpc("Run", response="acme.v1.Outer.None"))],
            "protos/acme/v1/x.proto:12:3: error: message `Outer.None` holds a Python keyword and is used by",
        ),
        (
            [service("A"), service("AStub", line=7)],
            "protos/acme/v1/x.proto:7:3: error: services `A` and `AStub` would both define the class `AStub`",
        ),
        (
            [service("AAsync"), service("A", line=7)],
            "protos/acme/v1/x.proto:7:3: error: services `AAsync` and `A` would both define the class `AAsyncStub`",
        ),
    ],
)
def test_a_service_that_would_give_broken_python_is_refused(services, text):
    """The place first, then what is wrong; every message ends in the fix."""
    messages = (message("Request"), message("Reply"), message("Outer.None", 12))
    found = refusal(proto("acme/v1/x.proto", *services, messages=messages))
    assert found.startswith(text)
    assert "rename" in found


def test_a_refused_message_names_the_rpc_that_uses_it():
    """It may stand in another file."""
    types = proto("types.proto", messages=(message("None"),))
    assert "used by rpc `Run` (protos/acme/v1/x.proto:5:3)" in refusal(
        types, proto("x.proto", service("S", rpc("Run", request="acme.v1.None")))
    )


def test_all_refusals_are_reported_at_once():
    """Nobody should have to run again to see the second one."""
    assert len(refusal(proto("x.proto", service("None", rpc("del"), rpc("in", line=6)))).splitlines()) == 3


def test_a_keyword_message_that_no_rpc_uses_is_fine():
    """Only the gRPC module writes a message's name as code."""
    assert planned(proto("x.proto", service("S", rpc("Run")), messages=(message("class"),)))


def test_soft_keywords_are_names():
    """`match` and `type` may be used everywhere."""
    check_files({"type/match.proto": "type/match.proto"})
    assert planned(proto("type/match.proto", service("match", rpc("case"))))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("acme/async/x.proto", "the folder `async` is a Python keyword"),
        ("acme/1st/x.proto", "the folder name `1st` does not make a Python module name"),
        ("class.v1.proto", "the folder `class` is a Python keyword"),
        ("acme/1st.proto", "the file name `1st` does not make a Python module name"),
        ("acme/sp ace.proto", "the file name `sp ace` does not make a Python module name"),
        ("-x.proto", "protoc would take `-x.proto` for an option"),
        ("@x.proto", "the file name `@x` does not make a Python module name"),
        ("queue/v1/x.proto", "the top folder `queue` has the name of a module of Python's standard library"),
    ],
)
def test_a_path_that_cannot_be_imported_is_refused(name, text):
    """With the path to show, and before protoc has run."""
    with pytest.raises(SchemaError) as caught:
        check_files({name: f"protos/{name}", "acme/fine.proto": "protos/acme/fine.proto"})
    assert str(caught.value).startswith(f"protos/{name}:1:1: error: {text}")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("second", ["acme/my_svc.proto", "acme/my/svc.proto"])
def test_two_files_that_make_one_module_are_refused(second):
    """protoc writes the second over the first when they come in two runs."""
    first = "acme/my-svc.proto" if "_" in second else "acme/my.svc.proto"
    with pytest.raises(SchemaError) as caught:
        check_files({first: first, second: second})
    assert str(caught.value).startswith(
        f"{max(first, second)}:1:1: error: this file and `{min(first, second)}` would"
    )


@pytest.mark.parametrize(
    "name", ["acme/v1/x.proto", "my-svc.proto", "class.proto", "json.proto", "Ünï.proto"]
)
def test_a_path_that_can_be_imported_is_accepted(name):
    """A keyword or a module of the standard library is no trouble as a file name: `_pb2` follows."""
    check_files({name: name})
