"""`eas_grpc.options`: the records, the profiles, and the check of raw gRPC options."""

import dataclasses
import datetime as dt
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc._channel_args import FLAGS, NUMBERS, OBJECTS, RIGHT_NAMES, TEXTS
from eas_grpc.errors import ConfigError
from eas_grpc.options import (
    PROFILES,
    Keepalive,
    Profile,
    StreamLimits,
    check_channel_options,
    check_seconds,
    milliseconds,
    profile_named,
)

INT_MAX = 2**31 - 1


# ---- raw options


def test_good_options_pass_unchanged_and_in_order():
    options = [
        ("grpc.max_receive_message_length", -1),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.default_authority", "model.example"),
        ("grpc.service_config", b"{}"),
        ("grpc.http2.lookahead_bytes", INT_MAX),
    ]
    assert check_channel_options(options) == tuple(options)
    assert check_channel_options(iter(options)) == tuple(options)
    assert check_channel_options([list(option) for option in options]) == tuple(options)
    assert check_channel_options(()) == ()


@pytest.mark.parametrize("value", [True, False, 1, 0, np.int64(1)])
def test_a_flag_becomes_1_or_0(value):
    ((_, checked),) = check_channel_options([("grpc.enable_http_proxy", value)])
    assert checked == int(value)
    assert type(checked) is int


def test_a_number_of_numpy_becomes_an_int():
    ((_, checked),) = check_channel_options([("grpc.keepalive_time_ms", np.int64(5))])
    assert type(checked) is int


def test_an_object_of_grpc_passes_untouched():
    cache = object()
    assert check_channel_options([("grpc.ssl_session_cache", cache)]) == (("grpc.ssl_session_cache", cache),)


@pytest.mark.parametrize("name", ["my.own.option", "x", "com.example.trace"])
def test_a_name_outside_of_grpc_passes_untouched(name):
    assert check_channel_options([(name, 1.5)]) == ((name, 1.5),)


def test_an_option_of_grpcio_itself_is_known():
    assert check_channel_options([("SingleThreadedUnaryStream", 1)]) == (("SingleThreadedUnaryStream", 1),)


def test_the_same_option_twice_is_kept_once():
    assert check_channel_options([("grpc.dscp", 1), ("grpc.dscp", 1)]) == (("grpc.dscp", 1),)


MISSPELT = [
    ("grpc.http2.min_recv_ping_interval_without_data_ms", "grpc.http2.min_ping_interval_without_data_ms"),
    ("grpc.http2.min_sent_ping_interval_without_data_ms", "grpc.keepalive_time_ms"),
    ("grpc.max_recieve_message_length", "grpc.max_receive_message_length"),
    ("grpc.max_receive_message_size", "grpc.max_receive_message_length"),
    ("grpc.max_message_length", "grpc.max_receive_message_length"),
    ("grpc.max_send_msg_size", "grpc.max_send_message_length"),
    ("grpc.keepalive_time", "grpc.keepalive_time_ms"),
    ("grpc.keep_alive_time_ms", "grpc.keepalive_time_ms"),
    ("grpc.keepalive_timeout", "grpc.keepalive_timeout_ms"),
    ("grpc.http2.keepalive_time_ms", "grpc.keepalive_time_ms"),
    ("grpc.http2.keepalive_timeout_ms", "grpc.keepalive_timeout_ms"),
    ("grpc.keepalive_permit_without_stream", "grpc.keepalive_permit_without_calls"),
    ("grpc.ping_timeout_ms", "grpc.http2.ping_timeout_ms"),
    ("grpc.enable_retry", "grpc.enable_retries"),
    ("grpc.enable_http-proxy", "grpc.enable_http_proxy"),
    ("grpc.lb_policy", "grpc.lb_policy_name"),
    ("grpc.KeepAlive_Time_Ms", "grpc.keepalive_time_ms"),
    ("GRPC.keepalive_time_ms", "grpc.keepalive_time_ms"),
    (" grpc.keepalive_time_ms", "grpc.keepalive_time_ms"),
    ("gprc.keepalive_time_ms", "grpc.keepalive_time_ms"),
    ("keepalive_time_ms", "grpc.keepalive_time_ms"),
    ("http2.max_frame_size", "grpc.http2.max_frame_size"),
    ("max_message_length", "grpc.max_receive_message_length"),
    ("GRPC_ARG_KEEPALIVE_TIME_MS", "grpc.keepalive_time_ms"),
    ("SingleThreadedUnarystream", "SingleThreadedUnaryStream"),
    ("grpc.SingleThreadedUnaryStream", "SingleThreadedUnaryStream"),
]


