"""`eas_grpc.rpc._explain`: texts of grpc core in, what they mean out; for any text, and without the token.

The texts are the ones that grpcio 1.71 and 1.85 really give (tests/integration/test_real_errors.py makes them).
"""

from __future__ import annotations

import string

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.errors import Origin
from eas_grpc.rpc._explain import explain, masked

CLIENT, SERVER, GATEWAY, UNKNOWN = Origin.CLIENT, Origin.SERVER, Origin.GATEWAY, Origin.UNKNOWN

STATUSES = [status.name for status in grpc.StatusCode if status is not grpc.StatusCode.OK]
CONNECT = "failed to connect to all addresses; last error: UNKNOWN: ipv4:192.0.2.1:80: "
TLS = f"{CONNECT}Tls handshake failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL: error:1000: OPENSSL_internal:"

CORE_TEXTS = [
    ("UNAVAILABLE", f"{CONNECT}Failed to connect to remote host: Connection refused", CLIENT, "nothing listens"),
    ("UNAVAILABLE", f"{CONNECT}connect: Connection refused (111)", CLIENT, "nothing listens there"),
    ("UNAVAILABLE", f"{CONNECT}No route to host", CLIENT, "needs a machine in the same VPC"),
    ("UNAVAILABLE", f"{CONNECT}Network is unreachable", CLIENT, "needs a machine in the same VPC"),
    ("UNAVAILABLE", f"{CONNECT}Connection timed out", CLIENT, "security group"),
    (
        "UNAVAILABLE",
        f"{CONNECT}connection attempt timed out before receiving SETTINGS frame",
        CLIENT,
        "accepts connections but says nothing",
    ),
    (
        "UNAVAILABLE",
        "errors resolving a.invalid:80: [field:hostname lookup error:... Domain name not found]",
        CLIENT,
        "only inside its VPC",
    ),
    ("UNAVAILABLE", "DNS resolution failed for a.invalid:80: C-ares status ...", CLIENT, "only inside its VPC"),
    ("UNAVAILABLE", "DNS resolution failed: Misformatted domain name", CLIENT, "holds a scheme"),
    ("UNAVAILABLE", "Failed to parse port in name 'h:80/api/predict/x'", CLIENT, "holds a path"),
    ("UNAVAILABLE", f"{CONNECT}Socket closed", CLIENT, "wants TLS (write https://)"),
    ("UNAVAILABLE", "Socket closed", CLIENT, "restarted"),
    ("UNAVAILABLE", "recvmsg:Connection reset by peer", CLIENT, "broke the connection"),
    ("UNAVAILABLE", f"{TLS}WRONG_VERSION_NUMBER", CLIENT, "does not speak TLS: write http://"),
    ("UNAVAILABLE", f"{TLS}CERTIFICATE_VERIFY_FAILED: self signed", CLIENT, "pass its CA in credentials="),
    ("UNAVAILABLE", f"{CONNECT}Hostname Verification Check failed.", CLIENT, "use that name as the endpoint"),
    ("UNAVAILABLE", f"{CONNECT}Peer name a is not in peer certificate", CLIENT, "use that name as the endpoint"),
    ("UNAVAILABLE", f"{CONNECT}Failed to create security handshaker.", CLIENT, "PEM"),
    ("UNAVAILABLE", "empty address list", CLIENT, "credentials= cannot be read"),
    ("UNAVAILABLE", f"{CONNECT}Handshake read failed (Endpoint closing)", CLIENT, "TLS handshake: write http://"),
    (
        "UNAVAILABLE",
        f"{CONNECT}Failed parsing HTTP/2 (Expected SETTINGS frame as the first frame, got frame type 80)",
        CLIENT,
        "speaks HTTP/1.1",
    ),
    ("UNAVAILABLE", f"{CONNECT}Trying to connect an http1.x server (HTTP status 400)", CLIENT, "speaks HTTP/1.1"),
    ("UNAVAILABLE", f"{CONNECT}HTTP proxy returned response code 501", CLIENT, "proxy=False"),
    ("UNAVAILABLE", "GOAWAY received; Error code: 11; Debug Text: too_many_pings", CLIENT, "profile='direct'"),
    ("UNAVAILABLE", "Stream removed (GOAWAY received; Error code: 0; Debug Text: )", CLIENT, "uses a new one"),
    ("UNAVAILABLE", "ping timeout", CLIENT, "gone silent"),
    ("UNAVAILABLE", "keepalive watchdog timeout", CLIENT, "gone silent"),
    ("UNAVAILABLE", "connections to all backends failing", CLIENT, "could not be reached"),
    ("DEADLINE_EXCEEDED", "Deadline Exceeded", CLIENT, "timeout="),
    ("DEADLINE_EXCEEDED", "Stream removed (Deadline Exceeded)", CLIENT, "timeout="),
    ("RESOURCE_EXHAUSTED", "CLIENT: Received message larger than max (5 vs. 1)", CLIENT, "raise max_response="),
    ("RESOURCE_EXHAUSTED", "SERVER: Received message larger than max (5 vs. 1)", SERVER, "raise its limit"),
    ("RESOURCE_EXHAUSTED", "received metadata size exceeds hard limit (5 vs. 1);  :path:59B", UNKNOWN, "of the call"),
    ("RESOURCE_EXHAUSTED", "received metadata size exceeds hard limit (5 vs. 1)", UNKNOWN, "answer's headers"),
    ("INTERNAL", "Exception deserializing response!", CLIENT, "compare its .proto"),
    ("INTERNAL", "Invalid metadata", CLIENT, "lower-case keys"),
    ("UNKNOWN", "Stream removed (Data frame with END_STREAM flag received)", UNKNOWN, "not gRPC"),
    ("UNKNOWN", "Stream removed", UNKNOWN, "not gRPC"),
    ("UNKNOWN", "No status received", UNKNOWN, "not gRPC"),
    ("INTERNAL", "Received RST_STREAM with error code 2", UNKNOWN, "broke this call off"),
    ("UNAVAILABLE", "Stream removed (RST_STREAM (Received RST_STREAM with error code 7))", UNKNOWN, "send it again"),
    ("RESOURCE_EXHAUSTED", "Received RST_STREAM with error code 11", UNKNOWN, "slow down"),
    ("CANCELLED", "Stream removed (RST_STREAM (Received RST_STREAM with error code 8))", UNKNOWN, "a proxy swallowed"),
    ("CANCELLED", "Stream removed (Data frame with END_STREAM flag received) (RST_STREAM (x))", UNKNOWN, "was silent"),
    ("INTERNAL", "Internal error from Core", UNKNOWN, "before all requests were sent"),
    ("UNKNOWN", "Exception calling application: 'NoneType' object", SERVER, "its log has the traceback"),
    ("UNKNOWN", "Exception iterating responses: 5", SERVER, "its log has the traceback"),
    ("UNIMPLEMENTED", "Method not found!", SERVER, "in the .proto"),
    ("UNIMPLEMENTED", "", SERVER, "in the .proto"),
    ("UNAUTHENTICATED", "who are you?", SERVER, "details page"),
    ("UNAUTHENTICATED", "Established channel does not have a sufficient security level", CLIENT, "pass token="),
    ("CANCELLED", "Locally cancelled by application!", CLIENT, ""),
    ("CANCELLED", "Channel closed!", CLIENT, ""),
    ("CANCELLED", "CANCELLED", UNKNOWN, ""),
    ("UNAVAILABLE", "no healthy upstream", UNKNOWN, "look at its state"),
    ("INVALID_ARGUMENT", "Failed to create channel to 'dns:///a:80':errors validating", CLIENT, "options= or retry="),
    ("INVALID_ARGUMENT", "Failed to create client channel", CLIENT, "options= or retry="),
    ("INVALID_ARGUMENT", "the image has 3 channels", SERVER, ""),
    ("NOT_FOUND", None, SERVER, ""),
]  # fmt: skip


