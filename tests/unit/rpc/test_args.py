"""`eas_grpc.rpc._args`: everything decided, as the arguments that grpc core takes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from eas_grpc.endpoint import Endpoint
from eas_grpc.options import PROFILES, Profile, check_channel_options
from eas_grpc.rpc._args import channel_args, proxy_allowed

PUBLIC = Endpoint.parse("demo.1234.cn-hangzhou.pai-eas.aliyuncs.com")
every_profile = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)


def args(
    endpoint: Endpoint = PUBLIC, profile: Profile = PROFILES["gateway"], **options: Any
) -> dict[str, Any]:
    chosen = {
        "service_config": "{}",
        "max_request": profile.max_request_bytes,
        "max_response": 1024,
        "proxy": None,
    }
    made = channel_args(endpoint, profile, **chosen | options)
    assert len(made) == len(dict(made)), "an argument is given twice"
    return dict(made)


@every_profile
@pytest.mark.parametrize("service_config", [None, "{}"])
def test_every_argument_is_known_and_of_its_type(profile: Profile, service_config: str | None) -> None:
    made = list(args(profile=profile, service_config=service_config, proxy=False).items())
    assert list(check_channel_options(made)) == made


@every_profile
def test_a_connection_that_is_gone_is_noticed_by_both_timeouts(profile: Profile) -> None:
    made = args(profile=profile)
    assert made["grpc.keepalive_time_ms"] == profile.keepalive.time * 1000
    assert made["grpc.keepalive_timeout_ms"] == profile.keepalive.timeout * 1000
    assert made["grpc.http2.ping_timeout_ms"] == profile.keepalive.timeout * 1000
    assert made["grpc.keepalive_permit_without_calls"] == int(profile.keepalive.without_calls)


@every_profile
def test_a_lost_connection_is_made_again_soon(profile: Profile) -> None:
    made = args(profile=profile)
    assert made["grpc.initial_reconnect_backoff_ms"] == 100
    # Core adds up to 20 % of jitter.
    assert 0.99 < made["grpc.max_reconnect_backoff_ms"] * 1.2 / 1000 <= profile.reconnect_max
    assert made["grpc.min_reconnect_backoff_ms"] == 5000


def test_only_a_profile_with_an_idle_time_sets_one() -> None:
    assert args()["grpc.client_idle_timeout_ms"] == 500_000
    assert "grpc.client_idle_timeout_ms" not in args(profile=PROFILES["direct"])


@pytest.mark.parametrize(("max_response", "expected"), [(1024, 1024), (1, 1), (None, -1)])
def test_the_size_of_a_response_is_limited_and_none_is_no_limit(
    max_response: int | None, expected: int
) -> None:
    made = args(max_response=max_response)
    assert made["grpc.max_receive_message_length"] == expected
    assert made["grpc.max_send_message_length"] == -1, "our own check has the better message"


def test_without_retries_core_keeps_no_requests() -> None:
    made = args(service_config=None)
    assert made["grpc.enable_retries"] == 0
    assert "grpc.service_config" not in made
    assert "grpc.per_rpc_retry_buffer_size" not in made


@pytest.mark.parametrize(
    ("buffer", "max_request", "expected"),
    [(4096, 1000, 4096), (4096, 4000, 8000), (4096, None, 4096)],
)
def test_every_request_that_may_be_sent_can_be_retried(
    buffer: int, max_request: int | None, expected: int
) -> None:
    profile = dataclasses.replace(PROFILES["gateway"], replay_buffer_bytes=buffer)
    made = args(profile=profile, max_request=max_request, service_config='{"a": 1}')
    assert made["grpc.per_rpc_retry_buffer_size"] == expected
    assert made["grpc.service_config"] == '{"a": 1}'
    assert "grpc.enable_retries" not in made


@every_profile
def test_no_dns_record_brings_a_policy_of_its_own(profile: Profile) -> None:
    assert args(profile=profile)["grpc.service_config_disable_resolution"] == 1


PRIVATE = ["127.0.0.1", "localhost", "10.1.2.3", "1234.vpc.cn-hangzhou.pai-eas.aliyuncs.com", "unix:/tmp/s"]


@pytest.mark.parametrize("text", PRIVATE)
def test_a_proxy_does_not_capture_this_machine_or_a_private_network(text: str) -> None:
    endpoint = Endpoint.parse(text)
    assert not proxy_allowed(endpoint, None)
    assert args(endpoint)["grpc.enable_http_proxy"] == 0


@pytest.mark.parametrize("text", [*PRIVATE, str(PUBLIC)])
@pytest.mark.parametrize("proxy", [True, False])
def test_a_word_of_the_callers_about_the_proxy_is_final(text: str, proxy: bool) -> None:
    endpoint = Endpoint.parse(text)
    assert proxy_allowed(endpoint, proxy) is proxy
    assert ("grpc.enable_http_proxy" in args(endpoint, proxy=proxy)) is not proxy


def test_a_public_address_may_be_reached_through_the_proxy() -> None:
    assert "grpc.enable_http_proxy" not in args()


def test_a_socket_is_given_an_authority_that_servers_take() -> None:
    assert args(Endpoint.parse("unix:/tmp/s"))["grpc.default_authority"] == "localhost"
    assert "grpc.default_authority" not in args()


@pytest.mark.parametrize(
    "own", [("grpc.keepalive_time_ms", 7), ("grpc.enable_http_proxy", 1), ("somebody.else", "x")]
)
def test_an_argument_of_the_callers_replaces_ours_and_leaves_the_rest(own: tuple[str, Any]) -> None:
    before = args(proxy=False)
    after = args(proxy=False, own=[own])
    assert after == before | dict([own])
