"""`eas-grpc load`: many calls, measured honestly."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eas_grpc.cli._completion import complete_methods
from eas_grpc.cli._schema_source import Source, schema_options
from eas_grpc.cli._target import Resolved, Target, ask_for_token, missing_option, target_options
from eas_grpc.cli._types import Duration

if TYPE_CHECKING:
    from eas_grpc.load import Progress, Result

__all__ = ["load"]

_CHECK_FAILED, _INTERRUPTED = 1, 130

_NO_TOKEN = "no token was given: pass --token-file or --token, or set EAS_TOKEN"  # noqa: S105


class _Warmup(Duration):
    """A length of time, or none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if str(value).strip() in {"0", "0s", "0ms"}:
            return 0.0
        return super().convert(value, param, ctx)


_PATH = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("method", metavar="SERVICE/METHOD", shell_complete=complete_methods)
@click.option(
    "-d",
    "--data",
    multiple=True,
    metavar="JSON",
    help="Requests, used in turn; @FILE reads a file, - standard input. May hold {{n}}, {{uuid}}, {{random 1 10}}, {{now}}.",
)
@click.option("--file", "files", multiple=True, metavar="FIELD=@PATH", help="Put a file into a field.")
@click.option("--tensor", "tensors", multiple=True, metavar="NAME=@PATH", help="An array: .npy or .npz.")
@click.option("--model", default="", metavar="NAME", help="The model that a tensor service is to run.")
@click.option(
    "-c",
    "--concurrency",
    type=int,
    metavar="N",
    help="Closed loop: this many callers, each waiting for its answer (default 10).",
)
@click.option(
    "-r", "--rate", type=float, metavar="R", help="Open loop: this many calls a second, whatever comes back."
)
@click.option("--poisson", is_flag=True, help="With a rate: at random times, as of many users.")
@click.option(
    "--ramp",
    metavar="A:B:STEP",
    help="Step by step through rates; concurrency=A:B:STEP for numbers of callers.",
)
@click.option(
    "--duration", type=Duration(), metavar="TIME", help="How long, of each step of a ramp (default 10s)."
)
@click.option("-n", "--requests", type=int, metavar="N", help="End after so many calls, of each step.")
@click.option(
    "--warmup",
    type=_Warmup(),
    metavar="TIME",
    help="Time before, in which calls are not measured (default 1s; none with --requests).",
)
@click.option("--until-stable", is_flag=True, help="End when three windows agree; --duration at most (60s).")
@click.option(
    "--stable-within",
    type=float,
    default=5.0,
    show_default=True,
    metavar="PERCENT",
    help="How far p99 and rate of the three windows may differ.",
)
@click.option("--window", type=Duration(), metavar="TIME", help="Length of a window (default 1s).")
@click.option("--channels", type=int, default=1, show_default=True, metavar="N", help="Connections.")
@click.option("--processes", type=int, default=1, show_default=True, metavar="N", help="Worker processes.")
@click.option(
    "--max-in-flight",
    type=int,
    metavar="N",
    help="Of an open loop (default 10000, to another machine 2000); calls beyond are counted as not started.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of everything that is random.")
@click.option(
    "--max-failures",
    type=int,
    default=0,
    show_default=True,
    metavar="N",
    help="More failed calls than this exit with 1.",
)
@click.option("--retry", is_flag=True, help="Retry as connect() does; then a call may be several.")
@click.option("--allow-remote", is_flag=True, help="Load a service that is not on this machine, within caps.")
@click.option(
    "--output", type=click.Choice(["text", "json", "csv"]), default="text", show_default=True, help="Report."
)
@click.option("--save", type=_PATH, metavar="FILE", help="Write the result as JSON, to compare with later.")
@click.option("--report", type=_PATH, metavar="FILE", help="Write a page with charts (HTML).")
@click.option("--compare", type=_PATH, metavar="FILE", help="Show what changed since a saved result.")
@click.option("--fail-if-worse", is_flag=True, help="With --compare: exit 1 when a figure is worse.")
@schema_options
@target_options
def load(method: str, *, target: Target, source: Source, **given: Any) -> None:
    """Measure a method under load.

    With --rate, calls start when they are due, and latency counts from then: a service that stands still is seen.
    Every status but OK is a failure. Without --allow-remote, only services on this machine are loaded.

    Exits 0 when all calls were OK, 1 when more than --max-failures were not, 130 after Ctrl-C, which still reports.
    """
    from eas_grpc.cli._load_input import capped, job_of, plan_of, requests_of
    from eas_grpc.errors import CallError, ConfigError
    from eas_grpc.load import failures, run

    plan = plan_of(given)
    if given["fail_if_worse"] and given["compare"] is None:
        raise ConfigError("--fail-if-worse needs --compare FILE")
    old = None if given["compare"] is None else _old(given["compare"])
    if given["report"] is not None:
        from eas_grpc.load._html import require

        require()
    if given["save"] is not None and given["save"] == given["report"]:
        raise ConfigError("--save and --report name the same file: the one would overwrite the other")
    for path in (given["save"], given["report"]):
        if path is not None:
            _check_writable(path)
    found = target.resolved()
    ask_for_token(found)
    plan = capped(plan, found, given)
    shape, path, requests = requests_of(method, target, source, given)
    job = job_of(target, found, shape, path, requests, plan, retry=given["retry"])
    try:
        with _live() as progress:
            result = run(job, token=found.token, progress=progress)
    except CallError as error:
        hint = missing_option(found, error)
        if hint is None:
            raise
        raise CallError(error.failure.with_hint(hint)) from error
    _show(result, old, given)
    _remarks(result, found, output=given["output"])
    worse = _is_worse(result, old) if given["fail_if_worse"] else False
    if result.get("interrupted"):
        raise SystemExit(_INTERRUPTED)
    if worse or failures(result) > given["max_failures"]:
        raise SystemExit(_CHECK_FAILED)


