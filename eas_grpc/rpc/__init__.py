"""The channel factory and the interceptors; the only folder that builds channels. This door: blocking code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import grpc

from eas_grpc.auth import Token, hidden, token_source
from eas_grpc.deadline import UNSET, Unset
from eas_grpc.endpoint import Endpoint
from eas_grpc.options import Profile, StreamLimits, profile_named
from eas_grpc.retry import RetryPolicy
from eas_grpc.rpc._connect import (
    ASYNCIO_INTERCEPTORS,
    BLOCKING_INTERCEPTORS,
    DEFAULT_DEADLINE,
    DEFAULT_MAX_RESPONSE,
    Plan,
    call_policy,
    check_interceptors,
    plan,
)
from eas_grpc.rpc._sync import PolicyChannel
from eas_grpc.rpc._sync_interceptors import PolicyInterceptor

__all__ = ["connect", "interceptors"]


def connect(
    endpoint: str | Endpoint | None = None,
    *,
    token: Token | None = None,
    deadline: float | None = DEFAULT_DEADLINE,
    profile: str | Profile = "gateway",
    retry: RetryPolicy | None = RetryPolicy(),
    stream_limits: StreamLimits | None = StreamLimits(),
    max_request: int | Unset | None = UNSET,
    max_response: int | None = DEFAULT_MAX_RESPONSE,
    proxy: bool | None = None,
    credentials: grpc.ChannelCredentials | None = None,
    interceptors: Sequence[Any] = (),
    options: Iterable[tuple[str, Any]] = (),
) -> grpc.Channel:
    """A channel to an EAS service, ready for any generated stub; close it, or use it in a `with` block.

    Make one per service and keep it: it is thread-safe, reconnects by itself and works after a fork.

    `endpoint`: what the console shows (`http://host/...`), `host`, `host:port`, `https://host`, `unix:/path`;
    without a port 80, with https 443. None: `EAS_ENDPOINT`, else the profile file's.
    `token`: the text, a `pathlib.Path` that is read again when it changes, or a callable asked for each call.
    None: `EAS_TOKEN`, `EAS_TOKEN_FILE`, else the profile file's. Sent as `authorization: Bearer ...`.
    `deadline`: seconds for a call with one response whose caller gives no `timeout=`; None for no limit.
    `profile`: `"gateway"`, or `"direct"` for a connection to the service itself: pings, idle time, size limits.
    `retry`: at least once for UNAVAILABLE, see RetryPolicy; None for no retries.
    `stream_limits`: longest wait for a stream's first message and between two; None for no limits. They do
    not apply where a call has a `timeout=` of its own.
    `max_request`, `max_response`: bytes of one message; None for no limit. By default 1 MB (gateway) and 64 MiB.
    `proxy`: whether `http_proxy` may be used; by default not for this machine and private networks.
    `credentials`: for TLS other than the system's trust.
    `interceptors`: run below this policy, where requests are bytes already; one that wants to see messages goes
    around the channel: `grpc.intercept_channel(connect(...), yours)`.
    `options`: channel arguments for experts; unknown names and wrong types are refused.

    Raises ConfigError for what cannot work. Calls raise CallError, which is a `grpc.RpcError` with `.hint`.
    """
    token = hidden(token)
    made = plan(
        endpoint,
        token=token,
        deadline=deadline,
        profile=profile,
        retry=retry,
        stream_limits=stream_limits,
        max_request=max_request,
        max_response=max_response,
        proxy=proxy,
        credentials=credentials,
        options=options,
    )
    theirs = check_interceptors(
        interceptors, BLOCKING_INTERCEPTORS, ASYNCIO_INTERCEPTORS, "an asyncio interceptor"
    )
    return PolicyChannel(
        lambda more, retries: _build(made, more, retries), made.policy, str(made.endpoint), theirs
    )


def interceptors(
    *,
    token: Token | None = None,
    deadline: float | None = DEFAULT_DEADLINE,
    profile: str | Profile = "gateway",
    stream_limits: StreamLimits | None = StreamLimits(),
    max_request: int | Unset | None = UNSET,
) -> list[grpc.UnaryUnaryClientInterceptor]:
    """Token, deadline, stream limits, request size and errors for a channel that somebody else built.

    Use: `grpc.intercept_channel(channel, *eas_grpc.interceptors(token=...))`. Keepalive, retry and message
    sizes belong to the channel's own arguments, so `connect()` is better where you may choose. A call with
    `timeout=None` gets `deadline` too, since an interceptor cannot tell it from none. Raises ConfigError.
    """
    token = hidden(token)
    policy = call_policy(
        token_source(token),
        deadline=deadline,
        profile=profile_named(profile),
        stream_limits=stream_limits,
        max_request=max_request,
    )
    return [PolicyInterceptor(policy)]


def _build(made: Plan, more_args: list[tuple[str, Any]], retries: bool) -> grpc.Channel:
    target, args = made.endpoint.target, (made.args if retries else made.plain_args) + more_args
    if made.credentials is None:
        return grpc.insecure_channel(target, args)
    return grpc.secure_channel(target, made.credentials, args)