@pytest.mark.parametrize(("status", "text", "origin", "hint"), CORE_TEXTS)
def test_each_text_says_who_failed_and_what_to_do(
    status: str, text: str | None, origin: Origin, hint: str
) -> None:
    failure = explain(status, text)
    assert (failure.status, failure.details, failure.origin) == (status, text or "", origin)
    assert hint in failure.hint
    assert bool(hint) == bool(failure.hint)
    assert failure.http_status is None


@pytest.mark.parametrize(("status", "text", "origin", "hint"), CORE_TEXTS)
def test_the_debug_text_of_either_version_changes_nothing(
    status: str, text: str | None, origin: Origin, hint: str
) -> None:
    """1.85 repeats status and details; 1.71 calls everything received from a peer, without an address where
    it made it up itself."""
    for debug in (
        f"{status}:{text}",
        f'UNKNOWN:Error received from peer  {{grpc_status:1, grpc_message:"{text}"}}',
    ):
        failure = explain(status, text, debug=debug)
        assert (failure.origin, failure.hint) == (origin, explain(status, text).hint)


HTTP_STATUSES = {
    301: "redirect",
    302: "redirect",
    307: "redirect",
    308: "redirect",
    400: "enable_grpc",
    401: "refused the token",
    403: "forbids this call",
    404: "no such service",
    405: "enable_grpc",
    408: "metadata.rpc.keepalive",
    413: "1 MB",
    415: "does not take gRPC",
    429: "rate limit",
    431: "8 KB",
    450: "queue is full",
    499: "go away",
    500: "log",
    501: "enable_grpc",
    502: "crash or a restart",
    503: "no instance is ready",
    504: "no answer from the service in time",
    418: "HTTP 418 instead of the service",
}


