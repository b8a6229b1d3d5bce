"""The profiles file: what a profile may say, read, checked and refused where somebody else could have written it.

`parse_profiles` is pure; `load_profiles` reads the one TOML file. Where endpoint and token come from in the end is
decided in `settings`; how the file is changed stands in `_profiles_text`.
"""

from __future__ import annotations

import math
import os
import re
import stat
import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from eas_grpc._variables import from_home, variable
from eas_grpc.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "KEYS",
    "Profiles",
    "ReadableTokenWarning",
    "SavedProfile",
    "default_profiles_path",
    "load_profiles",
    "parse_profiles",
    "suggest",
]

FILE, FORMER_FILE = "config.toml", "profiles.toml"
USE = "use"

_TOKENS = ("token", "token_file", "token_env", "token_command")
_FILES = ("token_file", "cacert", "cert", "key")
_TEXTS = ("endpoint", "token", "token_env", "authority", *_FILES)
KEYS = (*_TEXTS, "token_command", "timeout")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)
_TIME = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?\Z", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}

_warned_paths: set[str] = set()


class ReadableTokenWarning(UserWarning):
    """The profiles file holds the text of a token and others on this machine can read it; warned once per file."""


@dataclass(frozen=True, kw_only=True)
class SavedProfile:
    """One table of the profiles file. At most one of the four kinds of token is set."""

    endpoint: str | None = None
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    # Name of an environment variable. Not shown: somebody may have put the token itself here.
    token_env: str | None = field(default=None, repr=False)
    token_command: tuple[str, ...] | None = field(default=None, repr=False)
    cacert: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    authority: str | None = None
    # Seconds.
    timeout: float | None = None


class Profiles(dict[str, SavedProfile]):
    """The profiles by name; `use` is the one that counts where nobody names another."""

    use: str | None = None


def default_profiles_path(environ: Mapping[str, str]) -> Path:
    """`$XDG_CONFIG_HOME/eas-grpc/config.toml`, with `~/.config` where that variable is not set."""
    from pathlib import Path

    config = variable(environ, "XDG_CONFIG_HOME")
    home = variable(environ, "HOME")
    # The XDG base directory specification: a relative path is invalid and to be ignored.
    if config is not None and Path(config).is_absolute():
        return Path(config, "eas-grpc", FILE)
    if home is None:
        raise ConfigError("a profile was asked for, but HOME is not set: set HOME or XDG_CONFIG_HOME")
    return Path(home, ".config", "eas-grpc", FILE)


def load_profiles(path: Path, *, home: str | None = None) -> Profiles:
    """The profiles in this TOML file; a ConfigError where it is missing, unreadable, wrong or open to be changed by others.

    Warns once where it holds a token's text and others may read it.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            text = file.read().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(_missing(path)) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): make it a readable file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8: save it as UTF-8 text") from None
    if os.name == "posix" and found.st_uid not in {0, os.geteuid()}:
        raise ConfigError(f"{path} belongs to another user, who could have it run commands: make it your own")
    others = others_may(found.st_mode, own_group=found.st_gid == found.st_uid)
    if others == "write":
        raise ConfigError(f"{path} can be changed by others, commands included: chmod 600 {path}")
    profiles = parse_profiles(text, path, home=home)
    if others == "read" and any(each.token is not None for each in profiles.values()):
        _warn_readable(path)
    return profiles


def others_may(mode: int, *, own_group: bool) -> str | None:
    """Says "write", "read" or None: what somebody else may do with a file of this mode.

    `own_group`: the file's group is its owner's alone, as Debian makes them; whoever else is in it was let in.
    """
    if os.name != "posix":
        return None
    if mode & stat.S_IWOTH or (mode & stat.S_IWGRP and not own_group):
        return "write"
    return "read" if mode & (stat.S_IROTH | stat.S_IRGRP) else None


def parse_profiles(text: str, path: Path, *, home: str | None = None) -> Profiles:
    """The profiles in this TOML text; `path` is where it came from, `home` stands for `~` in the names of files."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # pyright: ignore[reportMissingImports]

    try:
        tables = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError is one; so is a number of too many digits
        reason, line = _without_place(str(error), last_line=text.count("\n") + 1)
        raise ConfigError(f"{path}:{line} is not valid TOML: {reason}") from None
    except RecursionError:
        raise ConfigError(f"{path} is not valid TOML: it is nested too deeply") from None
    use = tables.pop(USE, None)
    if use is not None and not isinstance(use, str):
        raise ConfigError(f'{path}: {USE} must be the name of a profile in quotation marks: {USE} = "prod"')
    profiles = Profiles({name: _profile(name, table, path, home) for name, table in tables.items()})
    profiles.use = use
    return profiles


