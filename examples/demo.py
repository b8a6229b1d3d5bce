"""Starts the demo server on a free port and makes real calls to it: what `make demo` runs.

The server is a process of its own; it is stopped, and waited for, in the end.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import numpy as np
from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloRequest, HelloResponse
from grpc_health.v1 import health_pb2, health_pb2_grpc

import eas_grpc
from eas_grpc import inference
from eas_grpc.errors import CallError
from server_demo.digits import samples

TOKEN = "a-token-for-this-run"  # noqa: S105


def main() -> int:
    """Makes its calls; returns the exit status."""
    with demo_server() as address, eas_grpc.connect(address, token=TOKEN) as channel:
        print(f"server   ready on {address}, token required")
        print(f"greeting {greet(channel)!r}")

        image, digit = one_digit()
        print(drawing(image))
        seen, share = classify(channel, image)
        print(
            f"digits   the model sees a {seen} ({share:.0%} sure), over three protocols; the label says {digit}"
        )

        health = health_pb2_grpc.HealthStub(channel).Check(  # pyright: ignore[reportAttributeAccessIssue]
            health_pb2.HealthCheckRequest()
        )
        print(f"health   {health_pb2.HealthCheckResponse.ServingStatus.Name(health.status)}")

        refused = refusal(address)
        print(f"refused  with a wrong token: {refused}")
    return 0 if seen == digit and refused.failure.status == "UNAUTHENTICATED" else 1


@contextmanager
def demo_server() -> Iterator[str]:
    """A demo server in a process of its own; yields its address."""
    command = [sys.executable, "-m", "server_demo", "--port", "0", "--token", TOKEN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            if not line.startswith("ready on "):
                raise SystemExit(f"the demo server did not start: {line.strip() or 'see its message above'}")
            yield line.removeprefix("ready on ").strip()
        finally:
            server.terminate()


def greet(channel: grpc.Channel) -> str:
    """The call of the PAI-EAS page on gRPC, by its method path."""
    say_hello = channel.unary_unary(
        "/helloworld.GreeterService/SayHello", HelloRequest.SerializeToString, HelloResponse.FromString
    )
    answer: HelloResponse = say_hello(HelloRequest(name="World"))
    return answer.message


def one_digit() -> tuple[np.ndarray, int]:
    """An image (float32, 28 x 28 flattened) that the model has never seen, and what it shows."""
    images, labels = samples()
    return images[0], int(labels[0])


def classify(channel: grpc.Channel, image: np.ndarray) -> tuple[int, float]:
    """The digit that the model sees in the image, and how sure it is; the same over all three tensor protocols."""
    clients = (inference.TensorClient, inference.OpenInferenceClient, inference.TFServingClient)
    answers = [client(channel).infer("digits", {"images": image[np.newaxis]}) for client in clients]
    scores = answers[0]["scores"][0]
    assert all(np.array_equal(answer["scores"][0], scores) for answer in answers)
    return int(scores.argmax()), float(scores.max())


def drawing(image: np.ndarray) -> str:
    """The image in characters, every second row, as a terminal's letters are twice as high as wide."""
    shades = " .:*#"
    rows = image.reshape(28, 28)[::2]
    return "\n".join(
        "         " + "".join(shades[min(4, int(value * 5))] for value in row).rstrip()
        for row in rows
        if row.any()
    )


def refusal(address: str) -> CallError:
    """The error of a call with a wrong token."""
    with eas_grpc.connect(address, token="not-the-token") as channel:
        try:
            greet(channel)
        except CallError as error:
            return error
    raise SystemExit("a call with a wrong token was answered")


if __name__ == "__main__":
    sys.exit(main())
