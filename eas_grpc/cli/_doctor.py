"""`eas-grpc doctor`: why calls to a service fail, and what to do about it."""

from __future__ import annotations

import json
import os
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eas_grpc.cli._completion import complete_methods
from eas_grpc.cli._target import LOCAL_ENDPOINT, LOCAL_TOKEN, Target, target_options
from eas_grpc.cli._types import Duration, Size

if TYPE_CHECKING:
    from eas_grpc.doctor import Question, Report, Step

__all__ = ["doctor"]

_MARKS = {"ok": "ok", "note": "note", "warning": "warning", "fault": "FAULT"}
_STYLES = {"ok": "good", "note": "name", "warning": "warning", "fault": "bad"}
_SKIPPED = "-       "
_TOKEN_VARIABLES = ("EAS_TOKEN", "EAS_TOKEN_FILE")


@click.command()
@click.argument("url", required=False)
@click.option(
    "--method", metavar="SERVICE/METHOD", help="Also call this method.", shell_complete=complete_methods
)
@click.option(
    "-d", "--data", metavar="JSON", help="The request for --method, or @FILE, or - (default: empty)."
)
@click.option(
    "--idle",
    type=Duration(),
    metavar="TIME",
    help="Hold a connection idle this long, e.g. 60s, and call again.",
)
@click.option(
    "--max-request", type=Size(), metavar="SIZE", help="See whether a request of this size is taken."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; no token is in it.")
@target_options
def doctor(
    url: str | None,
    target: Target,
    *,
    method: str | None,
    data: str | None,
    idle: float | None,
    max_request: int | None,
    as_json: bool,
) -> None:
    """Find out why calls to a service fail, and what to do.

    URL is the address exactly as you have it; the way it is written is examined too. Runs a chain of steps, from the
    text of the address to a real call, and ends with one verdict. Takes at most 5 s, unless --idle asks for more.

    Exits 0 when calls work, 1 when a check failed, 2 when the address or the token cannot work, 3 for a local file,
    4 when the service says that it does not serve, 5 when it cannot be reached, 64 + gRPC status when the call failed.
    """
    if data is not None and method is None:
        raise click.UsageError("-d is the request of a method: name it with --method")
    if data is not None and (data == "-" or data.startswith("@")):
        from eas_grpc.cli._call_input import sources

        (source,) = sources([data], streams=False, attached=False)
        data = "\n".join(source.values())
    from eas_grpc.doctor import Question, examine

    question = _question(
        Question, url, target, method=method, data=data, idle=idle or 0.0, max_request=max_request
    )
    report = examine(question)
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2))
    else:
        _show(report)
    sys.exit(report.exit)


def _question(make: type[Question], url: str | None, target: Target, **others: Any) -> Question:
    """The question, with everything as raw as it was given: only a profile is looked up."""
    from eas_grpc.settings import find_settings, used_profile

    if url is not None and target.endpoint is not None:
        raise click.UsageError("the address was given twice: leave --endpoint out")
    address = target.endpoint if url is None else url
    token = _given_token(target)
    environ: dict[str, str] = dict(os.environ)
    if address is None and target.profile is None:
        address = environ.get("EAS_ENDPOINT", "").strip() or None
    named = target.profile is not None or bool(environ.get("EAS_PROFILE", "").strip())
    found = None
    if address is None and not named and used_profile(environ) is None:
        address = LOCAL_ENDPOINT
        if token is None and not any(environ.get(name, "").strip() for name in _TOKEN_VARIABLES):
            # The demo token goes to the demo server only.
            token = LOCAL_TOKEN
    if address is None or named:
        # The endpoint only fills a gap: what cannot be parsed is for the examination to judge.
        found = find_settings(
            endpoint=LOCAL_ENDPOINT if address is not None else None,
            token=token,
            profile=target.profile,
            environ=environ,
        )
        address = str(found.endpoint) if address is None else address
        token = found.token if token is None else token
    return make(
        address=address,
        token=token,
        metadata=target.metadata,
        authority=target.authority or (found.authority if found else None),
        tls=target.tls,
        cacert=target.cacert or (found.cacert if found else None),
        cert=target.cert or (found.cert if found else None),
        key=target.key or (found.key if found else None),
        max_response=target.max_message,
        proxy=target.proxy,
        environ=environ,
        call_timeout=target.said_timeout or (found.timeout if found else None),
        **others,
    )


def _given_token(target: Target) -> Any:
    """The token of the options, untouched: spaces around it are worth a note."""
    from eas_grpc.errors import ConfigError

    given = {"--token": target.token, "--token-file": target.token_file, "--token-env": target.token_env}
    named = [option for option, value in given.items() if value is not None]
    if len(named) > 1:
        raise ConfigError(f"{' and '.join(named)} say two things: leave one of them out")
    if target.token_env is not None:
        if not os.environ.get(target.token_env, "").strip():
            raise ConfigError(f"--token-env {target.token_env}: this variable is not set")
        return os.environ[target.token_env]
    return target.token if target.token_file is None else Path(target.token_file)


def _show(report: Report) -> None:
    from eas_grpc.cli._console import styled

    _say(styled(report.address, "title"))
    for names, steps in groupby(report.steps, key=_why_skipped):
        _show_steps(list(steps), skipped=names)
    _say("")
    style = "good" if report.exit == 0 else "bad"
    _say(f"{styled(report.verdict, style)}{_doubt(report.sure)}: {report.sentence}")
    if report.advice:
        _say(f"  What to do: {report.advice}")
    said = report.advice
    for finding in report.findings:
        if finding.id != report.verdict:
            _say(f"Also {finding.id}{_doubt(finding.sure)}: {finding.sentence}")
            if finding.advice != said:
                _say(f"  What to do: {finding.advice}")
            said = finding.advice
        elif finding.evidence:
            _say(f"  Seen: {finding.evidence}")


def _why_skipped(step: Step) -> str:
    return "; ".join(step.evidence) if step.outcome == "skipped" else ""


def _show_steps(steps: list[Step], *, skipped: str) -> None:
    """A line for each step; one for all that were skipped together."""
    from eas_grpc.cli._console import styled

    if skipped:
        names = ", ".join(step.name for step in steps)
        _say(f"  {styled(_SKIPPED, 'quiet')}{names}: {skipped}")
        return
    for step in steps:
        mark = styled(f"{_MARKS[step.outcome]:<8}", _STYLES[step.outcome])
        _say(f"  {mark}{step.name:<11}{step.seconds * 1000:>6.0f} ms  {'; '.join(step.evidence)}".rstrip())


def _doubt(sure: bool) -> str:
    return "" if sure else " (probably)"


def _say(line: str) -> None:
    """A line in whatever letters standard output can write."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    click.echo(line.encode(encoding, "backslashreplace").decode(encoding))
