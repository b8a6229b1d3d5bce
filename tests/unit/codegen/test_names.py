"""Names that would give broken Python: the place, what is wrong, the fix; and those that are fine."""

from __future__ import annotations

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.codegen._diagnostics import Position, Severity
from eas_grpc.codegen._names import file_problems, name_problems, stem
from eas_grpc.codegen._protos import Message, Named, ProtoFile, Rpc, Service

KEYWORDS = ["class", "import", "None", "async", "lambda", "del"]


def at(line: int, file: str = "protos/acme/v1/x.proto") -> Position:
    return Position(file=file, line=line, column=3)


def message(
    path: str, line: int = 9, *, fields: tuple[str, ...] = (), enums: tuple[str, ...] = ()
) -> Message:
    return Message(
        full_name=f"acme.v1.{path}",
        path=path,
        at=at(line),
        fields=tuple(Named(name=name, at=at(line + n)) for n, name in enumerate(fields, start=1)),
        enums=tuple(Named(name=name, at=at(line)) for name in enums),
    )


def service(name: str, *rpcs: Rpc, line: int = 4) -> Service:
    return Service(name=name, rpcs=rpcs, at=at(line))


def rpc(name: str, request: str = "acme.v1.Request", response: str = "acme.v1.Reply", line: int = 5) -> Rpc:
    return Rpc(name=name, request=request, response=response, at=at(line))


def proto(*services: Service, messages: tuple[Message, ...] = (), **rest) -> ProtoFile:
    return ProtoFile(**{"name": "acme/v1/x.proto", "services": services, "messages": messages, **rest})


def problems(*files: ProtoFile, types: bool = True, package: str = ""):
    return name_problems(files, wanted=[file.name for file in files], types=types, package=package)


def lines(*files: ProtoFile, **options) -> list[str]:
    return [str(problem) for problem in problems(*files, **options)]


def paths(*names: str, package: str = "") -> list[str]:
    return [str(p) for p in file_problems({name: f"protos/{name}" for name in names}, package=package)]


@pytest.mark.parametrize(
    ("services", "text"),
    [
        ([service("class", rpc("Run"))], "x.proto:4:3: error: service `class` is a Python keyword"),
        ([service("S", rpc("import"))], "x.proto:5:3: error: rpc `import` is a Python keyword"),
        ([service("S", rpc("__init__"))], "x.proto:5:3: error: rpc `__init__` begins with two underscores"),
        (
            [service("S", rpc("Run", response="acme.v1.Outer.None"))],
            "x.proto:12:3: error: message `Outer.None` holds a Python keyword and is used by rpc `Run`",
        ),
        (
            [service("A"), service("AStub", line=7)],
            "x.proto:7:3: error: services `A` and `AStub` would both define the class `AStub`",
        ),
        (
            [service("AAsync"), service("A", line=7)],
            "x.proto:7:3: error: services `AAsync` and `A` would both define the class `AAsyncStub`",
        ),
    ],
)
def test_a_service_that_would_give_broken_python_is_refused(services, text):
    """The place first, then what is wrong; the hint is the fix."""
    messages = (message("Request"), message("Reply"), message("Outer.None", 12))
    (problem,) = problems(proto(*services, messages=messages))
    assert str(problem).startswith(f"protos/acme/v1/{text}")
    assert "rename" in problem.hint


def test_a_refused_message_names_the_rpc_that_uses_it():
    """It may stand in another file, and is told once though it is both request and response."""
    types = proto(name="types.proto", messages=(message("None"),))
    user = proto(service("S", rpc("Run", request="acme.v1.None", response="acme.v1.None")))
    (problem,) = problems(types, user)
    assert "used by rpc `Run` (protos/acme/v1/x.proto:5:3)" in problem.text
    assert problem.at == at(9)


def test_all_problems_are_found_at_once():
    """Nobody should have to run again to see the second one."""
    assert len(problems(proto(service("None", rpc("del"), rpc("in", line=6))))) == 3


def test_files_that_are_only_imported_are_not_judged():
    """They are not generated."""
    imported = proto(service("class", rpc("import")))
    assert name_problems([imported], wanted=["other.proto"], types=True) == []


def test_a_keyword_message_that_no_rpc_uses_is_fine():
    """Only the gRPC module writes a message's name as code."""
    assert problems(proto(service("S", rpc("Run")), messages=(message("class", fields=("from",)),))) == []


def test_soft_keywords_are_names():
    """`match` and `type` may be used everywhere."""
    assert paths("type/match.proto") == []
    assert problems(proto(service("match", rpc("case")))) == []


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            message("M", fields=("ok", "SerializeToString")),
            ":11:3: {}: field `SerializeToString` hides a member",
        ),
        (message("M", fields=("__class__",)), ":10:3: {}: field `__class__` hides a member"),
        (
            message("M", fields=("size", "Size")),
            ":11:3: {}: fields `size` and `Size` differ only by case, and both would have the constant `SIZE_",
        ),
        (message("A.class", enums=("E",)), ":9:3: {}: message `A.class` holds a Python keyword and an enum"),
        (message("DESCRIPTOR"), ":9:3: {}: `DESCRIPTOR` is a name that each generated module needs"),
    ],
)
def test_what_a_stub_cannot_say_is_refused_and_without_stubs_only_warned_of(found, text):
    """It works at run time, by detours."""
    for types, severity in ((True, Severity.ERROR), (False, Severity.WARNING)):
        (problem,) = problems(proto(messages=(found,)), types=types)
        assert problem.severity is severity
        assert str(problem).startswith(f"protos/acme/v1/x.proto{text.format(severity.value)}")
        assert "--no-types" in problem.hint


