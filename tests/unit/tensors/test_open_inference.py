"""`eas_grpc.tensors.open_inference` against protobuf's own runtime, both ways."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from eas_grpc_pb.open_inference.v2 import open_inference_pb2 as pb
from hypothesis import example, given
from hypothesis import strategies as st
from support.tensor_messages import (
    TEXTS,
    arrays,
    damaged,
    every_form,
    field,
    judged,
    little_bytes,
    meaning,
    rewritten,
    same,
)

from eas_grpc.errors import ConfigError, WireError
from eas_grpc.tensors import Request, Response, open_inference
from eas_grpc.tensors._dtypes import ELEMENTS, element_of
from eas_grpc.tensors._wire import BYTES

RAW = [element.name for element in ELEMENTS if element.open_inference]
TYPED = [name for name in RAW if name not in {"float16", "bfloat16"}]
FOREIGN = [element.name for element in ELEMENTS if not element.open_inference]
CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}

PARAMETERS = st.dictionaries(
    TEXTS,
    st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | TEXTS,
    max_size=3,
)


def named(names: list[str]) -> Any:
    return st.dictionaries(TEXTS, arrays(names), max_size=3)


def requests() -> Any:
    rest = {"outputs": st.lists(TEXTS, max_size=2).map(tuple), "version": TEXTS, "id": TEXTS}
    rest["parameters"] = PARAMETERS
    return st.one_of(
        st.builds(Request, TEXTS, named(names), typed=st.just(names is TYPED), **rest)
        for names in (RAW, TYPED)
    )


def responses() -> Any:
    rest = {"version": TEXTS, "id": TEXTS, "parameters": PARAMETERS}
    return st.one_of(
        st.builds(Response, TEXTS, named(names), typed=st.just(names is TYPED), **rest)
        for names in (RAW, TYPED)
    )


def as_protobuf(message: Request | Response) -> Any:
    """The message as protobuf's own runtime builds it."""
    if isinstance(message, Request):
        out: Any = pb.ModelInferRequest(outputs=[{"name": name} for name in message.outputs])
        tensors, raw, named_arrays = out.inputs, out.raw_input_contents, message.inputs
    else:
        out = pb.ModelInferResponse()
        tensors, raw, named_arrays = out.outputs, out.raw_output_contents, message.outputs
    out.model_name, out.model_version, out.id = message.model, message.version, message.id
    for name, value in message.parameters.items():
        kind = {bool: "bool", int: "int64", float: "double", str: "string"}[type(value)]
        setattr(
            out.parameters[name], f"{'uint64' if kind == 'int64' and value >= 2**63 else kind}_param", value
        )
    for name, array in named_arrays.items():
        datatype = element_of(array.dtype).open_inference
        tensor = tensors.add(name=name, datatype=datatype, shape=array.shape)
        items = array.ravel().tolist()
        if datatype == "BYTES":
            items = [item.encode() if isinstance(item, str) else item for item in items]
        if message.typed:
            tensor.contents.SetInParent()
            getattr(tensor.contents, CONTENTS[str(datatype)]).extend(items)
        elif datatype == "BYTES":
            raw.append(b"".join(struct.pack("<I", len(item)) + item for item in items))
        else:
            raw.append(little_bytes(array))
    return out


def stable(message: Any) -> bytes:
    """Comparable, where a NaN equals itself."""
    return bytes(message.SerializeToString(deterministic=True))


def assert_same(read: Any, meant: Any) -> None:
    ours, theirs = read._asdict(), meant._asdict()
    which = "inputs" if isinstance(meant, Request) else "outputs"
    found, expected = ours.pop(which), theirs.pop(which)
    assert list(found) == list(expected)
    assert all(same(expected[name], found[name]) for name in expected)
    assert not any(array.flags.writeable for array in found.values())
    # Signatures do not travel; and without any tensor there is nothing to tell by.
    assert ours == theirs | {"signature": "", "typed": meant.typed and bool(expected)}
    assert [type(value) for value in read.parameters.values()] == [
        type(meant.parameters[name]) for name in read.parameters
    ]


