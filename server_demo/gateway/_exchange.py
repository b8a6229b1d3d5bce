"""The words that the two halves of a proxied call speak: who calls, who answers, and what passes between.

Nobody keeps more of a body than its sender was allowed to send ahead: each piece carries `sent`, which its receiver
calls when the piece has gone on, and which then lets the sender send as much again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from server_demo.gateway._link import Link

__all__ = ["Backend", "Caller", "Exchange", "Head", "Headers", "Sent"]

Headers = list[tuple[bytes, bytes]]
Sent = Callable[[], object]


@dataclass(slots=True)
class Head:
    """The head of a request, over whichever protocol it came.

    `target` is path and query as they travelled; `headers` have lower-case names, the host is in `authority` alone.
    """

    method: str
    target: str
    authority: str
    headers: Headers = field(repr=False)

    def get(self, name: bytes) -> bytes | None:
        """The value of the first header with this name, in lower case."""
        return next((value for key, value in self.headers if key == name), None)


class Caller(Protocol):
    """Who is to be answered: a stream of an HTTP/2 connection, or the request of an HTTP/1.1 connection.

    After `send_end`, `reset` or the exchange's `gone` nothing more may be sent. With `close_after` an HTTP/1.1
    connection ends with the answer; it has to be set before the head is sent.
    """

    close_after: bool

    @property
    def link(self) -> Link:
        """The connection that it came over."""
        raise NotImplementedError

    def send_head(self, status: int, headers: Headers) -> None:
        """Sends the status and the headers; 100 to 199 may come first, 101 ends the exchange's part."""

    def send_only(self, headers: Headers) -> None:
        """Sends headers, `:status` among them, that are all of the answer: gRPC's trailers-only form."""

    def send_data(self, data: bytes, sent: Sent | None = None) -> None:
        """Sends a piece of the body; `sent` is called when it has gone to the system."""

    def send_end(self, trailers: Headers | None = None) -> None:
        """Ends the answer; trailers travel where the protocol has them."""

    def reset(self) -> None:
        """Breaks off: RST_STREAM, or the end of an HTTP/1.1 connection without farewell."""


class Exchange(Protocol):
    """One call on its way through: hears the caller and the backend."""

    def data(self, data: bytes, sent: Sent | None) -> None:
        """A piece of the request's body has come."""

    def end(self) -> None:
        """The request is complete."""

    def gone(self) -> None:
        """The caller has gone away, or has broken off; nothing can be sent any more."""

    def answer_head(self, status: int, headers: Headers) -> None:
        """The backend's head has come."""

    def answer_only(self, status: int, headers: Headers) -> None:
        """The backend's head has come, and is all of its answer."""

    def answer_data(self, data: bytes, sent: Sent | None) -> None:
        """A piece of the backend's answer has come."""

    def answer_end(self, trailers: Headers | None) -> None:
        """The backend's answer is complete."""

    def answer_failed(self, reason: str, *, connected: bool) -> None:
        """No answer, or no more of it: nobody listens there (`connected` is false), or it broke off."""


class Backend(Protocol):
    """The service's side of an exchange. It may still be connecting: what is sent waits for that."""

    def send_data(self, data: bytes, sent: Sent | None) -> None:
        """Passes on a piece of the request's body."""

    def send_end(self) -> None:
        """The request is complete."""

    def cancel(self) -> None:
        """Nobody wants the answer any more; nothing of it is reported after this."""
