"""Faults from Python: `with gateway.faults.latency(0.2, calls=3):`, and they end with the block."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from server_demo.gateway._faults import ActiveFault, Fault, TraceEntry, make, parse

if TYPE_CHECKING:
    import grpc

    from server_demo.gateway.gateway import Gateway

__all__ = ["Faults", "Switch"]

Direction = Literal["both", "to_client", "to_service"]


class Switch:
    """A fault that is on until `end`, or until the `with` block that it opened is left."""

    def __init__(self, gateway: Gateway, number: int, fault: Fault) -> None:
        self._gateway = gateway
        self.id = number
        self.fault = fault

    @property
    def hits(self) -> int:
        """To how many calls it has happened; of a fault that is over, what its trace says."""
        active = [each for each in self._gateway.faults.active() if each.id == self.id]
        return active[0].hits if active else len({entry.call for entry in self.trace})

    @property
    def trace(self) -> list[TraceEntry]:
        """What it did to which call."""
        return [entry for entry in self._gateway.faults.trace() if entry.fault == self.id]

    def end(self) -> None:
        """Takes it off; calls that it holds go on. A second time does nothing, nor when the gateway has stopped."""
        if self._gateway.running:
            self._gateway.run(lambda core: core.end_fault(self.id))

    def __enter__(self) -> Switch:
        """It is on already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ends it, also when the block failed."""
        self.end()

    def __repr__(self) -> str:
        return f"<fault {self.id} {self.fault.text()}>"


class Faults:
    """Puts faults on a running gateway.

    Each method begins at once and returns a Switch. All take, beside their own values: `calls`, to how many calls it
    happens (any number as long as it is on); `share` from 0 to 1, to which part of them, by chance from `seed`;
    `service` and `method`, to which: a name, and a pattern such as `*/SayHello` or `POST /api/predict/echo`.
    Raises ConfigError for values that cannot work.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def latency(self, seconds: float = 0.1, *, jitter: float = 0.0, **which: Any) -> Switch:
        """Waits before the request goes on: `seconds`, and by chance up to `jitter` seconds more."""
        return self._begin("latency", which, seconds=seconds, jitter=jitter)

    def status(
        self,
        code: str | int | grpc.StatusCode = "UNAVAILABLE",
        details: str = "",
        *,
        after_messages: int | None = None,
        **which: Any,
    ) -> Switch:
        """Answers with a status instead of the service.

        The name of a gRPC status happens to gRPC calls, as trailers alone, or after so many messages of the
        service's answer. The number of an HTTP status happens to all calls: a gRPC client then sees a
        gateway that does not speak gRPC. `details` is the message, or the body.
        """
        # Of gRPC's own type it is the name that counts.
        code = getattr(code, "name", code)
        return self._begin("status", which, code=code, details=details, after_messages=after_messages)

    def reset(
        self, after: Literal["nothing", "headers"] = "nothing", *, connection: bool = False, **which: Any
    ) -> Switch:
        """Breaks the call off: its stream of HTTP/2, or with `connection` (and over HTTP/1.1) the connection."""
        return self._begin("reset", which, after=after, connection=connection)

    def half_close(self, **which: Any) -> Switch:
        """Sends the answer's headers, then the end of the gateway's direction of the connection."""
        return self._begin("half_close", which)

    def truncated_frame(self, **which: Any) -> Switch:
        """Closes the connection in the middle of a frame, or of a body over HTTP/1.1."""
        return self._begin("truncated_frame", which)

    def goaway(self, *, grace: bool = True, **which: Any) -> Switch:
        """Tells the client to leave; without grace it closes the connection with all that runs on it."""
        return self._begin("goaway", which, grace=grace)

    def black_hole(self, direction: Direction = "both", **which: Any) -> Switch:
        """Holds every byte back without a word; when it ends, they go on, as after a broken network path."""
        return self._begin("black_hole", which, direction=direction)

    def drip(self, size: int = 1, *, interval: float = 0.01, **which: Any) -> Switch:
        """Sends `size` bytes every `interval` seconds."""
        return self._begin("drip", which, size=size, interval=interval)

    def bandwidth(
        self, bytes_per_second: int = 10_000, *, direction: Direction = "to_client", **which: Any
    ) -> Switch:
        """Lets no more bytes through in a second."""
        return self._begin("bandwidth", which, bytes_per_second=bytes_per_second, direction=direction)

    def restart(self, *, down: float = 0.5, **which: Any) -> Switch:
        """When a call comes, breaks all connections and refuses new ones for `down` seconds."""
        return self._begin("restart", which, down=down)

    def never_answer(self, **which: Any) -> Switch:
        """Takes requests and says nothing; they go on when it ends."""
        return self._begin("never_answer", which)

    def html(self, status: int = 200, **which: Any) -> Switch:
        """Answers with a page of HTML, as a proxy or a login page would."""
        return self._begin("html", which, status=status)

    def content_type(self, value: str = "text/plain", **which: Any) -> Switch:
        """Changes the content-type of the service's answer."""
        return self._begin("content_type", which, value=value)

    def giant_message(self, size: int = 100_000_000, **which: Any) -> Switch:
        """Answers with a message of `size` bytes, zeros."""
        return self._begin("giant_message", which, size=size)

    def no_healthy_upstream(self, **which: Any) -> Switch:
        """Answers as the gateway does when no instance of the service is healthy."""
        return self._begin("no_healthy_upstream", which)

    def begin(self, text: str) -> Switch:
        """Puts on the fault that a text describes: `latency:seconds=0.2,calls=3`."""
        return self._put(parse(text))

    def active(self) -> list[ActiveFault]:
        """Those that are on."""
        return self._gateway.run(lambda core: core.faults.active())

    def trace(self) -> list[TraceEntry]:
        """What was done to which call, oldest first; the last 10,000."""
        return self._gateway.run(lambda core: list(core.faults.trace))

    def end_all(self) -> None:
        """Takes all faults off."""
        self._gateway.run(lambda core: core.end_faults())

    def _begin(self, kind: str, which: dict[str, Any], **values: Any) -> Switch:
        return self._put(make(kind, **values, **which))

    def _put(self, fault: Fault) -> Switch:
        return Switch(self._gateway, self._gateway.run(lambda core: core.begin_fault(fault)), fault)
