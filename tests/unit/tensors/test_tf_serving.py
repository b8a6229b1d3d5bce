"""`eas_grpc.tensors.tf_serving` against protobuf's own runtime, both ways, and TensorFlow's rules."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from eas_grpc_pb.tf_serving.v1.prediction_service_pb2 import PredictRequest, PredictResponse
from eas_grpc_pb.tf_serving.v1.tensor_pb2 import TensorProto
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
from eas_grpc.tensors import Request, Response, tf_serving
from eas_grpc.tensors._dtypes import ELEMENTS, dtype_of, element_named, element_of
from eas_grpc.tensors._wire import BYTES, varint

NAMES = [element.name for element in ELEMENTS if element.tf]
FOREIGN = [element.name for element in ELEMENTS if not element.tf]
TYPES = {
    "bool": "bool_val",
    "int64": "int64_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    "float32": "float_val",
    "float64": "double_val",
    "float16": "half_val",
    "bfloat16": "half_val",
    "complex64": "scomplex_val",
    "complex128": "dcomplex_val",
    "bytes": "string_val",
}

VERSIONS = st.integers(0, 2**63 - 1).map(str) | TEXTS.filter(
    lambda text: not (text.isascii() and text.isdigit())
)
NAMED = st.dictionaries(TEXTS, arrays(NAMES), max_size=3)
REST = {"version": VERSIONS, "signature": TEXTS, "typed": st.booleans()}
NO_REST = {"id": st.just(""), "parameters": st.just({})}
REQUESTS = st.builds(Request, TEXTS, NAMED, st.lists(TEXTS, max_size=2).map(tuple), **REST, **NO_REST)
RESPONSES = st.builds(Response, TEXTS, NAMED, **REST, **NO_REST)


def as_protobuf(message: Request | Response) -> Any:
    """The message as protobuf's own runtime builds it."""
    if isinstance(message, Request):
        out: Any = PredictRequest(output_filter=message.outputs)
        tensors, named_arrays = out.inputs, message.inputs
    else:
        out = PredictResponse()
        tensors, named_arrays = out.outputs, message.outputs
    out.model_spec.name, out.model_spec.signature_name = message.model, message.signature
    if message.version.isascii() and message.version.isdigit():
        out.model_spec.version.value = int(message.version)
    elif message.version:
        out.model_spec.version_label = message.version
    for name, array in named_arrays.items():
        tensors[name].CopyFrom(tensor_proto(array, typed=message.typed))
    return out


def tensor_proto(array: Any, *, typed: bool) -> TensorProto:
    name = element_of(array.dtype).name
    out: Any = TensorProto(dtype=element_of(array.dtype).tf)
    out.tensor_shape.SetInParent()
    for size in array.shape:
        out.tensor_shape.dim.add(size=size)
    flat = array.ravel()
    if name == "bytes":
        out.string_val.extend(item.encode() if isinstance(item, str) else item for item in flat)
    elif not typed:
        out.tensor_content = little_bytes(array)
    elif name.startswith("float8"):
        out.float8_val = little_bytes(array)
    elif name in {"float16", "bfloat16"}:
        out.half_val.extend(np.frombuffer(little_bytes(array), "<u2").tolist())
    elif name.startswith("complex"):
        parts = [part for item in flat.tolist() for part in (item.real, item.imag)]
        getattr(out, TYPES[name]).extend(parts)
    elif name in {"int4", "uint4"}:
        out.int_val.extend(int(item) for item in flat)
    else:
        getattr(out, TYPES.get(name, "int_val")).extend(flat.tolist())
    return out


def stable(message: Any) -> bytes:
    """Comparable, where a NaN equals itself."""
    return bytes(message.SerializeToString(deterministic=True))


def assert_same(read: Any, meant: Any) -> None:
    ours, theirs = read._asdict(), meant._asdict()
    which = "inputs" if isinstance(meant, Request) else "outputs"
    found, expected = ours.pop(which), theirs.pop(which)
    assert found.keys() == expected.keys()
    assert all(same(expected[name], found[name]) for name in expected)
    assert not any(array.flags.writeable for array in found.values())
    # Without an element that could be sent either way there is nothing to tell by.
    some = any(array.size and element_of(array.dtype).name != "bytes" for array in expected.values())
    version = meant.version
    if version.isascii() and version.isdigit():
        version = str(int(version))
    assert ours == theirs | {"typed": meant.typed and some, "version": version}


