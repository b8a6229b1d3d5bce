"""Two protos in a folder, and the jobs that generate from them; their fixtures stand in integration/conftest.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from eas_grpc.codegen import Job, Toolchain, generate, protos_below
from eas_grpc.errors import SchemaError

TYPES = 'syntax = "proto3";\npackage acme.v1;\n\n// One thing.\nmessage Thing {\n  string name = 1;\n}\n'
INFER = """syntax = "proto3";
package acme.v1;
import "acme/v1/types.proto";
import "google/protobuf/empty.proto";

// Infers.
service Infer {
  // Runs once.
  rpc Run(Thing) returns (google.protobuf.Empty);
}
"""


def write(folder: Path, protos: dict[str, str]) -> None:
    for name, text in protos.items():
        path = folder / "protos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def job(toolchain: Toolchain, protos: str | Path = "protos", out: str | Path = "out", **rest: object) -> Job:
    return Job(
        protos=protos_below(Path(protos)),
        includes=(Path(protos),),
        out=Path(out),
        toolchain=toolchain,
        **rest,
    )


def tree(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def refused(toolchain: Toolchain) -> str:
    with pytest.raises(SchemaError) as caught:
        generate(job(toolchain))
    assert not Path("out").exists()
    return str(caught.value)
