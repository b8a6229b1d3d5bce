"""Arrays from files to models and back, over every tensor protocol of a running `eas-grpc serve`."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from interop.programs import serving

from eas_grpc.cli.__main__ import cli

TOKEN = "canary-of-call-tensors-31"

OURS = "eas_grpc_pb.tensor.v1.TensorService/Predict"
OPEN = "inference.GRPCInferenceService/ModelInfer"
TF = "tensorflow.serving.PredictionService/Predict"
PROTOCOLS = [OURS, OPEN, TF]

# All that an .npy file can hold and a tensor format has: numpy's numbers in both byte orders, byte strings and text.
NUMBERS = ["?", "b", "B", "h", "H", "i", "I", "q", "Q", "e", "f", "d"]
COMPLEX = ["F", "D"]
SHAPES = [(), (0,), (7,), (2, 0, 3), (3, 4)]


@pytest.fixture(scope="module")
def serve():
    command = (
        sys.executable,
        "-m",
        "eas_grpc.cli",
        "serve",
        "--port",
        "0",
        "--token",
        TOKEN,
        "--max-body",
        "0",
    )
    with serving(*command) as address:
        yield address


@pytest.fixture
def run(serve, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EAS_TOKEN", TOKEN)
    monkeypatch.setenv("EAS_ENDPOINT", serve)

    def run(*args: str, code: int = 0):
        done = CliRunner().invoke(cli, ["call", *args])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code == code, done.output
        assert TOKEN not in done.output
        return done

    return run


def numbers(codes: list[str]) -> dict[str, np.ndarray]:
    """Arrays of every type, byte order and shape, of all bits; and one that is not contiguous."""
    random = np.random.default_rng(7)
    made = {}
    for code in codes:
        for order in "<>":
            dtype = np.dtype(code).newbyteorder(order)
            for shape in SHAPES:
                size = int(np.prod(shape)) * dtype.itemsize
                data = random.integers(0, 2 if code == "?" else 256, size, np.uint8).tobytes()
                name = f"{'bool' if code == '?' else code}{'l' if order == '<' else 'g'}{len(made)}"
                made[name] = np.frombuffer(data, dtype).reshape(shape)
    made["strided"] = np.arange(24, dtype=codes[-1]).reshape(4, 6).T[::2]
    return made


def little(array: np.ndarray) -> np.ndarray:
    return array.astype(array.dtype.newbyteorder("<"))


@pytest.mark.parametrize("method", PROTOCOLS)
@pytest.mark.parametrize("target", ["out", "out.npz"])
def test_every_type_comes_back_bit_by_bit(run, tmp_path, method, target):
    sent = numbers(NUMBERS if method == OPEN else NUMBERS + COMPLEX)
    np.savez(tmp_path / "in.npz", **sent)
    run(method, "--model", "echo", "--tensor", "@in.npz", "--save-tensors", target)
    if target == "out":
        found = {path.stem: np.load(path) for path in (tmp_path / "out").iterdir()}
    else:
        with np.load(tmp_path / "out.npz") as archive:
            found = dict(archive)
    assert found.keys() == sent.keys()
    for name, array in sent.items():
        same = little(array)
        assert (found[name].dtype, found[name].shape) == (same.dtype, same.shape), name
        assert found[name].tobytes() == same.tobytes(), name


@pytest.mark.parametrize("method", PROTOCOLS)
def test_byte_strings_and_text_come_back_as_byte_strings(run, tmp_path, method):
    np.savez(
        tmp_path / "in.npz", s=np.array([[b"a", b"\0bc"], [b"", b"\xff"]]), u=np.array(["é", "", "日本"])
    )
    run(method, "--model", "echo", "--tensor", "@in.npz", "--save-tensors", "out")
    assert np.load(tmp_path / "out/s.npy").tolist() == [[b"a", b"\0bc"], [b"", b"\xff"]]
    assert [item.decode() for item in np.load(tmp_path / "out/u.npy").tolist()] == ["é", "", "日本"]


@pytest.mark.parametrize("method", PROTOCOLS)
def test_what_was_written_can_be_sent_again(run, tmp_path, method):
    np.save(tmp_path / "in.npy", np.array([b"abc", b"d"]))
    for source in ("in.npy", "x.npz"):
        name = "x=" if source == "in.npy" else ""
        run(method, "--model", "echo", "--tensor", f"{name}@{source}", "--save-tensors", "x.npz")
    with np.load(tmp_path / "x.npz") as found:
        assert found["x"].tolist() == [b"abc", b"d"]


@pytest.mark.parametrize("method", PROTOCOLS)
def test_digits_are_classified(run, tmp_path, method):
    np.save(tmp_path / "images.npy", np.zeros((2, 784), np.float32))
    more = ["-d", '{"modelSpec": {"signatureName": "predict_images"}}'] if method == TF else []
    done = run(
        *(method, "--model", "digits", "--tensor", "images=@images.npy", "--save-tensors", "out.npz"), *more
    )
    with np.load(tmp_path / "out.npz") as found:
        assert (found["scores"].shape, found["scores"].dtype) == ((2, 10), np.float32)
    assert done.stderr == "out.npz: scores, float32 of shape [2, 10]\n"
    text = json.dumps(json.loads(done.stdout))
    assert '"scores"' in text
    assert '"2"' in text
    assert len(text) < 400


@pytest.mark.parametrize("method", PROTOCOLS)
def test_without_saving_the_message_is_printed_as_it_is(run, tmp_path, method):
    import base64

    array = np.arange(3, dtype=np.float32)
    np.save(tmp_path / "x.npy", array)
    done = run(method, "--model", "echo", "--tensor", "x=@x.npy", "--output", "json")
    assert base64.b64encode(array.tobytes()).decode() in done.stdout
    assert json.loads(done.stdout)["sent"]["messages"] == 1


def test_a_stream_of_requests_may_carry_arrays_and_its_answers_are_numbered(run, tmp_path):
    np.save(tmp_path / "x.npy", np.arange(3))
    method = "eas_grpc_pb.tensor.v1.TensorService/PredictStream"
    run(method, "-d", "{}{}", "--model", "echo", "--tensor", "x=@x.npy", "--save-tensors", "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["x.1.npy", "x.2.npy"]
    assert np.load(tmp_path / "out/x.2.npy").tolist() == [0, 1, 2]


def test_a_large_array_is_not_made_json_of(run, tmp_path):
    array = np.random.default_rng(1).random(4_000_000)
    np.save(tmp_path / "x.npy", array)
    run(OURS, "--model", "echo", "--tensor", "x=@x.npy", "--save-tensors", "out", "--max-message", "64MiB")
    assert np.load(tmp_path / "out/x.npy").tobytes() == array.tobytes()


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.array([{}], object), "x.npy holds Python objects, which are not read"),
        (np.zeros(2, "M8[s]"), "'x': no tensor format has the dtype datetime64[s]"),
        (np.zeros(2, [("a", "i4")]), "'x': no tensor format has the dtype"),
        (np.zeros(2, "V3"), "'x': no tensor format has the dtype"),
    ],
    ids=["objects", "datetime", "records", "void"],
)
@pytest.mark.parametrize("method", PROTOCOLS)
def test_what_no_format_has_is_said_before_the_call(run, tmp_path, method, array, said):
    np.save(tmp_path / "x.npy", array)
    done = run(method, "--model", "echo", "--tensor", "x=@x.npy", code=3 if array.dtype.hasobject else 2)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert said in done.stderr


def test_a_folder_that_cannot_be_made_is_said_before_the_call(run, tmp_path):
    (tmp_path / "file").touch()
    np.save(tmp_path / "x.npy", np.zeros(1))
    done = run(OURS, "--model", "echo", "--tensor", "x=@x.npy", "--save-tensors", "file/out", code=3)
    assert (done.stdout, done.stderr.startswith("Error: file/out cannot be written: ")) == ("", True)


def test_what_a_file_cannot_hold_is_printed_and_the_rest_is_saved(run, tmp_path):
    data = {
        "model": "echo",
        "inputs": [{"name": "x", "dtype": "DTYPE_BYTES", "shape": [1], "items": ["YQA="]}],
    }
    done = run(OURS, "-d", json.dumps(data), "--save-tensors", "out", code=3)
    assert json.loads(done.stdout)["outputs"][0]["items"] == ["YQA="]
    assert "'x' has byte strings that end in a zero byte, which .npy cannot hold" in done.stderr
