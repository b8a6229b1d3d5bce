"""Recorded sessions and how they are changed; signatures a second time; tensors' bits; memory's growth."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from reliability import congruence, signatures
from reliability.mutate_sessions import PREFACE, frames, mutated
from reliability.rows.fuzzing import growth
from reliability.sampler import Sample
from reliability.sessions import recorded
from server_demo.gateway._exchange import Head
from server_demo.gateway._http2 import Connection


def test_there_are_sessions_of_both_protocols_and_all_shapes():
    sessions = recorded()
    spoken = [data for data in sessions.values() if data.startswith(PREFACE)]
    assert len(spoken) >= 5
    assert len(sessions) - len(spoken) >= 3
    assert sum(map(len, sessions.values())) < 20_000


@pytest.mark.parametrize("name", [name for name, data in recorded().items() if data.startswith(PREFACE)])
def test_a_session_is_whole_frames_that_the_gateway_understands(name):
    session = recorded()[name]
    parts = frames(session)
    assert b"".join(parts) == session
    assert all(len(part) == 9 + int.from_bytes(part[:3], "big") for part in parts[1:])
    opened = []
    connection = Connection(
        opened=lambda stream, fields, end: opened.append(dict(fields.headers)) or _Owner(),
        wake=lambda: None,
        max_streams=100,
        max_header_bytes=60_000,
    )
    connection.feed(session)
    assert connection.failed is None
    assert opened
    assert all(fields[b"content-type"] == b"application/grpc" for fields in opened)


class _Owner:
    def on_headers(self, fields, *, end): ...
    def on_data(self, data, sent):
        sent()

    def on_end(self): ...
    def on_reset(self, code): ...


def test_the_same_seed_changes_a_session_in_the_same_way_and_others_in_others():
    sessions = list(recorded().values())

    def changes(seed: int) -> list[bytes]:
        rng = random.Random(seed)
        return [mutated(rng, sessions[number % len(sessions)], sessions) for number in range(200)]

    assert changes(1) == changes(1)
    assert len(set(changes(1)) | set(changes(2))) > 380
    assert max(map(len, changes(1))) <= 200_000


def test_a_change_within_a_frame_leaves_the_frames_whole():
    sessions = list(recorded().values())
    session = recorded()["unary"]
    rng = random.Random(1)
    results = [frames(mutated(rng, session, sessions)) for _ in range(300)]
    whole = [all(len(part) == 9 + int.from_bytes(part[:3], "big") for part in parts[1:]) for parts in results]
    assert 50 < sum(whole) < 290


@pytest.mark.parametrize("vector", signatures.VECTORS, ids=range(len(signatures.VECTORS)))
def test_the_second_verifier_knows_the_vectors(vector):
    made = signatures.sign(signatures.TOKEN, vector.target, vector.md5, vector.content_type, vector.date)
    assert made == vector.authorization
    assert signatures.accepted(vector, [signatures.TOKEN], strict=True)
    assert not signatures.accepted(vector, ["another"], strict=False)
    assert not signatures.accepted(replace(vector, body=b"other"), [signatures.TOKEN], strict=True)


def test_a_change_is_always_one_and_never_of_what_is_not_signed():
    rng = random.Random(3)
    for _ in range(2000):
        request = signatures.random_request(rng)
        forged = signatures.changed(rng, request)
        assert signatures.accepted(request, [signatures.TOKEN], strict=False)
        assert not signatures.accepted(forged, [signatures.TOKEN], strict=False)
        assert forged.body == request.body
        assert sum(getattr(forged, name) != getattr(request, name) for name in vars(request)) == 1


def test_a_verifier_that_takes_everything_is_found(monkeypatch):
    monkeypatch.setattr(signatures, "_gateway_accepts", lambda request, *, strict: True)
    found = signatures.verify_many("seed", 50)
    assert found["forgeries"] == 50
    assert found["disagreements"] > 10


def test_a_signature_that_is_not_over_the_path_would_be_found(monkeypatch):
    kept = signatures._gateway_accepts
    loose = lambda request, *, strict: kept(request, strict=strict) or request.target.endswith("x")  # noqa: E731
    monkeypatch.setattr(signatures, "_gateway_accepts", loose)
    assert signatures.verify_many("seed", 500)["forgeries"] > 0
    assert Head


@pytest.mark.parametrize("dtype", congruence.NATIVE)
def test_random_arrays_are_of_every_layout(dtype):
    rng = random.Random(dtype)
    arrays = [congruence.random_array(rng, dtype) for _ in range(300)]
    assert {congruence.bits(array)[0] for array in arrays} == {dtype}
    assert {array.ndim for array in arrays} == {0, 1, 2, 3}
    assert {array.size == 0 for array in arrays} == {True, False}
    if dtype != "bytes":
        assert any(not array.flags.c_contiguous for array in arrays)
    if dtype in {"int16", "uint64", "float16", "float64", "complex64", "complex128"}:
        assert any(array.dtype.byteorder == ">" for array in arrays)


def test_bits_tell_nans_and_zeros_apart_and_not_byte_orders():
    quiet, payload = (np.array([bits], np.uint32).view(np.float32) for bits in (0x7FC00000, 0x7F800001))
    assert congruence.bits(quiet) != congruence.bits(payload)
    assert congruence.bits(np.array([0.0])) != congruence.bits(np.array([-0.0]))
    big = payload.byteswap().view(payload.dtype.newbyteorder(">"))
    assert congruence.bits(big) == congruence.bits(payload)
    assert congruence.bits(np.zeros((0, 2))) != congruence.bits(np.zeros((2, 0)))
    assert congruence.bits(np.array([b"a", b""], object)) == ("bytes", (2,), (b"a", b""))


def test_growth_is_what_comes_after_the_warming():
    def samples(*sizes: float) -> list[Sample]:
        return [Sample(at, int(size * 2**20), 1, 1, 0.0) for at, size in enumerate(sizes)]

    assert growth(samples(10, 50, 50, 50, 50, 50, 50, 50, 50, 50), 0.3) == 0
    assert growth(samples(*range(0, 200, 10)), 0.3) > 80
    assert growth(samples(50, 50, 50, 90, 50, 50, 50, 50, 50, 50), 0.2) == 0
    assert growth(samples(1, 2), 0.3) == 0
