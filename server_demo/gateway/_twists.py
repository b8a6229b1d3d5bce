"""What each kind of fault does to a call: before it goes on, when the answer's head comes, when its body does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from server_demo.gateway import _answers as answers
from server_demo.gateway import _frames as f
from server_demo.gateway._exchange import Caller, Headers, Sent
from server_demo.gateway._faults import Chosen
from server_demo.gateway._http2_caller import Http2Caller
from server_demo.gateway._limits import MessageSizes
from server_demo.gateway._shape import LINK_KINDS

if TYPE_CHECKING:
    from server_demo.gateway._call import Call

__all__ = ["Twist", "twists_of"]

_HTML: Final = b"""<!DOCTYPE html>
<html><head><title>Sign in</title></head><body><h1>Sign in to continue</h1></body></html>
"""
_PIECE: Final = 64 * 1024
_ZEROS: Final = bytes(_PIECE)
_LOOK_AGAIN_SECONDS: Final = 0.02


class Twist:
    """A fault at work on one call. Each method tells whether it has taken care; the default lets everything pass."""

    def __init__(self, call: Call, chosen: Chosen) -> None:
        self.call = call
        self.id = chosen.id
        self.kind = chosen.fault.kind
        self.values: Any = chosen.fault.values

    def instead(self) -> bool:
        """Before the call goes on to the service."""
        return False

    def headers(self, headers: Headers) -> Headers:
        """What becomes of the service's headers."""
        return headers

    def head(self, status: int, headers: Headers) -> bool:  # noqa: ARG002
        """When the service's head has come."""
        return False

    def data(self, data: bytes, sent: Sent | None) -> bool:  # noqa: ARG002
        """When a piece of the service's answer has come."""
        return False

    def did(self, what: str) -> bool:
        """Into the trace; true, for methods that have taken care."""
        record = self.call.record
        self.call.core.faults.note(record.number, record.method, self.id, self.kind, what)
        return True


class _Latency(Twist):
    def __init__(self, call: Call, chosen: Chosen) -> None:
        super().__init__(call, chosen)
        self.did(f"waited {chosen.delay_seconds:.6g} s")


class _Status(Twist):
    def __init__(self, call: Call, chosen: Chosen) -> None:
        super().__init__(call, chosen)
        self._after: int | None = self.values["after_messages"]
        self._sizes = MessageSizes(None)

    def instead(self) -> bool:
        code, details = self.values["code"], self.values["details"]
        if self._after is not None:
            return False
        if isinstance(code, int):
            self.did(f"answered HTTP {code}")
            self.call.whole(code, details.encode(), "text/plain; charset=utf-8")
        else:
            self.did(f"answered {code}, trailers only")
            self.call.answer(answers.Answer(503, code, details))
        return True

    def head(self, status: int, headers: Headers) -> bool:
        if self._after == 0:
            self.call.send_head(status, headers)
            return self._end()
        return False

    def data(self, data: bytes, sent: Sent | None) -> bool:
        if self._after is None:
            return False
        end = self._sizes.end_of(data, self._after)
        if end is None:
            self._sizes.feed(data)
            return False
        self.call.send_data(data[:end], sent)
        return self._end()

    def _end(self) -> bool:
        self.did(f"ended with {self.values['code']} after {self._after} messages")
        self.call.answer(answers.Answer(503, self.values["code"], self.values["details"]))
        return True


class _Reset(Twist):
    def instead(self) -> bool:
        return self.values["after"] == "nothing" and self._break("before headers")

    def head(self, status: int, headers: Headers) -> bool:
        if self.values["after"] != "headers":
            return False
        self.call.send_head(status, headers)
        return self._break("after headers")

    def _break(self, when: str) -> bool:
        if self.values["connection"] or not isinstance(self.call.caller, Http2Caller):
            self.did(f"reset the connection {when}")
            self.call.core.flush()
            self.call.caller.link.abort()
            self.call.abandon("RESET")
        else:
            self.did(f"reset the stream {when}")
            self.call.break_off()
        return True


class _HalfClose(Twist):
    def head(self, status: int, headers: Headers) -> bool:
        self.call.send_head(status, headers)
        self.call.core.flush()
        self.call.caller.link.half_close()
        self.call.abandon("HALF CLOSED")
        return self.did("sent the headers and closed the gateway's direction of the connection")