@given(REQUESTS)
def test_a_request_is_what_protobuf_reads(request: Request) -> None:
    assert stable(PredictRequest.FromString(tf_serving.encode_request(request))) == stable(
        as_protobuf(request)
    )


@given(RESPONSES)
def test_a_response_is_what_protobuf_reads(response: Response) -> None:
    assert stable(PredictResponse.FromString(tf_serving.encode_response(response))) == stable(
        as_protobuf(response)
    )


@pytest.mark.parametrize("name", [name for name in NAMES if name != "bytes"])
@pytest.mark.parametrize("typed", [False, True])
def test_every_element_type_travels_in_every_form(name: str, typed: bool) -> None:
    for form in every_form(name):
        request = Request("m", {"x": form}, typed=typed)
        data = tf_serving.encode_request(request)
        assert stable(PredictRequest.FromString(data)) == stable(as_protobuf(request))
        assert_same(tf_serving.decode_request(data), request)


@given(REQUESTS, st.data())
def test_a_request_is_read_however_it_was_written(request: Request, data: st.DataObject) -> None:
    message = as_protobuf(request)
    other = data.draw(rewritten(message.DESCRIPTOR, message.SerializeToString()))
    assert stable(meaning(PredictRequest, other)) == stable(message)
    assert_same(tf_serving.decode_request(message.SerializeToString()), request)
    assert_same(tf_serving.decode_request(other), request)


@given(RESPONSES, st.data())
def test_a_response_is_read_however_it_was_written(response: Response, data: st.DataObject) -> None:
    message = as_protobuf(response)
    other = data.draw(rewritten(message.DESCRIPTOR, message.SerializeToString()))
    assert stable(meaning(PredictResponse, other)) == stable(message)
    assert_same(tf_serving.decode_response(message.SerializeToString()), response)
    assert_same(tf_serving.decode_response(other), response)


@given(REQUESTS, st.data())
def test_of_a_damaged_request_nothing_is_read_that_protobuf_would_not(
    request: Request, data: st.DataObject
) -> None:
    message = as_protobuf(request)
    whole = data.draw(rewritten(message.DESCRIPTOR, message.SerializeToString()))
    judged(tf_serving.decode_request, PredictRequest, data.draw(damaged(whole)))


@given(RESPONSES, st.data())
def test_of_a_damaged_response_nothing_is_read_that_protobuf_would_not(
    response: Response, data: st.DataObject
) -> None:
    whole = tf_serving.encode_response(response)
    judged(tf_serving.decode_response, PredictResponse, data.draw(damaged(whole)))


@given(st.binary(max_size=60))
@example(field(2, BYTES, field(2, BYTES, b"\x08\x01" + field(7, BYTES, b"\x80"))))
@example(field(2, BYTES, field(2, BYTES, b"\x08\x01\x12\x05\x12\x03\x12\x01\xff")))
def test_of_any_bytes_nothing_is_read_that_protobuf_would_not(data: bytes) -> None:
    judged(tf_serving.decode_request, PredictRequest, data)
    judged(tf_serving.decode_response, PredictResponse, data)


@pytest.mark.parametrize("typed", [False, True])
def test_arrays_of_floats_are_views_of_the_message(typed: bool) -> None:
    for dtype in ("f4", "f8", "c8", "c16"):
        data = tf_serving.encode_request(Request("m", {"x": np.ones((2, 3), dtype)}, typed=typed))
        read = tf_serving.decode_request(memoryview(data)).inputs["x"]
        assert np.shares_memory(read, np.frombuffer(data, np.uint8))


@pytest.mark.parametrize("name", FOREIGN)
def test_an_element_type_that_tensorflow_lacks_cannot_be_sent(name: str) -> None:
    array = np.zeros(1, dtype_of(element_named(name)))
    with pytest.raises(ConfigError, match=f"'x' is of {name}, which TensorFlow does not have"):
        tf_serving.encode_request(Request("m", {"x": array}))


def test_a_version_is_a_number_or_else_a_label() -> None:
    for version, choice in (
        ("", None),
        ("0", "version"),
        ("12", "version"),
        ("v1", "version_label"),
        ("²", "version_label"),
    ):
        data = tf_serving.encode_request(Request("m", {}, version=version))
        assert PredictRequest.FromString(data).model_spec.WhichOneof("version_choice") == choice
        assert tf_serving.decode_request(data).version == version
    with pytest.raises(ConfigError, match="version 9223372036854775808 is larger"):
        tf_serving.encode_request(Request("m", {}, version=str(2**63)))


