"""From what the caller says to a channel: the steps that both colours share."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from eas_grpc.auth import Token, TokenSource, hidden, token_source
from eas_grpc.deadline import Unset
from eas_grpc.endpoint import Endpoint
from eas_grpc.errors import ConfigError, PlaintextTokenWarning
from eas_grpc.options import Profile, StreamLimits, check_channel_options, check_seconds, profile_named
from eas_grpc.retry import RetryPolicy, service_config
from eas_grpc.rpc._args import SERVICE_CONFIG, channel_args, plain_args, replay_room
from eas_grpc.rpc._credentials import authority_option, credentials_from_files
from eas_grpc.rpc._idempotent import idempotent_methods
from eas_grpc.rpc._policy import CallPolicy
from eas_grpc.rpc._replay import Replays
from eas_grpc.settings import ARGUMENT, Settings, find_settings

__all__ = ["DEFAULT_DEADLINE", "DEFAULT_MAX_RESPONSE", "Plan", "call_policy", "plan"]

# The vendor's own figure: the samples of the PAI-EAS page on gRPC and the HTTP SDK's default.
DEFAULT_DEADLINE = 5.0
DEFAULT_MAX_RESPONSE = 64 * 1024 * 1024

_warned_hosts: set[str] = set()


@dataclass(frozen=True)
class Plan:
    """A channel that can be built, any number of times."""

    endpoint: Endpoint
    credentials: grpc.ChannelCredentials | None
    args: list[tuple[str, Any]]
    # The same without core's retries.
    plain_args: list[tuple[str, Any]]
    policy: CallPolicy


def plan(
    endpoint: str | Endpoint | None,
    *,
    token: Token | None,
    deadline: float | None,
    profile: str | Profile,
    retry: RetryPolicy | None,
    stream_limits: StreamLimits | None,
    max_request: int | Unset | None,
    max_response: int | None,
    proxy: bool | None,
    credentials: grpc.ChannelCredentials | None,
    options: Iterable[tuple[str, Any]],
) -> Plan:
    """Checks everything, sends nothing. Raises ConfigError with the one thing to change."""
    token = hidden(token)
    found = _settings(endpoint, token)
    address = found.endpoint
    chosen = profile_named(profile)
    own = check_channel_options(options)
    if found.authority is not None:
        own = (authority_option(found.authority, tls=address.tls), *own)
    tokens = _tokens(found)
    if proxy is not None and not isinstance(proxy, bool):
        raise ConfigError(
            "proxy must be True, False or None; a proxy's address belongs into the variable http_proxy"
        )
    if retry is not None and not isinstance(retry, RetryPolicy):
        raise ConfigError(f"retry must be a RetryPolicy or None, not {type(retry).__name__}")
    # Whoever brings a service config of their own has core do by it what they want.
    ours = None if any(name == SERVICE_CONFIG for name, _ in own) else retry
    policy = call_policy(
        tokens,
        deadline=deadline,
        profile=chosen,
        stream_limits=stream_limits,
        max_request=max_request,
        retry=ours,
    )
    args = channel_args(
        address,
        chosen,
        service_config=service_config(retry, idempotent_methods),
        max_request=policy.max_request,
        max_response=_size("max_response", max_response),
        proxy=proxy,
        own=own,
    )
    if credentials is None:
        credentials = credentials_from_files(found.cacert, found.cert, found.key)
    secure = _credentials(address, credentials)
    if tokens is not None and secure is None:
        _warn_plaintext(address)
    return Plan(address, secure, args, args if ours is None else plain_args(args), policy)


def _tokens(found: Settings) -> TokenSource | None:
    """The source; a ConfigError says where the token came from, unless the caller passed it."""
    try:
        return token_source(found.token)
    except ConfigError as error:
        if found.token_origin is None or found.token_origin == ARGUMENT:
            raise
        raise ConfigError(f"{found.token_origin}: {error}") from None


def _settings(endpoint: str | Endpoint | None, token: Token | None) -> Settings:
    try:
        return find_settings(endpoint=endpoint, token=token, environ=os.environ)
    except ConfigError as error:
        # Without the frames below: among their locals are the environment and a profiles file, tokens included.
        raise error.with_traceback(None) from None


def check_interceptors(
    given: object, kinds: tuple[type, ...], other: tuple[type, ...], other_name: str
) -> list[Any]:
    """The caller's interceptors as a list; a ConfigError where they are none, or of the other colour."""
    if not isinstance(given, list | tuple):
        raise ConfigError("interceptors must be a list of grpc's client interceptors: write [yours]")
    for one in given:
        if isinstance(one, kinds):
            continue
        if isinstance(one, other):
            raise ConfigError(f"{type(one).__name__} is {other_name}: it does not fit this channel")
        raise ConfigError(f"{type(one).__name__} is no client interceptor of grpc's: derive it from one")
    return list(given)


BLOCKING_INTERCEPTORS: tuple[type, ...] = (
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
)
ASYNCIO_INTERCEPTORS: tuple[type, ...] = (grpc.aio.ClientInterceptor,)


def call_policy(
    tokens: TokenSource | None,
    *,
    deadline: float | None,
    profile: Profile,
    stream_limits: StreamLimits | None,
    max_request: int | Unset | None,
    retry: RetryPolicy | None = None,
) -> CallPolicy:
    """The policy for the calls, checked; `retry` is for those that core must not retry."""
    if stream_limits is not None and not isinstance(stream_limits, StreamLimits):
        raise ConfigError(
            "stream_limits must be StreamLimits(first_message=..., gap=...) or None for no limits"
        )
    limit = _size("max_request", profile.max_request_bytes if isinstance(max_request, Unset) else max_request)
    return CallPolicy(
        tokens=tokens,
        deadline=check_seconds("deadline", deadline, allow_none=True),
        stream_limits=stream_limits,
        max_request=limit,
        warn_request=profile.warn_request_bytes,
        replays=None if retry is None else Replays(retry, replay_room(profile, limit)),
    )


def _size(name: str, size: object) -> int | None:
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, int):
        raise ConfigError(f"{name} must be a number of bytes or None for no limit, not {type(size).__name__}")
    if not 0 < size < 2**31:
        raise ConfigError(f"{name}={size} must be between 1 and 2147483647 bytes, or None for no limit")
    return size


def _credentials(
    endpoint: Endpoint, credentials: grpc.ChannelCredentials | None
) -> grpc.ChannelCredentials | None:
    if not endpoint.tls:
        if credentials is not None:
            raise ConfigError(
                f"credentials are for TLS, but {endpoint} is plaintext: write https:// in front, or leave them out"
            )
        return None
    return grpc.ssl_channel_credentials() if credentials is None else credentials


def _warn_plaintext(endpoint: Endpoint) -> None:
    if endpoint.is_private or endpoint.host in _warned_hosts:
        return
    _warned_hosts.add(endpoint.host)
    warnings.warn(
        f"the token goes to {endpoint} unencrypted, readable by everybody on the way: use the VPC address,"
        " or https:// where the service offers it",
        PlaintextTokenWarning,
        stacklevel=4,
    )