def _live() -> Any:
    """A context that gives what shows progress, on a terminal."""
    from contextlib import contextmanager

    from eas_grpc.cli._console import status_line

    @contextmanager
    def shown() -> Any:
        with status_line() as show:
            yield lambda progress: show(_line(progress))

    return shown()


def _line(progress: Progress) -> str:
    step = progress.step
    level = f"{step.rate:g}/s" if step.rate is not None else f"{step.concurrency} callers"
    place = f"step {progress.number + 1} of {progress.of}, " if progress.of > 1 else ""
    until = "" if step.seconds is None else f" of {step.seconds:g}"
    p99 = "" if progress.p99 is None else f", p99 {1000 * progress.p99:.3g} ms"
    return (
        f"{place}{level}: {progress.at:.3g}{until} s, {progress.rate:.0f} calls/s{p99}, {progress.failed} failed,"
        f" {progress.in_flight} in flight"
    )


def _show(result: Result, old: Result | None, given: dict[str, Any]) -> None:
    """Everything that was asked for; what is for programs stands alone on standard output."""
    import json

    output = given["output"]
    if output == "json":
        _echo(json.dumps(result, indent=2))
    elif output == "csv":
        from eas_grpc.load._report_csv import csv

        _echo(csv(result).rstrip("\r\n"))
    else:
        from eas_grpc.load._report_text import text

        _echo(text(result).rstrip("\n"))
    if old is not None:
        from eas_grpc.load._compare import compare

        _echo("\n" + compare(old, result).rstrip("\n"), err=output != "text")
    if given["save"] is not None:
        _write(given["save"], json.dumps(result, indent=2) + "\n")
    if given["report"] is not None:
        from eas_grpc.load._html import html

        _write(given["report"], html(result, old))


def _echo(text: str, *, err: bool = False) -> None:
    """Prints what services said too, which need not fit the terminal's encoding."""
    encoding = getattr(sys.stderr if err else sys.stdout, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding), err=err)


def _remarks(result: Result, found: Resolved, *, output: str) -> None:
    """What the report does not say, on standard error."""
    if result["statuses"].get("UNAUTHENTICATED") and found.token is None:
        click.echo(f"Note: {_NO_TOKEN}", err=True)
    if output == "text":
        return
    if why := result["generator"]["why"]:
        click.echo(f"Note: {why}", err=True)
    if result.get("interrupted"):
        click.echo("Interrupted: these are the figures until then", err=True)


def _is_worse(result: Result, old: Result | None) -> bool:
    from eas_grpc.load._compare import regressed

    return old is not None and regressed(old, result)


def _old(path: Path) -> Result:
    from eas_grpc.errors import ConfigError, SchemaError
    from eas_grpc.load._result import read

    try:
        data = path.read_bytes()
    except OSError as error:
        raise SchemaError(f"--compare {path} cannot be read: {error.strerror}") from None
    try:
        return read(data, str(path))
    except ConfigError as error:
        # It is the file that cannot be used, and not an option.
        raise SchemaError(str(error)) from None


def _check_writable(path: Path) -> None:
    """Before the run: afterwards its figures would be lost."""
    from eas_grpc.errors import SchemaError

    existing = path if path.exists() else path.absolute().parent
    if not existing.exists():
        raise SchemaError(f"{path} cannot be written: there is no folder {existing}")
    if not os.access(existing, os.W_OK):
        raise SchemaError(f"{path} cannot be written: permission denied")


def _write(path: Path, text: str) -> None:
    from eas_grpc.errors import SchemaError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SchemaError(f"{path} cannot be written: {error.strerror}") from None
    click.echo(f"wrote {path}", err=True)
