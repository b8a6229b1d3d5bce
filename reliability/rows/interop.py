"""The official interop cases (G1)."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from reliability.child import Child, ChildFailed
from reliability.gotools import tool
from reliability.interop_cases import VARIED
from reliability.interop_cell import Amounts
from reliability.interop_clients import CASES, GO_CASES, KINDS, OURS, Entry, Outcome, run, run_go
from reliability.interop_server import KINDS as SERVERS
from reliability.interop_stack import certificate, entries, two_names
from reliability.score import Run, Skip, row

# On top of a second for each iteration of a soak.
_CELL_SECONDS = 60.0

# Of a cell: client, server, way to it.
Key = tuple[str, str, str]
Found = dict[Key, Outcome]


@row(
    "G1",
    "gRPC interop cases",
    target="24 of 24 cases in every cell of ours (one of them varied: see the note), 17 of the 17 that grpc-go's client knows",
    short=True,
)
def interop(run_: Run) -> None:
    """Two servers of ours x ours, bare grpcio and grpc-go x direct and gateway x plaintext and TLS."""
    amounts = Amounts(
        soak=run_.pick(10, 250),
        channels=run_.pick(5, 50),
        concurrent=run_.pick(50, 1000),
        long_lived=run_.pick(2, 10),
        pause=run_.pick(0.05, 0.2),
        picks=run_.pick(30, 100),
        seed=run_.rng("noise").randrange(1 << 30),
    )
    go = _go(run_)
    kinds = [kind for kind in KINDS if kind != "go" or go]
    files = certificate(run_.folder)
    wrap = two_names(run_.folder)
    if not wrap:
        run_.note("no mount namespace here: pick_first_unary had one server to choose from")
    # The cells of one server run one after the other, or they would share its limits.
    with ThreadPoolExecutor(len(SERVERS)) as pool:
        parts = pool.map(lambda server: _cells(server, kinds, go, files, wrap, amounts), SERVERS)
        found: Found = {key: outcome for part in parts for key, outcome in part.items()}
    named = {" / ".join(key): outcome for key, outcome in found.items()}
    (run_.folder / "interop.json").write_text(json.dumps(named, indent=1))
    _report(run_, found)


def _go(run_: Run) -> str:
    """The program of grpc-go's client; empty where it cannot be built, which in CI is a failure."""
    try:
        return str(tool("interop_client"))
    except Skip as why:
        run_.ours("go", "not run", exactly="run" if os.environ.get("CI") else None)
        run_.note(f"grpc-go's client did not run: {why}")
        return ""


def _cells(
    server: str, kinds: list[str], go: str, files: list[str], wrap: list[str], amounts: Amounts
) -> Found:
    found: Found = {}
    with entries(server, files, 2 if wrap else 1) as ways:
        for way, entry in ways.items():
            for kind in kinds:
                found[kind, server, way] = _cell(kind, go, entry, wrap, amounts)
    return found


def _cell(kind: str, go: str, entry: Entry, wrap: list[str], amounts: Amounts) -> Outcome:
    function, first = (run_go, go) if kind == "go" else (run, kind)
    with Child(function, first, entry.data(), asdict(amounts), wrap=wrap) as child:
        try:
            return child.result(_CELL_SECONDS + amounts.soak)
        except ChildFailed as error:
            return {"cases": {"the whole cell": str(error)[-300:]}, "figures": {}}


def _report(run_: Run, found: Found) -> None:
    for kind in dict.fromkeys(key[0] for key in found):
        value, wanted = counted([found[key]["cases"] for key in found if key[0] == kind], cases_of(kind))
        if kind.startswith("raw"):
            run_.raw(kind, value)
        else:
            run_.ours(kind, value, exactly=wanted)
    for ours in (True, False):
        unread = [found[key]["figures"].get("unread", 0) for key in found if (key[0] in OURS) is ours]
        note = run_.ours if ours else run_.raw
        note("sent to a server that does not read, at most", float(max(unread)), "MiB")
    for text in failures(found):
        run_.note(text)
    for name, why in VARIED.items():
        run_.note(f"{name} is varied: {why}")
    run_.note(
        "whether a message is compressed is read from the bytes by a relay in front of the server, and by one in front "
        "of the gateway where that is plaintext: grpcio shows it to neither side"
    )
    run_.note("our servers have no TLS: in the cells `direct TLS` a relay ends it in front of them")
    run_.note(
        "flow_control_pushback and concurrent_large_unary, which upstream only lists, are written by us"
    )


def cases_of(kind: str) -> Collection[str]:
    """The cases that a client of that kind has to pass."""
    return GO_CASES if kind == "go" else CASES


def counted(cells: list[Mapping[str, str]], wanted: Collection[str]) -> tuple[str, str]:
    """How many cells are whole and how many cases passed, as text; and that text where all is well."""
    passed = [sum(cell.get(name) == "" for name in wanted) for cell in cells]
    whole = sum(count == len(wanted) for count in passed)
    every = len(wanted) * len(cells)
    text = "{} of {} cells, {} of {} cases"
    return text.format(whole, len(cells), sum(passed), every), text.format(
        len(cells), len(cells), every, every
    )


def failures(found: Found) -> list[str]:
    """What failed: one sentence for each client and case, with how often, and where it did first and why."""
    where: dict[tuple[str, str], list[tuple[Key, str]]] = {}
    for key, outcome in found.items():
        for name, why in outcome["cases"].items():
            if why:
                where.setdefault((key[0], name), []).append((key, why))
    return [
        f"{kind}: {name} failed in {len(cells)} cells, first {' / '.join(cells[0][0][1:])}: {cells[0][1]}"
        for (kind, name), cells in where.items()
    ]
