"""`eas_grpc.tensors._arrays`: what callers hand over, and arrays on the bytes of a message."""

from __future__ import annotations

import array
import ctypes
import gc
import mmap
import subprocess
import sys
import textwrap
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import tensor_oracle as oracle
from support import tensors as make
from support.tensors import cases

from eas_grpc.errors import ConfigError, WireError
from eas_grpc.tensors import Request, as_array, native
from eas_grpc.tensors._arrays import array_at, byte_items, bytes_array, element_count

NUMBERS = np.arange(6, dtype=np.float32).reshape(2, 3)


@cases(500)
@given(make.arrays)
def test_an_array_is_taken_as_it_is(value) -> None:
    taken = as_array(value)
    assert type(taken) is np.ndarray
    assert oracle.content(taken) == oracle.content(np.asarray(value))
    assert taken.size == 0 or np.shares_memory(taken, value)


def on_disk() -> mmap.mmap:
    memory = mmap.mmap(-1, 16)
    memory[:] = bytes(range(16))
    return memory


@pytest.mark.parametrize(
    ("value", "dtype", "shape"),
    [
        (array.array("d", [1, 2]), "float64", (2,)),
        (array.array("h", []), "int16", (0,)),
        (bytearray(b"abc"), "uint8", (3,)),
        (memoryview(b"abc"), "uint8", (3,)),
        (memoryview(bytes(16)).cast("f").cast("B").cast("f", (2, 2)), "float32", (2, 2)),
        (memoryview(bytes(16))[::2], "uint8", (8,)),
        (on_disk(), "uint8", (16,)),
        ((ctypes.c_int * 3)(1, 2, 3), "int32", (3,)),
    ],
    ids=["array", "empty array", "bytearray", "memoryview", "cast", "strided", "mmap", "ctypes"],
)
def test_whatever_has_the_buffer_protocol_is_taken_without_a_copy(value, dtype, shape) -> None:
    taken = as_array(value)
    assert (taken.dtype.name, taken.shape) == (dtype, shape)
    assert taken.tobytes() == memoryview(value).tobytes()
    assert taken.size == 0 or np.shares_memory(taken, np.asarray(memoryview(value)))


def test_a_later_change_of_a_buffer_is_seen_since_nothing_was_copied() -> None:
    value = bytearray(b"abc")
    taken = as_array(value)
    value[0] = 7
    assert taken[0] == 7


@pytest.mark.parametrize(
    "value",
    [np.float32(1.5), np.bool_(True), np.str_("a"), np.complex64(1j), make.NUMERIC["bfloat16"].type(2)],
)
def test_a_scalar_of_numpy_is_an_array_without_dimensions(value) -> None:
    taken = as_array(value)
    assert taken.shape == ()
    assert taken[()] == value


@pytest.fixture
def pa() -> ModuleType:
    return pytest.importorskip("pyarrow", reason="it needs numpy 2", exc_type=ImportError)


@pytest.mark.parametrize("type_", ["int8", "uint64", "float16", "float32", "float64"])
def test_an_array_of_pyarrow_comes_by_dlpack_without_a_copy(pa, type_) -> None:
    value = pa.array(np.arange(5, dtype=type_))
    taken = as_array(value)
    assert taken.dtype == type_
    assert taken.__array_interface__["data"][0] == value.buffers()[1].address
    del value
    gc.collect()
    assert taken.tolist() == list(range(5))


@pytest.mark.filterwarnings("ignore:Exporting an unversioned DLPack capsule:DeprecationWarning")
@pytest.mark.parametrize("items", [[1.5, None], ["a"]], ids=["null", "text"])
def test_what_dlpack_cannot_hold_is_a_config_error_that_says_so(pa, items) -> None:
    with pytest.raises(ConfigError, match=r"'x' cannot be read by DLPack \(.+\): pass it as a numpy array"):
        as_array(pa.array(items), "x")


def test_a_tensor_of_torch_comes_without_a_copy() -> None:
    torch = pytest.importorskip("torch")
    value = torch.arange(6).reshape(2, 3).T
    taken = as_array(value)
    assert taken.tolist() == value.tolist()
    assert taken.__array_interface__["data"][0] == value.data_ptr()
    with pytest.raises(ConfigError, match="cannot be read by DLPack"):
        as_array(torch.ones(2, requires_grad=True))


class OnDevice:
    """As arrays on an accelerator are; reading one where it lies would be a fault of the process."""

    def __init__(self, kind: int) -> None:
        self.kind = kind

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.kind, 0

    def __dlpack__(self, **_: object) -> object:
        raise AssertionError("its memory was asked for")