@pytest.mark.parametrize(
    "choices",
    [
        [b"\x12\x02\x08\x05", b"\x12\x00"],
        [b"\x12\x02\x08\x05", b"\x22\x01a"],
        [b"\x22\x01a", b"\x12\x00"],
        [b"\x12\x02\x08\x05", b"\x22\x01a", b"\x12\x00"],
        [b"\x22\x00"],
    ],
)
def test_of_two_kinds_of_version_the_last_one_counts(choices: list[bytes]) -> None:
    data = field(1, BYTES, b"".join(choices[:1])) + field(1, BYTES, b"".join(choices[1:]))
    spec = PredictRequest.FromString(data).model_spec
    expected = str(spec.version.value) if spec.HasField("version") else spec.version_label
    assert tf_serving.decode_request(data).version == expected


def decoded(**rest: Any) -> Any:
    return tf_serving.decode_response(
        PredictResponse(outputs={"x": TensorProto(**rest)}).SerializeToString()
    ).outputs["x"]


def shape(*sizes: int) -> dict[str, Any]:
    return {"dim": [{"size": size} for size in sizes]}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "bytes"])
def test_the_last_value_is_repeated_and_no_value_is_zero(name: str) -> None:
    for sent in (0, 1, 2, 3):
        array = (np.arange(3) % 2 + 1).astype(dtype_of(element_named(name)))
        proto = tensor_proto(array[:sent], typed=True)
        read = decoded(
            **{
                "tensor_shape": shape(3),
                **{f.name: v for f, v in proto.ListFields() if f.name != "tensor_shape"},
            }
        )
        expected = array.copy()
        expected[sent:] = array[sent - 1] if sent else 0
        assert same(expected, read)


def test_the_last_string_is_repeated_and_no_string_is_empty() -> None:
    assert decoded(dtype="DT_STRING", tensor_shape=shape(3), string_val=[b"a", b"b\0"]).tolist() == [
        b"a",
        b"b\0",
        b"b\0",
    ]
    assert decoded(dtype="DT_STRING", tensor_shape=shape(2)).tolist() == [b"", b""]
    assert decoded(dtype="DT_STRING").tolist() == b""


def test_halves_may_be_written_as_signed_numbers() -> None:
    bits = np.array([-2.0, 1.5], "<f2").view("<i2").tolist()
    assert decoded(dtype="DT_HALF", tensor_shape=shape(2), half_val=bits).tolist() == [-2.0, 1.5]


def test_strings_are_read_from_tensor_content_too() -> None:
    items = [b"a" * 200, b"", b"bc\0"]
    content = b"".join(varint(len(item)) for item in items) + b"".join(items)
    assert decoded(dtype="DT_STRING", tensor_shape=shape(3), tensor_content=content).tolist() == items
    for wrong in (content[:-1], content + b"x", content[:2], b"\x80"):
        with pytest.raises(WireError):
            decoded(dtype="DT_STRING", tensor_shape=shape(3), tensor_content=wrong)


