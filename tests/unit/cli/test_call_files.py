"""What of an answer goes into files."""

from __future__ import annotations

import stat
from typing import Any

import numpy as np
import pytest
from support.call_schema import schema

from eas_grpc import tensors
from eas_grpc.cli._call_files import Saved, file_name, storable
from eas_grpc.errors import ConfigError, SchemaError
from eas_grpc.schema import Received, from_module

OURS = from_module("eas_grpc_pb.tensor.v1.tensor_pb2")
PREDICT = OURS.method("TensorService/Predict")
STREAM = OURS.method("TensorService/PredictStream")


def answer(method: Any = PREDICT, **outputs: np.ndarray) -> Received:
    data = tensors.native.encode_response(tensors.Response("m", outputs))
    return Received(data, method.response.FromString(data), 0.0)


def fields(method: str = "Store/Put", **values: Any) -> Received:
    message: Any = schema().method(method).response(**values)
    return Received(message.SerializeToString(), message, 0.0)


def saved(method: Any, tensors: Any = None, fields: Any = (), said: list[str] | None = None) -> Saved:
    return Saved(method, tensors, fields, (said if said is not None else []).append)


EVERY = [
    *(np.dtype(code) for code in "?bBhHiIlLqQefdFD"),
    *(np.dtype(code).newbyteorder(">") for code in "hHiIqQefdFD"),
]


@pytest.mark.parametrize("dtype", EVERY, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3)], ids=str)
def test_every_number_is_written_as_it_came(tmp_path, dtype, shape):
    count = int(np.prod(shape))
    array = np.arange(count * dtype.itemsize, dtype=np.uint8) % 2 if dtype.kind == "b" else None
    array = (
        array.view(bool) if array is not None else np.frombuffer(bytes(range(count * dtype.itemsize)), dtype)
    )
    array = array.reshape(shape)
    for target in (tmp_path / "out", tmp_path / "out.npz"):
        made = saved(PREDICT, target)
        made.take(answer(x=array))
        made.close()
        assert made.problem == ""
    little = array.astype(dtype.newbyteorder("<"))
    for found in (np.load(tmp_path / "out/x.npy"), np.load(tmp_path / "out.npz")["x"]):
        assert (found.dtype, found.shape, found.tobytes()) == (little.dtype, shape, little.tobytes())


def test_byte_strings_are_of_dtype_s():
    items = np.array([[b"a", b"\0bcd"], [b"", b"e"]], object)
    made = storable("x", items)
    assert (made.dtype, made.tolist()) == (np.dtype("S4"), items.tolist())
    assert storable("x", np.empty((0, 2), object)).shape == (0, 2)


def test_what_npy_cannot_hold_stays_in_the_message_and_is_told(tmp_path):
    made = saved(PREDICT, tmp_path / "out")
    received = answer(x=np.array([b"a\0"], object))
    made.take(received)
    made.close()
    assert "'x' has byte strings that end in a zero byte" in made.problem
    assert received.message.outputs[0].items == [b"a\0"]