def suggest(name: str, known: Iterable[str]) -> str:
    """What to write instead of an unknown name."""
    names = sorted(known)
    import difflib

    close = difflib.get_close_matches(name, names, n=1)
    listed = ", ".join(repr(each) for each in names)
    return f"did you mean {close[0]!r}? There is {listed}" if close else f"write one of {listed}"


def _profile(name: str, table: object, path: Path, home: str | None) -> SavedProfile:
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: {name!r} stands outside of a table: put it below a line such as [prod]")
    values = {key: _value(name, key, value, path) for key, value in table.items()}
    given = [key for key in _TOKENS if key in values]
    if len(given) > 1:
        listed = " and ".join(given[:2])
        raise ConfigError(f"{path}: [{name}] has both {listed}: remove one of them")
    if ("cert" in values) != ("key" in values):
        there, other = ("cert", "key") if "cert" in values else ("key", "cert")
        raise ConfigError(f"{path}: [{name}] has {there} without {other}: give both or none")
    for key in _FILES:
        if key in values:
            values[key] = path.parent / from_home(values[key], home)
    if "token_command" in values:
        values["token_command"] = _from_file(values["token_command"], path, home)
    return SavedProfile(**values)


def _value(name: str, key: str, value: object, path: Path) -> Any:
    """The value as a SavedProfile has it, but for names of files. No message repeats a value: it may be a token."""
    where = f"{path}: {key} of [{name}]"
    if key not in KEYS:
        raise ConfigError(f"{path}: [{name}] has an unknown key {key!r}: {suggest(key, KEYS)}")
    if key == "token_command":
        if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
            raise ConfigError(f'{where} must be a list of texts: ["program", "argument"]; no shell reads it')
        if not value or not value[0].strip():
            raise ConfigError(f"{where} is empty: fill it in or remove the line")
        return tuple(value)
    if key == "timeout":
        return _seconds(value, where)
    if not isinstance(value, str):
        raise ConfigError(f"{where} must be a text in quotation marks, not {type(value).__name__}")
    if not value.strip():
        raise ConfigError(f"{where} is empty: fill it in or remove the line")
    if key == "token_env" and not _NAME.match(value):
        raise ConfigError(f"{where} must be the name of an environment variable, not its value")
    if "\0" in value:
        raise ConfigError(f"{where} has a NUL character: remove it")
    return value


def _seconds(value: object, where: str) -> float:
    wanted = f'{where} must be a length of time above 0: "5s", "500ms" or a number of seconds'
    if isinstance(value, str) and (match := _TIME.match(value.strip())):
        seconds = float(match[1]) * _SECONDS[match[2]]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    else:
        raise ConfigError(wanted)
    if not 0 < seconds < math.inf:
        raise ConfigError(wanted)
    return seconds


def _from_file(command: tuple[str, ...], path: Path, home: str | None) -> tuple[str, ...]:
    """A program that is named with a slash starts at the file; one without is looked for in PATH."""
    program = command[0]
    return (str(path.parent / from_home(program, home)), *command[1:]) if "/" in program else command


def _missing(path: Path) -> str:
    former = path.with_name(FORMER_FILE)
    if path.name == FILE and former.is_file():
        return f"there is no {path}, but the file has its former name: mv {former} {path}"
    return (
        f"a profile was asked for, but there is no {path}: create it with a table such as [prod] that has "
        'endpoint = "...", or unset EAS_PROFILE'
    )


def _warn_readable(path: Path) -> None:
    if str(path) in _warned_paths:
        return
    _warned_paths.add(str(path))
    warnings.warn(
        f"{path} holds a token that others on this machine can read: chmod 600 {path}",
        ReadableTokenWarning,
        stacklevel=3,
    )


def _without_place(message: str, last_line: int) -> tuple[str, int]:
    """The reason, and the line that tomllib names at the end of its message."""
    place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)\Z", message)
    if place is None:
        return message, 1
    return message[: place.start()], int(place[1]) if place[1] else last_line
