"""The calls of ovmsclient, a client of TensorFlow Serving that needs no TensorFlow: `... ADDRESS SAMPLES`.

Prints a JSON object of what each call gave. It has no way to send a token.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from ovmsclient import make_grpc_client


def calls(address: str, samples: str) -> dict[str, Any]:
    """What each call gave, as JSON can hold it."""
    client = make_grpc_client(address)
    with np.load(samples) as stored:
        images = np.divide(stored["images"], 255, dtype=np.float32)

    def echo(array: Any) -> np.ndarray:
        # With one output it gives the array, with several a mapping.
        answer = client.predict({"x": array}, "echo")
        return answer["x"] if isinstance(answer, dict) else answer

    found: dict[str, Any] = {
        "digits": client.predict({"images": images}, "digits").tolist(),
        "metadata": client.get_model_metadata("digits"),
        "status": client.get_model_status("digits"),
        "status of version 1": client.get_model_status("digits", 1),
        "wrong shape": outcome(lambda: client.predict({"images": images[:, :5]}, "digits")),
        "wrong dtype": outcome(lambda: client.predict({"images": images.astype(np.float64)}, "digits")),
        "wrong name": outcome(lambda: client.predict({"pictures": images}, "digits")),
        "unknown model": outcome(lambda: client.predict({"x": images}, "nobody")),
        "unknown version": outcome(lambda: client.predict({"images": images}, "digits", 7)),
        "echo bytes": [item.hex() for item in echo([b"", b"\xff\x01"])],
    }
    for dtype in ("bool", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"):
        array = (np.arange(6) % 2).reshape(2, 3).astype(dtype)
        found[f"echo {np.dtype(dtype).name}"] = outcome(lambda array=array: echo(array).tolist())
    return found


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gave, or the type and the text of its error."""
    try:
        answer = call()
        return answer.tolist() if isinstance(answer, np.ndarray) else answer
    except Exception as error:
        return [type(error).__name__, str(error)]


if __name__ == "__main__":
    print(json.dumps(calls(*sys.argv[1:]), default=str))
