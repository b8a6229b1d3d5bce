import sys
from typing import Any

import grpc
from eas_grpc_pb.greeter.v1 import greeter_pb2_grpc
from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloRequest, HelloResponse

from eas_grpc import serving


class Greeter(greeter_pb2_grpc.GreeterServiceServicer):
    def SayHello(self, request: HelloRequest, context: grpc.ServicerContext) -> HelloResponse:  # noqa: N802
        return HelloResponse(message=f"Good day, {request.name}.")


def register(server: Any) -> None:
    greeter_pb2_grpc.add_GreeterServiceServicer_to_server(Greeter(), server)


if __name__ == "__main__":
    sys.exit(serving.run(register, host="0.0.0.0", port=50051))  # noqa: S104
