"""Where the endpoint and the token come from: the argument, then the environment, then a profile.

Knows no grpc and never looks into a token, nor into a token's file. `resolve` is pure: environment and profiles are
passed in; `find_settings` reads the one TOML file.

    use = "prod"                    # the profile that counts where nobody names an endpoint or a profile

    [prod]
    endpoint = "http://demo.1234.cn-hangzhou.pai-eas.aliyuncs.com/"
    token_env = "DEMO_TOKEN"        # or token_file = "prod.token", token_command = ["vault", "read", ...], token = "..."
    cacert = "ca.pem"               # also cert and key, authority, timeout = "10s"

A relative path starts at this file. An environment variable that is empty counts as unset. A message never repeats
a token. What only a profile needs is imported where it is read: most programs have none, and `import eas_grpc` should
cost little.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from eas_grpc._variables import from_home, variable
from eas_grpc.endpoint import Endpoint
from eas_grpc.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from eas_grpc._profiles import (
        Profiles,
        ReadableTokenWarning,
        SavedProfile,
        default_profiles_path,
        load_profiles,
        parse_profiles,
    )
    from eas_grpc.auth import Token

__all__ = [
    "ARGUMENT",
    "Profiles",
    "ReadableTokenWarning",
    "SavedProfile",
    "Settings",
    "default_profiles_path",
    "find_settings",
    "load_profiles",
    "parse_profiles",
    "resolve",
    "used_profile",
]

ARGUMENT = "the argument"
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*\Z")

_OF_PROFILES = frozenset(
    {
        "Profiles",
        "ReadableTokenWarning",
        "SavedProfile",
        "default_profiles_path",
        "load_profiles",
        "parse_profiles",
    }
)

if not TYPE_CHECKING:  # a type checker would take any name for right

    def __getattr__(name: str) -> Any:
        if name in _OF_PROFILES:
            return getattr(importlib.import_module("eas_grpc._profiles"), name)
        raise AttributeError(f"module 'eas_grpc.settings' has no attribute {name!r}")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to dial and with which token, and for each who said so (`"EAS_TOKEN"`, `"profile 'prod'"`).

    `token` is what `auth.token_source` takes: text, the path of a file, a callable; None where nobody gave one.
    The rest is the profile's, where one was chosen: its name, TLS files, the name to ask for, and seconds for a call.
    """

    endpoint: Endpoint
    endpoint_origin: str
    token: Token | None = field(default=None, repr=False)
    token_origin: str | None = None
    profile: str | None = None
    cacert: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    authority: str | None = None
    timeout: float | None = None


class _Choice(NamedTuple):
    """The name of a profile, and the words that chose it."""

    name: str
    said: str


def find_settings(
    *,
    endpoint: str | Endpoint | None = None,
    token: Token | None = None,
    profile: str | None = None,
    environ: Mapping[str, str],
) -> Settings:
    """`resolve` with the profiles file of this user, which is read only where it is needed."""
    profiles: Mapping[str, SavedProfile] = {}
    if _asked(endpoint, token, environ, profile) is not None:
        from eas_grpc._profiles import default_profiles_path, load_profiles

        profiles = load_profiles(default_profiles_path(environ), home=variable(environ, "HOME"))
    elif not _has_endpoint(endpoint, environ):
        profiles = _load_any(environ)
    return resolve(endpoint=endpoint, token=token, environ=environ, profiles=profiles, profile=profile)