def test_types_of_ml_dtypes_are_told_how_to_be_read(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.array([1.5, -2], ml_dtypes.bfloat16)
    said: list[str] = []
    made = saved(PREDICT, tmp_path / "out", said=said)
    made.take(answer(x=array))
    made.close()
    assert said == [f"{tmp_path}/out/x.npy: bfloat16 of shape [2], to be read with .view(ml_dtypes.bfloat16)"]
    assert np.array_equal(np.load(tmp_path / "out/x.npy").view(ml_dtypes.bfloat16), array)


def test_the_elements_are_left_out_of_what_is_printed(tmp_path):
    said: list[str] = []
    received = answer(x=np.zeros((2, 3), np.float32), s=np.array([b"abc"], object))
    made = saved(PREDICT, tmp_path / "o.npz", said=said)
    made.take(received)
    made.close()
    assert [
        (each.name, list(each.shape), each.data, list(each.items)) for each in received.message.outputs
    ] == [
        ("x", [2, 3], b"", []),
        ("s", [1], b"", []),
    ]
    assert said == [f"{tmp_path}/o.npz: x, float32 of shape [2, 3]", f"{tmp_path}/o.npz: s, S3 of shape [1]"]


def test_the_answers_of_a_stream_are_numbered(tmp_path):
    made = saved(STREAM, tmp_path / "out")
    for value in (1, 2):
        made.take(answer(STREAM, x=np.array([value])))
    made.close()
    assert {path.name: np.load(path).tolist() for path in (tmp_path / "out").iterdir()} == {
        "x.1.npy": [1],
        "x.2.npy": [2],
    }


@pytest.mark.parametrize("name", ["file", "self", "a/b", "x:0", ""])
def test_an_archive_keeps_the_names_whatever_they_are(tmp_path, name):
    made = saved(PREDICT, tmp_path / "o.npz")
    made.take(answer(**{name: np.array([7])}))
    made.close()
    with np.load(tmp_path / "o.npz") as found:
        assert found.files == [name]
        assert found[name].tolist() == [7]


@pytest.mark.parametrize(
    ("tensor", "name"),
    [
        ("scores", "scores.npy"),
        ("serving_default/x:0", "serving_default_x_0.npy"),
        ("../../etc/passwd", "_.._etc_passwd.npy"),
        ("..", "_.npy"),
        ("", "_.npy"),
        (".hidden", "hidden.npy"),
        ("a\0b\nc", "a_b_c.npy"),
        ("x" * 5000, "x" * 100 + ".npy"),
    ],
)
def test_no_name_of_a_tensor_leads_out_of_the_folder(tensor, name):
    assert file_name(tensor, set()) == name


def test_names_that_become_the_same_are_told_apart():
    taken: set[str] = set()
    assert [file_name(each, taken) for each in ("a/b", "a:b", "a_b")] == ["a_b.npy", "a_b-2.npy", "a_b-3.npy"]


def test_a_field_of_bytes_is_written_as_it_is(tmp_path):
    method = schema().method("Store/Put")
    said: list[str] = []
    made = saved(method, None, [("image", tmp_path / "i"), ("parts.0.label", tmp_path / "l")], said)
    made.take(fields(image=b"\xff\0", parts=[{"label": "é"}]))
    made.close()
    assert ((tmp_path / "i").read_bytes(), (tmp_path / "l").read_text("utf-8")) == (b"\xff\0", "é")
    assert said == [f"{tmp_path}/i: 2 bytes of image", f"{tmp_path}/l: 2 bytes of parts.0.label"]


def test_the_pieces_of_a_stream_make_one_file(tmp_path):
    made = saved(schema().method("Store/Get"), None, [("image", tmp_path / "i")])
    for piece in (b"one", b"", b"two"):
        made.take(fields("Store/Get", image=piece))
    made.close()
    assert (tmp_path / "i").read_bytes() == b"onetwo"


def test_a_field_that_the_answer_lacks_is_told_and_no_file_is_touched(tmp_path):
    (tmp_path / "old").write_text("kept")
    made = saved(schema().method("Store/Put"), None, [("note", tmp_path / "old")])
    made.take(fields())
    made.close()
    assert "--save-bytes note: the answer has nothing at 'note'" in made.problem
    assert (tmp_path / "old").read_text() == "kept"


def test_what_cannot_work_fails_before_the_call(tmp_path):
    method = schema().method("Store/Put")
    with pytest.raises(
        ConfigError, match=r"--save-tensors: the answer acme.call.v1.Fields is of no tensor protocol"
    ):
        saved(method, tmp_path / "out")
    with pytest.raises(ConfigError, match="did you mean 'image'"):
        saved(method, None, [("imaage", tmp_path / "x")])
    with pytest.raises(SchemaError, match="cannot be written: it is a folder"):
        saved(method, None, [("image", tmp_path)])
    with pytest.raises(SchemaError, match=r"o.npz cannot be written: there is no folder .*/no"):
        saved(PREDICT, tmp_path / "no/o.npz")
    (tmp_path / "file").touch()
    with pytest.raises(SchemaError, match="cannot be written: "):
        saved(PREDICT, tmp_path / "file/out")


def test_a_disk_that_is_full_is_said(tmp_path):
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    assert stat.S_ISCHR(full.stat().st_mode)
    made = saved(schema().method("Store/Put"), None, [("image", full)])
    with pytest.raises(SchemaError, match="cannot be written: No space left on device"):
        made.take(fields(image=b"x"))
    made.close()


def test_byte_strings_that_would_need_far_more_memory_than_they_are_stay_in_the_message():
    items = np.array([b"x" * 1_000_000, *[b""] * 1000], object)
    with pytest.raises(
        ConfigError, match=r"very different lengths: \.npy would take 954 MiB for 1000000 bytes"
    ):
        storable("x", items)
    assert storable("x", items[:60]).dtype == np.dtype("S1000000")