@pytest.mark.parametrize(("wrong", "right"), MISSPELT)
def test_a_misspelt_name_is_refused_with_the_right_one(wrong, right):
    with pytest.raises(ConfigError) as caught:
        check_channel_options([(wrong, 1)])
    assert repr(wrong) in str(caught.value)
    assert f"write {right!r}" in str(caught.value)


@pytest.mark.parametrize("name", ["grpc.frobnicate", "grpc.", "grpc.internal.channel_credentials"])
def test_an_unknown_name_in_the_namespace_of_grpc_is_refused(name):
    with pytest.raises(ConfigError, match="leave it out"):
        check_channel_options([(name, 1)])


WRONG_VALUES = [
    ("grpc.keepalive_time_ms", "30000", "takes an int, not str: write 30000 without quotation marks"),
    ("grpc.keepalive_time_ms", 30000.0, "takes an int, not float: write 30000"),
    ("grpc.keepalive_time_ms", 0.5, "takes an int, not float: write whole milliseconds"),
    ("grpc.keepalive_time_ms", math.nan, "takes an int, not float"),
    ("grpc.keepalive_time_ms", math.inf, "takes an int, not float"),
    ("grpc.keepalive_time_ms", True, "takes an int, not bool"),
    ("grpc.keepalive_time_ms", None, "takes an int, not NoneType"),
    ("grpc.keepalive_time_ms", b"1", "takes an int, not bytes"),
    ("grpc.max_send_message_length", 2**31, f"write at most {INT_MAX}"),
    ("grpc.max_send_message_length", -(2**31) - 1, "32-bit"),
    ("grpc.max_send_message_length", 10**400, "32-bit"),
    ("grpc.enable_http_proxy", "0", "takes 1 or 0, not str"),
    ("grpc.enable_http_proxy", 2, "takes 1 or 0, not 2"),
    ("grpc.enable_http_proxy", 1.0, "takes 1 or 0, not float"),
    ("grpc.enable_http_proxy", None, "takes 1 or 0, not NoneType"),
    ("grpc.default_authority", 1, "takes a str, not int"),
    ("grpc.default_authority", None, "takes a str, not NoneType"),
    ("grpc.default_authority", "a\0b", "NUL"),
    ("grpc.default_authority", b"a\0b", "NUL"),
    ("grpc.service_config", {"retryPolicy": {}}, "takes a str, not dict: write json.dumps(...)"),
    ("grpc.ssl_session_cache", 1, "takes an object of grpcio's, not int"),
    ("grpc.ssl_session_cache", 1.5, "takes an object of grpcio's, not float"),
    ("grpc.ssl_session_cache", "x", "takes an object of grpcio's, not str"),
    ("grpc.ssl_session_cache", None, "takes an object of grpcio's, not NoneType"),
]


@pytest.mark.parametrize(("name", "value", "advice"), WRONG_VALUES)
def test_a_value_of_the_wrong_type_is_refused(name, value, advice):
    with pytest.raises(ConfigError) as caught:
        check_channel_options([(name, value)])
    assert repr(name) in str(caught.value)
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    "entry",
    [
        ("grpc.dscp",),
        ("grpc.dscp", 1, 2),
        "ab",
        1,
        None,
        (1, "grpc.dscp"),
        (b"grpc.dscp", 1),
        {"grpc.dscp": 1},
    ],
)
def test_an_entry_that_is_no_pair_is_refused_by_its_place(entry):
    with pytest.raises(ConfigError, match=r"entry 1 of options= is not a \(name, value\) pair"):
        check_channel_options([("grpc.dscp", 1), entry])


