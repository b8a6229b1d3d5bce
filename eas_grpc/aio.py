"""For asyncio: the same as `eas_grpc.connect` and `eas_grpc.interceptors`, on `grpc.aio`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import grpc
import grpc.aio

from eas_grpc.auth import Token, hidden, token_source
from eas_grpc.deadline import UNSET, Unset
from eas_grpc.endpoint import Endpoint
from eas_grpc.options import Profile, StreamLimits, profile_named
from eas_grpc.retry import RetryPolicy
from eas_grpc.rpc._aio import PolicyAioChannel
from eas_grpc.rpc._aio_interceptors import policy_interceptors
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
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    options: Iterable[tuple[str, Any]] = (),
) -> grpc.aio.Channel:
    """An asyncio channel to an EAS service, ready for any generated stub; usable in `async with`.

    Parameters, defaults and errors are those of `eas_grpc.connect`. The channel may be made anywhere; it
    belongs to the event loop in which it is first used, and a second loop needs one of its own.
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
        interceptors, ASYNCIO_INTERCEPTORS, BLOCKING_INTERCEPTORS, "a blocking interceptor"
    )
    return PolicyAioChannel(
        lambda retries: _build(made, theirs, retries),
        made.policy,
        str(made.endpoint),
        intercepted=bool(theirs),
    )


def interceptors(
    *,
    token: Token | None = None,
    deadline: float | None = DEFAULT_DEADLINE,
    profile: str | Profile = "gateway",
    stream_limits: StreamLimits | None = StreamLimits(),
    max_request: int | Unset | None = UNSET,
) -> list[grpc.aio.ClientInterceptor]:
    """Token, deadline, stream limits, request size and errors for a channel that somebody else builds.

    Use: `grpc.aio.insecure_channel(target, interceptors=aio.interceptors(token=...))`; all four belong into
    the list, one per call shape. Parameters and errors are those of `eas_grpc.interceptors`.
    """
    token = hidden(token)
    policy = call_policy(
        token_source(token),
        deadline=deadline,
        profile=profile_named(profile),
        stream_limits=stream_limits,
        max_request=max_request,
    )
    return policy_interceptors(policy)


def _build(made: Plan, interceptors: Sequence[grpc.aio.ClientInterceptor], retries: bool) -> grpc.aio.Channel:
    target, args = made.endpoint.target, made.args if retries else made.plain_args
    if made.credentials is None:
        return grpc.aio.insecure_channel(target, args, interceptors=list(interceptors) or None)
    return grpc.aio.secure_channel(target, made.credentials, args, interceptors=list(interceptors) or None)
