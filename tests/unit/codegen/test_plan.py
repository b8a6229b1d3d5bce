"""The plan on plain data: which runs of protoc, which files, what is left out of them, which options are refused."""

from __future__ import annotations

import pytest

from eas_grpc.codegen._diagnostics import Position
from eas_grpc.codegen._plan import Client, Options, Plan, ProtocRun, Runtime, check_options, plan
from eas_grpc.codegen._protos import ProtoFile, Service
from eas_grpc.errors import ConfigError

AT = Position(file="x.proto")


def proto(name: str, *services: str) -> ProtoFile:
    return ProtoFile(name=name, services=tuple(Service(name=each, rpcs=(), at=AT) for each in services))


def planned(*files: ProtoFile, **options: object) -> Plan:
    return plan(files, wanted=[file.name for file in files], options=Options(**options))


TYPES, INFER = proto("acme/v1/types.proto"), proto("acme/v1/infer.proto", "Infer")


def test_grpc_modules_are_planned_only_for_protos_with_a_service():
    """A file of messages gets none."""
    assert planned(TYPES, INFER).modules == (
        "acme/v1/infer_pb2.py",
        "acme/v1/infer_pb2.pyi",
        "acme/v1/infer_pb2_grpc.py",
        "acme/v1/infer_pb2_grpc.pyi",
        "acme/v1/types_pb2.py",
        "acme/v1/types_pb2.pyi",
    )


def test_each_generator_gets_the_files_that_it_has_something_to_say_about():
    """Those of one run share a process; the plugin for services is not started for files without one."""
    both = ("acme/v1/infer.proto", "acme/v1/types.proto")
    assert [(dict(run.generators), run.protos) for run in planned(TYPES, INFER).runs] == [
        ({"mypy": ""}, both),
        ({"mypy_grpc": ""}, ("acme/v1/infer.proto",)),
        ({"python": "", "grpc_python": ""}, both),
    ]


def test_without_any_service_no_grpc_generator_is_started():
    assert [list(run.generators) for run in planned(proto("a.proto")).runs] == [["mypy"], ["python"]]


def test_imported_files_are_not_generated():
    """Only what was asked for, though the descriptor set holds more."""
    files = (proto("acme/a.proto"), proto("google/protobuf/empty.proto"))
    found = plan(files, wanted=["acme/a.proto"], options=Options(types=False))
    assert found.modules == ("acme/a_pb2.py",)
    assert [run.protos for run in found.runs] == [("acme/a.proto",)]


def test_without_types_there_is_no_stub_and_no_plugin_for_one():
    found = planned(INFER, types=False)
    assert found.modules == ("acme/v1/infer_pb2.py", "acme/v1/infer_pb2_grpc.py")
    assert [list(run.generators) for run in found.runs] == [["python", "grpc_python"]]
    assert found.markers == ("acme/__init__.py", "acme/v1/__init__.py")


def test_neither_clients_nor_servicers_means_no_grpc_module_at_all():
    found = planned(INFER, client=Client.NONE, servicer=False)
    assert found.modules == ("acme/v1/infer_pb2.py", "acme/v1/infer_pb2.pyi")
    assert [list(run.generators) for run in found.runs] == [["mypy"], ["python"]]
    assert found.left_out == {}


@pytest.mark.parametrize(
    ("client", "parameter"),
    [(Client.SYNC, "only_sync"), (Client.ASYNC, "only_async"), (Client.BOTH, ""), (Client.NONE, "")],
)
def test_the_colour_of_the_stubs_is_told_to_the_plugin_that_writes_them(client, parameter):
    (run,) = [run for run in planned(INFER, client=client).runs if "mypy_grpc" in run.generators]
    assert run.generators == {"mypy_grpc": parameter}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, set()),
        ({"client": Client.SYNC}, set()),
        ({"client": Client.ASYNC}, {"Infer"}),
        ({"client": Client.NONE}, {"Infer", "InferStub", "InferAsyncStub"}),
        ({"servicer": False}, {"InferServicer", "add_InferServicer_to_server"}),
        (
            {"client": Client.ASYNC, "servicer": False},
            {"Infer", "InferServicer", "add_InferServicer_to_server"},
        ),
    ],
)
def test_what_nobody_asked_for_is_left_out_of_the_module_and_of_its_stub(options, names):
    expected = {f"acme/v1/infer_pb2_grpc{ending}": names for ending in (".py", ".pyi")} if names else {}
    assert planned(TYPES, INFER, **options).left_out == expected