class _TruncatedFrame(Twist):
    def data(self, data: bytes, sent: Sent | None) -> bool:
        caller, data = self.call.caller, data[: f.SMALLEST_MAX_FRAME]
        half = data[: len(data) // 2]
        if isinstance(caller, Http2Caller):
            self.call.core.flush()
            caller.link.write(f.frame_head(f.DATA, 0, caller.number, len(data)) + half)
        else:
            caller.send_data(half)
            self.call.core.flush()
        caller.link.close()
        self.call.abandon("TRUNCATED")
        if sent is not None:
            sent()
        return self.did(f"sent {len(half)} of {len(data)} bytes and closed the connection")


class _Goaway(Twist):
    def instead(self) -> bool:
        caller, grace = self.call.caller, self.values["grace"]
        assert isinstance(caller, Http2Caller)
        self.did(
            "said GOAWAY and went on with the call" if grace else "said GOAWAY and closed the connection"
        )
        caller.side.goaway(grace=grace)
        if not grace:
            self.call.abandon("GOAWAY")
        return not grace


class _OnLink(Twist):
    """Works on the connection of the call: a black hole until the fault ends, the others until the answer has gone."""

    def __init__(self, call: Call, chosen: Chosen) -> None:
        super().__init__(call, chosen)
        call.core.shapes.begin(call.caller.link, self.id, chosen.fault)
        if self.kind != "black_hole":
            # Not at once: the end of the answer is still to be written.
            call.at_end.append(lambda: call.core.loop.call_soon(self._answered))
        self.did(f"put {chosen.fault.text()} on the connection")

    def instead(self) -> bool:
        """The call may have come in one piece with the bytes that were let in: in a black hole it is lost as they are."""
        lost = self.kind == "black_hole" and self.values["direction"] != "to_client"
        return lost and _hold(self.call, self.id)

    def _answered(self) -> None:
        """The answer is complete; it may be held back on the link, or wait for room in front of it."""
        call, link = self.call, self.call.caller.link
        if link.closed:
            return
        if _waits(call.caller):
            call.core.loop.call_later(_LOOK_AGAIN_SECONDS, self._answered)
        else:
            link.when_gone(lambda: call.core.shapes.end(link, self.id))


class _Restart(Twist):
    def instead(self) -> bool:
        self.did(f"restarted, down for {self.values['down']:g} s")
        self.call.abandon("RESTART")
        self.call.core.restart(self.values["down"])
        # Also where it came to an instance, which the gateway's restart does not touch.
        self.call.caller.link.abort()
        return True


class _NeverAnswer(Twist):
    def instead(self) -> bool:
        return _hold(self.call, self.id) and self.did("took the request and said nothing")


class _Html(Twist):
    def instead(self) -> bool:
        self.did(f"answered HTTP {self.values['status']} with a page")
        self.call.whole(self.values["status"], _HTML, "text/html; charset=utf-8")
        return True


class _ContentType(Twist):
    def headers(self, headers: Headers) -> Headers:
        value: str = self.values["value"]
        self.did(f"changed content-type to {value}")
        return [(b"content-type", value.encode()), *(pair for pair in headers if pair[0] != b"content-type")]


class _GiantMessage(Twist):
    def __init__(self, call: Call, chosen: Chosen) -> None:
        super().__init__(call, chosen)
        self._left = self.values["size"]

    def instead(self) -> bool:
        size = self.values["size"]
        self.did(f"answered with a message of {size} bytes")
        if self.call.grpc:
            self.call.send_head(200, [(b"content-type", b"application/grpc")])
            self.call.send_data(b"\0" + size.to_bytes(4, "big"))
        else:
            length = (b"content-length", b"%d" % size)
            self.call.send_head(200, [(b"content-type", b"application/octet-stream"), length])
        self._more()
        return True

    def _more(self) -> None:
        """The next piece, once the one before is gone: the message is never in memory."""
        if self.call.over:
            return
        size = min(self._left, _PIECE)
        self._left -= size
        if size:
            # Not at once: a caller who reads as fast as this would keep us in here.
            again = self.call.core.loop.call_soon
            self.call.send_data(_ZEROS[:size], lambda: again(self._more))
        else:
            self.call.answer_end([(b"grpc-status", b"0")] if self.call.grpc else None)


class _NoHealthyUpstream(Twist):
    def instead(self) -> bool:
        self.did("answered that no upstream is healthy")
        self.call.answer(answers.NO_HEALTHY_UPSTREAM)
        return True


_TWISTS: Final[dict[str, type[Twist]]] = {
    "latency": _Latency,
    "status": _Status,
    "reset": _Reset,
    "half_close": _HalfClose,
    "truncated_frame": _TruncatedFrame,
    "goaway": _Goaway,
    **dict.fromkeys(LINK_KINDS, _OnLink),
    "restart": _Restart,
    "never_answer": _NeverAnswer,
    "html": _Html,
    "content_type": _ContentType,
    "giant_message": _GiantMessage,
    "no_healthy_upstream": _NoHealthyUpstream,
}


def _hold(call: Call, fault: int) -> bool:
    """Keeps a call from the service until the fault is over; then it goes on as if it had only been slow."""
    # One that was delayed first may come too late for it.
    is_on = any(each.id == fault for each in call.core.faults.active())
    if is_on:
        call.at_end.append(call.core.when_ended(fault, call.queue))
    return is_on


def _waits(caller: Caller) -> bool:
    """Whether some of an answer waits where the link does not see it, for room in a window or on the link."""
    if not isinstance(caller, Http2Caller):
        return False
    stream = caller.side.connection.streams.get(caller.number)
    return stream is not None and bool(stream.queue)


def twists_of(call: Call, chosen: Iterable[Chosen]) -> tuple[Twist, ...]:
    """The faults that were chosen for a call, at work; in their order, the first that takes care wins."""
    return tuple(_TWISTS[each.fault.kind](call, each) for each in chosen)
