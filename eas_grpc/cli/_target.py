"""The options that say which service is meant and how it is reached, the same for every command that dials."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from eas_grpc.cli._completion import complete_profiles
from eas_grpc.cli._types import Duration, Metadatum, Size

if TYPE_CHECKING:
    from pathlib import Path

    import grpc

    from eas_grpc.auth import Token
    from eas_grpc.endpoint import Endpoint
    from eas_grpc.settings import Settings

__all__ = [
    "LOCAL_ENDPOINT",
    "LOCAL_TOKEN",
    "Resolved",
    "Target",
    "ask_for_token",
    "missing_option",
    "target_options",
]

# Where `eas-grpc serve` listens, and the token it takes, when nothing else is said.
LOCAL_ENDPOINT = "127.0.0.1:50080"
LOCAL_TOKEN = "demo-token"  # noqa: S105  (no secret: it is printed in the README)
DEFAULT_TIMEOUT = 5.0

_INTERRUPTED, _CLOSING_SECONDS = 130, 1.0

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


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What a command dials: the address, the token and who gave it, and the words for `connect()`."""

    endpoint: Endpoint
    # Nobody named an endpoint: it is that of a local `eas-grpc serve`.
    local: bool
    token: Token | None = field(repr=False)
    token_origin: str | None
    connect: dict[str, Any] = field(repr=False)
    # Certificates to trust, our own, and its key: for another process, which cannot be given credentials.
    tls_files: tuple[Path | None, Path | None, Path | None]