@pytest.mark.parametrize("options", [None, 1, object()])
def test_options_that_are_no_list_are_refused(options):
    with pytest.raises(ConfigError, match="must be a list"):
        check_channel_options(options)


def test_a_dict_of_options_is_refused_with_the_list_to_write():
    with pytest.raises(ConfigError, match=r"list\(options.items\(\)\)"):
        check_channel_options({"grpc.dscp": 1})


def test_two_values_for_one_option_are_refused():
    with pytest.raises(ConfigError, match=r"'grpc.dscp' two different values"):
        check_channel_options([("grpc.dscp", 1), ("grpc.dscp", 2)])


def test_the_tables_do_not_overlap_and_right_names_are_right():
    tables = [FLAGS, NUMBERS, TEXTS, OBJECTS]
    known = frozenset().union(*tables)
    assert sum(map(len, tables)) == len(known)
    assert set(RIGHT_NAMES.values()) <= known
    assert not known & set(RIGHT_NAMES)


VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary())


@given(st.lists(st.tuples(st.one_of(st.sampled_from(sorted(NUMBERS | FLAGS | TEXTS)), st.text()), VALUES)))
def test_any_list_of_pairs_is_accepted_or_a_config_error_and_then_stable(options):
    try:
        checked = check_channel_options(options)
    except ConfigError:
        return
    assert check_channel_options(checked) == checked
    for name, value in checked:
        assert type(value) is int or name not in NUMBERS | FLAGS
        assert isinstance(value, str | bytes) or name not in TEXTS


# ---- durations and records


@pytest.mark.parametrize("value", [1, 0.001, 5.0, 2_147_483, np.float32(0.5), np.int64(3)])
def test_a_positive_number_of_seconds_is_accepted(value):
    checked = check_seconds("x", value)
    assert checked == value
    assert type(checked) is float


BAD_SECONDS = [
    (0, "is 0, which leaves no time"),
    (0.0, "leaves no time"),
    (-1, "is -1"),
    (-math.inf, "leaves no time"),
    (math.nan, "NaN"),
    (math.inf, "above 2147483 seconds"),
    (10**400, "above 2147483 seconds"),
    (2_147_484, "above 2147483 seconds"),
    (True, "not bool"),
    ("5", "not str"),
    (dt.timedelta(seconds=5), "not timedelta"),
    (5j, "not complex"),
    ([5], "not list"),
]


@pytest.mark.parametrize(("value", "problem"), BAD_SECONDS)
def test_what_is_no_duration_is_refused(value, problem):
    with pytest.raises(ConfigError, match=f"gap.*({problem})"):
        check_seconds("gap", value)
    with pytest.raises(ConfigError, match="None for no limit"):
        check_seconds("gap", value, allow_none=True)


def test_none_is_no_limit_only_where_that_is_allowed():
    assert check_seconds("gap", None, allow_none=True) is None
    with pytest.raises(ConfigError, match=r"not NoneType: write seconds above 0$"):
        check_seconds("gap", None)


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.complex_numbers()))
def test_any_value_is_a_duration_or_a_config_error(value):
    try:
        seconds = check_seconds("x", value)
    except ConfigError:
        return
    assert 1 <= milliseconds(seconds) <= INT_MAX


def test_milliseconds_are_whole_and_never_0():
    assert [milliseconds(s) for s in (0.0001, 0.1, 1, 0.0015, 500.0)] == [1, 100, 1000, 2, 500_000]


def test_stream_limits_have_defaults_and_take_none():
    assert StreamLimits() == StreamLimits(first_message=30.0, gap=60.0)
    assert StreamLimits(first_message=None, gap=None).gap is None