def test_memory_on_a_device_is_a_config_error_that_says_to_move_it() -> None:
    with pytest.raises(
        ConfigError, match=r"'x' lies on the device of DLPack type 2: move it first, with \.cpu\(\)"
    ):
        as_array(OnDevice(2), "x")
    named = OnDevice(2)
    named.device = "cuda:0"
    with pytest.raises(ConfigError, match="on the device cuda:0: move it"):
        as_array(named, "x")


def test_an_object_that_does_not_know_its_device_is_asked_for_its_memory() -> None:
    class Lost(OnDevice):
        def __dlpack_device__(self) -> tuple[int, int]:
            raise RuntimeError("the device is gone")

    with pytest.raises(ConfigError, match=r"'x' cannot be read by DLPack \(.+\): pass it as a numpy array"):
        as_array(Lost(2), "x")


class HasArray:
    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return NUMBERS


def test_what_only_has_the_method_array_is_taken_by_it() -> None:
    assert as_array(HasArray()) is NUMBERS


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ([1.0, 2.0], r"is a list, which is not an array: write np\.asarray\(value, dtype=np\.float32\)"),
        ((1,), "is a tuple, which is not an array"),
        (1.5, "is a float, which is not an array"),
        (None, "is a NoneType, which is not an array"),
        ({}, "is a dict, which is not an array"),
        (object(), "is a object, which is not an array"),
        ((n for n in [1]), "is a generator, which is not an array"),
        (b"abc", r"is a bytes: write np\.array\(value, dtype=object\)"),
        ("abc", r"is a str: write np\.array\(value, dtype=object\)"),
        (np.ma.array([1, 2], mask=[0, 1]), r"is a masked array, .* pass \.filled\(value\)"),
        (np.array(["2020"], "M8[D]"), r"has the dtype datetime64\[D\]: .*\(\.view\('int64'\) gives"),
        (np.zeros(2, "m8[s]"), r"has the dtype timedelta64\[s\]"),
        (np.datetime64("2020"), r"has the dtype datetime64\[Y\]"),
        (np.zeros(2, "f4,i4"), "no tensor format has the dtype void64"),
        (np.zeros(2, "V3"), "no tensor format has the dtype void24"),
        (np.zeros(2, [("float32", "f4")]).view(np.recarray), "no tensor format has the dtype record32"),
    ],
)
def test_what_is_no_tensor_is_a_config_error_that_names_it_and_says_what_to_write(value, hint) -> None:
    with pytest.raises(ConfigError, match=f"^'images':? .*{hint}|^'images' {hint}"):
        as_array(value, "images")


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="long double is float64 here")
@pytest.mark.parametrize("dtype", [np.longdouble, np.clongdouble])
def test_a_long_double_has_no_format(dtype) -> None:
    with pytest.raises(ConfigError, match=r"no tensor format has the dtype \w+: convert the array with"):
        as_array(np.zeros(2, dtype))


@pytest.mark.parametrize("item", [1, None, 1.5, bytearray(b"a"), ["a"], np.zeros(2)])
def test_an_array_of_objects_may_hold_bytes_and_text_alone(item) -> None:
    value = np.empty(2, object)
    value[0], value[1] = b"a", item
    with pytest.raises(
        ConfigError, match=f"element 1 of 'x' is a {type(item).__name__}: an array of objects"
    ):
        byte_items(as_array(value), "x")


def test_text_that_utf_8_cannot_hold_is_named_by_its_position() -> None:
    value = np.array([["a", "\ud800"]], object)
    with pytest.raises(ConfigError, match="element 1 of 'x' is text that UTF-8 cannot hold"):
        byte_items(value, "x")


def test_equally_long_byte_strings_are_elements_and_no_rows() -> None:
    made = bytes_array([b"ab", b"cd"], [2, 1], "x")
    assert made.tolist() == [[b"ab"], [b"cd"]]
    assert not made.flags.writeable


# Reading


@pytest.mark.parametrize("name", sorted(make.NUMERIC))
def test_an_array_is_a_read_only_view_that_keeps_its_buffer(name) -> None:
    dtype = make.NUMERIC[name]
    data = b"..." + bytes([0, 1] * dtype.itemsize * 2) + b"."
    view = array_at(data, 3, len(data) - 1, dtype, [2, 2], "x")
    assert view.dtype == dtype
    assert not view.flags.writeable
    with pytest.raises(ValueError, match="WRITEABLE"):
        view.flags.writeable = True
    begins = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    assert view.__array_interface__["data"][0] == begins + 3
    kept = bytes(memoryview(data)[3:-1])
    del data
    gc.collect()
    assert view.tobytes() == kept


