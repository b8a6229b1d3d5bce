"""The channel arguments that gRPC core and grpcio know, by type. Data only.

Names and types: grpc/grpc include/grpc/impl/channel_arg_names.h and compression_types.h, the transport's own
ones from src/core/ext/transport/chttp2. `tests/integration/test_channel_options.py` looks each one up in the
installed library. Left out: arguments that only core itself sets (`grpc.internal.*`) and those of the
Objective-C and Cronet clients.
"""

from __future__ import annotations

__all__ = ["FLAGS", "NUMBERS", "OBJECTS", "RIGHT_NAMES", "TEXTS"]

# Core reads them as true or false.
FLAGS = frozenset(
    {
        "SingleThreadedUnaryStream",  # grpcio's own: grpc.experimental.ChannelOptions
        "grpc.census",
        "grpc.disable_client_authority_filter",
        "grpc.dns_enable_srv_queries",
        "grpc.enable_channelz",
        "grpc.enable_http_proxy",
        "grpc.enable_retries",
        "grpc.expand_wildcard_addrs",
        "grpc.experimental.enable_hedging",
        "grpc.experimental.http2.enable_preferred_frame_size",
        "grpc.experimental.tcp_tx_zerocopy_enabled",
        "grpc.http.max_concurrent_streams_reject_on_client",
        "grpc.http.overload_protection",
        "grpc.http.tarpit",
        "grpc.http2.ack_pings",
        "grpc.http2.bdp_probe",
        "grpc.http2.true_binary",
        "grpc.inhibit_health_checking",
        "grpc.keepalive_permit_without_calls",
        "grpc.loadreporting",
        "grpc.minimal_stack",
        "grpc.per_message_compression",
        "grpc.per_message_decompression",
        "grpc.security_frame_allowed",
        "grpc.server_call_metric_recording",
        "grpc.service_config_disable_resolution",
        "grpc.so_reuseport",
        "grpc.surface_user_agent",
        "grpc.tcp_tracing_enabled",
        "grpc.use_local_subchannel_pool",
    }
)

# 32-bit integers; `_ms` in milliseconds, sizes in bytes.
NUMBERS = frozenset(
    {
        "grpc.absolute_max_metadata_size",
        "grpc.client_idle_timeout_ms",
        "grpc.compression_enabled_algorithms_bitset",
        "grpc.default_compression_algorithm",
        "grpc.default_compression_level",
        "grpc.dns_ares_query_timeout",
        "grpc.dns_min_time_between_resolutions_ms",
        "grpc.dscp",
        "grpc.experimental.server_config_change_drain_grace_time_ms",
        "grpc.experimental.tcp_max_read_chunk_size",
        "grpc.experimental.tcp_min_read_chunk_size",
        "grpc.experimental.tcp_read_chunk_size",
        "grpc.experimental.tcp_tx_zerocopy_max_simultaneous_sends",
        "grpc.experimental.tcp_tx_zerocopy_send_bytes_threshold",
        "grpc.grpclb_call_timeout_ms",
        "grpc.grpclb_fallback_timeout_ms",
        "grpc.happy_eyeballs_connection_attempt_delay_ms",
        "grpc.http.tarpit_max_duration_ms",
        "grpc.http.tarpit_min_duration_ms",
        "grpc.http2.hpack_table_size.decoder",
        "grpc.http2.hpack_table_size.encoder",
        "grpc.http2.initial_sequence_number",
        "grpc.http2.lookahead_bytes",
        "grpc.http2.max_frame_size",
        "grpc.http2.max_inflight_pings",
        "grpc.http2.max_ping_strikes",
        "grpc.http2.max_pings_without_data",
        "grpc.http2.max_requests_per_read",
        "grpc.http2.min_ping_interval_without_data_ms",
        "grpc.http2.min_time_between_pings_ms",
        "grpc.http2.ping_on_rst_stream_percent",
        "grpc.http2.ping_timeout_ms",
        "grpc.http2.settings_timeout",
        "grpc.http2.write_buffer_size",
        "grpc.initial_reconnect_backoff_ms",
        "grpc.keepalive_time_ms",
        "grpc.keepalive_timeout_ms",
        "grpc.lb.ring_hash.ring_size_cap",
        "grpc.max_allowed_incoming_connections",
        "grpc.max_channel_trace_event_memory_per_node",
        "grpc.max_concurrent_streams",
        "grpc.max_connection_age_grace_ms",
        "grpc.max_connection_age_ms",
        "grpc.max_connection_idle_ms",
        "grpc.max_connections_per_subchannel_cap",
        "grpc.max_metadata_size",
        "grpc.max_receive_message_length",
        "grpc.max_reconnect_backoff_ms",
        "grpc.max_send_message_length",
        "grpc.min_reconnect_backoff_ms",
        "grpc.per_rpc_retry_buffer_size",
        "grpc.priority_failover_timeout_ms",
        "grpc.secure_endpoint.decryption_offload_threshold",
        "grpc.secure_endpoint.encryption_offload_max_buffered_writes",
        "grpc.secure_endpoint.encryption_offload_threshold",
        "grpc.server.max_pending_requests",
        "grpc.server.max_pending_requests_hard_limit",
        "grpc.server_handshake_timeout_ms",
        "grpc.server_max_unrequested_time_in_server",
        "grpc.tcp_receive_buffer_size",
        "grpc.testing.fixed_reconnect_backoff_ms",
        "grpc.tsi.max_frame_size",
    }
)