@pytest.mark.parametrize("field", ["first_message", "gap"])
@pytest.mark.parametrize("value", [0, -1, math.nan, True, "30"])
def test_stream_limits_refuse_what_is_no_duration(field, value):
    with pytest.raises(ConfigError, match=rf"StreamLimits\({field}=\)"):
        StreamLimits(**{field: value})


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"time": 0}, r"Keepalive\(time=\) is 0"),
        ({"time": None}, r"Keepalive\(time=\) must be a number"),
        ({"timeout": -1}, r"Keepalive\(timeout=\) is -1"),
        ({"timeout": "10"}, r"Keepalive\(timeout=\) must be a number"),
        ({"without_calls": 1}, r"Keepalive\(without_calls=\) must be True or False"),
        ({"without_calls": "no"}, r"Keepalive\(without_calls=\) must be True or False"),
    ],
)
def test_keepalive_refuses_what_cannot_work(wrong, problem):
    with pytest.raises(ConfigError, match=problem):
        Keepalive(**{"time": 30, "timeout": 10, "without_calls": True} | wrong)


def test_the_gateway_profile_has_the_numbers_of_the_design():
    gateway = PROFILES["gateway"]
    assert gateway.keepalive == Keepalive(time=30, timeout=10, without_calls=True)
    assert gateway.client_idle == 500
    assert (gateway.reconnect_initial, gateway.reconnect_max, gateway.connect_timeout) == (0.1, 1.0, 5.0)
    assert (gateway.warn_request_bytes, gateway.max_request_bytes) == (512 * 1024, 1_000_000)
    assert gateway.replay_buffer_bytes == 4 * 1024 * 1024


def test_the_direct_profile_has_the_numbers_of_the_design():
    direct = PROFILES["direct"]
    assert direct.keepalive == Keepalive(time=330, timeout=20, without_calls=False)
    assert direct.client_idle is None
    assert (direct.reconnect_initial, direct.reconnect_max, direct.connect_timeout) == (0.1, 1.0, 5.0)
    assert (direct.warn_request_bytes, direct.max_request_bytes) == (None, None)
    assert direct.replay_buffer_bytes == 64 * 1024 * 1024


def test_a_profile_is_found_by_name_or_given():
    assert profile_named("direct") is PROFILES["direct"]
    own = dataclasses.replace(PROFILES["direct"], name="own", connect_timeout=1.0)
    assert profile_named(own) is own
    assert pickle.loads(pickle.dumps(own)) == own


@pytest.mark.parametrize("profile", ["gatway", "", None, 1, []])
def test_an_unknown_profile_is_refused_with_the_names_that_exist(profile):
    with pytest.raises(ConfigError, match="write 'gateway', 'direct' or a Profile"):
        profile_named(profile)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"keepalive": None}, "must be a Keepalive"),
        ({"client_idle": 0}, r"Profile\(client_idle=\) is 0"),
        ({"connect_timeout": None}, r"Profile\(connect_timeout=\)"),
        ({"reconnect_initial": -1}, r"Profile\(reconnect_initial=\)"),
        ({"reconnect_max": 0.01}, "below reconnect_initial"),
        ({"max_request_bytes": 0}, r"Profile\(max_request_bytes=\) must be from 1"),
        ({"max_request_bytes": 1e6}, "whole number of bytes, not float"),
        ({"warn_request_bytes": True}, "whole number of bytes, not bool"),
        ({"warn_request_bytes": "512K"}, "whole number of bytes, not str"),
        ({"replay_buffer_bytes": None}, "whole number of bytes, not NoneType: write bytes above 0$"),
        ({"replay_buffer_bytes": 2**31}, "must be from 1 to 2147483647"),
    ],
)
def test_a_profile_refuses_what_cannot_work(wrong, problem):
    with pytest.raises(ConfigError, match=problem):
        dataclasses.replace(PROFILES["gateway"], **wrong)


@pytest.mark.parametrize("record", [Keepalive, StreamLimits, Profile])
def test_the_records_take_keywords_only(record):
    with pytest.raises(TypeError):
        record(1, 2)
