"""`eas-grpc profile`: services by name, each with its endpoint, where its token is, and its certificates."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from eas_grpc.cli._completion import complete_profiles
from eas_grpc.cli._types import Duration

if TYPE_CHECKING:
    from pathlib import Path

    from eas_grpc.settings import Profiles, SavedProfile

__all__ = ["profile"]

_EMPTY = "there are no profiles: eas-grpc profile add NAME --endpoint ADDRESS --token-env NAME"
_VARIABLES = {"endpoint": ("EAS_ENDPOINT",), "token": ("EAS_TOKEN", "EAS_TOKEN_FILE")}


@click.group()
def profile() -> None:
    """Name services once: endpoint, token reference, certificates.

    A profile is a table of `~/.config/eas-grpc/config.toml` (or `$XDG_CONFIG_HOME/eas-grpc/config.toml`). It is chosen by
    --profile, by EAS_PROFILE, or by `eas-grpc profile use`. An option or an EAS_ variable wins over what it says. The
    profile of `use` counts only for its own endpoint: its token goes nowhere else.
    """


@profile.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_(*, as_json: bool) -> None:
    """Print the profiles, without secrets."""
    path, profiles = _load()
    current, why = _current(os.environ, profiles)
    if as_json:
        _print_json(
            {
                "file": str(path),
                "current": current,
                "profiles": {name: _facts(each) for name, each in profiles.items()},
            }
        )
        return
    if not profiles:
        click.echo(_EMPTY, err=True)
        return
    from eas_grpc.cli._console import table

    table(
        ["name", "endpoint", "token", "chosen by"],
        [
            [name, _safe(each.endpoint), _token_words(each), why if name == current else ""]
            for name, each in profiles.items()
        ],
    )


@profile.command()
@click.argument("name", required=False, shell_complete=complete_profiles)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(*, name: str | None, as_json: bool) -> None:
    """Print a profile and where each value comes from, without secrets.

    Without NAME, the one that counts now. What an EAS_ variable says instead of the profile is shown as what it is: in
    the profile's place.
    """
    from eas_grpc.cli._console import table
    from eas_grpc.errors import ConfigError

    path, profiles = _load()
    current, why = _current(os.environ, profiles)
    wanted = current if name is None else name
    if wanted is None:
        raise ConfigError("no profile is chosen: name one, or choose it with `eas-grpc profile use NAME`")
    saved = _existing(profiles, wanted, path)
    values = effective(saved, os.environ, str(path))
    if as_json:
        rows = {key: {"value": value, "from": origin} for key, (value, origin) in values.items()}
        _print_json({"profile": wanted, "chosen_by": why if wanted == current else None, "values": rows})
        return
    table(["key", "value", "from"], [[key, value, origin] for key, (value, origin) in values.items()])


@profile.command()
@click.argument("name")
@click.option("-e", "--endpoint", metavar="ADDRESS", help="Address as the console shows it.")
@click.option("--token-env", metavar="NAME", help="Environment variable that holds the token.")
@click.option(
    "--token-file", metavar="FILE", type=click.Path(dir_okay=False), help="File that holds the token."
)
@click.option(
    "--token-command", metavar="COMMAND", help="Program that prints the token, e.g. 'vault read ...'."
)
@click.option(
    "--token-stdin", is_flag=True, help="Keep the token itself in the file; it is read from a pipe."
)
@click.option(
    "--cacert", metavar="FILE", type=click.Path(dir_okay=False), help="Certificates to trust (PEM)."
)
@click.option("--cert", metavar="FILE", type=click.Path(dir_okay=False), help="Our own certificate (PEM).")
@click.option("--key", metavar="FILE", type=click.Path(dir_okay=False), help="The key of --cert (PEM).")
@click.option("--authority", metavar="NAME", help="Name to ask for, and to find in the certificate.")
@click.option("--timeout", type=Duration(), metavar="TIME", help="Longest time for a call.")
@click.option("--use", "use_it", is_flag=True, help="The same as `eas-grpc profile use NAME` after it.")
@click.option("--force", is_flag=True, help="Replace a profile of that name.")
def add(*, name: str, use_it: bool, force: bool, **given: Any) -> None:
    """Write a profile into the file.

    The token stays where it is: name a variable, a file, or a command, which is run without a shell when the token is
    first needed and again when it was refused. Everything else in the file is left as it is.
    """
    from eas_grpc._profiles import parse_profiles
    from eas_grpc._profiles_text import change, with_profile, with_use
    from eas_grpc.endpoint import Endpoint
    from eas_grpc.errors import ConfigError

    path, profiles = _load()
    if name == "use" or not name.strip() or not name.isprintable():
        raise ConfigError(f"{name!r} cannot be the name of a profile: choose another")
    if name in profiles and not force:
        raise ConfigError(f"there is a profile {name!r}: choose another name, or --force to replace it")
    if given["endpoint"] is not None:
        Endpoint.parse(given["endpoint"])
    elif use_it:
        raise ConfigError("--use is for a profile with an --endpoint: without one it would never count")
    values = _values(given)
    if not values:
        raise ConfigError("an empty profile says nothing: give it at least --endpoint or a token option")

    def edit(text: str) -> str:
        # Somebody may have added it since.
        if not force and name in parse_profiles(text, path):
            raise ConfigError(f"there is a profile {name!r}: choose another name, or --force to replace it")
        changed = with_profile(text, name, values, path)
        return with_use(changed, name, path) if use_it else changed

    change(path, edit)
    click.echo(f"profile {name!r} is in {path}", err=True)


@profile.command()
@click.argument("name", required=False, shell_complete=complete_profiles)
@click.option("--none", is_flag=True, help="No profile counts unless it is named.")
def use(*, name: str | None, none: bool) -> None:
    """Choose the profile that counts where nothing else names an endpoint or a profile."""
    from eas_grpc._profiles_text import change, with_use
    from eas_grpc.errors import ConfigError

    if (name is None) != none:
        raise click.UsageError("give either NAME or --none")
    path, profiles = _load()
    if name is None:
        if profiles.use is not None:
            change(path, lambda text: with_use(text, None, path))
        click.echo("no profile counts unless it is named", err=True)
        return
    if _existing(profiles, name, path).endpoint is None:
        raise ConfigError(f"profile {name!r} has no endpoint, so `use` would mean nothing: give it one first")
    change(path, lambda text: with_use(text, name, path))
    click.echo(f"profile {name!r} counts where nothing else is named", err=True)
    if os.environ.get("EAS_ENDPOINT", "").strip() or os.environ.get("EAS_PROFILE", "").strip():
        click.echo("but in this shell EAS_ENDPOINT or EAS_PROFILE is set, which wins", err=True)


@profile.command()
@click.argument("name", shell_complete=complete_profiles)
def remove(*, name: str) -> None:
    """Take a profile out of the file."""
    from eas_grpc._profiles_text import change, without_profile

    path, profiles = _load()
    _existing(profiles, name, path)
    change(path, lambda text: without_profile(text, name, path))
    click.echo(f"profile {name!r} is no longer in {path}", err=True)


def effective(saved: SavedProfile, environ: Mapping[str, str], path: str) -> dict[str, tuple[str, str]]:
    """For each key what counts, masked, and who says so: a variable wins over the profile."""
    values = {key: (str(value), path) for key, value in _facts(saved).items()}
    for key, names in _VARIABLES.items():
        for name in names:
            value = environ.get(name, "").strip()
            if value:
                shown = "***" if name == "EAS_TOKEN" else _safe(value)
                values[key] = (shown, f"{name}, which wins over the profile" if key in values else name)
    return values


def _facts(saved: SavedProfile) -> dict[str, Any]:
    """A profile as data that may be shown."""
    facts = {
        "endpoint": None if saved.endpoint is None else _safe(saved.endpoint),
        "token": _token_words(saved) or None,
        "cacert": saved.cacert,
        "cert": saved.cert,
        "key": saved.key,
        "authority": saved.authority,
        "timeout": None if saved.timeout is None else f"{saved.timeout:g}s",
    }
    return {key: str(value) for key, value in facts.items() if value is not None}


def _token_words(saved: SavedProfile) -> str:
    """Where the token is; nothing of what it is, even where somebody wrote it into the wrong key."""
    if saved.token is not None:
        return "*** (in the file)"
    if saved.token_file is not None:
        return f"file {saved.token_file}"
    if saved.token_env is not None:
        # Names of variables are in capitals; anything else may be the token itself.
        return f"variable {saved.token_env}" if saved.token_env.isupper() else "variable ***"
    if saved.token_command is not None:
        program, *more = saved.token_command
        return f"command {program}{' ...' if more else ''}"
    return ""


def _safe(endpoint: str | None) -> str:
    """The endpoint without a user and a password, where somebody left them in."""
    scheme, separator, rest = (endpoint or "").rpartition("://")
    return scheme + separator + rest.rpartition("@")[2]


def _current(environ: Mapping[str, str], profiles: Profiles) -> tuple[str | None, str]:
    """The profile that counts now, and what chose it."""
    chosen = environ.get("EAS_PROFILE", "").strip()
    if chosen:
        return chosen, "EAS_PROFILE"
    if profiles.use is not None and not environ.get("EAS_ENDPOINT", "").strip():
        return profiles.use, "use"
    return None, ""


def _load() -> tuple[Path, Profiles]:
    """The file and what is in it; no profiles where there is no file, unless it has its former name."""
    from eas_grpc._profiles import FORMER_FILE
    from eas_grpc.settings import Profiles, default_profiles_path, load_profiles

    path = default_profiles_path(os.environ)
    if not os.path.exists(path) and not os.path.exists(path.with_name(FORMER_FILE)):  # noqa: PTH110
        return path, Profiles()
    return path, load_profiles(path, home=os.environ.get("HOME"))


def _existing(profiles: Profiles, name: str, path: Path) -> SavedProfile:
    from eas_grpc._profiles import suggest
    from eas_grpc.errors import ConfigError

    if not profiles:
        raise ConfigError(_EMPTY)
    if name not in profiles:
        raise ConfigError(f"there is no profile {name!r} in {path}: {suggest(name, profiles)}")
    return profiles[name]


def _values(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is written: names of files as absolute paths, the command in its parts, the token only from a pipe."""
    from eas_grpc.errors import ConfigError

    tokens = ("token_env", "token_file", "token_command", "token_stdin")
    named = [f"--{key.replace('_', '-')}" for key in tokens if given[key]]
    if len(named) > 1:
        raise ConfigError(f"{' and '.join(named)} say two things: leave one of them out")
    values: dict[str, Any] = {}
    for key, value in given.items():
        if value is None or value is False:
            continue
        if key == "token_stdin":
            values["token"] = _piped_token()
        elif key == "token_command":
            values[key] = _parts(value)
        elif key in {"token_file", "cacert", "cert", "key"}:
            values[key] = os.path.abspath(value)  # noqa: PTH100
        else:
            values[key] = f"{value:g}s" if key == "timeout" else value
    return values


def _parts(command: str) -> list[str]:
    import shlex

    from eas_grpc.errors import ConfigError

    try:
        parts = shlex.split(command)
    except ValueError as error:
        raise ConfigError(f"--token-command cannot be read: {error}") from None
    if not parts:
        raise ConfigError("--token-command is empty: write the program and its arguments")
    if "/" in parts[0]:
        parts[0] = os.path.abspath(parts[0])  # noqa: PTH100
    return parts


def _piped_token() -> str:
    import sys

    from eas_grpc.auth import check_token
    from eas_grpc.errors import ConfigError

    if sys.stdin is None or sys.stdin.isatty():
        raise ConfigError(
            "--token-stdin reads a pipe: some-program | eas-grpc profile add NAME --token-stdin"
        )
    try:
        return check_token(sys.stdin.read(64 * 1024))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"--token-stdin cannot be read: {getattr(error, 'strerror', None) or 'no text'}"
        ) from None


def _print_json(found: Any) -> None:
    import json

    click.echo(json.dumps(found, indent=2))
