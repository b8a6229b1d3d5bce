"""The lines of other tools that make the same call."""

from __future__ import annotations

import shlex

import pytest

from eas_grpc.cli._call_dry import Call, buf_curl, grpcurl
from eas_grpc.endpoint import Endpoint

PLAIN = Endpoint.parse("127.0.0.1:50080")
TLS = Endpoint.parse("https://demo.example:8443")


def made(endpoint: Endpoint = PLAIN, **others) -> Call:
    words = {"service": "a.b.C", "method": "D", "requests": ['{"x": 1}']} | others
    return Call(endpoint=endpoint, **words)


def test_a_plain_call():
    assert grpcurl(made()) == """grpcurl -plaintext -d '{"x": 1}' 127.0.0.1:50080 a.b.C/D"""
    assert buf_curl(made()) == (
        """buf curl --protocol grpc --http2-prior-knowledge -d '{"x": 1}' http://127.0.0.1:50080/a.b.C/D"""
    )


def test_the_token_is_a_variable_that_the_shell_fills_in():
    for line in (grpcurl(made(token=True)), buf_curl(made(token=True))):
        assert '-H "authorization: Bearer $EAS_TOKEN"' in line
    assert "--reflect-header '*'" in buf_curl(made(token=True))


def test_tls_and_its_files():
    call = made(TLS, cacert="my ca.pem", cert="c.pem", key="k.pem", authority="inner.example")
    assert shlex.split(grpcurl(call))[1:9] == [
        *("-cacert", "my ca.pem", "-cert", "c.pem", "-key", "k.pem"),
        *("-authority", "inner.example"),
    ]
    words = shlex.split(buf_curl(call))
    assert words[4:12] == [
        *("--cacert", "my ca.pem", "--cert", "c.pem", "--key", "k.pem"),
        *("--servername", "inner.example"),
    ]
    assert "--http2-prior-knowledge" not in words
    assert words[-1] == "https://demo.example:8443/a.b.C/D"


def test_a_unix_socket():
    call = made(Endpoint.parse("unix:/tmp/a b.sock"))
    assert shlex.split(grpcurl(call))[-3:] == ["-unix", "/tmp/a b.sock", "a.b.C/D"]
    words = shlex.split(buf_curl(call))
    assert words[words.index("--unix-socket") + 1] == "/tmp/a b.sock"


def test_the_other_options():
    call = made(timeout=2.5, max_message=900, emit_defaults=True, authority="x.example")
    assert " -authority x.example -max-time 2.5 -max-msg-sz 900 -emit-defaults " in grpcurl(call)
    assert " -H 'host: x.example' --timeout 2.5s --emit-defaults " in buf_curl(call)


def test_metadata_that_has_commas_is_quoted_for_buf_which_reads_csv():
    call = made(metadata=[("x-list", 'a, "b"'), ("x-plain", "it's"), ("x-data-bin", b"\xff\xfe")])
    assert [word for word in shlex.split(grpcurl(call)) if word.startswith("x-")] == [
        'x-list: a, "b"',
        "x-plain: it's",
        "x-data-bin: //4=",
    ]
    words = shlex.split(buf_curl(call))
    assert [words[at + 1] for at, word in enumerate(words) if word == "-H"] == [
        '"x-list: a, ""b"""',
        "x-plain: it's",
        "x-data-bin: //4=",
    ]


@pytest.mark.parametrize(
    ("given", "theirs", "bufs"),
    [
        ({"descriptor_sets": ["a b.binpb"]}, ["-protoset", "a b.binpb"], ["--schema", "a b.binpb"]),
        (
            {"protos": ["x.proto"], "roots": ["my protos"]},
            ["-import-path", "my protos", "-proto", "x.proto"],
            ["--schema", "my protos"],
        ),
    ],
)
def test_a_schema_that_is_named_is_named_to_them_too(given, theirs, bufs):
    call = made(**given, token=True)
    assert " ".join(map(shlex.quote, theirs)) in grpcurl(call)
    assert " ".join(map(shlex.quote, bufs)) in buf_curl(call)
    assert "--reflect-header" not in buf_curl(call)


def test_several_requests_are_one_text():
    line = grpcurl(made(requests=['{"a": 1}', '{"b": "it\'s"}']))
    words = shlex.split(line)
    assert words[words.index("-d") + 1] == '{"a": 1} {"b": "it\'s"}'


def test_what_is_too_long_for_a_line_is_read_from_a_file():
    call = made(requests=['{"x": "' + "y" * 200_000 + '"}'])
    assert grpcurl(call) == "grpcurl -plaintext -d @ 127.0.0.1:50080 a.b.C/D < request.json"
    assert buf_curl(call).endswith(" -d @- http://127.0.0.1:50080/a.b.C/D < request.json")
