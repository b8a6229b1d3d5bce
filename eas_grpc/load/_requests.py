"""What is sent: messages serialised once and used in turn, or templates that are filled in for each call."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count, cycle

from eas_grpc.errors import ConfigError
from eas_grpc.load._templates import compiled

__all__ = ["Payload", "Requests", "check_templates", "source"]

# One message, or all messages of a stream.
Payload = bytes | tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True)
class Requests:
    """The messages of a run, as plain data that another process can be given.

    A method with one request gets `messages` in turn, one a call; a stream of requests is all of them in each call.
    With `templates`, JSON texts in their place, `schema` is the method's descriptor set.
    """

    messages: tuple[bytes, ...] = ()
    templates: tuple[str, ...] = ()
    schema: bytes = b""
    seed: int = 1

    def __post_init__(self) -> None:
        if not self.messages and not self.templates:
            raise ConfigError("there is nothing to send: an empty request is b''")


def source(
    requests: Requests, method: str, *, streaming: bool, part: int = 0, parts: int = 1
) -> Callable[[], Payload]:
    """What gives the next call's payload. Of several processes each takes every `parts`-th of the series."""
    if requests.templates:
        return _filled(requests, method, streaming=streaming, part=part, parts=parts)
    if streaming:
        messages = requests.messages
        return lambda: messages
    many = len(requests.messages)
    return cycle([requests.messages[(part + turn * parts) % many] for turn in range(many)]).__next__


def _filled(
    requests: Requests, method: str, *, streaming: bool, part: int, parts: int
) -> Callable[[], Payload]:
    encode = _encoder(requests.schema, method)
    fills = [compiled(text, seed=requests.seed) for text in requests.templates]
    numbers = count(part, parts)

    def one() -> Payload:
        number = next(numbers)
        return encode(fills[number % len(fills)](number, time.time()))

    def stream() -> Payload:
        number = next(numbers)
        return tuple(encode(fill(number, time.time())) for fill in fills)

    return stream if streaming else one


def _encoder(descriptor_set: bytes, method: str) -> Callable[[str], bytes]:
    from eas_grpc.schema import from_descriptor_set

    schema = from_descriptor_set(descriptor_set, origin="the load run")
    request = schema.method(method).request

    def encode(text: str) -> bytes:
        data: bytes = schema.parse(request, text, where="the payload").SerializeToString()
        return data

    return encode


def check_templates(templates: Sequence[str], descriptor_set: bytes, method: str, seed: int) -> None:
    """Raises ConfigError unless the first filling of each template is a message."""
    encode = _encoder(descriptor_set, method)
    for text in templates:
        encode(compiled(text, seed=seed)(0, time.time()))