@pytest.mark.parametrize("number", HTTP_STATUSES)
@pytest.mark.parametrize("status", ["UNKNOWN", "UNAVAILABLE", "INTERNAL", "NOT_FOUND"])
def test_an_http_status_is_a_gateways_whatever_the_grpc_status(status: str, number: int) -> None:
    failure = explain(
        status, f"Received http2 header with status: {number}", debug="Error received from peer x"
    )
    assert (failure.origin, failure.http_status) == (Origin.GATEWAY, number)
    assert HTTP_STATUSES[number] in failure.hint


@pytest.mark.parametrize(
    ("status", "number", "expected"),
    [("UNKNOWN", 431, "INTERNAL"), ("UNAVAILABLE", 431, "UNAVAILABLE"), ("UNKNOWN", 430, "UNKNOWN")],
)
def test_a_status_that_core_forgets_is_read_as_grpcs_own_table_says(
    status: str, number: int, expected: str
) -> None:
    assert explain(status, f"Received http2 header with status: {number}").status == expected


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_with_trailing_metadata_or_an_address_came_from_the_other_side(status: str) -> None:
    peer = 'UNKNOWN:Error received from peer ipv4:192.0.2.1:80 {grpc_message:"busy"}'
    assert explain(status, "busy", trailing_metadata=(("x-count", "1"),)).origin is SERVER
    assert explain(status, "busy", debug=peer).origin is SERVER


@pytest.mark.parametrize("status", STATUSES)
def test_nothing_is_read_into_the_words_of_a_service(status: str) -> None:
    words = "keepalive off, wrong content-type, Connection refused by redis, a proxy, TLS"
    failure = explain(status, words, trailing_metadata=(("x-count", "1"),))
    assert failure.origin is SERVER
    assert failure.hint == explain(status, "", trailing_metadata=(("x-count", "1"),)).hint


@given(
    st.sampled_from(STATUSES),
    st.none() | st.text(),
    st.text(),
    st.text(),
    st.lists(st.tuples(st.text(), st.text() | st.binary())).map(tuple),
)
def test_any_text_is_explained(
    status: str, text: str | None, debug: str, method: str, metadata: tuple[tuple[str, str | bytes], ...]
) -> None:
    failure = explain(
        status, text, debug=debug, method=method, initial_metadata=metadata, trailing_metadata=metadata
    )
    assert failure.status == status
    assert failure.details == (text or "")
    assert failure.method == method
    assert failure.trailing_metadata == failure.initial_metadata == metadata
    assert isinstance(failure.origin, Origin)
    assert "\n" not in failure.hint


@given(
    st.text(string.ascii_letters + string.digits + "-._~+/=", min_size=24),
    st.sampled_from([text or "" for _, text, _, _ in CORE_TEXTS]),
    st.sampled_from(STATUSES),
    st.integers(1, 3),
)
def test_the_token_is_masked_wherever_it_comes_back(secret: str, text: str, status: str, times: int) -> None:
    said = f"{secret * times} {text} Bearer {secret}, '{secret}'"
    pairs = (("x-sent", said), ("x-raw-bin", said.encode()), ("x-other", "kept"))
    failure = explain(
        status, said, debug=said, initial_metadata=pairs, trailing_metadata=pairs, secret=secret
    )
    assert secret not in f"{failure!r} {failure}"
    assert "***" in failure.details
    assert ("x-other", "kept") in failure.trailing_metadata
    assert [type(value) for _, value in failure.trailing_metadata] == [str, bytes, str]


@given(st.text())
def test_without_a_secret_nothing_is_masked(text: str) -> None:
    assert masked(text, "") == text
    assert explain("UNKNOWN", text).details == text


def test_hints_are_one_line_in_the_house_style() -> None:
    from eas_grpc.rpc import _explain

    tables = (_explain._CLIENT_HINTS, _explain._TRANSPORT_HINTS, _explain._SERVER_HINTS)
    hints = [hint for table in tables for _, hint in table]
    hints += [*_explain._HTTP_HINTS.values(), *_explain._STATUS_HINTS.values(), _explain._DEADLINE_HINT]
    for hint in hints:
        assert hint.isprintable()
        assert hint[0].islower()
        assert not hint.endswith(".")
        assert len(hint) < 220


REFUSED = "failed to connect to all addresses; last error: UNKNOWN: Connection refused"


def test_a_token_of_a_few_letters_garbles_neither_text_nor_hint() -> None:
    failure = explain("UNAVAILABLE", REFUSED, secret="to")
    assert failure.details == REFUSED
    assert "nothing listens" in failure.hint


def test_what_a_token_happens_to_spell_does_not_change_the_hint() -> None:
    failure = explain("UNAVAILABLE", REFUSED, secret="Connection refused")
    assert "***" in failure.details
    assert "nothing listens" in failure.hint


def test_where_no_token_was_sent_the_hint_does_not_blame_one() -> None:
    failure = explain("UNAUTHENTICATED", "no token", token_sent=False)
    assert "no token was sent: pass token=" in failure.hint
    assert "was refused" in explain("UNAUTHENTICATED", "no token").hint
