"""Sessions that were recorded, and what is done with them: mutated, and sent to a live process.

`python -m reliability.sessions` records them anew: grpcio's calls of all four shapes, and HTTP/1.1 as Python's own client
speaks it, through the gateway. Each file of `recorded` has the bytes of one connection, from the client alone.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloManyTimesRequest, HelloRequest, HelloResponse
from eas_grpc_pb.tensor.v1.tensor_pb2 import DTYPE_FLOAT32, PredictRequest, PredictResponse, Tensor
from eas_grpc_pb.tf_predict.v1 import tf_predict_pb2

from reliability.child import say
from reliability.demo_commands import TOKEN, gateway_command
from reliability.mutate_sessions import mutated

__all__ = ["RECORDED", "recorded", "send"]

RECORDED = Path(__file__).parent / "recorded"
_METADATA = (("authorization", f"Bearer {TOKEN}"), ("x-trace-bin", b"\0\xff"))
_GREETER = "/helloworld.GreeterService"
_PROBE_SECONDS = 5.0
# Connections that stay open while the next ones come, so that the other side has time to answer.
_OPEN_AT_ONCE = 24
_RESET = struct.pack("ii", 1, 0)


def recorded() -> dict[str, bytes]:
    """All sessions by name."""
    return {path.stem: path.read_bytes() for path in sorted(RECORDED.glob("*.bin"))}


# In the sender's process.


def send(port: int, seed: str, count: int, seconds: float, probe_every: int, http: bool) -> dict[str, Any]:
    """Sends so many mutated sessions, or as many as there is time for; every so often a real call has to be answered.

    Says `inputs` with the number after each real call.
    """
    sessions = list(recorded().values())
    rng = random.Random(seed)
    failed: list[str] = []
    open_sockets: deque[socket.socket] = deque()
    deadline = time.monotonic() + seconds
    sent = 0
    for sent in range(1, count + 1):
        _deliver(port, mutated(rng, rng.choice(sessions), sessions), rng, open_sockets)
        if sent % probe_every == 0 or sent == count:
            failed += _probe(port, http=http)
            say("inputs", sent=sent)
            if time.monotonic() > deadline or len(failed) > 3:
                break
    while open_sockets:
        _drop(open_sockets.popleft(), rng)
    failed += _probe(port, http=http)
    return {"sent": sent, "failed_calls": failed}


def _deliver(port: int, data: bytes, rng: random.Random, open_sockets: deque[socket.socket]) -> None:
    """In one to three pieces; the connection ends at once, half, or when others have come."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=2)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    cuts = sorted(rng.randint(0, len(data)) for _ in range(rng.choice((0, 0, 1, 2))))
    with contextlib.suppress(OSError):
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            connection.sendall(data[start:end])
            _read(connection)
        if rng.random() < 0.3:
            connection.shutdown(socket.SHUT_WR)
    open_sockets.append(connection)
    if len(open_sockets) > _OPEN_AT_ONCE:
        _drop(open_sockets.popleft(), rng)


def _read(connection: socket.socket) -> None:
    # Only what has come: nobody is waited for.
    while select.select([connection], [], [], 0)[0] and connection.recv(65_536):
        pass


def _drop(connection: socket.socket, rng: random.Random) -> None:
    with contextlib.suppress(OSError):
        _read(connection)
        if rng.random() < 0.3:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    connection.close()


def _probe(port: int, *, http: bool) -> list[str]:
    """A call over a new connection; why it failed, if it did."""
    try:
        with _channel(port) as channel:
            hello = _method(channel, "unary_unary", "SayHello")
            answer = hello(HelloRequest(name="A"), metadata=_METADATA, timeout=_PROBE_SECONDS)
        assert "A" in answer.message
        if http:
            status, body = _ask(port, "POST", "/api/predict/echo", b"abc")
            assert (status, body) == (200, b"abc"), status
    except (grpc.RpcError, OSError, http_error, AssertionError) as error:
        return [f"{type(error).__name__}: {str(error)[:300]}"]
    return []


http_error = http.client.HTTPException


def _channel(port: int) -> grpc.Channel:
    # A pool of its own: otherwise the connection would be that of the call before.
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    return grpc.insecure_channel(f"127.0.0.1:{port}", options)


def _method(
    channel: grpc.Channel, shape: str, name: str, request: Any = HelloRequest, path: str = _GREETER
) -> Any:
    answer = PredictResponse if request is PredictRequest else HelloResponse
    return getattr(channel, shape)(f"{path}/{name}", request.SerializeToString, answer.FromString)


def _ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PROBE_SECONDS)
    try:
        connection.request(method, path, body, {"Authorization": TOKEN, **headers})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


# Recording.


