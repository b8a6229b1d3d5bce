"""Arrays and files in the requests of every tensor protocol, and the arrays of their answers."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.call_schema import schema

from eas_grpc import tensors
from eas_grpc.errors import ConfigError, SchemaError, WireError
from eas_grpc.schema import Schema, from_module
from eas_grpc.schema._payload import arrays, attach, decoded, fill, has_tensors, read, strip_tensors
from eas_grpc.serving.descriptors import repackaged_together


@dataclass(frozen=True)
class Protocol:
    """One way in which arrays travel: its method, and what reads its requests and writes its answers."""

    schema: Schema
    method: str
    codec: Any

    @property
    def of(self):
        return self.schema.method(self.method)


def upstream(modules: list[str], package: str, service: str) -> Schema:
    """Our own protos under the names that others have them by."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    from eas_grpc.schema import from_files

    files = repackaged_together(
        [importlib.import_module(name).DESCRIPTOR for name in modules], package=package, folder="up"
    )
    own = [importlib.import_module(f"google.protobuf.{name}_pb2").DESCRIPTOR for name in ("any", "wrappers")]
    for each in own:
        copy = FileDescriptorProto()
        each.CopyToProto(copy)
        files.append(copy)
    return from_files(files, origin=package, services=[f"{package}.{service}"])


OURS = from_module("eas_grpc_pb.tensor.v1.tensor_pb2")
OPEN = from_module("eas_grpc_pb.open_inference.v2.open_inference_pb2")
TF = from_module("eas_grpc_pb.tf_serving.v1.prediction_service_pb2")
TRITON = upstream(
    [f"eas_grpc_pb.open_inference.v2.{name}_pb2" for name in ("model_config", "open_inference")],
    "inference",
    "GRPCInferenceService",
)
TENSORFLOW = upstream(
    [f"eas_grpc_pb.tf_serving.v1.{name}_pb2" for name in ("types", "tensor", "model", "prediction_service")],
    "tensorflow.serving",
    "PredictionService",
)
PROTOCOLS = {
    "ours": Protocol(OURS, "TensorService/Predict", tensors.native),
    "open inference": Protocol(OPEN, "GRPCInferenceService/ModelInfer", tensors.open_inference),
    "triton": Protocol(TRITON, "inference.GRPCInferenceService/ModelInfer", tensors.open_inference),
    "tf serving": Protocol(TF, "PredictionService/Predict", tensors.tf_serving),
    "tensorflow": Protocol(TENSORFLOW, "tensorflow.serving.PredictionService/Predict", tensors.tf_serving),
}
IMAGES = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture(params=PROTOCOLS.values(), ids=PROTOCOLS.keys())
def protocol(request) -> Protocol:
    return request.param


@pytest.fixture
def npy(tmp_path) -> Path:
    np.save(tmp_path / "x.npy", IMAGES)
    return tmp_path / "x.npy"


def same(left: np.ndarray, right: np.ndarray) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


def test_an_array_and_the_models_name_make_a_request(protocol, npy):
    request = fill(protocol.schema, protocol.of, None, tensors=[("images", npy)], model="digits")
    read_back = protocol.codec.decode_request(request.SerializeToString())
    assert (read_back.model, list(read_back.inputs)) == ("digits", ["images"])
    assert same(read_back.inputs["images"], IMAGES)


def test_arrays_are_added_to_what_the_json_has(protocol, tmp_path):
    np.savez(tmp_path / "two.npz", a=IMAGES, b=np.array([1], np.int64))
    wanted = {
        "ours": '{"outputs": ["a"]}',
        "open": '{"outputs": [{"name": "a"}]}',
        "tf": '{"outputFilter": ["a"]}',
    }
    kind = {tensors.native: "ours", tensors.open_inference: "open"}.get(protocol.codec, "tf")
    request = fill(
        protocol.schema, protocol.of, wanted[kind], tensors=[("", tmp_path / "two.npz")], model="echo"
    )
    read_back = protocol.codec.decode_request(request.SerializeToString())
    assert (read_back.model, read_back.outputs, set(read_back.inputs)) == ("echo", ("a",), {"a", "b"})


