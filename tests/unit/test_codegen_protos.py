"""Descriptors and protoc's lines, as plain data; and what importing the package loads."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from eas_grpc.codegen._protos import describe, located


def shown(name: str) -> str:
    return f"protos/{name}"


def descriptors(*, positions: bool) -> bytes:
    files = FileDescriptorSet()
    file = files.file.add(name="acme/x.proto", package="acme.v1")
    outer = file.message_type.add(name="Outer")
    outer.nested_type.add(name="Inner")
    service = file.service.add(name="Infer")
    service.method.add(name="Run", input_type=".acme.v1.Outer", output_type=".acme.v1.Outer.Inner")
    if positions:
        for path, span in (
            ((4, 0, 1), (2, 8, 13)),
            ((4, 0, 3, 0, 1), (3, 10, 15)),
            ((6, 0), (6, 0, 9, 1)),
            ((6, 0, 1), (6, 8, 13)),
            ((6, 0, 2, 0, 1), (7, 6, 9)),
        ):
            file.source_code_info.location.add(path=path, span=span)
    return files.SerializeToString()


def test_elements_are_found_where_their_names_stand():
    """Lines and columns from one, full names without the leading dot."""
    (file,) = describe(descriptors(positions=True), shown)
    assert file.name == "acme/x.proto"
    assert [(m.full_name, m.path, str(m.at)) for m in file.messages] == [
        ("acme.v1.Outer", "Outer", "protos/acme/x.proto:3:9"),
        ("acme.v1.Outer.Inner", "Outer.Inner", "protos/acme/x.proto:4:11"),
    ]
    (service,) = file.services
    (rpc,) = service.rpcs
    assert (service.name, str(service.at)) == ("Infer", "protos/acme/x.proto:7:9")
    assert (rpc.request, rpc.response) == ("acme.v1.Outer", "acme.v1.Outer.Inner")
    assert str(rpc.at) == "protos/acme/x.proto:8:7"


def test_descriptors_without_positions_point_at_the_file():
    """Not every descriptor set carries them."""
    (file,) = describe(descriptors(positions=False), shown)
    assert str(file.services[0].rpcs[0].at) == "protos/acme/x.proto:1:1"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('b.proto:2:13: "Foo" is not defined.', 'protos/b.proto:2:13: error: "Foo" is not defined.'),
        (
            "b.proto:2:1: warning: Import x.proto is unused.",
            "protos/b.proto:2:1: warning: Import x.proto is unused.",
        ),
        ("nope.proto: File not found.", "nope.proto: File not found."),
    ],
)
def test_error_lines_can_be_opened(line, expected):
    """The path as the user knows it, and a severity."""
    assert located(f"{line}\n\n", shown) == (expected,)


def test_importing_the_package_loads_neither_grpc_nor_numpy():
    """In a fresh process, without what `import eas_grpc` itself loads."""
    program = (
        "import json, sys, types, importlib.util as u\n"
        "package = types.ModuleType('eas_grpc')\n"
        "package.__path__ = list(u.find_spec('eas_grpc').submodule_search_locations)\n"
        "sys.modules['eas_grpc'] = package\n"
        "import eas_grpc.codegen\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert "google" in loaded
    assert not loaded & {"grpc", "numpy", "grpc_tools", "click", "eas_grpc_pb"}