@given(requests())
def test_a_request_is_what_protobuf_reads(request: Request) -> None:
    assert stable(pb.ModelInferRequest.FromString(open_inference.encode_request(request))) == stable(
        as_protobuf(request)
    )


@given(responses())
def test_a_response_is_what_protobuf_reads(response: Response) -> None:
    assert stable(pb.ModelInferResponse.FromString(open_inference.encode_response(response))) == stable(
        as_protobuf(response)
    )


@pytest.mark.parametrize("name", [name for name in RAW if name != "bytes"])
@pytest.mark.parametrize("typed", [False, True])
def test_every_element_type_travels_in_every_form(name: str, typed: bool) -> None:
    for form in every_form(name) if name in TYPED or not typed else []:
        request = Request("m", {"x": form}, typed=typed)
        data = open_inference.encode_request(request)
        assert pb.ModelInferRequest.FromString(data) == as_protobuf(request)
        assert_same(open_inference.decode_request(data), request)


@given(requests(), st.data())
def test_a_request_is_read_however_it_was_written(request: Request, data: st.DataObject) -> None:
    message = as_protobuf(request)
    other = data.draw(rewritten(message.DESCRIPTOR, message.SerializeToString()))
    assert stable(meaning(pb.ModelInferRequest, other)) == stable(message)
    assert_same(open_inference.decode_request(message.SerializeToString()), request)
    assert_same(open_inference.decode_request(other), request)


@given(responses(), TEXTS, st.data())
def test_a_response_is_read_however_it_was_written(
    response: Response, error: str, data: st.DataObject
) -> None:
    message = as_protobuf(response)
    assert_same(open_inference.decode_response(message.SerializeToString()), response)
    stream = pb.ModelStreamInferResponse(error_message=error, infer_response=message)
    other = data.draw(rewritten(stream.DESCRIPTOR, stream.SerializeToString()))
    read, read_error = open_inference.decode_stream_response(other)
    assert read_error == error
    assert_same(read, response)


@given(st.none() | responses(), TEXTS)
def test_an_answer_in_a_stream_is_what_protobuf_reads(response: Response | None, error: str) -> None:
    expected = pb.ModelStreamInferResponse(error_message=error)
    if response is not None:
        expected.infer_response.CopyFrom(as_protobuf(response))
    data = open_inference.encode_stream_response(response, error)
    assert stable(pb.ModelStreamInferResponse.FromString(data)) == stable(expected)
    read, read_error = open_inference.decode_stream_response(data)
    assert read_error == error
    assert (read is None) == (response is None)


def test_an_error_in_a_stream_tells_which_request_failed_as_triton_does() -> None:
    data = open_inference.encode_stream_response(Response("", {}, id="7"), "no such model")
    response, error = open_inference.decode_stream_response(data)
    assert response is not None
    assert (response.id, response.outputs, error) == ("7", {}, "no such model")


@given(requests(), st.data())
def test_of_a_damaged_request_nothing_is_read_that_protobuf_would_not(
    request: Request, data: st.DataObject
) -> None:
    message = as_protobuf(request)
    whole = data.draw(rewritten(message.DESCRIPTOR, message.SerializeToString()))
    judged(open_inference.decode_request, pb.ModelInferRequest, data.draw(damaged(whole)))


@given(responses(), st.data())
def test_of_a_damaged_response_nothing_is_read_that_protobuf_would_not(
    response: Response, data: st.DataObject
) -> None:
    whole = open_inference.encode_stream_response(response, "error")
    judged(open_inference.decode_stream_response, pb.ModelStreamInferResponse, data.draw(damaged(whole)))


@given(st.binary(max_size=60))
@example(b"\x2a\x0b" + field(5, BYTES, b"\x0a\x01\x80") + field(3, BYTES, b"\x01\x80"))
def test_of_any_bytes_nothing_is_read_that_protobuf_would_not(data: bytes) -> None:
    judged(open_inference.decode_request, pb.ModelInferRequest, data)
    judged(open_inference.decode_response, pb.ModelInferResponse, data)
    judged(open_inference.decode_stream_response, pb.ModelStreamInferResponse, data)