def test_the_request_is_shown_without_padding(npy):
    ours = PROTOCOLS["ours"]
    request = fill(ours.schema, ours.of, None, tensors=[("images", npy)])
    assert set(json.loads(ours.schema.to_json(request))) == {"inputs"}


def test_typed_contents_of_the_json_make_all_contents_typed(npy):
    text = '{"inputs": [{"name": "n", "datatype": "INT64", "shape": ["1"], "contents": {"int64Contents": ["7"]}}]}'
    triton = PROTOCOLS["triton"]
    request = fill(triton.schema, triton.of, text, tensors=[("images", npy)])
    read_back = tensors.open_inference.decode_request(request.SerializeToString())
    assert read_back.inputs["n"].tolist() == [7]
    assert same(read_back.inputs["images"], IMAGES)


def test_the_arrays_of_an_answer_are_read(protocol):
    answered = tensors.Response("m", {"scores": IMAGES, "names": np.array([b"a", b"bc"], object)})
    data = protocol.codec.encode_response(answered)
    found = decoded(protocol.of, data)
    assert same(found["scores"], IMAGES)
    assert found["names"].tolist() == [b"a", b"bc"]
    again = arrays(protocol.of, protocol.of.response.FromString(data))
    assert same(again["scores"], IMAGES)


@pytest.mark.parametrize("typed", [False, True])
def test_an_answer_without_its_elements_keeps_names_types_and_shapes(protocol, typed):
    answered = tensors.Response("m", {"s": IMAGES, "t": np.array([b"abc"], object)}, typed=typed)
    answer = protocol.of.response.FromString(protocol.codec.encode_response(answered))
    strip_tensors(answer)
    assert len(answer.outputs) == 2
    text = protocol.schema.to_json(answer)
    shown = json.loads(text)
    names = (
        list(shown["outputs"])
        if isinstance(shown["outputs"], dict)
        else [each["name"] for each in shown["outputs"]]
    )
    assert set(names) == {"s", "t"}
    assert '"2"' in text and '"3"' in text
    for key in ("data", "items", "rawOutputContents", "contents", "tensorContent", "floatVal", "stringVal"):
        assert f'"{key}"' not in text


def test_an_answer_of_a_stream_of_triton_has_arrays_or_an_error():
    method = TRITON.method("inference.GRPCInferenceService/ModelStreamInfer")
    encode = tensors.open_inference.encode_stream_response
    assert has_tensors(method)
    assert same(decoded(method, encode(tensors.Response("m", {"s": IMAGES})))["s"], IMAGES)
    assert decoded(method, encode(None, "no such model")) == {}
    answer = method.response.FromString(encode(tensors.Response("m", {"s": IMAGES})))
    strip_tensors(answer)
    assert not answer.infer_response.raw_output_contents


def test_an_answer_that_claims_more_than_it_has_is_no_array():
    broken = OURS.method("TensorService/Predict").response()
    broken.outputs.add(name="x", dtype=11, shape=[4], data=b"\0\0")
    with pytest.raises(WireError, match="needs 16"):
        arrays(OURS.method("TensorService/Predict"), broken)


def test_other_messages_have_no_arrays_and_take_them_by_field(npy):
    method = schema().method("Store/Put")
    assert not has_tensors(method)
    assert arrays(method, method.response()) == {}
    request: Any = fill(schema(), method, '{"caption": "c"}', tensors=[("floats", npy)], model="m")
    assert (list(request.floats), request.caption, request.model) == (IMAGES.ravel().tolist(), "c", "m")


def test_the_arrays_of_an_archive_go_into_the_fields_of_their_names(tmp_path):
    np.savez(tmp_path / "x.npz", floats=IMAGES, small=np.array([3]))
    request: Any = fill(schema(), schema().method("Store/Put"), None, tensors=[("", tmp_path / "x.npz")])
    assert (len(request.floats), list(request.small)) == (6, [3])


