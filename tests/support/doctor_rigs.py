"""The 30 rows of codegen-cli-facts.md, B5: for each the state, how bare grpcio meets it, and its name in the doctor's report.

Nothing here is the doctor's. What a row expects comes from the study, and with it what else is true of the rig, so that any
other certainty of the doctor is known to be wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import grpc

from support import doctor_rigs_states as states
from support.doctor_rigs_servers import SERVICE
from support.doctor_rigs_states import TOKEN, Make

# 64 + the status of a failed call, as B6 says; 1 where the doctor speaks of a check that failed.
_NUMBERS = {each.name: each.value[0] for each in grpc.StatusCode}
CANNOT_CONNECT = frozenset({5})
GOOD = frozenset({0})


def call_failed(status: str) -> frozenset[int]:
    return frozenset({1, 64 + _NUMBERS[status]})


@dataclass(frozen=True)
class Row:
    """One cause: its name in the report, what bare grpcio says of it, and which exit code the command has.

    `note`: the service itself is fine. `also` is what else is true of the rig. `evidence` has to be found in the report.
    """

    number: int
    name: str
    finding: str
    make: Make
    status: str
    text: str
    exits: frozenset[int]
    note: bool = False
    also: frozenset[str] = frozenset()
    evidence: str = ""

    @property
    def key(self) -> str:
        return f"{self.number:02}-{self.name}"


def _gateway_row(number: int, status: int, said: str, page: str) -> Row:
    return Row(
        number,
        f"gateway-{status}",
        f"gateway-{status}",
        states.gateway(status, f"<html><h1>{status}</h1>{page}</html>"),
        said,
        f"Received http2 header with status: {status}",
        call_failed(said),
        evidence=page,
    )


_NO_BEARER = Row(
    25,
    "bare-token",
    "token-wants-no-bearer",
    states.token("--token", TOKEN, sent=f"Bearer {TOKEN}", wanted=TOKEN),
    "UNAUTHENTICATED",
    "this is not the token",
    call_failed("UNAUTHENTICATED"),
)
_SPACES = Row(
    26,
    "token-spaces",
    "token-spaces",
    states.token("--token", f" {TOKEN} \n", sent=f"Bearer {TOKEN} "),
    "UNAUTHENTICATED",
    "this is not the token",
    GOOD,
    note=True,
)
_METHOD = Row(
    23,
    "method",
    "method-unknown",
    states.unknown(f"{SERVICE}/SayNothing"),
    "UNIMPLEMENTED",
    "Method not found!",
    call_failed("UNIMPLEMENTED"),
)

# Where 1.85 of grpcio says it in other words than B5 shortens it to, the words of 1.85 stand here.
ROWS = (
    Row(
        1,
        "closed",
        "refused",
        states.closed,
        "UNAVAILABLE",
        "Connection refused",
        CANNOT_CONNECT,
        also=frozenset({"wait-for-ready"}),
    ),
    Row(
        2, "no-such-name", "name-unknown", states.no_such_name, "UNAVAILABLE", "name.invalid", CANNOT_CONNECT
    ),
    Row(
        3,
        "scheme",
        "address-scheme",
        states.scheme,
        "UNAVAILABLE",
        "Misformatted domain name",
        GOOD,
        note=True,
    ),
    Row(
        4, "path", "address-path", states.path, "UNAVAILABLE", "Failed to parse port in name", GOOD, note=True
    ),
    Row(5, "no-port", "address-no-port", states.no_port, "UNAVAILABLE", ":443", GOOD, note=True),
    Row(
        6,
        "plain-to-tls",
        "tls-expected",
        states.tls_dialled_plainly,
        "UNAVAILABLE",
        "Socket closed",
        CANNOT_CONNECT,
        # Nobody vouches for its certificate, and it is for another name than the address that is dialled.
        also=frozenset({"tls-unknown-ca", "tls-wrong-host"}),
    ),
    Row(
        7,
        "tls-to-plain",
        "plaintext-expected",
        states.plain_dialled_with_tls,
        "UNAVAILABLE",
        "WRONG_VERSION_NUMBER",
        CANNOT_CONNECT,
    ),
    Row(
        8,
        "unknown-ca",
        "tls-unknown-ca",
        states.unknown_authority,
        "UNAVAILABLE",
        "CERTIFICATE_VERIFY_FAILED",
        CANNOT_CONNECT,
    ),
    Row(
        9,
        "wrong-host",
        "tls-wrong-host",
        states.another_host,
        "UNAVAILABLE",
        "Hostname Verification Check failed",
        CANNOT_CONNECT,
    ),
    Row(
        10,
        "broken-ca-file",
        "ca-file-unreadable",
        states.broken_ca_file,
        "UNAVAILABLE",
        "Failed to create security handshaker",
        frozenset({3, 5}),
        also=frozenset({"tls-unknown-ca"}),
    ),
    Row(11, "http1", "http1-only", states.http1, "UNAVAILABLE", "Failed parsing HTTP/2", CANNOT_CONNECT),
    Row(12, "silence", "silent", states.silence, "DEADLINE_EXCEEDED", "", CANNOT_CONNECT),
    _gateway_row(13, 400, "INTERNAL", "the header was too strange"),
    _gateway_row(14, 401, "UNAUTHENTICATED", "who are you"),
    _gateway_row(15, 403, "PERMISSION_DENIED", "not from that network"),
    _gateway_row(16, 404, "UNIMPLEMENTED", "no service of this name"),
    _gateway_row(17, 429, "UNAVAILABLE", "more calls than were paid for"),
    _gateway_row(18, 502, "UNAVAILABLE", "the instance hung up"),
    _gateway_row(19, 503, "UNAVAILABLE", "no instance is ready"),
    _gateway_row(20, 504, "UNAVAILABLE", "the instance took too long"),
    _gateway_row(21, 500, "UNKNOWN", "the gateway itself broke"),
    Row(
        22,
        "html",
        "gateway-html",
        states.gateway(200, "<html>a page for people</html>"),
        "UNKNOWN",
        "Data frame with END_STREAM flag received",
        call_failed("UNKNOWN"),
        evidence="a page for people",
    ),
    _METHOD,
    Row(
        24,
        "no-token",
        "token-missing",
        states.token(sent=None),
        "UNAUTHENTICATED",
        "this is not the token",
        call_failed("UNAUTHENTICATED"),
    ),
    _NO_BEARER,
    _SPACES,
    Row(
        27,
        "token-invalid",
        "token-invalid",
        states.token(sent=f"Bearer {TOKEN}\n{TOKEN}", written=f"{TOKEN}\n{TOKEN}"),
        "INTERNAL",
        "Invalid metadata",
        frozenset({2}),
    ),
    Row(
        28,
        "large-request",
        "request-too-large",
        states.large_request,
        "RESOURCE_EXHAUSTED",
        "SERVER: Received message larger than max",
        call_failed("RESOURCE_EXHAUSTED"),
    ),
    Row(
        29,
        "large-answer",
        "response-too-large",
        states.large_answer,
        "RESOURCE_EXHAUSTED",
        "CLIENT: Received message larger than max",
        call_failed("RESOURCE_EXHAUSTED"),
    ),
    Row(
        30,
        "proxy",
        "proxy",
        states.proxy,
        "UNAVAILABLE",
        "HTTP proxy returned response code 501",
        CANNOT_CONNECT,
        # Without the proxy the name is not known either.
        also=frozenset({"name-unknown"}),
    ),
)

# The other faces of rows that have two.
VARIANTS = (
    replace(
        _METHOD,
        name="service",
        finding="service-unknown",
        make=states.unknown("no.such.Service/Method"),
    ),
    replace(
        _NO_BEARER,
        name="wrong-token",
        finding="token-refused",
        make=states.token("--token", f"another-{TOKEN}", sent=f"Bearer another-{TOKEN}"),
    ),
    replace(
        _SPACES,
        name="token-spaces-in-a-file",
        make=states.token(sent=f"Bearer {TOKEN} ", written=f" {TOKEN} \n"),
    ),
    replace(
        _NO_BEARER,
        name="token-invalid-non-ascii",
        number=27,
        finding="token-invalid",
        make=states.token(sent=f"Bearer {TOKEN}\u00e9", written=f"{TOKEN}\u00e9"),
        status="INTERNAL",
        text="Invalid metadata",
        exits=frozenset({2}),
    ),
)