@contextlib.contextmanager
def _tap(port: int) -> Iterator[tuple[int, bytearray]]:
    """A relay for one connection, which keeps what the client sends."""
    heard = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def relay() -> None:
            client, _ = listener.accept()
            with client, socket.create_connection(("127.0.0.1", port)) as server:
                while True:
                    for ready in select.select([client, server], [], [])[0]:
                        data = ready.recv(65_536)
                        if not data:
                            return
                        if ready is client:
                            heard.extend(data)
                        (server if ready is client else client).sendall(data)

        thread = threading.Thread(target=relay, daemon=True)
        thread.start()
        yield listener.getsockname()[1], heard
        thread.join(10)


def _unary(port: int) -> None:
    with _channel(port) as channel:
        hello = _method(channel, "unary_unary", "SayHello")
        for name in ("A", "B" * 300):
            hello(HelloRequest(name=name), metadata=_METADATA, timeout=_PROBE_SECONDS)


def _streams(port: int) -> None:
    with _channel(port) as channel:
        told: dict[str, Any] = {"metadata": _METADATA, "timeout": _PROBE_SECONDS}
        names = [HelloRequest(name=name) for name in "abc"]
        list(
            _method(channel, "unary_stream", "SayHelloManyTimes", HelloManyTimesRequest)(
                HelloManyTimesRequest(), **told
            )
        )
        _method(channel, "stream_unary", "SayHelloToAll")(iter(names), **told)
        list(_method(channel, "stream_stream", "Chat")(iter(names), **told))


def _refused(port: int) -> None:
    with _channel(port) as channel:
        for name, metadata in (("SayHello", ()), ("Nothing", _METADATA)):
            with contextlib.suppress(grpc.RpcError):
                _method(channel, "unary_unary", name)(
                    HelloRequest(), metadata=metadata, timeout=_PROBE_SECONDS
                )


def _cancelled(port: int) -> None:
    with _channel(port) as channel:
        many = _method(channel, "unary_stream", "SayHelloManyTimes", HelloManyTimesRequest)
        answers = many(
            HelloManyTimesRequest(name="A", count=1000, interval_ms=10), metadata=_METADATA, timeout=60
        )
        next(answers)
        answers.cancel()


def _tensors(port: int) -> None:
    image = Tensor(name="x", dtype=DTYPE_FLOAT32, shape=[2, 2], data=bytes(16))
    request = PredictRequest(model="echo", inputs=[image])
    service = "/eas_grpc_pb.tensor.v1.TensorService"
    with _channel(port) as channel:
        told: dict[str, Any] = {"metadata": _METADATA, "timeout": _PROBE_SECONDS}
        _method(channel, "unary_unary", "Predict", PredictRequest, service)(request, **told)
        stream = _method(channel, "stream_stream", "PredictStream", PredictRequest, service)
        list(stream(iter([request, request]), **told, compression=grpc.Compression.Gzip))


def _http_plain(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PROBE_SECONDS)
    image = tf_predict_pb2.ArrayProto(
        dtype=tf_predict_pb2.DT_FLOAT,
        array_shape=tf_predict_pb2.ArrayShape(dim=[1, 784]),
        float_val=[0.5] * 784,
    )
    request = tf_predict_pb2.PredictRequest(signature_name="predict_images", inputs={"images": image})
    for method, path, body in (
        ("POST", "/api/predict/echo", b"hello"),
        ("GET", "/api/predict/digits", None),
        ("POST", "/api/predict/digits", request.SerializeToString()),
        ("HEAD", "/api/predict/nothing", None),
    ):
        connection.request(method, path, body, {"Authorization": TOKEN})
        connection.getresponse().read()
    connection.close()


def _http_chunked(port: int) -> None:
    _ask(port, "POST", "/api/predict/echo/x?k=v", iter([b"some", b"more"]), Expect="100-continue")


def _http_pipelined(port: int) -> None:
    one = f"POST /api/predict/echo HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 2\r\n\r\nab"
    upgrade = "GET /api/predict/echo HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=_PROBE_SECONDS) as connection:
        connection.sendall((one * 3 + upgrade).encode())
        connection.recv(65_536)


def record() -> None:
    """Writes all sessions."""
    RECORDED.mkdir(exist_ok=True)
    plays = (_unary, _streams, _refused, _cancelled, _tensors, _http_plain, _http_chunked, _http_pipelined)
    with gateway_command() as gateway:
        for play in plays:
            with _tap(gateway.port) as (port, heard):
                play(port)
            name = play.__name__.strip("_").replace("_", "-")
            (RECORDED / f"{name}.bin").write_bytes(heard)
            print(f"{name}: {len(heard)} bytes")


if __name__ == "__main__":
    record()