def test_files_are_put_in_and_win_over_the_json(tmp_path):
    (tmp_path / "cat").write_bytes(b"\xff")
    request: Any = fill(
        schema(), schema().method("Store/Put"), '{"image": "AA=="}', files=[("image", tmp_path / "cat")]
    )
    assert request.image == b"\xff"


def test_a_model_is_refused_where_none_can_be_named():
    with pytest.raises(
        ConfigError, match=r"a model cannot be named in acme.call.v1.Nothing: it has none of model_name"
    ):
        fill(schema(), schema().method("Store/Rest"), None, model="m")


def test_an_array_that_the_protocol_lacks_is_refused_by_name(tmp_path):
    np.save(tmp_path / "c.npy", np.array([1j]))
    triton = PROTOCOLS["triton"]
    with pytest.raises(
        ConfigError, match="'c' is of complex128, which the Open Inference Protocol does not have"
    ):
        fill(triton.schema, triton.of, None, tensors=[("c", tmp_path / "c.npy")])


def test_one_reading_serves_many_requests(npy):
    ours = PROTOCOLS["ours"]
    found = read([], [("images", npy)], "digits")
    npy.unlink()
    for _ in range(2):
        request = ours.of.request()
        attach(ours.of, request, found)
        assert same(tensors.native.decode_request(request.SerializeToString()).inputs["images"], IMAGES)


class Payload:
    """Would leave a trace if it were unpickled."""

    def __reduce__(self):
        return (open, ("/dev/null",))


def test_python_objects_are_not_unpickled(tmp_path):
    np.save(tmp_path / "x.npy", np.array([Payload()], object))
    np.savez(tmp_path / "x.npz", x=np.array([Payload()], object))
    for name in ("x.npy", "x.npz"):
        with pytest.raises(SchemaError, match=rf"{name} holds Python objects, which are not read"):
            read([], [("x", tmp_path / name)])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("text.npy", b"hello", "is neither an .npy nor an .npz file"),
        ("empty.npy", b"", "is neither an .npy nor an .npz file"),
        ("pickle.npy", b"\x80\x04K\x01.", "is neither an .npy nor an .npz file"),
        ("head.npy", b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4'", "is broken"),
        ("short.npy", None, "is broken"),
        ("cut.npz", b"PK\x03\x04 and nothing else", "is broken"),
    ],
)
def test_a_file_that_holds_no_array_is_said_to(tmp_path, npy, name, content, said):
    path = tmp_path / name
    path.write_bytes(npy.read_bytes()[:-4] if content is None else content)
    with pytest.raises(SchemaError) as refused:
        read([], [("x", path)])
    assert str(refused.value).startswith(f"{path} {said}")
    assert "\n" not in str(refused.value)


def test_names_are_asked_for_where_they_are_missing_and_refused_where_they_are_not(tmp_path, npy):
    np.savez(tmp_path / "two.npz", a=IMAGES, b=IMAGES)
    np.savez(tmp_path / "one.npz", only=IMAGES)
    with pytest.raises(ConfigError, match=r"holds one array without a name: write NAME=@"):
        read([], [("", npy)])
    with pytest.raises(ConfigError, match=r"holds 2 arrays \(a, b\), which have names: write @.* without x="):
        read([], [("x", tmp_path / "two.npz")])
    with pytest.raises(ConfigError, match="two tensors are called 'a'"):
        read([], [("", tmp_path / "two.npz"), ("a", npy)])
    assert [name for name, _ in read([], [("mine", tmp_path / "one.npz")]).arrays] == ["mine"]


def test_what_cannot_be_read_is_named_with_the_reason(tmp_path):
    with pytest.raises(SchemaError, match=r"no.npy cannot be read: No such file or directory"):
        read([], [("x", tmp_path / "no.npy")])
    with pytest.raises(SchemaError, match="cannot be read: Is a directory"):
        read([("image", tmp_path)], [])