def test_in_a_package_protoc_gets_the_names_inside_it_and_the_plan_keeps_those_below_the_root():
    """The output folder is the package."""
    found = planned(INFER, package="my.gen")
    assert {name for run in found.runs for name in run.protos} == {"my/gen/acme/v1/infer.proto"}
    assert "acme/v1/infer_pb2.py" in found.modules
    assert found.markers == ("__init__.py", "acme/__init__.py", "acme/v1/__init__.py", "py.typed")


def test_portable_output_does_not_start_protocs_own_generators():
    """Its Python is written by us; the stubs are the same."""
    found = planned(INFER, runtime=Runtime.PORTABLE)
    assert [list(run.generators) for run in found.runs] == [["mypy"], ["mypy_grpc"]]
    assert found.modules == planned(INFER).modules


def test_each_further_plugin_runs_over_every_file_with_its_options():
    found = planned(
        TYPES, INFER, types=False, plugins={"foo": "/p/foo"}, plugin_options={"foo": ("a", "b=c")}
    )
    assert [(dict(run.generators), len(run.protos)) for run in found.runs] == [
        ({"python": "", "grpc_python": ""}, 2),
        ({"foo": "a,b=c"}, 2),
    ]


def test_arguments_name_only_the_plugins_of_the_run():
    """Descriptors instead of include roots, plugins, one output folder, parameters, files."""
    run = ProtocRun(generators={"mypy": "quiet", "python": ""}, protos=("a.proto",))
    programs = {"protoc-gen-mypy": "/p/protoc-gen-mypy", "protoc-gen-mypy_grpc": "/p/protoc-gen-mypy_grpc"}
    assert run.arguments(descriptors="/t/d.bin", out="/o", programs=programs) == (
        "--descriptor_set_in=/t/d.bin",
        "--plugin=protoc-gen-mypy=/p/protoc-gen-mypy",
        "--mypy_out=/o",
        "--python_out=/o",
        "--mypy_opt=quiet",
        "a.proto",
    )


def test_the_manifest_gets_every_option_and_no_path_of_a_machine():
    """The same sources on another machine have to give the same bytes."""
    options = Options(
        package="my.gen", client=Client.ASYNC, plugins={"foo": "/home/me/foo"}, plugin_options={"foo": ("x",)}
    )
    assert options.recorded() == {
        "client": ("async",),
        "package": ("my.gen",),
        "plugins": ("foo",),
        "plugin-opt foo": ("x",),
        "runtime": ("current",),
        "servicer": ("yes",),
        "types": ("yes",),
    }


@pytest.mark.parametrize(
    "other",
    [
        {"package": "my"},
        {"client": Client.SYNC},
        {"servicer": False},
        {"types": False},
        {"runtime": Runtime.PORTABLE},
        {"plugins": {"foo": "foo"}},
        {"plugin_options": {"mypy": ("quiet",)}},
    ],
    ids=lambda other: next(iter(other)),
)
def test_every_option_that_changes_the_output_is_recorded(other):
    """Otherwise a rerun with it would be taken for fresh."""
    assert Options(**other).recorded() != Options().recorded()


@pytest.mark.parametrize("name", ["mypy", "mypy_grpc"])
@pytest.mark.parametrize(
    "option",
    ["quiet", "readable_stubs", "relax_strict_optional_primitives", "use_default_deprecation_warnings"],
)
def test_the_options_of_mypy_protobuf_are_accepted(name, option):
    options = Options(plugin_options={name: (option,)})
    assert check_options(options) is options


@pytest.mark.parametrize(
    ("plugin_options", "text"),
    [
        ({"mypy": ("readable_stub",)}, "has no option `readable_stub`; did you mean `readable_stubs`?"),
        ({"mypy": ("zzz",)}, "has no option `zzz`; it has quiet, readable_stubs"),
        ({"mypy_grpc": ("only_sync",)}, "`only_sync` is what --client sync and --client async are for"),
        ({"mypi": ("quiet",)}, "for the plugin `mypi`, which does not run; there are mypy, mypy_grpc, foo"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(plugin_options, text):
    """The plugins themselves take anything and say nothing."""
    with pytest.raises(ConfigError) as caught:
        check_options(Options(plugins={"foo": "/p/foo"}, plugin_options=plugin_options))
    assert text in str(caught.value)


def test_options_of_other_plugins_are_theirs_to_judge():
    options = Options(plugins={"foo": "/p/foo"}, plugin_options={"foo": ("anything",)})
    assert check_options(options) is options