def used_profile(environ: Mapping[str, str]) -> str | None:
    """The profile that counts where nobody names an endpoint or a profile: `use = "prod"` in the file; None without."""
    return _load_any(environ).use


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
    A profile that only `profiles.use` names counts where its own endpoint is dialled, and then all of it; its token
    goes nowhere else.
    Raises ConfigError where no endpoint is found, or what is found cannot be used.
    """
    from eas_grpc.auth import hidden

    choice = _asked(endpoint, token, environ, profile)
    use: str | None = getattr(profiles, "use", None)
    if choice is None and use is not None and not _has_endpoint(endpoint, environ):
        choice = _Choice(use, f"use = {use!r}")
    saved = None if choice is None else _pick(choice, profiles)
    saved_origin = "" if choice is None else f"profile {choice.name!r}"

    if endpoint is not None:
        found, origin = endpoint, ARGUMENT
    elif (text := variable(environ, "EAS_ENDPOINT")) is not None:
        found, origin = text, "EAS_ENDPOINT"
    elif saved is not None and saved.endpoint is not None:
        found, origin = saved.endpoint, saved_origin
    else:
        raise ConfigError(
            "there is no endpoint: pass endpoint='<service>.<uid>.<region>.pai-eas.aliyuncs.com:80', set "
            "EAS_ENDPOINT, or name a profile that has one (EAS_PROFILE)"
        )
    found_token, token_origin = _token(token, environ, saved, saved_origin)
    address = _parse_endpoint(found, origin)
    settled = Settings(
        endpoint=address, endpoint_origin=origin, token=hidden(found_token), token_origin=token_origin
    )
    if choice is None or saved is None:
        return settled
    return replace(
        settled,
        profile=choice.name,
        cacert=saved.cacert,
        cert=saved.cert,
        key=saved.key,
        authority=saved.authority,
        timeout=saved.timeout,
    )


def _load_any(environ: Mapping[str, str]) -> Profiles:
    """The profiles of this user; none where there is no file, or no place for one."""
    from eas_grpc._profiles import Profiles, default_profiles_path, load_profiles

    try:
        path = default_profiles_path(environ)
    except ConfigError:
        return Profiles()
    # Not Path.exists, which raises for a folder that may not be entered (another user's HOME, left by sudo).
    if not os.path.exists(path):  # noqa: PTH110
        return Profiles()
    return load_profiles(path, home=variable(environ, "HOME"))


def _asked(
    endpoint: object, token: object, environ: Mapping[str, str], profile: str | None
) -> _Choice | None:
    """The profile that somebody names. One that the environment names matters only for what is missing."""
    if profile is not None:
        return _Choice(profile, f"profile={profile!r}")
    has_token = token is not None or any(
        variable(environ, name) is not None for name in ("EAS_TOKEN", "EAS_TOKEN_FILE")
    )
    name = None if has_token and _has_endpoint(endpoint, environ) else variable(environ, "EAS_PROFILE")
    return None if name is None else _Choice(name, f"EAS_PROFILE={name}")


def _has_endpoint(endpoint: object, environ: Mapping[str, str]) -> bool:
    return endpoint is not None or variable(environ, "EAS_ENDPOINT") is not None


def _pick(choice: _Choice, profiles: Mapping[str, SavedProfile]) -> SavedProfile:
    from eas_grpc._profiles import suggest

    name, said = choice
    if name in profiles:
        return profiles[name]
    if not profiles:
        raise ConfigError(f"{said} is unknown, there are no profiles: write a table [{name}] into the file")
    raise ConfigError(f"{said} is unknown: {suggest(name, profiles)}")


def _token(
    argument: Token | None, environ: Mapping[str, str], saved: SavedProfile | None, saved_origin: str
) -> tuple[Token | None, str | None]:
    if argument is not None:
        return argument, ARGUMENT
    text, file = variable(environ, "EAS_TOKEN"), variable(environ, "EAS_TOKEN_FILE")
    if text is not None and file is not None:
        raise ConfigError("EAS_TOKEN and EAS_TOKEN_FILE are both set: unset one of them")
    if text is not None:
        return text, "EAS_TOKEN"
    if file is not None:
        return from_home(file, variable(environ, "HOME")), "EAS_TOKEN_FILE"
    found = None if saved is None else _saved_token(environ, saved, saved_origin)
    return found, None if found is None else saved_origin


def _saved_token(environ: Mapping[str, str], saved: SavedProfile, origin: str) -> Token | None:
    if saved.token_env is not None:
        token = variable(environ, saved.token_env)
        if token is None:
            # Whoever wrote the token itself there is not to see it again on the terminal.
            name = f" {saved.token_env}" if _VARIABLE.match(saved.token_env) else ""
            raise ConfigError(
                f"{origin}: the variable{name} that token_env names is not set: set it to the token"
            )
        return token
    if saved.token_command is not None:
        from eas_grpc._token_command import CommandToken

        return CommandToken(saved.token_command, origin)
    return saved.token if saved.token_file is None else saved.token_file


def _parse_endpoint(found: str | Endpoint, origin: str) -> Endpoint:
    try:
        return Endpoint.parse(found)
    except ConfigError as error:
        if origin == ARGUMENT:
            raise
        raise ConfigError(f"{origin}: {error}") from None
