"""`eas-grpc generate` as the tests of its command line call it."""

from __future__ import annotations

import sys

from click.testing import CliRunner

from eas_grpc.cli.__main__ import cli
from support.generated import TOOLS

MODULE = [sys.executable, "-m", "eas_grpc.cli", "generate", *TOOLS]

INFER = """syntax = "proto3";
package acme.v1;

message Thing {
  string name = 1;
}

// Infers.
service Infer {
  rpc Run(Thing) returns (Thing);
}
"""
BROKEN = INFER.replace("string name = 1;", "string name = 1")
TABLE = """
[tool.eas-grpc]
protos = ["protos"]
[tool.eas-grpc.generate]
out = "out"
types = false
"""


def run(*args: str):
    done = CliRunner().invoke(cli, ["generate", *TOOLS, *args], prog_name="eas-grpc")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def generated(*args: str):
    done = run("protos", "-o", "out", *args)
    assert done.exit_code == 0, done.output
    return done
