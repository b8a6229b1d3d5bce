"""Run a gRPC service the way PAI-EAS needs it: limits, health, reflection, token check, log, graceful stop.

def register(server):
    add_GreeterServiceServicer_to_server(Greeter(), server)

sys.exit(serving.run(register, host="0.0.0.0", port=50051))
"""

from __future__ import annotations

from eas_grpc.serving._aio import AsyncServer
from eas_grpc.serving._health import Health
from eas_grpc.serving._run import run, run_async
from eas_grpc.serving._server import Server
from eas_grpc.serving.options import ServerOptions

__all__ = ["AsyncServer", "Health", "Server", "ServerOptions", "run", "run_async"]
