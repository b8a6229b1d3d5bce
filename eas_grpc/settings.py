"""Where the endpoint and the token come from: the argument, then the environment, then a profile.

Knows no grpc and never looks into a token, nor into a token's file. `resolve` and `parse_profiles` are pure:
environment and file contents are passed in; `load_profiles` and `find_settings` read the one TOML file.

    [prod]
    endpoint = "http://demo.1234.cn-hangzhou.pai-eas.aliyuncs.com/"
    token_file = "prod.token"       # or token = "..."; a relative path starts at this file

An environment variable that is empty counts as unset. A message never repeats a token. What only a profile needs is imported where it is
read: most programs have none, and `import eas_grpc` should cost little.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from eas_grpc.endpoint import Endpoint
from eas_grpc.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from eas_grpc.auth import Token

__all__ = [
    "ARGUMENT",
    "SavedProfile",
    "Settings",
    "default_profiles_path",
    "find_settings",
    "load_profiles",
    "parse_profiles",
    "resolve",
]

_KEYS = ("endpoint", "token", "token_file")
ARGUMENT = "the argument"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to dial and with which token, and for each who said so (`"EAS_TOKEN"`, `"profile 'prod'"`).

    `token` is what `auth.token_source` takes: text, the path of a file, a callable; None where nobody gave one.
    """

    endpoint: Endpoint
    endpoint_origin: str
    token: Token | None = field(default=None, repr=False)
    token_origin: str | None = None


@dataclass(frozen=True, kw_only=True)
class SavedProfile:
    """One table of the profiles file. At most one of `token` and `token_file` is set."""

    endpoint: str | None = None
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None


def find_settings(
    *,
    endpoint: str | Endpoint | None = None,
    token: Token | None = None,
    profile: str | None = None,
    environ: Mapping[str, str],
) -> Settings:
    """`resolve` with the profiles file of this user, which is read only where it is needed."""
    profiles: Mapping[str, SavedProfile] = {}
    wanted = _wanted_profile(endpoint, token, environ, profile)
    if wanted is not None:
        profiles = load_profiles(default_profiles_path(environ), home=_variable(environ, "HOME"))
    return resolve(endpoint=endpoint, token=token, environ=environ, profiles=profiles, profile=profile)


def resolve(
    *,
    endpoint: str | Endpoint | None,
    token: Token | None,
    environ: Mapping[str, str],
    profiles: Mapping[str, SavedProfile],
    profile: str | None = None,
) -> Settings:
    """Endpoint and token, each from the first that has it: argument, environment, profile.

    Environment: `EAS_ENDPOINT`; `EAS_TOKEN` or `EAS_TOKEN_FILE`; `EAS_PROFILE`, where `profile` is None.
    Raises ConfigError where no endpoint is found, or what is found cannot be used.
    """
    from eas_grpc.auth import hidden

    saved, saved_origin = SavedProfile(), ""
    wanted = _wanted_profile(endpoint, token, environ, profile)
    if wanted is not None:
        saved, saved_origin = _pick(wanted, profiles, profile), f"profile {wanted!r}"

    if endpoint is not None:
        found, origin = endpoint, ARGUMENT
    elif (variable := _variable(environ, "EAS_ENDPOINT")) is not None:
        found, origin = variable, "EAS_ENDPOINT"
    elif saved.endpoint is not None:
        found, origin = saved.endpoint, saved_origin
    else:
        raise ConfigError(
            "there is no endpoint: pass endpoint='<service>.<uid>.<region>.pai-eas.aliyuncs.com:80', set "
            "EAS_ENDPOINT, or name a profile that has one (EAS_PROFILE)"
        )
    found_token, token_origin = _token(token, environ, saved, saved_origin)
    return Settings(
        endpoint=_parse_endpoint(found, origin),
        endpoint_origin=origin,
        token=hidden(found_token),
        token_origin=token_origin,
    )


def default_profiles_path(environ: Mapping[str, str]) -> Path:
    """`$XDG_CONFIG_HOME/eas-grpc/profiles.toml`, with `~/.config` where that variable is not set."""
    from pathlib import Path

    config = _variable(environ, "XDG_CONFIG_HOME")
    home = _variable(environ, "HOME")
    # The XDG base directory specification: a relative path is invalid and to be ignored.
    if config is not None and Path(config).is_absolute():
        return Path(config, "eas-grpc", "profiles.toml")
    if home is None:
        raise ConfigError("a profile was asked for, but HOME is not set: set HOME or XDG_CONFIG_HOME")
    return Path(home, ".config", "eas-grpc", "profiles.toml")


