"""`_http1_heads`: what goes on to the next hop, and what is refused."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_demo.gateway._http1_heads import RefusedHead, end_to_end, head_bytes, request_head, upgrade_asked

names = st.sampled_from(
    b"accept connection keep-alive te trailer transfer-encoding upgrade proxy-authorization proxy-connection "
    b"x-a x-b content-length http2-settings".split()
)
values = st.sampled_from(
    [b"x-a", b"close", b"close, X-B", b"content-length", b"chunked", b"4", b"", b", ,", b"upgrade"]
)
headers = st.lists(st.tuples(names, values), max_size=8)


def request(
    *lines: bytes, method: bytes = b"GET", target: bytes = b"/p?q=1", version: bytes = b"1.1"
) -> h11.Request:
    conn = h11.Connection(h11.SERVER)
    conn.receive_data(b"\r\n".join([method + b" " + target + b" HTTP/" + version, *lines, b"", b""]))
    event = conn.next_event()
    assert isinstance(event, h11.Request)
    return event


def refused(*lines: bytes, **kwargs: bytes) -> int:
    with pytest.raises(RefusedHead) as caught:
        request_head(request(*lines, **kwargs))
    return caught.value.status


@given(headers)
def test_nothing_of_the_connection_goes_on(pairs: list[tuple[bytes, bytes]]) -> None:
    passed = end_to_end(pairs)
    listed = {
        each.strip().lower() for name, value in pairs if name == b"connection" for each in value.split(b",")
    }
    gone = {
        b"connection",
        b"keep-alive",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    }
    for name, _ in passed:
        assert name not in gone
        assert not name.startswith(b"proxy-")
        assert name == b"content-length" or name not in listed
    if any(name == b"transfer-encoding" for name, _ in pairs):
        assert b"content-length" not in dict(passed)


@given(headers)
def test_what_goes_on_keeps_its_order_and_goes_on_unchanged_the_next_time(
    pairs: list[tuple[bytes, bytes]],
) -> None:
    passed = end_to_end(pairs)
    rest = iter(pairs)
    assert all(pair in rest for pair in passed)
    assert end_to_end(passed) == passed


def test_connection_cannot_take_away_the_length() -> None:
    assert end_to_end([(b"connection", b"content-length"), (b"content-length", b"3")]) == [
        (b"content-length", b"3")
    ]


def test_an_upgrade_is_asked_by_both_headers() -> None:
    connection, upgrade = (b"connection", b"keep-alive, Upgrade"), (b"upgrade", b"WebSocket")
    assert upgrade_asked([connection, upgrade]) == [(b"connection", b"upgrade"), (b"upgrade", b"websocket")]
    assert upgrade_asked([connection]) == upgrade_asked([upgrade]) == []


@pytest.mark.parametrize("protocol", [b"h2c", b"H2C", b"h2", b"HTTP/2.0", b"TLS/1.0", b"http"])
def test_nobody_tunnels_another_http_past_the_gateway(protocol: bytes) -> None:
    assert upgrade_asked([(b"connection", b"upgrade"), (b"upgrade", protocol)]) == []


def test_a_head_goes_on_without_host_and_expectation() -> None:
    head = request_head(
        request(b"Host: a.b:80", b"Expect: 100-Continue", b"Content-Length: 3", b"X-One: 1", method=b"PUT")
    )
    assert (head.method, head.target, head.authority) == ("PUT", "/p?q=1", "a.b:80")
    assert head.headers == [(b"content-length", b"3"), (b"x-one", b"1")]


@pytest.mark.parametrize(
    ("target", "authority", "path"),
    [
        (b"http://other:81/x?y", "other:81", "/x?y"),
        (b"HTTPS://other", "other", "/"),
        (b"http://other?y", "other", "/?y"),
        (b"http://[::1]:80/", "[::1]:80", "/"),
    ],
)
def test_the_authority_of_an_absolute_target_counts(target: bytes, authority: str, path: str) -> None:
    head = request_head(request(b"Host: a", target=target))
    assert (head.authority, head.target) == (authority, path)


def test_options_may_ask_for_the_whole_server() -> None:
    assert request_head(request(b"Host: a", method=b"OPTIONS", target=b"*")).target == "*"


@pytest.mark.parametrize(
    "target",
    [b"*", b"a", b"http:///x", b"ftp://a/", b"http://u@a/", b"/x#y", b"http://a/#", b"a:80", b"http:/a"],
)
def test_a_target_that_is_neither_path_nor_http_address_is_refused(target: bytes) -> None:
    assert refused(b"Host: a", target=target) == 400


@pytest.mark.parametrize("host", [b"a b", b"a/b", b"u@a", b"a,b", b"a\x7f", b"\xe4", b"a\tb", b"a?b"])
def test_a_malformed_host_is_refused(host: bytes) -> None:
    assert refused(b"Host: " + host) == 400


@pytest.mark.parametrize("order", [1, -1])
def test_two_framings_of_a_body_are_refused(order: int) -> None:
    lines = [b"Content-Length: 3", b"Transfer-Encoding: chunked"][::order]
    assert refused(b"Host: a", *lines, method=b"POST") == 400


def test_chunks_in_http_1_0_are_refused() -> None:
    assert refused(b"Host: a", b"Transfer-Encoding: chunked", method=b"POST", version=b"1.0") == 400


@pytest.mark.parametrize("version", [b"0.9", b"2.0", b"3.0", b"1.2"])
def test_another_version_is_refused(version: bytes) -> None:
    assert refused(b"Host: a", version=version) == 505


def test_connect_is_refused() -> None:
    assert refused(b"Host: a:1", method=b"CONNECT", target=b"a:1") == 405


def test_http_1_0_has_neither_upgrade_nor_needs_a_host() -> None:
    head = request_head(request(b"Connection: upgrade", b"Upgrade: websocket", version=b"1.0"))
    assert (head.authority, head.headers) == ("", [])


def test_the_length_of_a_head_is_about_what_was_on_the_wire() -> None:
    lines = [b"Host: a", b"X-Long: " + b"v" * 1000]
    wire = len(b"\r\n".join([b"GET /p?q=1 HTTP/1.1", *lines, b"", b""]))
    assert abs(head_bytes(request(*lines)) - wire) <= 2