@pytest.mark.parametrize("size", range(40))
def test_a_request_that_is_cut_off_anywhere_is_refused_or_whole_as_protobuf_has_it(size: int) -> None:
    whole = open_inference.encode_request(Request("m", {"x": np.arange(3, dtype="f4")}, ("y",), "1", "id"))
    judged(open_inference.decode_request, pb.ModelInferRequest, whole[:size])


@pytest.mark.parametrize("typed", [False, True])
def test_arrays_of_numbers_are_views_of_the_message(typed: bool) -> None:
    data = open_inference.encode_request(Request("m", {"x": np.ones((2, 3), "f4")}, typed=typed))
    read = open_inference.decode_request(memoryview(data)).inputs["x"]
    assert np.shares_memory(read, np.frombuffer(data, np.uint8))


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("typed", [False, True])
def test_an_element_type_that_the_protocol_lacks_cannot_be_sent(name: str, typed: bool) -> None:
    from eas_grpc.tensors._dtypes import dtype_of, element_named

    request = Request("m", {"x": np.zeros(1, dtype_of(element_named(name)))}, typed=typed)
    with pytest.raises(
        ConfigError, match=f"'x' is of {name}, which the Open Inference Protocol does not have"
    ):
        open_inference.encode_request(request)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_numbers_of_16_bits_have_no_typed_values(name: str) -> None:
    from eas_grpc.tensors._dtypes import dtype_of, element_named

    request = Request("m", {"x": np.zeros(1, dtype_of(element_named(name)))}, typed=True)
    with pytest.raises(ConfigError, match=rf"'x' is of {name}, .* send it raw \(typed=False\)"):
        open_inference.encode_request(request)


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, None, b"x", [1]])
def test_a_parameter_that_the_protocol_lacks_cannot_be_sent(value: Any) -> None:
    with pytest.raises(ConfigError, match="parameter 'p' is "):
        open_inference.encode_request(Request("m", {}, parameters={"p": value}))


@pytest.mark.parametrize(
    "value", [False, True, -(2**63), -1, 0, 2**63 - 1, 2**63, 2**64 - 1, -0.5, float("inf"), ""]
)
def test_a_parameter_keeps_its_kind_and_value(value: Any) -> None:
    request = Request("m", {}, parameters={"p": value})
    data = open_inference.encode_request(request)
    assert pb.ModelInferRequest.FromString(data) == as_protobuf(request)
    assert_same(open_inference.decode_request(data), request)


def test_any_number_but_zero_is_true() -> None:
    data = field(4, BYTES, b"\x12\x03\x08\x80\x01") + field(4, BYTES, b"\x0a\x01f\x12\x02\x08\x00")
    assert open_inference.decode_request(data).parameters == {"": True, "f": False}


def test_a_parameter_without_a_value_takes_back_what_stood_there() -> None:
    entries = [b"\x0a\x01p\x12\x02\x10\x05", b"\x0a\x01q\x12\x02\x08\x01", b"\x0a\x01p"]
    data = b"".join(field(4, BYTES, entry) for entry in entries)
    assert open_inference.decode_request(data).parameters == {"q": True}


def tensor(name: str = "x", datatype: str = "INT8", shape: tuple[int, ...] = (2,), **rest: Any) -> Any:
    return {"name": name, "datatype": datatype, "shape": shape, **rest}


