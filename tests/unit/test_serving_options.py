"""What a server allows: values that cannot work are refused, the rest becomes gRPC's own arguments."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from eas_grpc.errors import ConfigError
from eas_grpc.serving import ServerOptions
from eas_grpc.serving._address import address, why_not_bound
from eas_grpc.serving.options import channel_args

BAD = [
    ({"max_message_bytes": 0}, "max_message_bytes=0 must be from 1"),
    ({"max_message_bytes": 2**31}, "max_message_bytes=2147483648 must be from 1"),
    ({"max_message_bytes": 1.5}, "max_message_bytes must be a whole number, not 1.5"),
    ({"max_message_bytes": True}, "max_message_bytes must be a whole number, not True"),
    ({"max_workers": 0}, "max_workers=0 must be from 1"),
    ({"max_workers": "8"}, "max_workers must be a whole number, not '8'"),
    ({"max_concurrent_streams": 0}, "max_concurrent_streams=0 must be from 1"),
    ({"max_concurrent_streams": 128}, "max_concurrent_streams=128 must be below max_workers=128"),
    ({"max_workers": 16}, "max_concurrent_streams=100 must be below max_workers=16"),
    ({"max_concurrent_rpcs": -1}, "max_concurrent_rpcs=-1 must be from 1"),
    ({"max_ping_strikes": -1}, "max_ping_strikes=-1 must be from 0"),
    ({"min_ping_interval": 0}, "min_ping_interval is 0, which leaves no time"),
    ({"min_ping_interval": math.nan}, "min_ping_interval is not a number (NaN)"),
    ({"keepalive_interval": math.inf}, "keepalive_interval is above 2147483 seconds"),
    ({"keepalive_timeout": 1e9}, "keepalive_timeout is above 2147483 seconds"),
    ({"keepalive_timeout": None}, "keepalive_timeout must be a number of seconds, not NoneType"),
    ({"grace": -0.1}, "grace is -0.1, which leaves no time"),
    ({"grace": True}, "grace must be a number of seconds, not bool"),
    ({"tokens": "secret"}, "tokens must be a tuple"),
    ({"tokens": 5}, "tokens must be a tuple of str, not int"),
    ({"tokens": ("",)}, "token is empty"),
    ({"tokens": (b"secret",)}, "token must be a str"),
    ({"open_methods": "/a.B/"}, "open_methods must be a tuple"),
    ({"open_methods": ("a.B",)}, "open_methods holds 'a.B'"),
    ({"open_methods": ("",)}, "open_methods holds ''"),
    ({"open_methods": ("/a.B",)}, "write '/package.Service/' for a service"),
]


@pytest.mark.parametrize(("values", "text"), BAD, ids=[str(values) for values, _ in BAD])
def test_a_value_that_cannot_work_is_refused_and_named(values, text):
    with pytest.raises(ConfigError) as caught:
        ServerOptions(**values)
    assert text in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_default_works_and_zero_grace_is_a_value():
    assert ServerOptions() == ServerOptions(grace=10)
    assert ServerOptions(grace=0).grace == 0


def test_tokens_lose_what_surrounds_them_and_never_show():
    options = ServerOptions(tokens=["  canary-one\n", "Bearer canary-two"])
    assert options.tokens == ("canary-one", "canary-two")
    assert "canary" not in repr(options)
    assert "canary" not in str(options)
    assert replace(options, grace=1).tokens == options.tokens


def test_options_become_grpc_arguments_in_milliseconds_and_bytes():
    args = dict(channel_args(ServerOptions(max_message_bytes=1000, min_ping_interval=0.0005)))
    assert args["grpc.max_receive_message_length"] == 1000
    assert args["grpc.max_send_message_length"] == 1000
    assert args["grpc.http2.min_ping_interval_without_data_ms"] == 1
    assert args["grpc.keepalive_timeout_ms"] == args["grpc.http2.ping_timeout_ms"] == 20_000
    assert args["grpc.so_reuseport"] == 0
    assert all(type(value) is int for value in args.values())


def test_a_call_counts_for_its_connection_until_it_is_answered_and_no_longer():
    assert dict(channel_args(ServerOptions()))["grpc.http.overload_protection"] == 0


def test_both_profiles_of_our_clients_may_ping():
    args = dict(channel_args(ServerOptions()))
    assert args["grpc.http2.min_ping_interval_without_data_ms"] < 30_000
    assert args["grpc.keepalive_permit_without_calls"] == 1


def test_health_has_threads_left_whatever_one_connection_does():
    options = ServerOptions()
    assert options.health_workers > options.watch_limit + options.max_concurrent_streams


ADDRESSES = [
    ("127.0.0.1", 80, "127.0.0.1:80"),
    ("localhost", 0, "localhost:0"),
    ("::1", 50051, "[::1]:50051"),
    ("[::1]", 50051, "[::1]:50051"),
    ("::", 65535, "[::]:65535"),
    ("0.0.0.0", 1, "0.0.0.0:1"),
]


@pytest.mark.parametrize(("host", "port", "text"), ADDRESSES)
def test_an_address_is_written_as_grpc_reads_it(host, port, text):
    assert address(host, port) == text


BAD_ADDRESSES = [
    ("", 80, "host is empty"),
    (" ", 80, "host is empty"),
    (None, 80, "host is empty"),
    ("127.0.0.1:80", 80, "holds a port: pass it as port=80"),
    ("http://localhost", 80, "without scheme or path"),
    ("localhost ", 80, "without scheme or path"),
    ("localhost", -1, "port=-1 must be"),
    ("localhost", 65536, "port=65536 must be"),
    ("localhost", "80", "port='80' must be"),
    ("localhost", True, "port=True must be"),
]


@pytest.mark.parametrize(("host", "port", "text"), BAD_ADDRESSES)
def test_an_address_that_cannot_work_is_refused(host, port, text):
    with pytest.raises(ConfigError, match=text):
        address(host, port)


def test_a_name_that_does_not_resolve_is_told_before_grpc_is_asked():
    assert why_not_bound("two words", 0).startswith("that name does not exist; ")
