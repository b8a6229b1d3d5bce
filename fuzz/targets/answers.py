"""What inference servers answer beside tensors: descriptions of models, states, streams. Only WireError is allowed.

The first byte of an input chooses the protocol and the question.
"""

from __future__ import annotations

from collections.abc import Iterator

from eas_grpc_pb.open_inference.v2 import open_inference_pb2 as oip
from eas_grpc_pb.tensor.v1 import tensor_pb2 as native_pb
from eas_grpc_pb.tf_serving.v1 import model_service_pb2
from eas_grpc_pb.tf_serving.v1 import prediction_service_pb2 as tf_pb

from eas_grpc.errors import WireError
from eas_grpc.inference import _protocols
from eas_grpc.tensors._specs import ModelSpec
from eas_grpc.tensors.upload import Assembly

RATE = 20000
LARGEST_UPLOAD = 2**20


class _TooLarge(Exception):
    pass


def _admit(size: int) -> None:
    if size > LARGEST_UPLOAD:
        raise _TooLarge


def _upload(data: bytes) -> None:
    """Pieces of an upload, each with its length in front."""
    assembly = Assembly(_admit)
    try:
        while data:
            piece, data = data[1 : data[0] + 1], data[data[0] + 1 :]
            assembly.add(piece)
        assembly.message()
    except _TooLarge:
        return


def _readers() -> list:
    found = []
    for protocol in (_protocols.native(), _protocols.open_inference(), _protocols.tf_serving()):
        found += [question.decode for question in protocol.questions.values()]
        if protocol.read_stream is not None:
            found.append(protocol.read_stream)
    return [*found, _upload]


READERS = _readers()


def check(data: bytes) -> None:
    """Only WireError is allowed."""
    if not data:
        return
    try:
        found = READERS[data[0] % len(READERS)](data[1:])
    except WireError as error:
        assert len(str(error)) < 4000
        return
    for spec in found.values() if isinstance(found, dict) else ():
        assert isinstance(spec, ModelSpec)
        assert str(spec)


def seeds() -> Iterator[bytes]:
    """For each reader, each answer: most are for another one."""
    described = native_pb.DescribeResponse(model="m")
    described.inputs.add(name="x", dtype=11, shape=[-1, 3])
    metadata = oip.ModelMetadataResponse(name="m", versions=["1"], platform="p")
    metadata.inputs.add(name="x", datatype="FP32", shape=[-1, 3])
    stream = oip.ModelStreamInferResponse(error_message="e")
    stream.infer_response.model_name = "m"
    tf = tf_pb.GetModelMetadataResponse()
    signatures = tf_pb.SignatureDefMap()
    signature = signatures.signature_def["serving_default"]
    signature.inputs["x"].dtype = 1
    signature.inputs["x"].tensor_shape.dim.add(size=-1)
    tf.model_spec.name = "m"
    tf.metadata["signature_def"].value = signatures.SerializeToString()
    states = model_service_pb2.GetModelStatusResponse()
    states.model_version_status.add(version=1, state=30)
    config = oip.ModelConfigResponse()
    config.config.name = "m"
    messages = [each.SerializeToString() for each in (described, metadata, stream, tf, states, config)]
    # One chunk: total, data, checksum.
    chunk = b"\x08\x03\x12\x03abc\x1d\xc2\x41\x24\x35"
    for number in range(len(READERS)):
        for message in (*messages, bytes((len(chunk),)) + chunk):
            yield bytes((number,)) + message