def test_what_a_message_leaves_out_is_limited_to_a_mebibyte_in_all() -> None:
    half = TensorProto(dtype="DT_FLOAT", tensor_shape=shape(2**17), float_val=[1.0])
    both = PredictRequest(inputs={"a": half, "b": half}).SerializeToString()
    assert {array.shape for array in tf_serving.decode_request(both).inputs.values()} == {(2**17,)}
    tiny = TensorProto(dtype="DT_INT8", tensor_shape=shape(2), int_val=[1])
    three = PredictRequest(inputs={"a": half, "b": half, "c": tiny}).SerializeToString()
    with pytest.raises(WireError, match=r"has 1 values for .* elements, .* limited to \d+ bytes"):
        tf_serving.decode_request(three)
    for dtype in ("DT_INT8", "DT_STRING", "DT_COMPLEX128"):
        with pytest.raises(WireError, match="'x' has 0 values for 1073741824 elements"):
            decoded(dtype=dtype, tensor_shape=shape(2**30))
    with pytest.raises(WireError, match="'x' has 1 values for 2000 elements"):
        decoded(dtype="DT_STRING", tensor_shape=shape(2000), string_val=[b"y" * 1000])


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ({"dtype": "DT_FLOAT", "tensor_shape": shape(1), "float_val": [1, 2]}, "'x' has 2 values"),
        ({"dtype": "DT_FLOAT", "tensor_shape": shape(0), "float_val": [1]}, "'x' has 1 values"),
        ({"dtype": "DT_STRING", "string_val": [b"a", b"b"]}, "'x' has 2 values"),
        ({"dtype": "DT_FLOAT8_E5M2", "float8_val": b"ab"}, "'x' has 2 values"),
        ({"dtype": "DT_COMPLEX64", "scomplex_val": [1, 2, 3]}, "without the other half"),
        ({"dtype": "DT_FLOAT", "int_val": [1]}, "values in field 7 of TensorProto"),
        ({"dtype": "DT_INT32", "int64_val": [1]}, "values in field 10 of TensorProto"),
        ({"dtype": "DT_INT8", "string_val": [b""]}, "values in field 8 of TensorProto"),
        ({"dtype": "DT_INT8", "float8_val": b"a"}, "values in field 18 of TensorProto"),
        ({"dtype": "DT_INT8", "tensor_content": b"a", "int_val": [1]}, "values in field 7 of TensorProto"),
        ({"dtype": "DT_STRING", "tensor_content": b"\0", "string_val": [b""]}, "values in field 8"),
        ({"dtype": "DT_UINT8", "int_val": [-1]}, "'x' has a value that is no uint8"),
        ({"dtype": "DT_INT4", "int_val": [8]}, "'x' has a value that is no int4"),
        ({"dtype": "DT_UINT4", "int_val": [16]}, "'x' has a value that is no uint4"),
        ({"dtype": "DT_HALF", "half_val": [2**16]}, "more than the 16 bits of float16"),
        ({"dtype": "DT_BFLOAT16", "half_val": [-(2**15) - 1]}, "more than the 16 bits of bfloat16"),
        ({"dtype": "DT_FLOAT", "tensor_content": b"abc"}, "'x' has 3 bytes of data"),
        ({"dtype": "DT_BOOL", "tensor_content": b"\2"}, "a byte other than 0 and 1"),
        ({"dtype": "DT_FLOAT", "tensor_shape": {"unknown_rank": True}}, "'x' has no shape"),
        ({"dtype": "DT_FLOAT", "tensor_shape": shape(-1)}, "no dimension may be negative"),
        ({"dtype": "DT_FLOAT", "tensor_shape": shape(2**40, 2**40)}, "'x' has "),
        ({"dtype": "DT_QINT8", "int_val": [1]}, "'x' has the unknown dtype '11'"),
        ({"dtype": "DT_FLOAT_REF"}, "'x' has the unknown dtype '101'"),
        ({}, "'x' has the unknown dtype '0'"),
    ],
)
def test_a_tensor_that_contradicts_itself_is_refused(rest: dict[str, Any], words: str) -> None:
    with pytest.raises(WireError, match=words):
        decoded(**rest)


def test_of_two_tensors_of_one_name_the_last_one_counts_and_a_missing_name_is_none() -> None:
    one, two = (TensorProto(dtype="DT_INT8", int_val=[number]).SerializeToString() for number in (1, 2))
    entries = [field(1, BYTES, b"x") + field(2, BYTES, one), field(2, BYTES, two) + field(1, BYTES, b"x")]
    entries.append(field(2, BYTES, one))
    data = b"".join(field(2, BYTES, entry) for entry in entries)
    read = tf_serving.decode_request(data).inputs
    assert {name: array.tolist() for name, array in read.items()} == {"x": 2, "": 1}
    with pytest.raises(WireError, match="'' has the unknown dtype '0'"):
        tf_serving.decode_request(field(2, BYTES, b""))


def test_one_value_for_all_elements_takes_no_memory() -> None:
    data = PredictRequest(
        inputs={"x": TensorProto(dtype="DT_FLOAT", tensor_shape=shape(512, 512), float_val=[1.5])}
    ).SerializeToString()
    tracemalloc.start()
    array = tf_serving.decode_request(data).inputs["x"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (array.shape, array[511, 511], peak < 2**16) == ((512, 512), 1.5, True)
    assert tf_serving.encode_request(Request("m", {"x": array})).count(np.float32(1.5).tobytes()) == 512**2


def test_a_large_message_may_leave_out_sixteen_times_what_it_has() -> None:
    many = list(range(2**15))
    last = decoded(dtype="DT_FLOAT", tensor_shape=shape(2**19), float_val=many)[-1]
    assert last == 2**15 - 1
    with pytest.raises(WireError, match="has 32768 values for 1048576 elements"):
        decoded(dtype="DT_FLOAT", tensor_shape=shape(2**20), float_val=many)
    one_hot = decoded(dtype="DT_FLOAT", tensor_shape=shape(2**18), float_val=[1.0, 0.0])
    assert (one_hot.sum(), one_hot.shape) == (1.0, (2**18,))
