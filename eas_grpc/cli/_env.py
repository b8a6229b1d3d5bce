"""`eas-grpc env`: the versions and settings that decide how calls from here behave."""

from __future__ import annotations

import os
from typing import Any

import click

__all__ = ["env", "report"]

_PACKAGES = ("eas-grpc", "grpcio", "protobuf", "numpy", "grpcio-health-checking", "grpcio-reflection", "rich")
_PROXIES = ("http_proxy", "https_proxy", "grpc_proxy", "no_proxy", "no_grpc_proxy", "NO_PROXY")
_TOKENS = ("EAS_TOKEN", "EAS_TOKEN_FILE")
_SETTINGS = ("EAS_ENDPOINT", "EAS_TOKEN", "EAS_TOKEN_FILE", "EAS_PROFILE")

# Packages that are seen beside this one and what they do to the environment (metadata of their releases).
_CONFLICTS = {
    "eas-prediction": "the vendor's HTTP SDK works only with protobuf <= 3.20.3: give it an environment of its own",
    "tritonclient": "its gRPC extra pins protobuf and grpcio: check `pip check`",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def env(*, as_json: bool) -> None:
    """Print versions, settings and proxies, without secrets.

    Good to paste into a bug report: the token is masked, and so are user names in proxy addresses.
    """
    found = report(os.environ)
    if as_json:
        import json

        click.echo(json.dumps(found, indent=2))
        return
    for section, rows in found.items():
        click.echo(section)
        for name, value in rows.items() or [("none", "")]:
            click.echo(f"  {name:<24} {value}".rstrip())


def report(environ: Any) -> dict[str, dict[str, str]]:
    """What the command prints, by section."""
    import platform

    settings = {name: _shown(name, environ.get(name)) for name in _SETTINGS}
    settings |= _profile_file(environ) | _resolved(environ)
    found = {
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES},
        "settings": settings,
        "proxies": {name: _without_user(environ[name]) for name in _PROXIES if environ.get(name)},
        "conflicts": {name: why for name, why in _CONFLICTS.items() if _version(name) != "not installed"},
    }
    if environ.get("NO_PROXY") and not environ.get("no_proxy"):
        found["conflicts"]["NO_PROXY"] = "grpc reads only the lower-case no_proxy: set that one too"
    if all(environ.get(name, "").strip() for name in _TOKENS):
        found["conflicts"][" and ".join(_TOKENS)] = "both are set: unset one of them"
    return found


def _profile_file(environ: Any) -> dict[str, str]:
    from eas_grpc._profiles import FORMER_FILE
    from eas_grpc.errors import ConfigError
    from eas_grpc.settings import default_profiles_path, load_profiles

    try:
        path = default_profiles_path(environ)
    except ConfigError as error:
        return {"profile file": str(error)}
    if not _is_file(str(path)):
        former = path.with_name(FORMER_FILE)
        known = f"none, but {former} has its former name: rename it" if _is_file(str(former)) else "none"
        return {"profile file": f"{path} ({known})"}
    found = {"profile file": f"{path} (found)"}
    try:
        profiles = load_profiles(path, home=environ.get("HOME"))
    except ConfigError as error:
        return found | {"profiles": str(error)}
    found["profiles"] = ", ".join(profiles) or "none"
    return found if profiles.use is None else found | {"profile in use": profiles.use}


def _resolved(environ: Any) -> dict[str, str]:
    """What a program that passes nothing would dial, or the error that it would get."""
    from eas_grpc.errors import ConfigError
    from eas_grpc.settings import find_settings

    try:
        found = find_settings(environ=environ)
    except ConfigError as error:
        return {"resolved endpoint": str(error)}
    token = "none" if found.token_origin is None else f"*** (from {found.token_origin})"
    return {
        "resolved endpoint": f"{found.endpoint} (from {found.endpoint_origin})",
        "resolved token": token,
    }


def _version(name: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _shown(name: str, value: str | None) -> str:
    if not value:
        return "not set"
    if name == "EAS_TOKEN":
        return "set (***)"
    if name == "EAS_TOKEN_FILE":
        return value if _is_file(value) else f"{value} (does not exist)"
    return _without_user(value)


def _is_file(name: str) -> bool:
    from pathlib import Path

    try:
        return Path(name).expanduser().is_file()
    except (OSError, ValueError, RuntimeError):
        return False


def _without_user(url: str) -> str:
    scheme, separator, rest = url.rpartition("://")
    return scheme + separator + rest.rpartition("@")[2]
