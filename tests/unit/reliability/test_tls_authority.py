"""The certificates of row F6 are wrong in exactly the way that their names say."""

from __future__ import annotations

import datetime as dt

from cryptography import x509

from reliability.tls import Authority


def made(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def test_a_good_certificate_is_signed_valid_and_for_this_host() -> None:
    authority = Authority()
    good = made(authority.issue().chain)
    good.verify_directly_issued_by(authority.certificate)
    now = dt.datetime.now(dt.timezone.utc)
    assert good.not_valid_before_utc < now < good.not_valid_after_utc
    names = good.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name) for name in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_an_expired_one_is_that_alone() -> None:
    authority = Authority()
    expired = made(authority.issue(expired=True).chain)
    expired.verify_directly_issued_by(authority.certificate)
    assert expired.not_valid_after_utc < dt.datetime.now(dt.timezone.utc)


def test_one_for_another_host_is_that_alone() -> None:
    authority = Authority()
    other = made(authority.issue("other.example").chain)
    other.verify_directly_issued_by(authority.certificate)
    names = other.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["other.example"]
    assert names.get_values_for_type(x509.IPAddress) == []
