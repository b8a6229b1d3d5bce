"""Feeds the readers of `eas_grpc.tensors` with what coverage suggests, and lets protobuf's runtime judge them.

    python fuzz/fuzz_tensors.py 60          # for so many seconds, from fuzz/corpus on
    python fuzz/fuzz_tensors.py FILE ...    # these inputs again, without atheris

The first byte of an input chooses the format and the rest is read as a request and as a response. Only a result
and WireError are allowed: any other error, memory out of proportion or a hang is a finding, and so is a result
that protobuf's runtime does not confirm or that changes when it is written and read again.
"""

from __future__ import annotations

import os
import random
import resource
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WORK = ROOT / ".venv-fuzz"
sys.path[:0] = [str(ROOT / "tests"), str(HERE)]

# For the arrays that a few kilobytes can describe, and what Python and libFuzzer take meanwhile.
MEGABYTES = 384
LONGEST_INPUT = 4096
# Seconds of processor time, since machines pause; libFuzzer's own clock, below, is for what never ends.
LONGEST = 5


class Side(NamedTuple):
    """A message of a format: how it is read and written, and what protobuf calls it."""

    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]
    type: Any
    meaning: Callable[[Any], Any] | None


@cache
def formats() -> tuple[tuple[Side, Side], ...]:
    """Each format's request and response, in the order of the first byte."""
    from eas_grpc_pb.open_inference.v2 import open_inference_pb2
    from eas_grpc_pb.tensor.v1 import tensor_pb2
    from eas_grpc_pb.tf_serving.v1 import prediction_service_pb2 as tf_pb2
    from support import tensor_oracle as oracle

    from eas_grpc.tensors import native, open_inference, tf_serving

    # TensorFlow lets a message leave out values that repeat; each input would take as much memory as is allowed.
    tf_serving._MOST_LEFT_OUT = 2**20

    def pair(module: Any, request: Any, response: Any, meanings: tuple[Any, Any] = (None, None)) -> Any:
        return (
            Side(module.decode_request, module.encode_request, request, meanings[0]),
            Side(module.decode_response, module.encode_response, response, meanings[1]),
        )

    return (
        pair(
            native,
            tensor_pb2.PredictRequest,
            tensor_pb2.PredictResponse,
            (oracle.native_request, oracle.native_response),
        ),
        pair(open_inference, open_inference_pb2.ModelInferRequest, open_inference_pb2.ModelInferResponse),
        pair(tf_serving, tf_pb2.PredictRequest, tf_pb2.PredictResponse),
    )


def check(data: bytes) -> None:
    """Raises whatever a reader may not raise, and AssertionError for a wrong result."""
    if not data:
        return
    began = time.process_time()
    for side in formats()[data[0] % len(formats())]:
        check_side(side, data[1:])
    spent = time.process_time() - began
    assert spent < LONGEST, f"{len(data)} bytes took {spent:.1f} seconds"


def check_side(side: Side, data: bytes) -> None:
    """The same for one message."""
    from google.protobuf.message import DecodeError
    from support import tensor_oracle as oracle

    from eas_grpc.errors import ConfigError, WireError

    try:
        parsed = side.type.FromString(data)
    except DecodeError:
        parsed = None
    try:
        message = side.decode(data)
    except WireError as error:
        assert len(str(error)) < 4000, f"{len(str(error))} characters of error message"
        stricter = any(part in str(error) for part in ("field number 0 ", "longer than 5 bytes"))
        if parsed is not None and side.meaning and not stricter:
            assert oracle.by_protobuf(data, side.type, side.meaning) == oracle.REFUSED, f"refused: {error}"
        return
    # Readers of the other formats skip some fields unread, so that protobuf may refuse what stands there.
    if parsed is None:
        assert not side.meaning or too_deep(side, data), "protobuf refuses what we read"
    elif side.meaning:
        assert oracle.by_protobuf(data, side.type, side.meaning) == oracle.plain(message)
    try:
        written = side.encode(message)
    except ConfigError:
        # An empty tensor may claim to be typed in a type that has no typed values.
        written = side.encode(message._replace(typed=False))
    side.type.FromString(written)
    again = side.decode(written)
    assert comparable(again) == comparable(message), f"it is {again} when written and read again"


def comparable(message: Any) -> list[tuple[str, object]]:
    """A Request or Response; whether its elements came typed does not change what they are."""
    from support import tensor_oracle as oracle

    fields = []
    for name, value in message._asdict().items():
        if name in {"inputs", "outputs"} and isinstance(value, Mapping):
            fields.append((name, repr(sorted((key, oracle.content(array)) for key, array in value.items()))))
        elif name == "parameters":
            fields.append((name, repr(sorted(value.items()))))
        elif name != "typed":
            fields.append((name, value))
    return fields


def too_deep(side: Side, data: bytes) -> bool:
    """Whether this is the one thing that we read and protobuf refuses: groups a hundred deep in an inner message."""
    from eas_grpc.errors import WireError
    from eas_grpc.tensors import _wire

    deepest, _wire._DEEPEST_GROUP = _wire._DEEPEST_GROUP, 90
    try:
        side.decode(data)
    except WireError:
        return True
    finally:
        _wire._DEEPEST_GROUP = deepest
    return False


def mutate(data: bytes, size: int, seed: int, plain: Callable[[bytes, int], bytes]) -> bytes:
    """Another input like this one, of no more than `size` bytes: half of them by libFuzzer's own means."""
    from mutations import mutated

    rng = random.Random(seed)
    if len(data) > 1 and rng.random() < 0.5:
        sides = formats()[data[0] % len(formats())]
        changed = mutated(data[1:], rng.choice(sides).type, rng)
        if changed is not None and len(changed) < size:
            return data[:1] + changed
    return plain(data, size)


def fuzz(seconds: str) -> int:
    """Runs libFuzzer in this process, which it ends."""
    try:
        import atheris
    except ImportError:
        where = f"Python {sys.version_info[0]}.{sys.version_info[1]} on {sys.platform}"
        print(
            f"SKIPPED, nothing was fuzzed: atheris is not installed, or has no wheel for {where}",
            file=sys.stderr,
        )
        return 1 if os.environ.get("CI") else 0
    with atheris.instrument_imports(include=["eas_grpc.tensors"]):
        formats()
    found = WORK / "corpus"
    found.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={seconds}", "-timeout=300", f"-max_len={LONGEST_INPUT}"]
    limits += ["-rss_limit_mb=512", f"-artifact_prefix={WORK}/", "-print_final_stats=1", "-verbosity=0"]
    atheris.Setup(
        [sys.argv[0], *limits, str(found), str(HERE / "corpus")],
        check,
        custom_mutator=lambda data, size, seed: mutate(data, size, seed, atheris.Mutate),
    )
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    most = pages * resource.getpagesize() + MEGABYTES * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    atheris.Fuzz()
    return 0


def main(arguments: list[str]) -> int:
    """The command line."""
    if len(arguments) == 1 and arguments[0].isdigit():
        return fuzz(arguments[0])
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    for name in arguments:
        check(Path(name).read_bytes())
        print(f"{name}: as it should be")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
