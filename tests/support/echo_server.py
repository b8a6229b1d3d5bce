"""A small gRPC server in a process of its own: `python -m support.echo_server --port 0`.

It prints `ready on <address>` once it serves and ends when its standard input does. With `--port -` it reads
the port from there first: a process that waits like this starts to serve within milliseconds.

Requests are bytes: `echo:<text>` answers the text, `sleep:<s>` waits and answers, `hold` never answers; the method `peer` answers the caller's address. Unlike
`support.echo` it sends nothing before its first message, as most services: a call is then covered by a retry
policy until that message arrives.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator
from concurrent import futures

import grpc

# Clients whose times are compressed may ping as often as they like.
PINGS_ALLOWED = [
    ("grpc.http2.min_ping_interval_without_data_ms", 100),
    ("grpc.keepalive_permit_without_calls", 1),
]


def unary_stream(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    ended = threading.Event()
    context.add_callback(ended.set)
    verb, _, rest = request.partition(b":")
    if verb == b"hold":
        ended.wait(60)
    elif verb == b"sleep":
        ended.wait(float(rest))
    if rest:
        yield rest


def stream_stream(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    for request in requests:
        yield request.partition(b":")[2]


def peer(request: bytes, context: grpc.ServicerContext) -> bytes:
    return context.peer().encode()


def unary_unary(request: bytes, context: grpc.ServicerContext) -> bytes:
    return b"".join(unary_stream(request, context))


HANDLERS = {
    "unary_unary": grpc.unary_unary_rpc_method_handler(unary_unary),
    "unary_stream": grpc.unary_stream_rpc_method_handler(unary_stream),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", default="0")
    port = parser.parse_args().port
    server = grpc.server(futures.ThreadPoolExecutor(32), options=[("grpc.so_reuseport", 0)])
    handlers = {
        "unary_unary": grpc.unary_unary_rpc_method_handler(unary_unary),
        "unary_stream": grpc.unary_stream_rpc_method_handler(unary_stream),
        "stream_stream": grpc.stream_stream_rpc_method_handler(stream_stream),
        "peer": grpc.unary_unary_rpc_method_handler(peer),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
    if port == "-":
        print("waiting", flush=True)
        port = sys.stdin.readline().strip()
        if not port:
            return
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    print(f"ready on 127.0.0.1:{bound}", flush=True)
    sys.stdin.read()
    server.stop(0).wait()


if __name__ == "__main__":
    main()
