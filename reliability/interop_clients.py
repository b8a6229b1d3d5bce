"""The clients of the interop cases, each run in a process of its own: ours, bare grpcio, and grpc-go's own program."""

from __future__ import annotations

import asyncio
import subprocess
import time
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

import eas_grpc
import eas_grpc.aio
from reliability.interop_calls import AsyncCalls, BlockingCalls, Calls
from reliability.interop_cases import SINGLE
from reliability.interop_cell import Amounts, Cell
from reliability.interop_many import MANY

__all__ = ["CASES", "GO_CASES", "KINDS", "OURS", "Entry", "Outcome", "run", "run_go"]

CASES = {case.__name__: case for case in (*SINGLE, *MANY)}

OURS = ("sync", "aio")
KINDS = (*OURS, "raw", "raw-aio", "go")

# What grpc-go's client knows of our cases; it has none about compression, and orca is not among ours.
GO_CASES = (
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "timeout_on_sleeping_server",
    "cancel_after_begin",
    "cancel_after_first_response",
    "custom_metadata",
    "status_code_and_message",
    "special_status_message",
    "unimplemented_method",
    "unimplemented_service",
    "rpc_soak",
    "channel_soak",
    "pick_first_unary",
)
_GO_SECONDS = 180.0

# Under "cases" what was wrong with each, empty where nothing was; under "figures" what they have measured.
Outcome = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Entry:
    """Where a client enters: `port` at 127.0.0.1, and at `name`, which has `servers` addresses."""

    port: int
    name: str
    servers: int
    controls: list[int]
    certificate: str = ""
    token: str = ""

    def data(self) -> dict[str, Any]:
        """For a child process."""
        return asdict(self)


def run(kind: str, entry: dict[str, Any], amounts: dict[str, Any]) -> Outcome:
    """All cases with a Python client."""
    # The name of two servers is no loopback address to look at, and the token is one for tests.
    warnings.simplefilter("ignore", eas_grpc.errors.PlaintextTokenWarning)
    return asyncio.run(_run(kind, Entry(**entry), Amounts(**amounts)))


async def _run(kind: str, entry: Entry, amounts: Amounts) -> Outcome:
    @asynccontextmanager
    async def fresh(*, many: bool = False, spread: bool = False) -> AsyncIterator[Calls]:
        # Without a pool of its own it would share the connection of the channel that is open already.
        args: list[tuple[str, Any]] = [("grpc.use_local_subchannel_pool", 1)]
        args += [("grpc.lb_policy_name", "round_robin")] if spread else []
        async with _calls(kind, entry, entry.name if many else "127.0.0.1", args) as calls:
            yield calls

    found: dict[str, str] = {}
    async with _calls(kind, entry, "127.0.0.1", []) as calls:
        cell = Cell(calls, entry.controls, amounts, fresh, entry.servers)
        for name, case in CASES.items():
            found[name] = ""
            try:
                await case(cell)
            except Exception as error:
                found[name] = f"{type(error).__name__}: {str(error)[:300]}"
    return {"cases": found, "figures": cell.figures}


@asynccontextmanager
async def _calls(kind: str, entry: Entry, host: str, args: list[tuple[str, Any]]) -> AsyncIterator[Calls]:
    address = f"{host}:{entry.port}"
    credentials = None
    if entry.certificate:
        credentials = grpc.ssl_channel_credentials(Path(entry.certificate).read_bytes())  # noqa: ASYNC240
    if kind in OURS:
        scheme = "https" if credentials else "http"
        connect = eas_grpc.connect if kind == "sync" else eas_grpc.aio.connect
        channel: Any = connect(
            f"{scheme}://{address}", token=entry.token or None, credentials=credentials, options=args
        )
        metadata: Any = ()
    else:
        module: Any = grpc if kind == "raw" else grpc.aio
        if credentials:
            channel = module.secure_channel(address, credentials, options=args)
        else:
            channel = module.insecure_channel(address, options=args)
        metadata = (("authorization", f"Bearer {entry.token}"),) if entry.token else ()
    if kind.endswith("aio"):
        async with channel:
            yield AsyncCalls(channel, metadata)
    else:
        with channel:
            yield BlockingCalls(channel, metadata)


def run_go(program: str, entry: dict[str, Any], amounts: dict[str, Any]) -> Outcome:
    """The cases that grpc-go's client knows, each by its own program."""
    where, how_many = Entry(**entry), Amounts(**amounts)
    cases = {case: _run_go(program, where, how_many, case) for case in GO_CASES}
    return {"cases": cases, "figures": {}}


def _run_go(program: str, entry: Entry, amounts: Amounts, case: str) -> str:
    host = entry.name if case == "pick_first_unary" else "127.0.0.1"
    iterations = amounts.channels if case == "channel_soak" else amounts.soak
    command = [
        program,
        f"--server_host={host}",
        f"--server_port={entry.port}",
        f"--test_case={case}",
        f"--soak_iterations={iterations}",
        f"--soak_per_iteration_max_acceptable_latency_ms={amounts.slowest * 1000:.0f}",
        f"--soak_overall_timeout_seconds={_GO_SECONDS:.0f}",
    ]
    if entry.certificate:
        command += ["--use_tls", "--use_test_ca", f"--ca_file={entry.certificate}"]
        command += ["--server_host_override=localhost"]
    if entry.token:
        command.append(f"--additional_metadata=authorization:Bearer {entry.token}")
    began = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GO_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"not over after {time.monotonic() - began:.0f} s"
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if "succeeded" not in line]
    return f"ended with {done.returncode}: {' '.join(lines[-2:])[-300:]}"
