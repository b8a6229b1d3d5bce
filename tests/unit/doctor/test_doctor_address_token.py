"""What the doctor makes of the text of an address and of a token."""

from __future__ import annotations

import os

import pytest

from eas_grpc.doctor._address import eas_name, judge_address
from eas_grpc.doctor._token import judge_token, plaintext_note, read_token
from eas_grpc.endpoint import Endpoint

TOKEN = "unit-token-of-the-doctor-3b1f"
EAS = "pai-eas.aliyuncs.com"


def ids(judged) -> list[str]:
    return [finding.id for finding in judged.findings]


@pytest.mark.parametrize(
    ("text", "found", "plain"),
    [
        ("host:80", [], None),
        ("  host:80 ", [], None),
        ("dns:///host:80", [], None),
        ("unix:/tmp/a/b", [], None),
        ("http://host:81", ["address-scheme"], "insecure_channel exactly 'host:81'"),
        ("http://host/", ["address-scheme", "address-path", "address-no-port"], "exactly 'host:80'"),
        ("host:80/api/predict/x", ["address-path"], "exactly 'host:80'"),
        ("host", ["address-no-port"], "exactly 'host:80'"),
        ("[::1]", ["address-no-port"], "exactly '[::1]:80'"),
        ("https://host", ["address-scheme"], "secure_channel exactly 'host:443'"),
    ],
)
def test_what_plain_grpc_would_stumble_over_is_noted_with_what_to_give_it(text, found, plain):
    judged = judge_address(text)
    assert judged.endpoint is not None
    assert ids(judged) == found
    assert all(finding.severity == "note" and finding.sure for finding in judged.findings)
    assert plain is None or all(plain in finding.advice for finding in judged.findings)


@pytest.mark.parametrize(
    "text", ["", "host:80:80:80", "host:443", "a b", "<service>.uid.region", TOKEN + "=="]
)
def test_what_is_no_address_ends_the_examination_with_what_to_write(text):
    judged = judge_address(text)
    assert judged.endpoint is None
    assert ids(judged) == ["endpoint-invalid"]
    assert judged.findings[0].exit == 2
    assert judged.findings[0].advice
    assert TOKEN not in repr(judged.findings)


@pytest.mark.parametrize(
    ("text", "tls", "said"), [("host:1", True, "https://host:1"), ("host", False, "host:80")]
)
def test_an_option_decides_about_tls_where_the_address_does_not(text, tls, said):
    assert str(judge_address(text, tls=tls).endpoint) == said


@pytest.mark.parametrize(("text", "tls"), [("https://host", False), ("http://host", True)])
def test_an_option_that_contradicts_the_address_is_said_to(text, tls):
    assert ids(judge_address(text, tls=tls)) == ["endpoint-invalid"]


@pytest.mark.parametrize(
    ("host", "parts"),
    [
        (f"demo.123.cn-hangzhou.{EAS}", ("demo", "123", "cn-hangzhou", False)),
        (f"demo.123.vpc.cn-hangzhou.{EAS}", ("demo", "123", "cn-hangzhou", True)),
        (f"123.vpc.cn-beijing.{EAS}", (None, "123", "cn-beijing", True)),
        (f"a.b.c.d.{EAS}", None),
        ("demo.example.com", None),
    ],
)
def test_an_eas_host_is_taken_apart(host, parts):
    found = eas_name(host)
    assert (found and (found.service, found.uid, found.region, found.vpc)) == parts


def test_the_shared_host_with_a_path_is_told_that_the_host_must_name_the_service():
    (_, path, _) = judge_address(f"http://123.cn-hangzhou.{EAS}/api/predict/demo").findings
    assert f"demo.123.cn-hangzhou.{EAS}" in path.advice


def test_a_good_token_says_nothing_and_never_prints():
    judged = judge_token(TOKEN)
    assert (judged.token, ids(judged), judged.usable) == (TOKEN, [], True)
    assert TOKEN not in repr(judged)


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (f" {TOKEN}", ["token-spaces"]),
        (f"{TOKEN}\n", ["token-spaces"]),
        (f"Bearer {TOKEN}", ["token-bearer"]),
        (f"bearer  {TOKEN}\t", ["token-spaces", "token-bearer"]),
    ],
)
def test_what_others_would_send_along_is_a_note_and_the_token_is_good(raw, found):
    judged = judge_token(raw)
    assert (judged.token, ids(judged)) == (TOKEN, found)
    assert {finding.severity for finding in judged.findings} == {"note"}


@pytest.mark.parametrize(
    "raw",
    [f"{TOKEN}\n{TOKEN}", f"{TOKEN}\u00e9", "", f'"{TOKEN}"', f"Authorization: {TOKEN}", f"{TOKEN} {TOKEN}"],
)
def test_a_token_that_cannot_be_sent_is_a_fault_that_does_not_repeat_it(raw):
    judged = judge_token(raw)
    assert (judged.token, ids(judged), judged.usable) == (None, ["token-invalid"], False)
    finding = judged.findings[0]
    assert (finding.exit, finding.sure) == (2, True)
    assert finding.advice and TOKEN not in finding.sentence + finding.advice + finding.evidence


def test_a_file_may_end_in_one_line_break_but_not_in_more(tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert ids(read_token(file)) == []
    file.write_text(f" {TOKEN}\n\n")
    assert ids(read_token(file)) == ["token-spaces"]
    assert read_token(file).token == TOKEN


def test_a_file_with_two_lines_says_so_and_which_file(tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n{TOKEN}")
    (finding,) = read_token(file).findings
    assert "line break" in finding.sentence
    assert os.fspath(file) in finding.sentence


def test_a_missing_file_and_a_callable_that_raises_are_findings(tmp_path):
    def broken() -> str:
        raise RuntimeError(TOKEN)

    assert ids(read_token(tmp_path / "none")) == ["token-invalid"]
    judged = read_token(broken)
    assert ids(judged) == ["token-invalid"]
    assert TOKEN not in repr(judged)


def test_no_token_is_no_finding_yet():
    assert (read_token(None).usable, read_token(None).given, ids(read_token(None))) == (True, False, [])


@pytest.mark.parametrize(
    ("address", "noted"),
    [
        ("example.com:80", True),
        ("https://example.com", False),
        ("10.0.0.1:80", False),
        ("localhost:1", False),
    ],
)
def test_a_token_in_the_clear_is_noted_where_others_can_read_it(address, noted):
    assert bool(plaintext_note(Endpoint.parse(address), TOKEN)) is noted
    assert plaintext_note(Endpoint.parse(address), None) == ()
