"""The greeter on grpcio's own server with its own settings: `python -m reliability.h2spec_stock`, killed when done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc

from server_demo import greeter


def main() -> None:
    """Says `ready on host:port` and serves."""
    server = grpc.server(ThreadPoolExecutor())
    greeter.add_greeter(greeter.Greeter(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"ready on 127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
