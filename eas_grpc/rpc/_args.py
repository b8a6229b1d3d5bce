"""Everything that was decided, as the list of channel arguments that grpc core takes. One pure table.

Where the numbers come from: `options.PROFILES`. Where the traps come from: gRFC A6, A8, A18 and measurements
against a peer that is frozen or gone.
"""

from __future__ import annotations

from collections.abc import Iterable

from eas_grpc.endpoint import Endpoint
from eas_grpc.options import ChannelOption, Profile, milliseconds

__all__ = ["SERVICE_CONFIG", "channel_args", "plain_args", "proxy_allowed", "replay_room"]

# What makes core retry by a policy. Channels that differ in its value alone share a connection.
SERVICE_CONFIG = "grpc.service_config"


def channel_args(
    endpoint: Endpoint,
    profile: Profile,
    *,
    service_config: str | None,
    max_request: int | None,
    max_response: int | None,
    proxy: bool | None,
    own: Iterable[ChannelOption] = (),
) -> list[ChannelOption]:
    """The channel arguments; an argument of the caller's `own` replaces ours."""
    keepalive = profile.keepalive
    timeout_ms = milliseconds(keepalive.timeout)
    args: dict[str, object] = {
        "grpc.keepalive_time_ms": milliseconds(keepalive.time),
        # Both are needed. The first gives the kernel TCP_USER_TIMEOUT (A18) and notices packets that vanish;
        # only the second ends the wait for a frozen peer whose kernel still acknowledges (core: 60 s).
        "grpc.keepalive_timeout_ms": timeout_ms,
        "grpc.http2.ping_timeout_ms": timeout_ms,
        "grpc.keepalive_permit_without_calls": int(keepalive.without_calls),
        # Core would send two pings on a quiet connection and from then on one a minute, whatever the interval.
        "grpc.http2.max_pings_without_data": 0,
        # Core starts at 1 s and grows to 120 s: too slow for an online client after a restart.
        "grpc.initial_reconnect_backoff_ms": milliseconds(profile.reconnect_initial),
        # Core waits up to 20 % longer than told.
        "grpc.max_reconnect_backoff_ms": milliseconds(profile.reconnect_max / 1.2),
        # Its name says backoff; core uses it as the time limit of one connection attempt.
        "grpc.min_reconnect_backoff_ms": milliseconds(profile.connect_timeout),
        # Core asks a name again at most every 30 s, and only after a connection was lost: a service whose pods move
        # would be looked for at their old addresses meanwhile.
        "grpc.dns_min_time_between_resolutions_ms": 1000,
        "grpc.max_receive_message_length": -1 if max_response is None else max_response,
        "grpc.max_send_message_length": -1,
        # One policy, ours: no TXT record may bring another.
        "grpc.service_config_disable_resolution": 1,
    }
    if profile.client_idle is not None:
        args["grpc.client_idle_timeout_ms"] = milliseconds(profile.client_idle)
    if not proxy_allowed(endpoint, proxy):
        args["grpc.enable_http_proxy"] = 0
    if service_config is None:
        args["grpc.enable_retries"] = 0
    else:
        args[SERVICE_CONFIG] = service_config
        # Core keeps 256 KiB of a request for its retries and forgets to retry any larger one.
        args["grpc.per_rpc_retry_buffer_size"] = replay_room(profile, max_request)
    if endpoint.socket is not None:
        # A socket has no host name; core would send its path as :authority, which servers refuse.
        args["grpc.default_authority"] = endpoint.authority
    return list((args | dict(own)).items())


def plain_args(args: Iterable[ChannelOption]) -> list[ChannelOption]:
    """The same arguments with no retries of core's: not by policy, nor those that it makes of itself after a GOAWAY."""
    plain = dict(args) | {SERVICE_CONFIG: "{}", "grpc.enable_retries": 0}
    return list(plain.items())


def replay_room(profile: Profile, max_request: int | None) -> int:
    """How many bytes of a call are kept, so that it can be sent again."""
    return max(profile.replay_buffer_bytes, 2 * (max_request or 0))


def proxy_allowed(endpoint: Endpoint, proxy: bool | None) -> bool:
    """Whether the environment's proxy may take the connection: not on this machine or in a private network."""
    return (not endpoint.is_private) if proxy is None else proxy
