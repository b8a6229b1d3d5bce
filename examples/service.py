import sys
from typing import Any

import grpc
from eas_grpc_pb.tensor.v1 import tensor_pb2_grpc
from eas_grpc_pb.tensor.v1.tensor_pb2 import PredictRequest, PredictResponse

from eas_grpc import serving


class Echo(tensor_pb2_grpc.TensorServiceServicer):
    """Gives back what it gets."""

    def Predict(self, request: PredictRequest, context: grpc.ServicerContext) -> PredictResponse:  # noqa: N802
        return PredictResponse(model=request.model, outputs=request.inputs)


def register(server: Any) -> None:
    tensor_pb2_grpc.add_TensorServiceServicer_to_server(Echo(), server)


if __name__ == "__main__":
    sys.exit(serving.run(register, host="0.0.0.0", port=50051))  # noqa: S104