TEXTS = frozenset(
    {
        "grpc.TEST_ONLY_DO_NOT_USE_IN_PROD.xds_bootstrap_config",
        "grpc.address_http_proxy",
        "grpc.address_http_proxy_enabled_addresses",
        "grpc.default_authority",
        "grpc.http2_scheme",
        "grpc.http_proxy",
        "grpc.lb_policy_name",
        "grpc.optimization_target",
        "grpc.preferred_transport_protocols",
        "grpc.primary_user_agent",
        "grpc.secondary_user_agent",
        "grpc.service_config",
        "grpc.ssl_target_name_override",
    }
)

# Pointers: objects of grpcio's that know their own address.
OBJECTS = frozenset(
    {
        "grpc.authorization_policy_provider",
        "grpc.event_engine_use_memory_allocator_factory",
        "grpc.experimental.grpclb_channel_args",
        "grpc.experimental.stats_plugins",
        "grpc.resource_quota",
        "grpc.socket_factory",
        "grpc.socket_mutator",
        "grpc.ssl_session_cache",
    }
)

# Names that people write, too far from the right one for a spelling check. The first two read like the C macro;
# the first was shipped in public projects, where it changed nothing.
RIGHT_NAMES = {
    "grpc.http2.min_recv_ping_interval_without_data_ms": "grpc.http2.min_ping_interval_without_data_ms",
    "grpc.http2.min_sent_ping_interval_without_data_ms": "grpc.keepalive_time_ms",
    "grpc.authority": "grpc.default_authority",
    "grpc.connect_timeout_ms": "grpc.min_reconnect_backoff_ms",
    "grpc.connection_timeout_ms": "grpc.min_reconnect_backoff_ms",
    "grpc.compression": "grpc.default_compression_algorithm",
    "grpc.keepalive_without_calls": "grpc.keepalive_permit_without_calls",
    "grpc.keepalive_permit_without_stream": "grpc.keepalive_permit_without_calls",
    "grpc.load_balancing_policy": "grpc.lb_policy_name",
    "grpc.max_message_length": "grpc.max_receive_message_length",
    "grpc.max_message_size": "grpc.max_receive_message_length",
    "grpc.max_recv_msg_size": "grpc.max_receive_message_length",
    "grpc.max_send_msg_size": "grpc.max_send_message_length",
    "grpc.ping_timeout_ms": "grpc.http2.ping_timeout_ms",
    "grpc.proxy": "grpc.http_proxy",
    "grpc.retry_buffer_size": "grpc.per_rpc_retry_buffer_size",
    "grpc.user_agent": "grpc.primary_user_agent",
}
