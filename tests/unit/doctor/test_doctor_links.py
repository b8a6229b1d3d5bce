"""Proxies, names and connections: what the doctor concludes from what was seen."""

from __future__ import annotations

import pytest

from eas_grpc.doctor._address import eas_name
from eas_grpc.doctor._links import judge_dialling, judge_names, judge_proxy, slow_note
from eas_grpc.doctor._proxy import Proxy, choose_proxy, excepted
from eas_grpc.doctor._seen import Attempt, Lookup, Tunnel
from eas_grpc.doctor._text import Showing
from eas_grpc.endpoint import Endpoint

PUBLIC, HERE = Endpoint.parse("example.com:80"), Endpoint.parse("127.0.0.1:80")
PROXY = Proxy("http_proxy", "proxy", 3128)
SET = {"http_proxy": "http://proxy:3128"}
VPC = "demo.1.vpc.cn-hangzhou.pai-eas.aliyuncs.com"


@pytest.mark.parametrize(
    ("environ", "taken"),
    [
        ({}, None),
        (SET, PROXY),
        ({"https_proxy": "http://proxy:3128"}, Proxy("https_proxy", "proxy", 3128)),
        ({"grpc_proxy": "http://proxy:1", **SET}, Proxy("grpc_proxy", "proxy", 1)),
        ({"grpc_proxy": "", **SET}, None),
        ({"HTTP_PROXY": "http://proxy:3128"}, None),
        ({"http_proxy": "proxy:3128"}, None),
        ({"http_proxy": "https://proxy:3128"}, None),
        ({"http_proxy": "http://proxy:99999"}, None),
        ({**SET, "no_proxy": "example.com"}, None),
        ({**SET, "no_proxy": "*"}, PROXY),
        ({**SET, "NO_PROXY": "example.com"}, PROXY),
        ({**SET, "no_grpc_proxy": "x", "no_proxy": "example.com"}, PROXY),
    ],
)
def test_the_proxy_is_the_one_that_grpc_core_takes(environ, taken):
    assert choose_proxy(PUBLIC, environ, None).plain == taken


@pytest.mark.parametrize(
    ("endpoint", "wanted", "ours"),
    [(PUBLIC, None, True), (PUBLIC, False, False), (HERE, None, False), (HERE, True, True)],
)
def test_connect_goes_around_a_proxy_for_this_machine_unless_told_otherwise(endpoint, wanted, ours):
    choice = choose_proxy(endpoint, SET, wanted)
    assert choice.plain == PROXY
    assert (choice.ours == PROXY) is ours


@pytest.mark.parametrize(
    ("host", "entries", "out"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.0/8", True),
        ("127.0.0.1", "127.", False),
        ("127.0.0.1", "127.0.0.1:80", False),
        ("a.localhost", ".localhost", True),
        ("a.localhost", "LOCALHOST", True),
        ("alocalhost", "localhost", False),
        ("host", "x , host", True),
        ("host", "", False),
    ],
)
def test_an_exception_of_no_proxy_is_a_suffix_or_a_network(host, entries, out):
    assert excepted(host, entries) is out


def test_the_login_of_a_proxy_is_never_seen():
    choice = choose_proxy(PUBLIC, {"http_proxy": "http://user:geheim99@proxy"}, None)
    assert choice.plain is not None and choice.plain.login == "user:geheim99"
    assert "geheim99" not in f"{choice} {choice.plain}"
    assert choice.plain.port == 443


@pytest.mark.parametrize(
    ("tunnel", "said"),
    [
        (Tunnel(501, b"HTTP/1.0 501 No\r\n\r\n\x1b[31mno"), "answers 501"),
        (Tunnel(None, b"SSH-2.0"), "does not answer as an HTTP proxy"),
        (Tunnel(None, failure="silence"), "says nothing"),
        (Tunnel(None, failure="closed"), "closes the connection"),
    ],
)
def test_a_proxy_that_opens_no_tunnel_is_at_fault(tunnel, said):
    (finding,) = judge_proxy(PUBLIC, PROXY, tunnel, Showing(), ours=True)
    assert (finding.id, finding.severity, finding.exit) == ("proxy", "fault", 5)
    assert said in finding.sentence
    assert "\x1b" not in finding.evidence
    (other,) = judge_proxy(PUBLIC, PROXY, tunnel, Showing(), ours=False)
    assert (other.severity, other.exit) == ("warning", 0)


def test_a_proxy_that_opens_a_tunnel_is_fine():
    assert judge_proxy(PUBLIC, PROXY, Tunnel(200, b"HTTP/1.1 200 OK\r\n\r\n"), Showing(), ours=True) == ()


def test_a_name_that_both_resolvers_know_is_fine():
    assert judge_names("host", Lookup(("1.2.3.4",)), None, None) == ()


def test_a_vpc_name_outside_its_vpc_is_said_to_be_one():
    (finding,) = judge_names(VPC, Lookup(failure="unknown"), Lookup(failure="unknown"), eas_name(VPC))
    assert (finding.id, finding.sure) == ("name-unknown", True)
    assert "VPC" in finding.sentence


def test_a_name_server_that_does_not_answer_makes_it_a_guess():
    (finding,) = judge_names("host", Lookup(failure="timeout", detail="no answer"), None, None)
    assert (finding.id, finding.sure, finding.exit) == ("name-unknown", False, 5)


def test_resolvers_that_disagree_are_told_apart_by_who_finds_the_name():
    grpc_lacks, python_lacks = (
        judge_names("host", python, grpc, None)[0]
        for python, grpc in (
            (Lookup(("1.2.3.4",)), Lookup(failure="unknown")),
            (Lookup(failure="unknown"), Lookup(("an address",))),
        )
    )
    assert grpc_lacks.id == python_lacks.id == "resolver-disagrees"
    assert (grpc_lacks.severity, python_lacks.severity) == ("fault", "warning")
    assert "GRPC_DNS_RESOLVER=native" in grpc_lacks.advice


def attempts(*outcomes):
    return [Attempt("1.2.3.4:80", outcome, 0.1, "why") for outcome in outcomes]


@pytest.mark.parametrize(
    ("outcomes", "found", "sure"),
    [
        (["refused", "ok"], None, None),
        (["refused", "refused"], "refused", True),
        (["unreachable"], "unreachable", True),
        (["timeout"], "unreachable", False),
        (["refused", "timeout"], "unreachable", False),
    ],
)
def test_a_port_where_nothing_listens_is_not_one_that_is_silent(outcomes, found, sure):
    judged = judge_dialling(PUBLIC, attempts(*outcomes), None)
    assert [(each.id, each.sure) for each in judged] == ([] if found is None else [(found, sure)])


def test_another_port_than_80_on_eas_is_the_first_guess():
    endpoint = Endpoint.parse(f"{VPC}:8080")
    (finding,) = judge_dialling(endpoint, attempts("refused"), eas_name(VPC))
    assert "port 80" in finding.advice


def test_a_proxy_that_is_down_is_named_and_not_the_service():
    (finding,) = judge_dialling(PUBLIC, attempts("refused"), None, PROXY)
    assert finding.id == "proxy"


def test_slowness_is_never_certain():
    assert slow_note("it", 3.0).sure is False
