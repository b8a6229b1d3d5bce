"""The table of channel arguments against the installed gRPC library, which has each name as text in it."""

from pathlib import Path

import grpc
import grpc.experimental
import pytest
from grpc._cython import cygrpc

from eas_grpc._channel_args import FLAGS, NUMBERS, OBJECTS, TEXTS
from eas_grpc.options import PROFILES, check_channel_options

# Documented in core's header, and without any effect or user in the releases that we support; code that was
# written for an older one still sets them.
ONLY_IN_THE_HEADER = {
    "grpc.http2.min_time_between_pings_ms",
    "grpc.loadreporting",
    "grpc.optimization_target",
}
# Newer than the oldest release that we support (1.71).
NOT_YET_IN_1_71 = {
    "grpc.max_connections_per_subchannel_cap",
    "grpc.preferred_transport_protocols",
    "grpc.secure_endpoint.decryption_offload_threshold",
    "grpc.secure_endpoint.encryption_offload_max_buffered_writes",
    "grpc.secure_endpoint.encryption_offload_threshold",
}
OF_GRPCIO = {grpc.experimental.ChannelOptions.SingleThreadedUnaryStream}


def _literal(name):
    # With the end mark of a C string: the beginning of a longer name is not the name.
    return name.encode() + b"\0"


@pytest.fixture(scope="module")
def library():
    return Path(cygrpc.__file__).read_bytes()


def test_every_known_name_is_in_the_installed_library(library):
    expected = (FLAGS | NUMBERS | TEXTS | OBJECTS) - ONLY_IN_THE_HEADER - OF_GRPCIO
    missing = {name for name in expected if _literal(name) not in library}
    assert missing <= NOT_YET_IN_1_71


def test_the_exceptions_are_all_in_the_table_and_still_exceptions(library):
    assert ONLY_IN_THE_HEADER | NOT_YET_IN_1_71 | OF_GRPCIO <= FLAGS | NUMBERS | TEXTS | OBJECTS
    assert not [name for name in ONLY_IN_THE_HEADER if _literal(name) in library]


def test_the_name_that_public_projects_set_by_mistake_is_not_in_the_library(library):
    assert b"grpc.http2.min_recv_ping_interval_without_data_ms" not in library


def test_grpcio_takes_a_channel_with_every_number_and_text():
    options = [(name, 1) for name in sorted(NUMBERS | FLAGS)] + [(name, "x") for name in sorted(TEXTS)]
    with grpc.insecure_channel("dns:///localhost:1", options=check_channel_options(options)):
        pass


def test_the_numbers_of_the_profiles_fit():
    for profile in PROFILES.values():
        check_channel_options([("grpc.per_rpc_retry_buffer_size", profile.replay_buffer_bytes)])
