"""Agreement: the same call in different ways, status tables, signatures (G4, G6, G8)."""

from __future__ import annotations

from contextlib import ExitStack

from reliability import conformance_cases, conformance_gateway, h2_server
from reliability.child import Child
from reliability.conformance_calls import KINDS, OURS, run_calls
from reliability.conformance_tables import EAS, eas_fault, grpc_call, grpc_table, name_for
from reliability.conformance_tables import TOKEN as EAS_TOKEN
from reliability.congruence import compare
from reliability.demo_commands import gateway_command, server_command
from reliability.score import Run, row
from reliability.signatures import TOKEN, VECTORS, over_the_wire, verify_many

# Tensors; changes of signed requests in one process, and of those that go over a socket.
SHORT_TENSORS, LONG_TENSORS = 2_000, 10_000
SHORT_CHANGES, LONG_CHANGES = 20_000, 100_000
WIRE_CHANGES = 400


@row("G4", "status tables of gRPC and EAS", target="every row, in both colours", short=True)
def status_tables(run: Run) -> None:
    """HTTP statuses and resets from a raw peer; EAS's own table from the gateway, over gRPC and HTTP."""
    table = grpc_table()
    over_grpc = [entry for entry in EAS if entry.grpc]
    over_http = [entry for entry in EAS if entry.http]
    http = [{"service": name_for(entry, "http"), "token": EAS_TOKEN, **entry.more} for entry in over_http]
    with ExitStack() as stack:
        peer = stack.enter_context(Child(h2_server.serve, {case.name: case.steps for case in table}))
        gateway = stack.enter_context(Child(conformance_gateway.serve))
        to_peer, to_gateway = ({"port": each.until("up")["port"]} for each in (peer, gateway))
        asked = stack.enter_context(Child(conformance_gateway.http_calls, to_gateway["port"], http))
        clients = {}
        for kind in KINDS:
            calls = [{"name": case.name, **to_peer} for case in table]
            calls += [{**grpc_call(entry, kind), **to_gateway} for entry in over_grpc]
            clients[kind] = stack.enter_context(Child(run_calls, kind, calls))
        for kind, client in clients.items():
            results = client.result()
            faults = {
                case.name: conformance_cases.fault(case, got, then=False)
                for case, got in zip(table, results[: len(table)], strict=True)
            }
            _table(run, kind, "gRPC", faults)
            eas = {
                entry.name: eas_fault(entry.grpc, [each["code"] for each in got["all"]], "OK")
                for entry, got in zip(over_grpc, results[len(table) :], strict=True)
            }
            _table(run, kind, "EAS", eas)
        statuses = {
            entry.name: eas_fault(entry.http, got, 200)
            for entry, got in zip(over_http, asked.result(), strict=True)
        }
        _table(run, "http", "EAS", statuses)


def _table(run: Run, kind: str, name: str, faults: dict[str, str]) -> None:
    right = sum(not why for why in faults.values())
    if kind in {*OURS, "http"}:
        run.ours(f"{name} {kind}", right, f"of {len(faults)} rows", exactly=len(faults))
    else:
        run.raw(f"{name} {kind}", right, f"of {len(faults)} rows")
    for entry, why in faults.items():
        if why:
            run.note(f"{name} {kind} {entry}: {why}")


@row(
    "G6",
    "congruence: gRPC, HTTP, gateway, direct",
    target="0 differing, bit for bit, in 2,000 random tensors (long: 10,000)",
    short=True,
)
def congruence(run: Run) -> None:
    """The same tensors on every way to the same model."""
    count = run.pick(SHORT_TENSORS, LONG_TENSORS)
    seed = str(run.rng("tensors").getrandbits(64))
    with (
        gateway_command() as gateway,
        server_command() as server,
        Child(compare, gateway.address, server.address, seed, count) as child,
    ):
        found = child.result(timeout=240)
    run.ours("tensors", found["tensors"] + found["images"], at_least=count)
    run.ours("ways", len(found["ways"]), exactly=18)
    run.ours("calls", found["calls"])
    run.ours("differing", found["differing"], exactly=0)
    for example in found["examples"]:
        run.note(example)
    run.note(
        "of the two models `echo` gives back every element type, `digits` computes; the vendor's SDK comes later"
    )


@row(
    "G8",
    "signatures of EAS",
    target="every vector right; 0 of 20,000 changed requests accepted (long: 100,000)",
    short=True,
)
def signatures(run: Run) -> None:
    """The gateway's verifier against vectors, changes, and a second verifier written from the document."""
    count = run.pick(SHORT_CHANGES, LONG_CHANGES)
    with Child(verify_many, str(run.rng("changes").getrandbits(64)), count) as child:
        found = child.result(timeout=120)
    seed = str(run.rng("wire").getrandbits(64))
    with (
        gateway_command("--token", TOKEN) as gateway,
        Child(over_the_wire, gateway.port, seed, WIRE_CHANGES) as child,
    ):
        sent = child.result(timeout=60)
    run.ours("vectors", found["vectors"], exactly=len(VECTORS))
    run.ours("changes", count + WIRE_CHANGES)
    run.ours("accepted of them", found["forgeries"] + sent["forged"], exactly=0)
    run.ours("good ones refused", found["refused_good"] + WIRE_CHANGES - sent["good"], exactly=0)
    run.ours("verifiers disagree", found["disagreements"], exactly=0)
    run.note(
        f"one bit or one character each; {WIRE_CHANGES} of them over a socket; ModelArts' come with a later issue"
    )