def test_a_view_of_a_writable_buffer_is_read_only_and_locks_it() -> None:
    data = bytearray(8)
    view = array_at(memoryview(data), 0, 8, np.dtype("<f4"), [2], "x")
    assert not view.flags.writeable
    with pytest.raises(BufferError):
        data.append(1)


@pytest.mark.parametrize(
    ("size", "shape", "complaint"),
    [
        (8, [3], r"8 bytes of data, but float32 of shape \[3\] needs 12"),
        (8, [], "needs 4"),
        (8, [0], "needs 0"),
        (0, [2], "needs 8"),
        (0, [], "needs 4"),
        (8, [-2], "no dimension may be negative"),
        (8, [-1, -2], "no dimension may be negative"),
        (0, [0, -1], "no dimension may be negative"),
        (8, [2**62, 4], "no array has so many elements"),
        (8, [2**63 - 1] * 64, "no array has so many elements"),
        (0, [0, 2**62, 4], "a shape that no array can have"),
        (0, [0] + [2**63 - 1] * 63, "a shape that no array can have"),
        (4, [1] * 65, "65 dimensions: the most is 64"),
        (0, [0] * 100_000, "100000 dimensions"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused_and_the_message_is_short(size, shape, complaint) -> None:
    with pytest.raises(WireError, match=complaint) as raised:
        array_at(bytes(size), 0, size, np.dtype("<f4"), shape, "n" * 1_000_000)
    assert len(str(raised.value)) < 1200
    with pytest.raises(WireError):
        bytes_array([b""] * size, shape or [2], "x")


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=64), st.integers(0, 63))
def test_an_empty_shape_allocates_nothing_whatever_it_claims(shape, zero) -> None:
    shape[zero % len(shape)] = 0
    try:
        made = array_at(b"", 0, 0, np.dtype("<f8"), shape, "x")
    except WireError as error:
        assert "a shape that no array can have" in str(error)
    else:
        assert made.shape == tuple(shape)
        assert made.nbytes == 0


def test_elements_are_counted_without_overflow() -> None:
    assert element_count([2**31, 2**31], "x") == 2**62
    assert element_count([], "x") == 1
    with pytest.raises(WireError):
        element_count([2**32, 2**32], "x")


@pytest.mark.parametrize("shape", [[], [1], [2, 2]])
def test_a_boolean_is_0_or_1(shape) -> None:
    size = int(np.prod(shape))
    for last in (0, 1):
        made = array_at(bytes(size - 1) + bytes([last]), 0, size, np.dtype(bool), shape, "x")
        assert made.reshape(-1)[-1] == bool(last)
    for last in (2, 255):
        with pytest.raises(WireError, match="'x' is of bool and holds a byte other than 0 and 1"):
            array_at(bytes(size - 1) + bytes([last]), 0, size, np.dtype(bool), shape, "x")


# ml_dtypes, which is optional

WITHOUT = """
    import sys
    {block}
    import numpy as np
    from eas_grpc.errors import ConfigError
    from eas_grpc.tensors import Request, native
    from eas_grpc.tensors._specs import TensorSpec

    TensorSpec("bfloat16")  # a name needs no package
    native.decode_request(native.encode_request(Request("", {{"x": np.zeros(2, "f4")}})))
    try:
        native.decode_request(bytes.fromhex("{data}"))
    except ConfigError as error:
        print(error)
"""
BLOCKED = "sys.modules['ml_dtypes'] = None"
TOO_OLD = "import types; sys.modules['ml_dtypes'] = types.ModuleType('ml_dtypes')"


@pytest.mark.parametrize("block", [BLOCKED, TOO_OLD], ids=["missing", "too old"])
def test_without_ml_dtypes_its_element_types_are_a_config_error_that_says_what_to_install(block) -> None:
    value = np.zeros(2, make.NUMERIC["bfloat16"])
    data = native.encode_request(Request("", {"x": value})).hex()
    code = textwrap.dedent(WITHOUT).format(block=block, data=data)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "a tensor of bfloat16 needs the package ml_dtypes: pip install -U ml_dtypes\n"


def test_ml_dtypes_is_imported_when_a_message_needs_it_and_not_before() -> None:
    code = """
        import sys
        from eas_grpc.tensors import native
        assert "ml_dtypes" not in sys.modules
        print(native.decode_request(bytes.fromhex("{data}")).inputs["x"].dtype)
    """
    data = native.encode_request(Request("", {"x": np.zeros(2, make.NUMERIC["float8_e4m3"])})).hex()
    code = textwrap.dedent(code).format(data=data)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("float8_e4m3\n", "")