@dataclass(frozen=True, kw_only=True)
class Target:
    """What the options of a command say; nothing is read or dialled before it is asked for."""

    endpoint: str | None
    token: str | None = field(repr=False)
    token_file: str | None
    token_env: str | None
    profile: str | None
    # Seconds; None where nobody wrote --timeout.
    said_timeout: float | None
    tls: bool | None
    cacert: str | None
    cert: str | None
    key: str | None
    authority: str | None
    metadata: tuple[tuple[str, str | bytes], ...] = field(repr=False)
    max_message: int | None
    proxy: bool | None

    @property
    def timeout(self) -> float:
        """Seconds for a call, unless a profile says otherwise."""
        return self.said_timeout or DEFAULT_TIMEOUT

    @property
    def brings_authorization(self) -> bool:
        """Whether -H has an `authorization` of its own, which replaces any token."""
        return any(name == "authorization" for name, _ in self.metadata)

    @property
    def timeout_given(self) -> bool:
        """Whether --timeout was written."""
        return self.said_timeout is not None

    def resolved(self) -> Resolved:
        """The endpoint, the token and the way to connect, found out once; a ConfigError where the options cannot work."""
        found: Resolved | None = self.__dict__.get("_found")
        if found is None:
            # A second look could find another token than the one that is kept out of sight.
            found = self.__dict__["_found"] = self._resolve()
        return found

    def _resolve(self) -> Resolved:
        from eas_grpc.errors import ConfigError
        from eas_grpc.settings import find_settings, used_profile

        unnamed = self.endpoint is None and self.profile is None and not _any_set(_ENDPOINT_VARIABLES)
        local = unnamed and used_profile(os.environ) is None
        token = self._given_token()
        if token is not None and self.brings_authorization:
            raise ConfigError("-H authorization and a token option say two things: leave one of them out")
        if local and token is None and not _any_set(_TOKEN_VARIABLES):
            # The demo token goes to the demo server only.
            token = LOCAL_TOKEN
        found = find_settings(
            endpoint=LOCAL_ENDPOINT if local else self._given_endpoint(),
            token=token,
            profile=self.profile,
            environ=os.environ,
        )
        endpoint = self._with_scheme(found.endpoint)
        timeout = self.said_timeout or found.timeout or DEFAULT_TIMEOUT
        return Resolved(
            endpoint=endpoint,
            local=local,
            token=found.token,
            token_origin=found.token_origin,
            connect=self._words(found, endpoint) | {"deadline": timeout},
            tls_files=self._files(found),
        )

    @contextmanager
    def channel(self) -> Iterator[grpc.Channel]:
        """A channel to what the options and the environment name; its errors say which option is missing."""
        import eas_grpc
        from eas_grpc.errors import CallError

        found = self.resolved()
        ask_for_token(found)
        # grpc waits for ever for the end of a call whose start was interrupted (grpcio 1.85, 1 in 60 under load).
        way_out = threading.Timer(_CLOSING_SECONDS, os._exit, (_INTERRUPTED,))
        way_out.daemon = True
        try:
            with eas_grpc.connect(found.endpoint, token=found.token, **found.connect) as channel:
                try:
                    yield channel
                except KeyboardInterrupt:
                    way_out.start()
                    raise
        except CallError as error:
            hint = missing_option(found, error)
            if hint is None:
                raise
            raise CallError(error.failure.with_hint(hint)) from error
        finally:
            way_out.cancel()

    def _given_token(self) -> Token | None:
        from pathlib import Path

        from eas_grpc.errors import ConfigError

        given = {
            "--token": self.token,
            "--token-file": self.token_file,
            "--token-env": self.token_env,
        }
        named = [option for option, value in given.items() if value is not None]
        if len(named) > 1:
            raise ConfigError(f"{' and '.join(named)} say two things: leave one of them out")
        if self.token_env is not None:
            value = os.environ.get(self.token_env, "").strip()
            if not value:
                raise ConfigError(f"--token-env {self.token_env}: this variable is not set")
            return value
        return self.token if self.token_file is None else Path(self.token_file)

    def _given_endpoint(self) -> str | None:
        """The text of --endpoint with the scheme that --tls or --plaintext mean, so that its port fits."""
        if self.endpoint is None or self.tls is None or "://" in self.endpoint or ":/" in self.endpoint:
            return self.endpoint
        return f"{'https' if self.tls else 'http'}://{self.endpoint}"

    def _with_scheme(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint as --tls or --plaintext want it; a ConfigError where its own scheme says otherwise."""
        from eas_grpc.errors import ConfigError

        if self.tls is False and endpoint.tls:
            raise ConfigError(f"--plaintext, but {endpoint} says https: leave one of them out")
        if self.tls and not endpoint.tls:
            if self.endpoint is not None and self.endpoint.lower().startswith(("http:", "grpc:")):
                raise ConfigError(
                    f"--tls, but {self.endpoint.partition(':')[0]}:// is plaintext: write https://"
                )
            return replace(endpoint, tls=True, port=443 if endpoint.port == 80 else endpoint.port)
        return endpoint

    def _files(self, found: Settings) -> tuple[Path | None, Path | None, Path | None]:
        from pathlib import Path

        said = (self.cacert, self.cert, self.key)
        cacert, cert, key = (None if path is None else Path(path) for path in said)
        return cacert or found.cacert, cert or found.cert, key or found.key

    def _words(self, found: Settings, endpoint: Endpoint) -> dict[str, Any]:
        from eas_grpc.errors import ConfigError
        from eas_grpc.rpc._credentials import authority_option, credentials_from_files

        words: dict[str, Any] = {}
        given = {"--cacert": self.cacert, "--cert": self.cert, "--key": self.key}
        named = [option for option, path in given.items() if path is not None]
        if named and not endpoint.tls:
            raise ConfigError(
                f"{named[0]} is for TLS, but {endpoint} is plaintext: add --tls, or write https://"
            )
        if endpoint.tls:
            words["credentials"] = credentials_from_files(*self._files(found))
        authority = self.authority or found.authority
        if authority is not None:
            words["options"] = [authority_option(authority, tls=endpoint.tls)]
        if self.max_message is not None:
            words["max_request"] = words["max_response"] = self.max_message
        if self.proxy is not None:
            words["proxy"] = self.proxy
        return words


def ask_for_token(found: Resolved) -> None:
    """Asks a token's command now: one that fails is a setting that does not work, and no failed call."""
    if callable(found.token):
        found.token()


def missing_option(found: Resolved, error: Any) -> str | None:
    """What to add on the command line, where a call failed because something was not said; else None."""
    from eas_grpc.errors import Origin

    failure = error.failure
    if found.local and failure.status == "UNAVAILABLE" and failure.origin is Origin.CLIENT:
        return _NOT_LOCAL
    if failure.status != "UNAUTHENTICATED":
        return None
    if found.token is None:
        return _NO_TOKEN
    if found.local and found.token_origin in _TOKEN_VARIABLES:
        return _ENVIRONMENT_TOKEN.format(found.token_origin)
    return None


def target_options(command: _F) -> _F:
    """Adds the options to a command, which gets them as one `target: Target`."""
    file = click.Path(exists=True, dir_okay=False)
    options = (
        click.option("-e", "--endpoint", metavar="ADDRESS", help="Address as the console shows it."),
        click.option("--token", metavar="TEXT", help="The service's token; EAS_TOKEN keeps it out of `ps`."),
        click.option("--token-file", type=file, help="File that holds the token."),
        click.option("--token-env", metavar="NAME", help="Environment variable that holds the token."),
        click.option(
            "--profile",
            metavar="NAME",
            help="Profile to use; see `eas-grpc profile list`.",
            shell_complete=complete_profiles,
        ),
        click.option(
            "--timeout",
            "said_timeout",
            type=Duration(),
            metavar="TIME",
            help="Longest time for a call (default 5s).",
        ),
        click.option("--tls/--plaintext", default=None, help="Where the address does not say."),
        click.option("--cacert", type=file, help="Certificates to trust instead of the system's (PEM)."),
        click.option("--cert", type=file, help="Our own certificate, for servers that ask (PEM)."),
        click.option("--key", type=file, help="The key of --cert (PEM)."),
        click.option("--authority", metavar="NAME", help="Name to ask for, and to find in its certificate."),
        click.option(
            "-H",
            "--metadata",
            multiple=True,
            type=Metadatum(),
            metavar="'NAME: VALUE'",
            help="May be repeated.",
        ),
        click.option("--max-message", type=Size(), metavar="SIZE", help="Largest message, both ways."),
        click.option("--proxy/--no-proxy", default=None, help="Whether http_proxy counts."),
    )

    @wraps(command)
    def with_target(*args: Any, **given: Any) -> Any:
        target = Target(**{name: given.pop(name) for name in Target.__dataclass_fields__})
        return command(*args, **given, target=target)

    decorated: Any = with_target
    for option in reversed(options):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def _any_set(names: tuple[str, ...]) -> bool:
    """Whether the environment has one of them; an empty variable counts as unset."""
    return any(os.environ.get(name, "").strip() for name in names)