def test_a_nested_message_may_have_a_name_that_modules_need():
    """It stands in its message's scope."""
    assert problems(proto(messages=(message("Outer.DESCRIPTOR"),))) == []


@pytest.mark.parametrize("name", ["DESCRIPTOR", "sys"])
def test_an_enum_at_the_top_collides_with_what_modules_need_as_well(name):
    (problem,) = problems(proto(enums=(Named(name=name, at=at(2)),)))
    assert str(problem.at) == "protos/acme/v1/x.proto:2:3"
    assert f"`{name}`" in problem.text


@pytest.mark.parametrize(
    ("package", "owner"),
    [
        ("grpc.health.v1", "grpcio-health-checking"),
        ("grpc.reflection.v1alpha", "grpcio-reflection"),
        ("grpc.reflection.v1", "grpcio-reflection"),
    ],
)
def test_a_copy_of_a_package_that_grpc_ships_is_refused_unless_it_gets_a_pool_of_its_own(package, owner):
    file = proto(package=package, messages=(message("HealthCheckRequest"),))
    (problem,) = problems(file)
    assert problem.text.startswith(f"{owner} defines messages in the package `{package}`")
    assert problem.at == Position(file="protos/acme/v1/x.proto")
    assert problems(file, package="my.gen") == []


@pytest.mark.parametrize("package", ["grpc.healthy", "grpc", "acme.grpc.health.v1", ""])
def test_packages_of_similar_names_are_nobodys(package):
    assert problems(proto(package=package, messages=(message("M"),))) == []


@pytest.mark.parametrize(
    "file",
    [
        proto(messages=(message("PredictRequest"),)),
        proto(name="predict.proto", messages=(message("Mine"),)),
        proto(name="tf_predict.proto"),
    ],
    ids=["message", "file", "empty file"],
)
def test_a_name_of_the_vendors_sdk_is_warned_of(file):
    """Only whoever imports both has trouble."""
    (problem,) = problems(file)
    assert problem.severity is Severity.WARNING
    assert "eas-prediction" in problem.text
    assert "`package`" in problem.hint
    assert problems(file, package="my.gen") == []


def test_the_vendors_names_inside_a_package_of_ones_own_are_fine():
    assert problems(proto(package="acme.v1", messages=(message("PredictRequest"),))) == []


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
        ("google/protobuf/empty.proto", "protobuf brings this file and its module itself"),
        ("grpc/health/v1/health.proto", "grpcio-health-checking brings this file"),
        ("grpc_reflection/v1alpha/reflection.proto", "grpcio-reflection brings this file"),
        ("grpc/mine.proto", "modules below a top folder `grpc` are never found"),
    ],
)
def test_a_path_that_cannot_be_imported_is_refused(name, text):
    """With the path to show, and before protoc has run."""
    (line,) = paths(name, "acme/fine.proto")
    assert line.startswith(f"protos/{name}:1:1: error: {text}")


@pytest.mark.parametrize(
    "name", ["queue/v1/x.proto", "grpc/health/v1/health.proto", "grpc/mine.proto", "json/x.proto"]
)
def test_inside_a_package_the_name_of_the_top_folder_is_free(name):
    """Nothing stands at the top of sys.path then."""
    assert paths(name, package="my.gen") == []


@pytest.mark.parametrize("name", ["google/protobuf/empty.proto", "acme/class/x.proto"])
def test_inside_a_package_what_is_broken_anywhere_is_still_refused(name):
    assert len(paths(name, package="my.gen")) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [("acme/my-svc.proto", "acme/my_svc.proto"), ("acme/my.svc.proto", "acme/my/svc.proto")],
)
def test_two_files_that_make_one_module_are_refused(first, second):
    """protoc writes the second over the first when they come in two runs."""
    (line,) = paths(second, first)
    assert line.startswith(f"protos/{second}:1:1: error: this file and `{first}` would both be written")


@pytest.mark.parametrize(
    "name",
    [
        "acme/v1/x.proto",
        "my-svc.proto",
        "class.proto",
        "json.proto",
        "Ünï.proto",
        "google/mine/x.proto",
        "grpc.proto",
    ],
)
def test_a_path_that_can_be_imported_is_accepted(name):
    """A keyword or a module of the standard library is no trouble as a file name: `_pb2` follows."""
    assert paths(name) == []


@given(
    st.lists(
        st.text("ab1-_. é", min_size=1, max_size=6) | st.sampled_from(KEYWORDS), min_size=1, max_size=3
    ).map(lambda parts: "/".join(parts) + ".proto")
)
def test_a_path_is_accepted_just_when_python_can_write_an_import_of_it(name):
    """Asked of Python itself, part by part."""
    *folders, file = stem(name).split("/")
    parts = [*folders, f"{file}_pb2"]
    importable = bool(file) and all(part.isidentifier() and not keyword.iskeyword(part) for part in parts)
    if importable:
        compile(f"import {'.'.join(parts)}", "x", "exec")
    assert (paths(name) == []) == (importable and not name.startswith("-"))


@given(st.sampled_from([*KEYWORDS, "Run", "match", "run_2"]), st.sampled_from([*KEYWORDS, "Infer", "type"]))
def test_a_service_is_accepted_just_when_python_can_write_it(method, name):
    text = f"class {name}:\n    def {method}(self): pass\n"
    try:
        compile(text, "x", "exec")
    except SyntaxError:
        assert problems(proto(service(name, rpc(method))))
    else:
        assert problems(proto(service(name, rpc(method)))) == []
