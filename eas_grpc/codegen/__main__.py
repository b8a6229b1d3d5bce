"""`python -m eas_grpc.codegen`: this repository's own build. Parses, calls the package, prints.

Exit codes: 0 good, 1 the check found differences, 2 usage, 3 a schema or a local file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from eas_grpc.codegen import Job, Toolchain, check, generate, protos_below
from eas_grpc.errors import SchemaError


def main(argv: Sequence[str] | None = None) -> int:
    """Run and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m eas_grpc.codegen", description="Generate Python from .proto files."
    )
    parser.add_argument(
        "--protos", type=Path, required=True, help="folder; every .proto below it is generated"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="output root: the folder to put on the import path"
    )
    parser.add_argument("--protoc-python", default=sys.executable, help="interpreter that has grpcio-tools")
    parser.add_argument(
        "--plugins-bin", help="folder with mypy-protobuf's programs (default: the interpreter's)"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if the output is not fresh"
    )
    options = parser.parse_args(argv)
    try:
        job = Job(
            protos=protos_below(options.protos),
            includes=(options.protos,),
            out=options.out,
            toolchain=Toolchain.installed(options.protoc_python, options.plugins_bin),
        )
        return _check(job) if options.check else _generate(job)
    except (SchemaError, OSError) as error:
        print(error, file=sys.stderr)
        return 3


def _generate(job: Job) -> int:
    report = generate(job)
    for warning in report.warnings:
        print(warning, file=sys.stderr)
    for path in report.written:
        print(f"wrote {job.out / path}")
    for path in report.removed:
        print(f"removed {job.out / path}")
    print(
        f"{job.out}: {len(report.written)} written, {len(report.removed)} removed, {len(report.unchanged)} unchanged"
    )
    return 0


def _check(job: Job) -> int:
    findings = check(job)
    for finding in findings:
        print(finding)
    print(f"{job.out}: {f'{len(findings)} findings; generate again' if findings else 'fresh'}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
