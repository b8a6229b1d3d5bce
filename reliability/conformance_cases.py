"""Odd responses as data: what the peer sends, and which statuses the documents of gRPC and HTTP/2 allow for it.

The documents are PROTOCOL-HTTP2.md, http-grpc-status-mapping.md, statuscodes.md and compression.md of gRPC, RFC 9113, and
the connectrpc conformance suite where these leave a choice. `ANY_FAILURE` is for what no document gives a code: the call must
fail, in time, with a gRPC status, and the next one must succeed, as after every case.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from reliability.conformance_codes import ANY_FAILURE, http_code, reset_codes
from reliability.h2_server import CONTINUATION, HEADERS, PING, SETTINGS, WINDOW_UPDATE, message

__all__ = ["GOOD", "HI", "Case", "fault", "head", "odd_responses", "tail"]

OK = ("OK",)
# Where the answer ends too early the suite allows both. The messages before the cut may be lost with it.
CUT = ("INTERNAL", "UNKNOWN")
# A message that is not whole, where one is due: to the call that is none, so also a wrong number of answers.
NONE_WHOLE = (*CUT, "UNIMPLEMENTED")

HI = b"\x0a\x02hi"
HEAD = [[":status", "200"], ["content-type", "application/grpc"]]
PADDED, END_HEADERS = 8, 4
_DATA, _PUSH_PROMISE, _UNKNOWN_FRAME = 0, 5, 0x42


@dataclass(frozen=True)
class Case:
    """One odd response; `messages`, `details` and `metadata` are checked where they are given.

    `may_lose`: the answer breaks off, and what was under way may be lost with it; but never is there anything else.
    """

    name: str
    steps: Sequence[Any]
    codes: Sequence[str]
    shape: str = "unary_unary"
    messages: Sequence[str] | None = None
    details: str | None = None
    metadata: Sequence[Sequence[str]] = ()
    may_lose: bool = False


def head(*more: Sequence[str], end: bool = False) -> list[Any]:
    """The headers of an answer."""
    return ["headers", [*HEAD, *map(list, more)], end]


def tail(status: str = "0", *more: Sequence[str]) -> list[Any]:
    """The trailers."""
    return ["headers", [["grpc-status", status], *map(list, more)], True]


def only(status: str, *more: Sequence[str]) -> list[Any]:
    """Trailers only."""
    return head(["grpc-status", status], *more, end=True)


def data(payload: bytes = HI, **how: Any) -> list[Any]:
    """A message in one DATA frame."""
    return ["data", message(payload, **how)]


def raw(text: bytes, *, end: bool = False) -> list[Any]:
    """A DATA frame as it is."""
    return ["data", text.decode("latin-1"), end]


def last(payload: bytes = HI) -> list[Any]:
    """A message in a DATA frame that ends the answer, without trailers."""
    return ["data", message(payload), True]


GOOD = [head(), data(), tail()]


def odd_responses(*, every_status: bool) -> list[Case]:
    """All cases; with `every_status` each HTTP status from 200 to 599, otherwise those with a name."""
    statuses = range(201, 600) if every_status else [each for each in HTTPStatus if each > 200]
    groups = (
        _cardinality(),
        _statuses(),
        _content(),
        _compression(),
        _framing(),
        _texts(),
        _binary(),
        _illegal(),
        _endings(),
        *(_http(int(each)) for each in statuses),
        *(_reset(code) for code in (*range(14), 0xFF, 0x7FFFFFFF)),
    )
    return [case for group in groups for case in group]


def _cardinality() -> Iterator[Case]:
    for shape in ("unary_unary", "stream_unary"):
        # statuscodes.md: cardinality violations are UNIMPLEMENTED.
        yield Case(f"{shape}/ok-without-message", [head(), tail()], ("UNIMPLEMENTED",), shape)
        yield Case(f"{shape}/trailers-only-ok", [only("0")], ("UNIMPLEMENTED",), shape)
        yield Case(f"{shape}/two-messages", [head(), data(), data(), tail()], ("UNIMPLEMENTED",), shape)
        yield Case(f"{shape}/empty-message", [head(), data(b""), tail()], OK, shape, [""])
    for shape in ("unary_stream", "stream_stream"):
        yield Case(f"{shape}/ok-without-message", [head(), tail()], OK, shape, [])
        yield Case(f"{shape}/trailers-only-ok", [only("0")], OK, shape, [])
        yield Case(f"{shape}/two-messages", [head(), data(), data(), tail()], OK, shape, ["hi", "hi"])


def _statuses() -> Iterator[Case]:
    for shape in ("unary_unary", "unary_stream", "stream_unary", "stream_stream"):
        got = [] if shape.endswith("_unary") else ["hi"]
        more = {"shape": shape, "messages": got, "may_lose": True}
        yield Case(f"{shape}/no-trailers", [head(), last()], CUT, **more)
        yield Case(f"{shape}/no-status", [head(), data(), ["headers", [["x-other", "1"]], True]], CUT, **more)
    yield Case("no-status-but-text", [head(), ["headers", [["grpc-message", "error"]], True]], CUT)
    yield Case("headers-only", [head(end=True)], CUT)
    yield Case(
        "status-in-headers-and-trailers", [head(["grpc-status", "8"]), tail("9")], ("FAILED_PRECONDITION",)
    )
    yield Case("status-in-headers-then-body", [head(["grpc-status", "9"]), last()], CUT)
    yield Case(
        "message-then-failure",
        [head(), data(), tail("5", ["grpc-message", "gone"])],
        ("NOT_FOUND",),
        messages=[],
        details="gone",
    )
    yield Case("messages-then-failure", [head(), data(), tail("5")], ("NOT_FOUND",), "unary_stream", ["hi"])
    yield Case("trailers-only", [only("5", ["grpc-message", "gone"])], ("NOT_FOUND",), details="gone")
    yield Case(
        "trailers-only-of-a-stream",
        [only("5", ["grpc-message", "gone"])],
        ("NOT_FOUND",),
        "unary_stream",
        [],
        "gone",
    )
    names = "CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED"
    names += " RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS"
    for number, name in enumerate(f"{names} UNAUTHENTICATED".split(), 1):
        yield Case(f"status-{number}", [head(), tail(str(number))], (name,))
    for number in (17, 99, 65_535):
        yield Case(f"status-{number}", [only(str(number))], ("UNKNOWN",))
    for text in ("-1", "abc", "", "99999999999999999999", "0x0", "1.5"):
        yield Case(f"unreadable-status/{text or 'empty'}", [only(text)], ("UNKNOWN",))


def _content() -> Iterator[Case]:
    for kind in ("application/grpc+proto", "application/grpc;charset=utf-8", "application/grpc+octets"):
        steps = [["headers", [[":status", "200"], ["content-type", kind]]], data(), tail()]
        yield Case(f"type-{kind.replace('/', '-')}", steps, OK, messages=["hi"])
    jpeg = [[":status", "200"], ["content-type", "image/jpeg"]]
    yield Case("wrong-type", [["headers", jpeg, True]], ("UNKNOWN",))
    page = [[":status", "200"], ["content-type", "text/html"]]
    yield Case("login-page", [["headers", page], raw(b"<html>please log in</html>", end=True)], CUT)
    words = b'{"message": "hi"}'
    json = [[":status", "200"], ["content-type", "application/grpc+json"]]
    yield Case("unknown-codec", [["headers", json], data(words), tail()], (*CUT, "UNIMPLEMENTED"))
    yield Case("not-a-message", [head(), data(b"\xff\xff\xff"), tail()], ("INTERNAL",))
    yield Case(
        "not-a-message-of-a-stream",
        [head(), data(), data(b"\xff\xff"), tail()],
        ("INTERNAL",),
        "unary_stream",
        ["hi"],
    )


def _compression() -> Iterator[Case]:
    for name, packed in (("gzip", gzip.compress(HI)), ("deflate", zlib.compress(HI))):
        yield Case(
            f"{name}", [head(["grpc-encoding", name]), data(packed, flag=1), tail()], OK, messages=["hi"]
        )
        yield Case(f"{name}-but-plain", [head(["grpc-encoding", name]), data(), tail()], OK, messages=["hi"])
        yield Case(
            f"{name}-broken",
            [head(["grpc-encoding", name]), data(b"\x1f\x8bnothing", flag=1), tail()],
            ("INTERNAL",),
        )
        yield Case(
            f"{name}-cut", [head(["grpc-encoding", name]), data(packed[:-9], flag=1), tail()], ("INTERNAL",)
        )
    yield Case("unknown-compression", [head(["grpc-encoding", "foo"]), data(flag=1), tail()], ("INTERNAL",))
    yield Case("compressed-without-encoding", [head(), data(flag=1), tail()], ("INTERNAL",))
    yield Case(
        "compressed-with-identity", [head(["grpc-encoding", "identity"]), data(flag=1), tail()], ("INTERNAL",)
    )
    for flag in (2, 0x80, 0xFF):
        yield Case(f"reserved-flag-{flag}", [head(), data(flag=flag), tail()], NONE_WHOLE)


def _framing() -> Iterator[Case]:
    whole = message(HI).encode("latin-1")
    yield Case(
        "byte-by-byte", [head(), *(raw(bytes((each,))) for each in whole), tail()], OK, messages=["hi"]
    )
    yield Case("empty-frames", [head(), raw(b""), data(), raw(b""), tail()], OK, messages=["hi"])
    padded = (b"\x05" + whole + bytes(5)).decode("latin-1")
    yield Case("padding", [head(), ["frame", _DATA, PADDED, None, padded], tail()], OK, messages=["hi"])
    for shape, got in (("unary_unary", []), ("unary_stream", ["hi"])):
        first, more = [head(), *([data()] if got else [])], {"shape": shape, "messages": got}
        none = CUT if got else NONE_WHOLE
        yield Case(f"{shape}/cut-message", [*first, data(b"AAAA", length=10), tail()], none, **more)
        yield Case(f"{shape}/cut-prefix", [*first, raw(b"\0\0\0"), tail()], none, **more)
        broken_off = [*first, raw(b"\0\0\0\0\x0aAA", end=True)]
        yield Case(f"{shape}/cut-without-trailers", broken_off, CUT, **more, may_lose=True)
        # Ours takes 64 MiB, a bare client 4 MiB.
        for name, size in (("any", 2**32 - 1), ("the", 64 * 2**20 + 1)):
            steps = [*first, data(b"AAAA", length=size), tail()]
            yield Case(f"{shape}/longer-than-{name}-limit", steps, ("RESOURCE_EXHAUSTED",), **more)


def _texts() -> Iterator[Case]:
    texts = {
        "encoded": ("%41%20b", "A b"),
        "utf-8": ("%E4%BD%A0", "\u4f60"),
        "lower-case-hex": ("%e4%bd%a0", "\u4f60"),
        "bare-percent": ("100%", "100%"),
        "half-escape": ("a%4", "a%4"),
        "no-hex": ("%zz%g1", "%zz%g1"),
        "encoded-twice": ("%2541", "%41"),
        "plus-is-plus": ("a+b", "a+b"),
        "empty": ("", ""),
        "control": ("a%0Ab%09c", "a\nb\tc"),
        # Broken UTF-8, a zero byte, bytes that are not encoded: only that it does not fail otherwise is asked.
        "not-utf-8": ("%FF%FE", None),
        "zero": ("a%00b", None),
        "unencoded-utf-8": ("\u00e4\u00bd\u00a0", None),
        "long": ("x" * 6000, "x" * 6000),
    }
    for name, (sent, read) in texts.items():
        yield Case(f"text-{name}", [head(), tail("5", ["grpc-message", sent])], ("NOT_FOUND",), details=read)


def _binary() -> Iterator[Case]:
    values = {
        "padded": ("AQI=", [["some-bin", "\x01\x02"]]),
        "unpadded": ("AQI", [["some-bin", "\x01\x02"]]),
        "one-byte-unpadded": ("AQ", [["some-bin", "\x01"]]),
        "empty": ("", [["some-bin", ""]]),
        "joined": ("AQI,AwQ", [["some-bin", "\x01\x02"], ["some-bin", "\x03\x04"]]),
        "every-byte": ("AAECAwT//v38", [["some-bin", "\0\x01\x02\x03\x04\xff\xfe\xfd\xfc"]]),
    }
    for name, (sent, read) in values.items():
        for where in ("headers", "trailers"):
            field = [["some-bin", sent]] if where == "headers" else []
            steps = [head(*field), data(), tail("0", *([] if field else [["some-bin", sent]]))]
            yield Case(f"bin-{where}-{name}", steps, OK, messages=["hi"], metadata=read)
    for name, sent in (("not-base64", "!!!"), ("one-letter", "A"), ("padding-alone", "=")):
        yield Case(f"bin-{name}", [head(["some-bin", sent]), data(), tail()], (*OK, *ANY_FAILURE))
    yield Case(
        "details-are-garbage", [head(), tail("5", ["grpc-status-details-bin", "AAAA"])], ("NOT_FOUND",)
    )
    yield Case(
        "repeated-metadata",
        [head(["a", "1"], ["a", "2"]), data(), tail()],
        OK,
        metadata=[["a", "1"], ["a", "2"]],
    )
    yield Case("too-much-metadata", [head(["a", "x" * 20_000]), data(), tail()], ("RESOURCE_EXHAUSTED",))


def _illegal() -> Iterator[Case]:
    bad_heads = {
        "no-http-status": [["content-type", "application/grpc"]],
        "http-status-no-number": [[":status", "abc"]],
        "http-status-empty": [[":status", ""]],
        "request-in-the-answer": [[":status", "200"], [":path", "/"]],
        "pseudo-header-late": [["content-type", "application/grpc"], [":status", "200"]],
        "connection-header": [[":status", "200"], ["connection", "close"]],
        "upper-case": [[":status", "200"], ["X-Upper", "1"]],
    }
    # RFC 9113, 8.1.1 calls these malformed and wants a stream error; clients may be lenient about names.
    lenient = {
        "request-in-the-answer",
        "pseudo-header-late",
        "connection-header",
        "upper-case",
        "no-http-status",
    }
    for name, headers in bad_heads.items():
        codes = (*OK, *ANY_FAILURE) if name in lenient else ANY_FAILURE
        yield Case(name, [["headers", headers], data(), tail()], codes)
    late = ["frame", _DATA, 0, None, message(HI)]
    yield Case("data-before-headers", [late, head(), tail()], (*OK, *ANY_FAILURE, "UNIMPLEMENTED"))
    yield Case("unknown-frame", [["frame", _UNKNOWN_FRAME, 0xFF, None, "what"], *GOOD], OK, messages=["hi"])
    yield Case("early-hints", [["headers", [[":status", "103"], ["link", "x"]]], *GOOD], OK, messages=["hi"])
    frames = {
        "data-on-stream-0": [_DATA, 0, 0, "x"],
        "headers-on-stream-0": [HEADERS, END_HEADERS, 0, "\x88"],
        "headers-on-even-stream": [HEADERS, END_HEADERS, 2, "\x88"],
        "headers-on-unknown-stream": [HEADERS, END_HEADERS, 99, "\x88"],
        "push": [_PUSH_PROMISE, END_HEADERS, None, "\0\0\0\2\x88"],
        "window-of-0": [WINDOW_UPDATE, 0, 0, "\0\0\0\0"],
        "stream-window-of-0": [WINDOW_UPDATE, 0, None, "\0\0\0\0"],
        "window-overflow": [WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff"],
        "settings-of-5-bytes": [SETTINGS, 0, 0, "12345"],
        "settings-on-a-stream": [SETTINGS, 0, None, ""],
        "ping-of-7-bytes": [PING, 0, 0, "1234567"],
        "ping-on-a-stream": [PING, 0, None, "12345678"],
        "continuation-first": [CONTINUATION, END_HEADERS, None, "\x88"],
        "compression-error": [HEADERS, END_HEADERS, None, "\xff\xff\xff\xff\xff\xff\xff"],
        "index-0": [HEADERS, END_HEADERS, None, "\x80"],
        "too-long-frame": [_DATA, 0, None, "\0" * (2**24 - 1)],
        "pad-longer-than-frame": [_DATA, PADDED, None, "\xff\0"],
    }
    # Some of these a client may overlook; none may hang it, and the call after must succeed.
    for name, parts in frames.items():
        yield Case(name, [["frame", *parts], *GOOD], (*OK, *ANY_FAILURE, "RESOURCE_EXHAUSTED"))
    yield Case(
        "headers-never-end",
        [["frame", HEADERS, 0, None, "\x88"], ["frame", PING, 0, 0, "12345678"]],
        ANY_FAILURE,
    )
    yield Case("not-http2", [["bytes", "HTTP/1.1 400 Bad Request\r\n\r\n"], ["close"]], ANY_FAILURE)


def _endings() -> Iterator[Case]:
    for when, before in (("before", []), ("after-headers", [head()]), ("after-data", [head(), data()])):
        yield Case(f"{when}/closed", [*before, ["close"]], ("UNAVAILABLE",))
        yield Case(f"{when}/aborted", [*before, ["abort"]], ("UNAVAILABLE",))
    # Above the last stream the call was not touched; core sends it again on a new connection.
    for code in (0, 1, 2, 11):
        yield Case(f"goaway-{code}", [["goaway", code, 0], ["close"]], ("UNAVAILABLE",))
    yield Case("goaway-then-answer", [["goaway", 0], *GOOD], OK, messages=["hi"])


def _http(status: int) -> Iterator[Case]:
    page = [[":status", str(status)], ["content-type", "text/html"]]
    yield Case(f"http-{status}", [["headers", [page[0]], True]], (http_code(status),))
    yield Case(
        f"http-{status}-page", [["headers", page], raw(b"<html>no</html>", end=True)], (http_code(status),)
    )


def _reset(code: int) -> Iterator[Case]:
    wanted = reset_codes(code)
    yield Case(f"reset-{code}-before", [["rst", code]], wanted)
    yield Case(f"reset-{code}-after-headers", [head(), ["rst", code]], wanted)
    yield Case(f"reset-{code}-after-data", [head(), data(), ["rst", code]], wanted, messages=[])


def fault(case: Case, got: dict[str, Any], *, then: bool = True) -> str:
    """What is wrong with what a client made of a case; empty where all is as it should be.

    `then`: also the call after it, on the same channel, has to be good.
    """
    if got["code"] not in case.codes:
        return f"{got['code']}, not {' or '.join(case.codes)} ({got['details'][:80]})"
    if not _same_messages(case, got["messages"]):
        return f"messages {got['messages']}, not {case.messages}"
    if case.details is not None and got["details"] != case.details:
        return f"text {got['details'][:80]!r}, not {case.details[:80]!r}"
    missing = [pair for pair in case.metadata if list(pair) not in got["metadata"]]
    if missing:
        return f"metadata without {missing}"
    return "" if not then or got["then"] == "OK" else f"the next call: {got['then']}"


def _same_messages(case: Case, got: Sequence[str]) -> bool:
    if case.messages is None:
        return True
    wanted = list(case.messages)
    return list(got) == (wanted[: len(got)] if case.may_lose else wanted)
