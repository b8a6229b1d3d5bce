"""`eas_grpc.rpc._explain`: what is wrong with the server's TLS, in the words of core (row F6 makes all of them)."""

from __future__ import annotations

import pytest

from eas_grpc.errors import Origin
from eas_grpc.rpc._explain import explain

CONNECT = "failed to connect to all addresses; last error: UNKNOWN: ipv4:192.0.2.1:443: "
TLS = f"{CONNECT}Tls handshake failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL: error:1000: OPENSSL_internal:"

TEXTS = {
    "expired": (f"{TLS}CERTIFICATE_VERIFY_FAILED: certificate has expired: OK", "has expired"),
    "not yet valid": (
        f"{TLS}CERTIFICATE_VERIFY_FAILED: certificate is not yet valid: OK",
        "this machine's clock",
    ),
    "self-signed": (
        f"{TLS}CERTIFICATE_VERIFY_FAILED: self signed certificate: OK",
        "pass its CA in credentials=",
    ),
    "another host's": (f"{CONNECT}Hostname Verification Check failed.", "use that name as the endpoint"),
    "TLS 1.0": (f"{TLS}TLSV1_ALERT_PROTOCOL_VERSION: Invalid certificate", "TLS 1.2 or newer"),
    "TLS 1.0 chosen by the server": (f"{TLS}UNSUPPORTED_PROTOCOL", "TLS 1.2 or newer"),
    "no TLS": (f"{TLS}WRONG_VERSION_NUMBER", "does not speak TLS: write http://"),
}


@pytest.mark.parametrize("what", TEXTS)
def test_the_hint_says_what_is_wrong_with_the_servers_tls(what: str) -> None:
    text, hint = TEXTS[what]
    failure = explain("UNAVAILABLE", text)
    assert failure.origin is Origin.CLIENT
    assert hint in failure.hint
