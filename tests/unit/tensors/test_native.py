"""`eas_grpc.tensors.native`: memory, alignment, names, and what an attacker sends."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from eas_grpc_pb.tensor.v1 import tensor_pb2 as pb
from hypothesis import given
from support import tensor_oracle as oracle
from support import tensors as make
from support.disguise import record, varint
from support.tensors import cases

from eas_grpc.errors import ConfigError, WireError
from eas_grpc.tensors import Request, Response, native

SIZE = 16 << 20
SMALL, LARGE = 3 << 10, 38 << 20


def address(data: bytes | memoryview | np.ndarray) -> int:
    array = data if isinstance(data, np.ndarray) else np.frombuffer(data, np.uint8)
    return array.__array_interface__["data"][0]


def peak_of(action: Callable[[], object]) -> tuple[object, int]:
    """What it gives, and the most memory that it took meanwhile."""
    # Once before, since numpy imports a part of itself when it is first asked.
    native.encode_request(Request("", {"x": np.zeros(1)}))
    gc.collect()
    tracemalloc.start()
    try:
        return action(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# Memory


@pytest.mark.parametrize("layout", ["C", "strided", "big-endian"])
def test_encoding_takes_the_memory_of_the_message_and_no_more(layout) -> None:
    plain = np.arange(SIZE // 8, dtype=np.float64)
    array = {"C": plain, "strided": plain.repeat(2)[::2], "big-endian": plain.astype(">f8")}[layout]
    for encode, message in (
        (native.encode_request, Request("m", {"x": array})),
        (native.encode_response, Response("m", {"x": array})),
    ):
        data, peak = peak_of(lambda encode=encode, message=message: encode(message))
        assert SIZE < len(data) < SIZE + 100
        assert peak < 1.05 * SIZE


def test_the_parts_of_a_request_hold_the_callers_memory() -> None:
    array = np.arange(100)
    parts, peak = peak_of(lambda: native.request_parts(Request("m", {"x": array, "y": np.zeros(SIZE, "u1")})))
    assert any(isinstance(part, memoryview) and np.shares_memory(np.asarray(part), array) for part in parts)
    assert peak < 1.05 * SIZE, "the array that the test made, and nothing else"


@pytest.mark.parametrize("dtype", ["float32", "bool", "bfloat16"])
def test_decoding_takes_the_same_memory_for_any_size(dtype) -> None:
    def decode(size: int) -> int:
        array = np.zeros(size, "u1").view(make.NUMERIC[dtype])
        request = native.encode_request(Request("m", {"x": array}))
        response = native.encode_response(Response("m", {"x": array}))
        native.decode_request(request), native.decode_response(response)  # what is remembered of them, is now
        return max(
            peak_of(lambda: native.decode_request(request))[1],
            peak_of(lambda: native.decode_response(response))[1],
        )

    assert decode(LARGE) < 10_000
    assert abs(decode(LARGE) - decode(SMALL)) < 2_000


def test_decoding_takes_no_longer_for_a_large_array_than_for_a_small_one() -> None:
    def seconds(size: int) -> float:
        data = native.encode_request(Request("m", {"x": np.zeros(size, "u1")}))
        times = []
        for _ in range(20):
            begun = time.process_time()
            native.decode_request(data)
            times.append(time.process_time() - begun)
        return min(times)

    # A copy of 38 MB takes some thousand times as long as the whole decoding of 3 KB.
    assert seconds(LARGE) < 20 * seconds(SMALL)


@cases(300)
@given(make.requests)
def test_arrays_of_numbers_are_read_only_views_of_the_message(request) -> None:
    data = native.encode_request(request)
    first = address(data)
    for array in native.decode_request(data).inputs.values():
        assert not array.flags.writeable
        assert array.flags.c_contiguous
        if array.dtype != object and array.size:
            assert first <= address(array) <= first + len(data) - array.nbytes


@cases(300)
@given(make.responses)
def test_numbers_begin_at_a_multiple_of_16_bytes_and_are_aligned(response) -> None:
    data = native.encode_response(response)
    for array in native.decode_response(data).outputs.values():
        if array.dtype != object and array.size:
            assert (address(array) - address(data)) % 16 == 0
            assert array.flags.aligned, "for CPython places bytes at a multiple of 16"


def test_a_view_keeps_its_message() -> None:
    data = bytearray(native.encode_request(Request("m", {"x": np.arange(1000)})))
    for buffer in (bytes(data), memoryview(data)):
        array = native.decode_request(buffer).inputs["x"]
        del buffer
        gc.collect()
        assert array.tolist() == list(range(1000))
        del array
    data.append(0)  # nothing holds it any more
    array = native.decode_response(memoryview(data)[:-1]).outputs
    assert list(array) == ["x"]
    with pytest.raises(BufferError):
        data.append(0)


@cases(300)
@given(make.requests)
def test_a_memoryview_is_read_as_bytes_are(request) -> None:
    data = native.encode_request(request)
    moved = memoryview(b"\xff" + data + b"\xff")[1:-1]
    assert oracle.plain(native.decode_request(moved)) == oracle.plain(native.decode_request(data))


# What is no tensor


@pytest.mark.parametrize(
    "request_", [Request("\ud800", {}), Request("m", {}, ("\udfff",)), Request("m", {"\ud800": np.zeros(1)})]
)
def test_a_name_that_utf_8_cannot_hold_is_a_config_error(request_) -> None:
    with pytest.raises(ConfigError, match="UTF-8 has no surrogates"):
        native.encode_request(request_)


def test_the_error_for_no_tensor_names_it() -> None:
    with pytest.raises(ConfigError, match="'x' is a list, which is not an array"):
        native.encode_request(Request("m", {"x": [1.0]}))
    with pytest.raises(ConfigError, match="element 0 of 'x' is a int: an array of objects may hold"):
        native.encode_response(Response("m", {"x": np.array([1], object)}))


def tensor(*parts: bytes, name: bytes = b"x") -> bytes:
    return record(2, 2, record(1, 2, name) + b"".join(parts))


def dtype(number: int) -> bytes:
    return record(2, 0, varint(number))


def shape(*sizes: int) -> bytes:
    return record(3, 2, b"".join(map(varint, sizes)))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (tensor(dtype(11), shape(2), record(4, 2, bytes(7))), "7 bytes of data, but float32 of shape"),
        (tensor(dtype(11), shape(-1), record(4, 2, bytes(8))), "no dimension may be negative"),
        (tensor(dtype(0)), "unknown dtype '0'"),
        (tensor(dtype(27)), "unknown dtype '27'"),
        (tensor(dtype(2**64 - 1)), "unknown dtype '4294967295'"),
        (tensor(dtype(1), shape(1), record(4, 2, b"\x02")), "holds a byte other than 0 and 1"),
        (tensor(dtype(26), shape(1), record(4, 2, b"a")), "its elements belong in `items`"),
        (tensor(dtype(26), shape(2), record(5, 2, b"a")), r"1 byte strings, but its shape \[2\] needs 2"),
        (tensor(dtype(6), shape(1), record(5, 2, b"a")), "has `items`, which are for bytes"),
    ],
)
def test_a_message_that_contradicts_itself_is_a_short_wire_error(data, complaint) -> None:
    for decode in (native.decode_request, native.decode_response):
        with pytest.raises(WireError, match=complaint) as raised:
            decode(data)
        assert "'x'" in str(raised.value)


@pytest.mark.parametrize(
    "parts",
    [
        (dtype(11), shape(2)),
        (dtype(99),),
        (dtype(11), shape(*[2**63 - 1] * 64)),
        (dtype(11), shape(-1)),
        (dtype(26), shape(3)),
        (dtype(26), record(4, 2, b"a")),
        (dtype(6), record(5, 2, b"a")),
        (dtype(1), record(4, 2, b"\x02")),
    ],
)
def test_a_name_of_a_megabyte_stays_out_of_the_message(parts) -> None:
    with pytest.raises(WireError) as raised:
        native.decode_request(tensor(*parts, name=b"n" * 1_000_000))
    assert len(str(raised.value)) < 1_000
    with pytest.raises(WireError) as raised:
        native.decode_request(tensor(dtype(6), shape(0), name=b"n" * 1_000_000) * 2)
    assert len(str(raised.value)) < 200


# What an attacker sends. The worst known: twenty times the message, for dimensions of two bytes each.
COUNT = 10_000
MOST = 30
TINY = pb.Tensor(dtype=pb.DTYPE_UINT8, shape=[0]).SerializeToString()
ATTACKS = {
    "tiny tensors": b"".join(
        tensor(dtype(6), record(4, 2, b"a"), name=b"%x" % at) for at in range(COUNT)
    ),
    "empty tensors": b"".join(tensor(dtype(6), shape(0), name=b"%x" % at) for at in range(COUNT)),
    "tensors of 64 dimensions": b"".join(
        tensor(dtype(6), shape(*[0] * 64), name=b"%x" % at) for at in range(COUNT // 50)
    ),
    "empty strings": tensor(dtype(26), shape(COUNT), record(5, 2, b"") * COUNT),
    "short strings": tensor(dtype(26), shape(COUNT), record(5, 2, b"ab") * COUNT),
    "names wanted": record(3, 2, b"ab") * COUNT,
    "wide characters": record(3, 2, b"a" * 90 + "\N{GRINNING FACE}".encode()) * (COUNT // 20),
    "models": record(1, 2, b"ab") * COUNT,
    "unknown fields": record(9, 2, b"") * COUNT,
    "groups": (record(9, 3, b"") * 100 + record(9, 4, b"") * 100) * (COUNT // 100),
    "packed dimensions": tensor(dtype(6), shape(*[300] * COUNT)),
    "unpacked dimensions": tensor(dtype(6), record(3, 0, varint(300)) * COUNT),
    "largest dimensions": tensor(dtype(6), shape(*[2**63 - 1] * COUNT)),
    "one name of many tensors": record(2, 2, TINY) * COUNT,
}  # fmt: skip


def attempt(data: bytes) -> object:
    try:
        return native.decode_request(data)
    except WireError as error:
        assert len(str(error)) < 1_000
        return None


@pytest.mark.parametrize("attack", ATTACKS)
def test_memory_stays_within_a_small_multiple_of_the_message(attack) -> None:
    data = ATTACKS[attack]
    attempt(data)
    _, peak = peak_of(lambda: attempt(data))
    assert peak < MOST * len(data)


@pytest.mark.parametrize("attack", ATTACKS)
def test_time_stays_in_proportion_to_the_message(attack) -> None:
    """Not an absolute speed: reading one byte may cost what a hundred of the cheapest fields cost."""

    def seconds(message: bytes) -> float:
        begun = time.process_time()
        attempt(message)
        return time.process_time() - begun

    plain = ATTACKS["unknown fields"]
    per_byte = min(seconds(plain) for _ in range(3)) / len(plain)
    data = ATTACKS[attack]
    assert seconds(data) < 100 * per_byte * len(data)


def test_a_shape_with_more_dimensions_than_any_array_has_is_refused_before_it_is_read_to_its_end():
    data = tensor(dtype(6), shape(*[1] * 65), b"\xff\xff")
    with pytest.raises(WireError, match="more than 64 dimensions"):
        native.decode_request(data)