SHARED = {"shared_memory_region": pb.InferParameter(string_param="region")}


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ({"inputs": [tensor(), tensor("y")], "raw_input_contents": [b"ab"]}, "2 tensors and raw data for 1"),
        ({"inputs": [tensor()], "raw_input_contents": [b"ab", b"ab"]}, "1 tensors and raw data for 2"),
        ({"raw_input_contents": [b"ab"]}, "0 tensors and raw data for 1"),
        (
            {"inputs": [tensor(contents={"int_contents": [1, 2]})], "raw_input_contents": [b"ab"]},
            "'x' has typed contents",
        ),
        ({"inputs": [tensor()]}, "'x' has 0 values"),
        (
            {"inputs": [tensor(), tensor()], "raw_input_contents": [b"ab", b"ab"]},
            "two tensors are called 'x'",
        ),
        ({"inputs": [tensor()], "raw_input_contents": [b"abc"]}, "'x' has 3 bytes of data"),
        ({"inputs": [tensor(contents={"int_contents": [1]})]}, "'x' has 1 values"),
        ({"inputs": [tensor(contents={"int_contents": [1, 128]})]}, "'x' has a value that is no int8"),
        ({"inputs": [tensor(contents={"uint_contents": [1, 2]})]}, "'x' has values of another type"),
        ({"inputs": [tensor(contents={"bytes_contents": [b"a", b"b"]})]}, "'x' has values of another type"),
        (
            {"inputs": [tensor(contents={"int_contents": [1, 2], "fp32_contents": [1]})]},
            "values of another type",
        ),
        ({"inputs": [tensor("x", "FP16", contents={"fp32_contents": [1, 2]})]}, "values of another type"),
        ({"inputs": [tensor("x", "FP16")]}, "'x' has 0 values"),
        ({"inputs": [tensor("x", "FP8")]}, "'x' has the unknown dtype 'FP8'"),
        ({"inputs": [tensor("x", "fp32")]}, "'x' has the unknown dtype 'fp32'"),
        ({"inputs": [tensor("x", "")]}, "'x' has the unknown dtype ''"),
        ({"inputs": [tensor("x", "BYTES")], "raw_input_contents": [b"\1\0\0\0a"]}, "'x' has 1 byte strings"),
        (
            {"inputs": [tensor("x", "BYTES")], "raw_input_contents": [b"\1\0\0\0a\1\0\0"]},
            "byte string 1 .* cut off",
        ),
        (
            {"inputs": [tensor("x", "BYTES")], "raw_input_contents": [b"\2\0\0\0a"]},
            "byte string 0 .* cut off",
        ),
        ({"inputs": [tensor(shape=(-1,))], "raw_input_contents": [b"ab"]}, "no dimension may be negative"),
        ({"inputs": [tensor(parameters=SHARED)]}, "'x' has the parameter 'shared_memory_region'"),
        ({"outputs": [{"name": "y", "parameters": SHARED}]}, "'y' has the parameter 'shared_memory_region'"),
        (
            {"outputs": [{"name": "y", "parameters": {"classification": pb.InferParameter(int64_param=3)}}]},
            "'y' has the parameter 'classification'",
        ),
    ],
)
def test_a_request_that_contradicts_itself_is_refused(rest: dict[str, Any], words: str) -> None:
    with pytest.raises(WireError, match=words):
        open_inference.decode_request(pb.ModelInferRequest(**rest).SerializeToString())


def test_empty_contents_beside_raw_data_are_none_as_mlserver_writes_them() -> None:
    request = pb.ModelInferRequest(inputs=[tensor()], raw_input_contents=[b"ab"])
    request.inputs[0].contents.SetInParent()
    read = open_inference.decode_request(request.SerializeToString())
    assert read.inputs["x"].tolist() == [97, 98]
    assert not read.typed


@pytest.mark.parametrize("cut", [b"\x02\x00\x00\x00a", b"\x01\x00\x00\x00", b"\x01\x00\x00", b"\x00"])
def test_the_end_of_a_byte_string_is_not_sought_in_the_next_tensor(cut: bytes) -> None:
    request = pb.ModelInferRequest(
        inputs=[tensor("x", "BYTES", (1,)), tensor("y", "INT8", (4,))], raw_input_contents=[cut, bytes(4)]
    )
    with pytest.raises(WireError, match="byte string 0 of tensor 'x' is cut off"):
        open_inference.decode_request(request.SerializeToString())


def test_an_output_in_shared_memory_is_refused() -> None:
    response = pb.ModelInferResponse(outputs=[tensor(parameters=SHARED)], raw_output_contents=[b""])
    with pytest.raises(WireError, match="'x' has the parameter 'shared_memory_region'"):
        open_inference.decode_response(response.SerializeToString())


def test_an_empty_tensor_needs_no_contents() -> None:
    request = pb.ModelInferRequest(inputs=[tensor(shape=(0, 3)), tensor("h", "FP16", (0,))])
    read = open_inference.decode_request(request.SerializeToString())
    assert {name: array.shape for name, array in read.inputs.items()} == {"x": (0, 3), "h": (0,)}
    assert not read.typed
