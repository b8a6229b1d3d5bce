"""What is remembered of messages to read and write the next ones faster: it changes no answer and stays small."""

from __future__ import annotations

import numpy as np
import pytest
from eas_grpc_pb.tensor.v1 import tensor_pb2
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.errors import WireError
from eas_grpc.tensors import Request, native


@pytest.fixture(autouse=True)
def nothing_remembered():
    native._layouts.clear()
    native._lead.cache_clear()


def message(name: str = "x", shape=(2, 3), fill: float = 1.0, model: str = "m") -> bytes:
    return native.encode_request(Request(model, {name: np.full(shape, fill, np.float32)}))


def test_the_second_message_of_a_shape_is_not_parsed_and_has_its_own_elements(monkeypatch):
    native.decode_request(message(fill=1.0))
    monkeypatch.setattr(native, "_parsed", lambda *_: pytest.fail("parsed again"))
    again = native.decode_request(message(fill=2.0))
    assert (again.model, again.inputs["x"].tolist()) == ("m", [[2.0] * 3] * 2)
    assert not again.inputs["x"].flags.writeable


def test_a_request_and_a_response_of_the_same_bytes_are_told_apart():
    data = tensor_pb2.PredictRequest(
        model="m", outputs=["y"], inputs=[tensor_pb2.Tensor(name="x", dtype=6, shape=[4], data=b"abcd")]
    ).SerializeToString(deterministic=True)
    shuffled = data[:3] + data[-3:] + data[3:-3]  # the array last, where it can be remembered
    for _ in range(2):
        assert native.decode_request(shuffled).outputs == ("y",)
        assert native.decode_response(shuffled).outputs["x"].tobytes() == b"abcd"


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"), st.sampled_from([(4, 3), (3, 4), (12,)]), st.sampled_from(["m", "n"])
        ),
        min_size=2,
        max_size=12,
    )
)
def test_messages_that_are_alike_never_take_one_another_s_names_and_shapes(told):
    for number, (name, shape, model) in enumerate(told):
        found = native.decode_request(message(name, shape, number, model))
        assert (found.model, list(found.inputs)) == (model, [name])
        assert found.inputs[name].shape == shape
        assert float(found.inputs[name].sum()) == 12 * number


def test_names_that_differ_behind_what_is_looked_at_first_are_told_apart():
    long = "n" * 150
    for name in (long + "a", long + "b", long + "a"):
        assert list(native.decode_request(message(name)).inputs) == [name]


def test_a_boolean_is_looked_at_even_when_its_layout_is_known():
    good = tensor_pb2.PredictRequest(
        inputs=[
            tensor_pb2.Tensor(name="is_spam_or_not", dtype=tensor_pb2.DTYPE_BOOL, shape=[2], data=b"\0\1")
        ]
    ).SerializeToString()
    native.decode_request(good)
    assert native._layouts
    with pytest.raises(WireError, match="a byte other than 0 and 1"):
        native.decode_request(good[:-1] + b"\2")


def test_a_shorter_message_with_the_same_beginning_is_refused():
    data = message()
    native.decode_request(data)
    for cut in range(1, len(data)):
        with pytest.raises(WireError):
            native.decode_request(data[:-cut] if cut < len(data) - 3 else data[:4])


def test_what_is_remembered_is_bounded_in_number_and_in_size():
    for size in range(2 * native._MOST_LAYOUTS):
        native.decode_request(message(shape=(size + 1,)))
    assert len(native._layouts) <= native._MOST_LAYOUTS
    native._layouts.clear()
    native.decode_request(message("n" * 1000))
    assert not native._layouts
    native._lead.cache_clear()
    message("n" * 1000)
    assert native._lead.cache_info().currsize == 0
