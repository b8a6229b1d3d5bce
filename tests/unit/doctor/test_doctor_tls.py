"""Certificates read from their bytes, and what a TLS handshake tells."""

from __future__ import annotations

import datetime as dt
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from eas_grpc.doctor._certificate import Certificate, read_certificate
from eas_grpc.doctor._handshake import load_files
from eas_grpc.doctor._seen import First, Handshake
from eas_grpc.doctor._text import Showing
from eas_grpc.doctor._tls import handshake_problem, judge_handshake
from eas_grpc.endpoint import Endpoint

NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.timezone.utc)
ENDPOINT = Endpoint.parse("https://host:8443")
KEY = ec.generate_private_key(ec.SECP256R1())
SETTINGS = First(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def issued(subject: str, issuer: str, *names: x509.GeneralName, ends: dt.datetime = NOW) -> bytes:
    builder = (
        x509.CertificateBuilder(named(issuer), named(subject))
        .public_key(KEY.public_key())
        .serial_number(2**150)
        .not_valid_before(NOW - dt.timedelta(days=9))
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_names_dates_and_signer_are_read():
    der = issued(
        "host.example",
        "an authority",
        x509.DNSName("*.Example.com"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
        x509.UniformResourceIdentifier("spiffe://x"),
    )
    read = read_certificate(der)
    assert read.names == ("*.example.com", "127.0.0.1", "::1")
    assert (read.subject, read.issuer, read.self_signed) == ("host.example", "an authority", False)
    assert (read.begins, read.ends) == (NOW - dt.timedelta(days=9), NOW)


def test_a_year_after_2049_is_written_in_another_form_and_read_too():
    ends = dt.datetime(2077, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc)
    assert read_certificate(issued("a", "a", ends=ends)).ends == ends


def test_without_other_names_the_common_name_counts_and_a_self_signed_one_is_seen():
    read = read_certificate(issued("Old.Host", "Old.Host"))
    assert (read.names, read.self_signed) == (("old.host",), True)


@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("a.example.com", True),
        ("A.EXAMPLE.COM.", True),
        ("example.com", False),
        ("a.b.example.com", False),
        ("com", False),
    ],
)
def test_a_star_stands_for_one_label(host, good):
    assert Certificate(names=("*.example.com",)).covers(host) is good


def test_bytes_that_are_no_certificate_are_read_as_nothing():
    der = issued("a", "a", x509.DNSName("b"))
    for cut in range(0, len(der), 7):
        read_certificate(der[:cut])
        assert isinstance(read_certificate(der[:cut] + b"\xff" * 40), Certificate)
    assert read_certificate(b"\x30\x84\xff\xff\xff\xff") == Certificate()


@pytest.mark.parametrize(
    ("kind", "reason", "verify", "problem"),
    [
        ("SSLCertVerificationError", "CERTIFICATE_VERIFY_FAILED", 18, "self-signed"),
        ("SSLCertVerificationError", "CERTIFICATE_VERIFY_FAILED", 20, "unknown-ca"),
        ("SSLCertVerificationError", "CERTIFICATE_VERIFY_FAILED", 10, "expired"),
        ("SSLCertVerificationError", "CERTIFICATE_VERIFY_FAILED", 9, "not-yet-valid"),
        ("SSLCertVerificationError", "CERTIFICATE_VERIFY_FAILED", 62, "wrong-host"),
        ("SSLError", "WRONG_VERSION_NUMBER", 0, "not-tls"),
        ("SSLError", "TLSV13_ALERT_CERTIFICATE_REQUIRED", 0, "client-certificate"),
        ("SSLError", "TLSV1_ALERT_PROTOCOL_VERSION", 0, "version"),
        ("timeout", "", 0, "silence"),
        ("SSLEOFError", "UNEXPECTED_EOF_WHILE_READING", 0, "closed"),
        ("ConnectionResetError", "", 0, "closed"),
        ("SSLError", "SOMETHING_NEW", 0, "other"),
    ],
)
def test_what_openssl_says_is_one_of_few_problems(kind, reason, verify, problem):
    assert handshake_problem(kind, reason, verify) == problem


def judged(problem: str, *, certificate=None, plain=None, detail=""):
    seen = None if certificate is None else Handshake(certificate=certificate)
    return judge_handshake(ENDPOINT, "host", Handshake(problem, detail), seen, plain, NOW, Showing())


OTHER = Certificate(("other.example",), "other.example", "CA", NOW - dt.timedelta(9), NOW - dt.timedelta(1))


@pytest.mark.parametrize(
    ("problem", "more", "name", "sure", "said"),
    [
        ("unknown-ca", {"certificate": OTHER}, "tls-unknown-ca", True, "other.example"),
        ("self-signed", {}, "tls-unknown-ca", True, "itself"),
        ("expired", {"certificate": OTHER}, "tls-expired", True, "2026-11-20"),
        ("not-yet-valid", {"certificate": OTHER}, "tls-expired", True, "not valid yet"),
        ("wrong-host", {"certificate": OTHER}, "tls-wrong-host", True, "other.example"),
        ("not-tls", {"plain": SETTINGS}, "plaintext-expected", True, "plaintext"),
        ("not-tls", {}, "plaintext-expected", False, "does not speak TLS"),
        ("closed", {"plain": SETTINGS}, "plaintext-expected", True, "plaintext"),
        ("closed", {"plain": First(ending="closed")}, "tls-failed", False, "failed"),
        ("silence", {"plain": First(ending="silence")}, "silent", False, "handshake"),
        (
            "client-certificate",
            {"detail": "TLSV13_ALERT_CERTIFICATE_REQUIRED"},
            "tls-client-certificate",
            True,
            "",
        ),
        ("client-certificate", {"detail": "HANDSHAKE_FAILURE"}, "tls-client-certificate", False, "probably"),
        ("version", {}, "tls-failed", True, "1.2"),
    ],
)
def test_each_problem_of_a_handshake_is_told_apart(problem, more, name, sure, said):
    (finding,) = judged(problem, **more)
    assert (finding.id, finding.sure, finding.exit) == (name, sure, 5)
    assert said in finding.sentence
    assert finding.advice


def test_a_good_handshake_is_no_finding():
    assert judged("") == ()


def test_names_of_a_hostile_certificate_are_escaped():
    (finding,) = judged("wrong-host", certificate=Certificate(("a\x1b[2Jb",)))
    assert "\x1b" not in finding.sentence + finding.advice + finding.evidence


def test_files_that_cannot_be_used_are_named_with_their_option(tmp_path):
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\x00")
    assert "--cacert" in load_files(broken, None, None).problem
    assert "--cacert" in load_files(binary, None, None).problem
    assert "cannot be read" in load_files(tmp_path / "none", None, None).problem
    assert "cannot be read" in load_files(tmp_path, None, None).problem
    assert "--key" in load_files(None, broken, None).problem
    assert "do not fit" in load_files(None, broken, broken).problem
    assert load_files(None, None, None).problem == ""
