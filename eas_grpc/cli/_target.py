"""The options that say which service is meant, the same for every command that dials."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    import grpc

__all__ = ["LOCAL_ENDPOINT", "LOCAL_TOKEN", "Duration", "open_channel", "target_options"]

# Where `eas-grpc serve` listens, and the token it takes, when nothing else is said.
LOCAL_ENDPOINT = "127.0.0.1:50080"
LOCAL_TOKEN = "demo-token"  # noqa: S105  (no secret: it is printed in the README)

_ENDPOINT_VARIABLES = ("EAS_ENDPOINT", "EAS_PROFILE")
_TOKEN_VARIABLES = ("EAS_TOKEN", "EAS_TOKEN_FILE")

_NOT_LOCAL = (
    f"no endpoint was given, so {LOCAL_ENDPOINT} was tried: start `eas-grpc serve` there, or name a service with"
    " --endpoint, --profile or EAS_ENDPOINT"
)
_NO_TOKEN = "no token was given: pass --token-file or --token, or set EAS_TOKEN"  # noqa: S105
_ENVIRONMENT_TOKEN = (
    f"no endpoint was given, so the token of {{}} went to {LOCAL_ENDPOINT}: name its service with --endpoint or"
    f" EAS_ENDPOINT, or pass --token {LOCAL_TOKEN} for `eas-grpc serve`"
)

_F = TypeVar("_F", bound=Callable[..., Any])
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?\Z")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


class Duration(click.ParamType):  # type: ignore[type-arg]  # click 8.1 has no type argument
    """A length of time such as `500ms`, `2s`, `1m`; a bare number is seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, float):
            return value
        match = _DURATION.match(str(value).strip())
        if match is None or float(match[1]) == 0:
            self.fail(f"{value!r} is not a length of time: write 500ms, 2s or 1m", param, ctx)
        return float(match[1]) * _UNITS[match[2]]


def target_options(command: _F) -> _F:
    """Adds --endpoint, --token, --token-file, --profile and --timeout."""
    options = (
        click.option("-e", "--endpoint", metavar="ADDRESS", help="Address as the console shows it."),
        click.option("--token", metavar="TEXT", help="The service's token; EAS_TOKEN keeps it out of `ps`."),
        click.option(
            "--token-file",
            type=click.Path(exists=True, dir_okay=False),
            help="File that holds the token.",
        ),
        click.option("--profile", metavar="NAME", help="Profile of the profile file; see `eas-grpc env`."),
        click.option(
            "--timeout",
            type=Duration(),
            default=5.0,
            metavar="TIME",
            help="Longest time for a call (default 5s).",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@contextmanager
def open_channel(
    endpoint: str | None, token: str | None, token_file: str | None, profile: str | None, timeout: float
) -> Iterator[grpc.Channel]:
    """A channel to what the options and the environment name; without any of them, to a local `serve`."""
    from pathlib import Path

    import eas_grpc
    from eas_grpc.errors import CallError, ConfigError, Origin
    from eas_grpc.settings import find_settings

    if token is not None and token_file is not None:
        raise ConfigError("--token and --token-file say two things: leave one of them out")
    given = token if token_file is None else Path(token_file)
    named = endpoint is not None or profile is not None
    local = not named and not _any_set(_ENDPOINT_VARIABLES)
    if local and given is None and not _any_set(_TOKEN_VARIABLES):
        # The demo token goes to the demo server only.
        given = LOCAL_TOKEN
    found = find_settings(
        endpoint=LOCAL_ENDPOINT if local else endpoint, token=given, profile=profile, environ=os.environ
    )
    try:
        with eas_grpc.connect(found.endpoint, token=found.token, deadline=timeout) as channel:
            yield channel
    except CallError as error:
        failure = error.failure
        if local and failure.status == "UNAVAILABLE" and failure.origin is Origin.CLIENT:
            raise CallError(failure.with_hint(_NOT_LOCAL)) from error
        if found.token is None and failure.status == "UNAUTHENTICATED":
            raise CallError(failure.with_hint(_NO_TOKEN)) from error
        if local and found.token_origin in _TOKEN_VARIABLES and failure.status == "UNAUTHENTICATED":
            raise CallError(failure.with_hint(_ENVIRONMENT_TOKEN.format(found.token_origin))) from error
        raise


def _any_set(names: tuple[str, ...]) -> bool:
    """Whether the environment has one of them; an empty variable counts as unset."""
    return any(os.environ.get(name, "").strip() for name in names)