def load_profiles(path: Path, *, home: str | None = None) -> dict[str, SavedProfile]:
    """The profiles in this TOML file; a ConfigError where it is missing, unreadable or wrong."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"a profile was asked for, but there is no {path}: create it with a table such as [prod] that has "
            'endpoint = "...", or unset EAS_PROFILE'
        ) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): make it a readable file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8: save it as UTF-8 text") from None
    return parse_profiles(text, path, home=home)


def parse_profiles(text: str, path: Path, *, home: str | None = None) -> dict[str, SavedProfile]:
    """The profiles in this TOML text; `path` is where it came from, `home` stands for `~` in `token_file`."""
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
    return {name: _profile(name, table, path, home) for name, table in tables.items()}


def _wanted_profile(
    endpoint: object, token: object, environ: Mapping[str, str], profile: str | None
) -> str | None:
    """The name of the profile to look at. One that the environment names matters only for what is missing."""
    if profile is not None:
        return profile
    has_endpoint = endpoint is not None or _variable(environ, "EAS_ENDPOINT") is not None
    has_token = token is not None or any(
        _variable(environ, name) is not None for name in ("EAS_TOKEN", "EAS_TOKEN_FILE")
    )
    return None if has_endpoint and has_token else _variable(environ, "EAS_PROFILE")


def _pick(name: str, profiles: Mapping[str, SavedProfile], argument: str | None) -> SavedProfile:
    if name in profiles:
        return profiles[name]
    asked = f"EAS_PROFILE={name}" if argument is None else f"profile={name!r}"
    if not profiles:
        raise ConfigError(f"{asked} is unknown, there are no profiles: write a table [{name}] into the file")
    raise ConfigError(f"{asked} is unknown: {_suggest(name, profiles)}")


def _token(
    argument: Token | None, environ: Mapping[str, str], saved: SavedProfile, saved_origin: str
) -> tuple[Token | None, str | None]:
    if argument is not None:
        return argument, ARGUMENT
    text, file = _variable(environ, "EAS_TOKEN"), _variable(environ, "EAS_TOKEN_FILE")
    if text is not None and file is not None:
        raise ConfigError("EAS_TOKEN and EAS_TOKEN_FILE are both set: unset one of them")
    if text is not None:
        return text, "EAS_TOKEN"
    if file is not None:
        return _from_home(file, _variable(environ, "HOME")), "EAS_TOKEN_FILE"
    if saved.token is not None:
        return saved.token, saved_origin
    if saved.token_file is not None:
        return saved.token_file, saved_origin
    return None, None


def _parse_endpoint(found: str | Endpoint, origin: str) -> Endpoint:
    try:
        return Endpoint.parse(found)
    except ConfigError as error:
        if origin == ARGUMENT:
            raise
        raise ConfigError(f"{origin}: {error}") from None


def _profile(name: str, table: object, path: Path, home: str | None) -> SavedProfile:
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: {name!r} stands outside of a table: put it below a line such as [prod]")
    for key, value in table.items():
        if key not in _KEYS:
            raise ConfigError(f"{path}: [{name}] has an unknown key {key!r}: {_suggest(key, _KEYS)}")
        if not isinstance(value, str):
            raise ConfigError(
                f"{path}: {key} of [{name}] must be a text in quotation marks, not {type(value).__name__}"
            )
        if not value.strip():
            raise ConfigError(f"{path}: {key} of [{name}] is empty: fill it in or remove the line")
    if "token" in table and "token_file" in table:
        raise ConfigError(f"{path}: [{name}] has both token and token_file: remove one of them")
    file = table.get("token_file")
    return SavedProfile(
        endpoint=table.get("endpoint"),
        token=table.get("token"),
        token_file=None if file is None else path.parent / _from_home(file, home),
    )


def _variable(environ: Mapping[str, str], name: str) -> str | None:
    value = environ.get(name, "").strip()
    return value or None


def _from_home(file: str, home: str | None) -> Path:
    from pathlib import Path

    return Path(home, file[2:]) if home is not None and file.startswith("~/") else Path(file)


def _suggest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    import difflib

    close = difflib.get_close_matches(name, names, n=1)
    listed = ", ".join(repr(each) for each in names)
    return f"did you mean {close[0]!r}? There is {listed}" if close else f"write one of {listed}"


def _without_place(message: str, last_line: int) -> tuple[str, int]:
    """The reason, and the line that tomllib names at the end of its message."""
    place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)\Z", message)
    if place is None:
        return message, 1
    return message[: place.start()], int(place[1]) if place[1] else last_line
