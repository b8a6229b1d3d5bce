"""h2spec, case by case, against a server in a process of its own, with a real call after each case."""

from __future__ import annotations

import subprocess
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc
from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloRequest, HelloResponse

from reliability.demo_commands import TOKEN

__all__ = ["Case", "after_each", "read_report", "run_all"]

# A case that waits for nothing to come waits this long; h2spec counts whole seconds.
_WAIT_SECONDS = 1
_ALL_SECONDS = 240
_CASE_SECONDS = 30
_METHOD = "/eas_grpc_pb.greeter.v1.GreeterService/SayHello"


@dataclass(frozen=True)
class Case:
    """`id` is what h2spec takes on its command line; `fault` is empty where the server did as the RFCs want."""

    id: str
    title: str
    fault: str = ""


def read_report(text: str) -> list[Case]:
    """The cases of a JUnit report, in their order."""
    cases = []
    for suite in ET.fromstring(text).iter("testsuite"):
        for number, entry in enumerate(suite.iter("testcase"), 1):
            failure = next(
                (entry.find(tag) for tag in ("failure", "error") if entry.find(tag) is not None), None
            )
            fault = "" if failure is None else (failure.text or "failed").strip()
            cases.append(Case(f"{suite.get('package')}/{number}", entry.get("classname", ""), fault))
    return cases


def run_all(program: Path, address: str, path: str) -> list[Case]:
    """All cases in one go, those that RFC 9113 only recommends too."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = _command(str(program), address, path, "--junit-report", str(report))
        subprocess.run(command, capture_output=True, timeout=_ALL_SECONDS, check=False)
        return read_report(report.read_text())


def after_each(program: str, address: str, path: str, cases: Sequence[str], at_once: int) -> dict[str, str]:
    """For a `Child`: runs the cases, each followed by a call on a new connection; the calls that failed, by case."""

    def one(case: str) -> str:
        command = _command(program, address, path, case)
        subprocess.run(command, capture_output=True, timeout=_CASE_SECONDS, check=False)
        return _call(address)

    with ThreadPoolExecutor(at_once) as pool:
        outcomes = dict(zip(cases, pool.map(one, cases), strict=True))
    return {case: fault for case, fault in outcomes.items() if fault}


def _command(program: str, address: str, path: str, *more: str) -> list[str]:
    host, _, port = address.rpartition(":")
    where = [program, "--host", host, "--port", port, "--path", path, "--strict"]
    # The gateway's limit for headers is far above h2spec's idea of one.
    return [*where, "--timeout", str(_WAIT_SECONDS), "--max-header-length", "16000", *more]


def _call(address: str) -> str:
    """What was wrong with a real call, bare and on a connection of its own; nothing where it was good."""
    with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        say_hello = channel.unary_unary(
            _METHOD,
            request_serializer=HelloRequest.SerializeToString,
            response_deserializer=HelloResponse.FromString,
        )
        try:
            answer = say_hello(
                HelloRequest(name="World"), timeout=5, metadata=[("authorization", f"Bearer {TOKEN}")]
            )
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"
    return "" if answer.message == "Hello, World!" else f"it answered {answer.message!r}"
