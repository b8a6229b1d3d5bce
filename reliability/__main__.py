"""`make reliability`: runs the rows, prints one line for each, writes JSON, and makes the table in the docs from it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from reliability import report, rows
from reliability.score import ROWS, Row, Run, Skip, outcome

HERE = Path(__file__).parent
RESULTS = HERE / "results"
_PACKAGES = ("grpcio", "protobuf", "numpy", "h2", "h11", "hpack")


def main() -> int:
    """The command line; 1 where a row failed, and in CI also where one was skipped."""
    parser = argparse.ArgumentParser(prog="python -m reliability", description=__doc__)
    parser.add_argument("--long", action="store_true", help="the full form, about an hour")
    parser.add_argument("--only", default="", help="rows by id, with commas: C1,C3")
    parser.add_argument("--seed", type=int, default=1, help="decides all that is left to chance (default 1)")
    parser.add_argument(
        "--out", type=Path, help="where the JSON goes (default results/short.json or long.json)"
    )
    parser.add_argument("--merge", action="store_true", help="keep the other rows of a JSON that exists")
    parser.add_argument("--docs", type=Path, help="write the table of the JSON into this page, run nothing")
    args = parser.parse_args()
    out = args.out or RESULTS / ("long.json" if args.long else "short.json")
    if args.docs:
        report.write(args.docs, json.loads(out.read_text()))
        return 0
    chosen = _chosen(args.only, long=args.long)
    found = {"form": "long" if args.long else "short", "versions": _versions(), "rows": []}
    if args.merge and out.exists():
        ids = {each.id for each in chosen}
        found["rows"] = [each for each in json.loads(out.read_text())["rows"] if each["id"] not in ids]
    for each in chosen:
        result = run_row(each, args.seed, long=args.long)
        if not args.long and report.measured_too_much(result):
            # A busy machine may cost a figure once. What is counted, such as a lost call, has no second chance.
            missed = report.missed(result)
            print(report.line(result), flush=True)
            result = run_row(each, args.seed, long=False)
            result["notes"].append(f"the second run; the first missed {missed}")
        print(report.line(result), flush=True)
        found["rows"].append(result)
        # After each row, so that an interrupted run keeps what it has.
        out.parent.mkdir(parents=True, exist_ok=True)
        found["rows"].sort(key=lambda entry: report.order(entry["id"]))
        out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    ran = [each for each in found["rows"] if each["id"] in {row.id for row in chosen}]
    wrong = {"fail", "skipped"} if os.environ.get("CI") else {"fail"}
    bad = [each for each in ran if each["outcome"] in wrong]
    for each in bad:
        print(f"{each['outcome'].upper()} {report.line(each)}")
    print(report.summary(ran))
    return int(bool(bad))


def _chosen(only: str, *, long: bool) -> list[Row]:
    assert rows.__all__
    wanted = [name for name in only.split(",") if name]
    unknown = [name for name in wanted if name not in ROWS]
    if unknown:
        sys.exit(f"no row {unknown[0]!r}: there are {', '.join(sorted(ROWS, key=report.order))}")
    known = sorted(ROWS.values(), key=lambda each: report.order(each.id))
    return [each for each in known if (each.id in wanted if wanted else long or each.short)]


def run_row(entry: Row, seed: int, *, long: bool) -> dict[str, Any]:
    """Runs one row and returns its line as plain data; an error in the row is a failure that says so."""
    folder = Path(tempfile.mkdtemp(prefix=f"eas-grpc-{entry.id}-"))
    run = Run(entry.id, seed, long, folder)
    began, result = time.monotonic(), ""
    try:
        entry.run(run)
        result = outcome(run, _known().get(entry.id))
    except Skip as why:
        result = "skipped"
        run.note(str(why))
    except Exception as error:
        result = "fail"
        traceback.print_exc()
        run.note(f"{type(error).__name__}: {str(error)[:500]}")
    if result == "fail":
        run.note(f"histories in {folder}" if any(folder.iterdir()) else "no histories")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "id": entry.id,
        "title": entry.title,
        "target": entry.target,
        "outcome": result,
        "ours": [vars(figure) for figure in run.figures],
        "raw": [vars(figure) for figure in run.beside],
        "notes": run.notes,
        "seed": seed,
        "seconds": round(time.monotonic() - began, 1),
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "commit": _commit(),
    }


def _known() -> dict[str, dict[str, str]]:
    try:
        import tomllib
    except ImportError:
        import tomli as tomllib
    return tomllib.loads((HERE / "known_failures" / "rows.toml").read_text())


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def _versions() -> dict[str, str]:
    found = {name: version(name) for name in _PACKAGES}
    return {
        "python": platform.python_version(),
        **found,
        "kernel": platform.release(),
        "cores": str(os.cpu_count()),
    }


if __name__ == "__main__":
    sys.exit(main())
