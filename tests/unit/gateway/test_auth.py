"""Who may call: every form of credentials over HTTP, and the one form over gRPC."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_demo.gateway._auth import Verdict, grpc_verdict, http_verdict, needs_body
from server_demo.gateway._exchange import Head

TOKEN = "YWJjZGVm"
TOKENS = ("alpha-1", TOKEN, "beta-2")
DATE = "Tue, 02 Jan 2024 03:04:05 GMT"
OCTETS = "application/octet-stream"
ECHO = "/api/predict/demo_service"
MD5_OF_X = "7aefac89fe960329be9c88857fd94da8"
MD5_OF_A = "0cc175b9c0f1b6a831c399e269772661"

# eas-wire.md, 2.3: made by the vendor's SDKs, or computed after their sources.
VECTORS = [
    (b'[{"x":1}]', OCTETS, ECHO, MD5_OF_X, "/bv92P4xQH0xUCq2JD8ZFBKjDj0="),
    (b'[{"x":1}]', "application/json", ECHO, MD5_OF_X, "iEFEXb/UB6y1rynn+UwHkU2U7NA="),
    (b"", OCTETS, f"{ECHO}/v1/x", "d41d8cd98f00b204e9800998ecf8427e", "2V/KsRkDnnClgcSYGeTDYxSKvX4="),
    (b'[{"x":1}]', OCTETS, f"{ECHO}/v1/x?k=v", MD5_OF_X, "H9OGHqAto9Ce+MNDichJ+b3BKiM="),
    (b"a", OCTETS, ECHO, MD5_OF_A, "pg5fmla1aCBmNejOx+sifFbvM6o="),
    (b"a", OCTETS, ECHO, MD5_OF_A.lstrip("0"), "rMZDGM3PgXddUkAZUSGiYw0Lcis="),
]
_, _, _, _, SIGNATURE = VECTORS[0]


def head(*authorization, target=ECHO, method="POST", **headers):
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Head(
        method,
        target,
        "localhost",
        [*named, *((b"authorization", a.encode("latin-1")) for a in authorization)],
    )


def signed(signature=SIGNATURE, content_md5=MD5_OF_X, content_type=OCTETS, date=DATE, **more):
    return head(f"EAS {signature}", content_md5=content_md5, content_type=content_type, date=date, **more)


def ask(*authorization, tokens=TOKENS, strict=False):
    return http_verdict(head(*authorization), tokens, strict=strict)


@pytest.mark.parametrize(("body", "content_type", "target", "md5", "signature"), VECTORS)
@pytest.mark.parametrize("strict", [False, True])
def test_the_vendors_signatures_are_accepted_with_the_digest_of_their_body(
    body, content_type, target, md5, signature, strict
):
    asked = signed(signature, md5, content_type, target=target)
    digest = hashlib.md5(body).hexdigest()
    assert http_verdict(asked, TOKENS, strict=strict, body_md5=digest) == Verdict("signature", None)


@pytest.mark.parametrize(
    "changed",
    [
        signed(content_md5=MD5_OF_A),
        signed(content_type="text/plain"),
        signed(date="Tue, 02 Jan 2024 03:04:06 GMT"),
        signed(target=f"{ECHO}/v1"),
        signed(target="/api/predict/another"),
        signed(method="DELETE"),
        signed(SIGNATURE.rstrip("=")),
        signed(SIGNATURE.lower()),
        signed(""),
        signed("é"),
    ],
)
def test_a_signature_over_something_else_is_refused_and_not_repeated(changed):
    verdict = http_verdict(changed, TOKENS, strict=False)
    assert verdict.form in {"signature", "bare"}
    assert verdict.refusal is not None
    assert SIGNATURE.rstrip("=") not in verdict.refusal


def test_a_signature_is_only_good_for_the_token_it_was_made_with():
    assert http_verdict(signed(), ("alpha-1", "beta-2"), strict=False).refusal.startswith("wrong signature")


@given(
    token=st.sampled_from(TOKENS),
    path=st.from_regex(r"/api/predict/[a-z_]{1,8}(/[a-z0-9%]{1,5}){0,3}/?", fullmatch=True),
    query=st.none() | st.text("abc=&/?%1", max_size=8),
    sign_query=st.booleans(),
    headers=st.fixed_dictionaries(
        {},
        optional={name: st.text("aZ0/ ,:", max_size=9) for name in ("content_md5", "content_type", "date")},
    ),
)
def test_a_signature_over_the_path_or_path_and_query_is_accepted_with_any_headers(
    token, path, query, sign_query, headers
):
    target = path if query is None else f"{path}?{query}"
    parts = ["POST", *(headers.get(n, "") for n in ("content_md5", "content_type", "date"))]
    text = "\n".join([*parts, target if sign_query else path])
    signature = base64.b64encode(hmac.new(token.encode(), text.encode(), "sha1").digest()).decode()
    asked = head(f"EAS {signature}", target=target, **headers)
    assert http_verdict(asked, TOKENS, strict=False) == Verdict("signature", None)


def test_slashes_that_a_client_doubled_after_it_had_signed_do_not_matter():
    for target in (f"/{ECHO}", f"{ECHO}?k=v", "//api//predict/demo_service", f"http://here:80{ECHO}"):
        assert http_verdict(signed(target=target), TOKENS, strict=False).refusal is None


def test_a_signed_header_that_comes_twice_is_refused():
    twice = signed()
    twice.headers.append((b"content-type", b"text/html"))
    assert "content-type" in http_verdict(twice, TOKENS, strict=False).refusal


def test_only_the_strict_gateway_compares_the_digest_with_the_body():
    other = hashlib.md5(b"another body").hexdigest()
    assert http_verdict(signed(), TOKENS, strict=False, body_md5=other).refusal is None
    assert "Content-MD5" in http_verdict(signed(), TOKENS, strict=True, body_md5=other).refusal
    assert http_verdict(signed(), TOKENS, strict=True).refusal is None


def test_the_body_is_waited_for_only_where_its_digest_was_signed_and_is_compared():
    assert needs_body(signed(), strict=True)
    assert not needs_body(signed(), strict=False)
    assert not needs_body(head("EAS x"), strict=True)
    assert not needs_body(head(TOKEN, content_md5=MD5_OF_X), strict=True)


@pytest.mark.parametrize("token", TOKENS)
def test_each_token_opens_bare_and_behind_bearer_whatever_its_case(token):
    assert ask(token) == Verdict("bare", None)
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert ask(f"{scheme} {token}") == Verdict("bearer", None)


def test_the_strict_gateway_takes_the_bare_token_alone():
    assert ask(TOKEN, strict=True) == Verdict("bare", None)
    refused = ask(f"Bearer {TOKEN}", strict=True)
    assert refused.form == "bearer"
    assert "without 'Bearer '" in refused.refusal


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (TOKEN[:-1], "bare"),
        (TOKEN.lower(), "bare"),
        (f"{TOKEN}x", "bare"),
        (f"{TOKEN} {TOKEN}", "bare"),
        (f"{TOKEN},alpha-1", "bare"),
        (f"Basic {TOKEN}", "bare"),
        ("é", "bare"),
        ("", "bare"),
        ("Bearer", "bearer"),
        ("Bearer ", "bearer"),
        (f"Bearer {TOKEN[:-1]}", "bearer"),
        (f"Bearer  {TOKEN}", "bearer"),
        (f"Bearer Bearer {TOKEN}", "bearer"),
        (f"Bearer{TOKEN}", "bare"),
        (f"EAS {TOKEN}", "signature"),
    ],
)
def test_anything_else_is_refused_without_repeating_it(value, form):
    for strict in (False, True):
        verdict = ask(value, strict=strict)
        assert verdict.form == form
        assert verdict.refusal
        assert TOKEN[:-1] not in verdict.refusal


def test_nothing_and_two_at_once_are_refused():
    assert ask() == Verdict("none", "no token: send the header 'Authorization: <token>'")
    for pair in ((TOKEN, TOKEN), (TOKEN, "alpha-1"), (f"Bearer {TOKEN}", TOKEN)):
        assert ask(*pair).refusal.startswith("2 Authorization headers")


@given(st.text(max_size=20).filter(lambda text: text.strip(" \t") not in TOKENS), st.booleans())
def test_no_other_text_opens_anything(text, strict):
    value = text.encode("utf-8", "surrogatepass")
    for prefix in (b"", b"Bearer ", b"EAS "):
        asked = Head("POST", ECHO, "h", [(b"authorization", prefix + value)])
        assert http_verdict(asked, TOKENS, strict=strict).refusal
        assert grpc_verdict(asked, TOKENS).refusal


def test_without_tokens_everybody_may_call_and_the_form_is_told():
    forms = {(): "none", ("x",): "bare", ("bearer x",): "bearer", ("EAS x",): "signature", ("a", "b"): "bare"}
    for values, form in forms.items():
        assert ask(*values, tokens=(), strict=True) == Verdict(form, None)
        assert grpc_verdict(head(*values), ()) == Verdict(form, None)


@pytest.mark.parametrize("token", TOKENS)
def test_a_grpc_call_has_to_bring_bearer(token):
    assert grpc_verdict(head(f"Bearer {token}"), TOKENS) == Verdict("bearer", None)
    bare = grpc_verdict(head(token), TOKENS)
    assert bare.form == "bare"
    assert "Bearer" in bare.refusal
    assert grpc_verdict(signed(), TOKENS).form == "signature"


def test_a_grpc_call_with_no_token_a_wrong_one_or_two_is_refused():
    assert grpc_verdict(head(), TOKENS).refusal.startswith("no token")
    assert grpc_verdict(head("Bearer alpha-"), TOKENS).refusal.startswith("wrong token")
    assert grpc_verdict(head("Bearer alpha-1", "Bearer alpha-1"), TOKENS).refusal.startswith("2 ")


def test_a_verdict_shows_no_secret():
    for verdict in (ask(TOKEN), ask(f"Bearer {TOKEN}x"), http_verdict(signed(), TOKENS, strict=False)):
        assert TOKEN not in repr(verdict)
        assert SIGNATURE not in repr(verdict)
