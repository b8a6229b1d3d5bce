"""Descriptors as plain data; and what importing the package loads."""

from __future__ import annotations

import json
import subprocess
import sys

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from eas_grpc.codegen._protos import describe


def shown(name: str) -> str:
    return f"protos/{name}"


def descriptors(*, positions: bool) -> FileDescriptorSet:
    files = FileDescriptorSet()
    file = files.file.add(name="acme/x.proto", package="acme.v1", dependency=["acme/y.proto"])
    outer = file.message_type.add(name="Outer")
    outer.field.add(name="size", number=1)
    outer.nested_type.add(name="Inner")
    outer.nested_type.add(name="SizesEntry").options.map_entry = True
    outer.nested_type.add(name="Last").enum_type.add(name="Kind")
    file.enum_type.add(name="Colour")
    service = file.service.add(name="Infer")
    service.method.add(name="Run", input_type=".acme.v1.Outer", output_type=".acme.v1.Outer.Inner")
    if positions:
        for path, span in (
            ((4, 0, 1), (2, 8, 13)),
            ((4, 0, 2, 0, 1), (2, 16, 20)),
            ((4, 0, 3, 0, 1), (3, 10, 15)),
            ((4, 0, 3, 2, 1), (4, 10, 14)),
            ((4, 0, 3, 2, 4, 0, 1), (4, 20, 24)),
            ((5, 0, 1), (5, 5, 11)),
            ((6, 0), (6, 0, 9, 1)),
            ((6, 0, 1), (6, 8, 13)),
            ((6, 0, 2, 0, 1), (7, 6, 9)),
        ):
            file.source_code_info.location.add(path=path, span=span)
    return files


def test_messages_fields_and_enums_are_found_where_their_names_stand():
    """Lines and columns from one; the entry of a map, which nobody wrote, is left out."""
    (file,) = describe(descriptors(positions=True), shown)
    assert [(m.full_name, m.path, str(m.at)) for m in file.messages] == [
        ("acme.v1.Outer", "Outer", "protos/acme/x.proto:3:9"),
        ("acme.v1.Outer.Inner", "Outer.Inner", "protos/acme/x.proto:4:11"),
        ("acme.v1.Outer.Last", "Outer.Last", "protos/acme/x.proto:5:11"),
    ]
    (size,), (kind,), (colour,) = file.messages[0].fields, file.messages[2].enums, file.enums
    assert (size.name, str(size.at)) == ("size", "protos/acme/x.proto:3:17")
    assert (kind.name, str(kind.at)) == ("Kind", "protos/acme/x.proto:5:21")
    assert (colour.name, str(colour.at)) == ("Colour", "protos/acme/x.proto:6:6")


def test_services_and_rpcs_are_found_where_their_names_stand():
    """Full names of the types, without the leading dot of descriptors."""
    (file,) = describe(descriptors(positions=True), shown)
    (service,) = file.services
    (rpc,) = service.rpcs
    assert (service.name, str(service.at)) == ("Infer", "protos/acme/x.proto:7:9")
    assert (rpc.request, rpc.response) == ("acme.v1.Outer", "acme.v1.Outer.Inner")
    assert str(rpc.at) == "protos/acme/x.proto:8:7"


def test_a_file_knows_its_name_its_package_and_what_it_imports():
    (file,) = describe(descriptors(positions=False), shown)
    assert (file.name, file.package, file.dependencies) == ("acme/x.proto", "acme.v1", ("acme/y.proto",))


def test_symbols_are_the_names_at_the_top_of_a_file():
    """With the package in front, or without one."""
    files = descriptors(positions=False)
    (file,) = describe(files, shown)
    assert file.symbols == ("acme.v1.Outer", "acme.v1.Colour", "acme.v1.Infer")
    files.file[0].package = ""
    assert describe(files, shown)[0].symbols == ("Outer", "Colour", "Infer")


def test_descriptors_without_positions_point_at_the_file():
    """Not every descriptor set carries them."""
    (file,) = describe(descriptors(positions=False), shown)
    assert str(file.services[0].rpcs[0].at) == "protos/acme/x.proto:1:1"


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
