"""Which service a request is for: by its path, by its host, by its authority."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_demo.gateway._exchange import Head
from server_demo.gateway._routing import Route, path_and_query, route, route_grpc, single_slashes

NAMES = ("echo", "echo_two", "group", "group.echo", "Digits")
UNKNOWN = Route("unknown")
REFUSED = Route("refused")
CLOUD = "1234.cn-shanghai.pai-eas.aliyuncs.com"


def to(target, authority="127.0.0.1:8080", names=NAMES):
    return route(Head("POST", target, authority, []), names)


@pytest.mark.parametrize(
    ("target", "service", "rest"),
    [
        ("/api/predict/echo", "echo", "/"),
        ("/api/predict/echo/", "echo", "/"),
        ("/api/predict/echo?x=/api/predict/group", "echo", "/?x=/api/predict/group"),
        ("/api/predict/echo/?", "echo", "/?"),
        ("/api/predict/echo/v1/chat/completions", "echo", "/v1/chat/completions"),
        ("/api/predict/echo/v1/?a=..&b=//", "echo", "/v1/?a=..&b=//"),
        ("/api/predict/group.echo/sink", "group.echo", "/sink"),
        ("/api/predict/group/echo", "group", "/echo"),
        ("/api/predict/echo_two", "echo_two", "/"),
        ("//api///predict//echo//v1//x", "echo", "/v1/x"),
        ("/%61pi/predict/ec%68o/a%20b%2Fc", "echo", "/a%20b%2Fc"),
        ("/api/predict/echo/v1...x/.hidden/..more", "echo", "/v1...x/.hidden/..more"),
        ("http://127.0.0.1:80/api/predict/echo/x?y", "echo", "/x?y"),
        ("/api/predict/echo/api/predict/echo", "echo", "/api/predict/echo"),
    ],
)
def test_a_path_names_the_service_and_the_service_sees_the_rest(target, service, rest):
    assert to(target) == Route("http", service, rest)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "*",
        "",
        "/api/predict",
        "/api/predict/",
        "/api/predict/nobody",
        "/api/predict/ech",
        "/api/predict/echoo",
        "/api/predict/ECHO",
        "/api/predict/echo%2Fsink",
        "/api%2Fpredict/echo",
        "/api/predict%2Fecho",
        "/api/predict/echo;x=1",
        "/v2/api/predict/echo",
        "echo.localhost:443",
    ],
)
def test_a_path_that_names_none_of_them_goes_nowhere(target):
    assert to(target) in (UNKNOWN, REFUSED)
    assert to(target).service is None


@pytest.mark.parametrize("dots", [".", "..", "%2e%2e", "%2E.", "..%2F", "x%2f..", "x\\..", "%5c..%5c", "%2e"])
@pytest.mark.parametrize("authority", ["127.0.0.1", "echo.localhost"])
def test_nobody_climbs_from_one_service_to_another(dots, authority):
    assert to(f"/api/predict/echo/{dots}/group", authority) == REFUSED
    assert to(f"/api/predict/echo/{dots}", authority) == REFUSED
    assert to(f"/{dots}/api/predict/echo", authority) == REFUSED


@pytest.mark.parametrize("character", [" ", "\n", "\r\nHost: x", "\0", "é", "\x7f"])
def test_what_no_request_line_can_carry_is_refused(character):
    for target in (f"/api/predict/echo/{character}", f"/api/predict/echo?{character}", f"/{character}"):
        assert to(target) == REFUSED


PIECES = st.sampled_from(
    [
        "/",
        "//",
        ".",
        "..",
        "%2e",
        "%2F",
        "%2f",
        "\\",
        "%5c",
        "api",
        "predict",
        "/api/predict/",
        "echo",
        "group",
        "x",
        "?",
        "%",
        ";",
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join), st.sampled_from(["h", "echo.localhost", "group.x.org"]))
def test_however_a_path_is_read_again_it_means_no_other_service(target, authority):
    found = to(target, authority)
    if found.kind != "http":
        return
    assert found.rest.startswith("/") and not found.rest.startswith("//")
    path, _ = path_and_query(found.rest)
    for read in (path, unquote(path), unquote(path).replace("\\", "/")):
        assert not {".", ".."} & set(read.split("/"))
    # The same service is named when slashes are made single, or dots decoded, first.
    assert to(single_slashes(target) if "?" not in target else target, authority).service == found.service
    assert to(target.replace("%2e", "."), authority).service == found.service


@pytest.mark.parametrize(
    ("authority", "service"),
    [
        (f"echo.{CLOUD}", "echo"),
        (f"ECHO.{CLOUD.upper()}:80", "echo"),
        ("echo.1234.vpc.cn-shanghai.pai-eas.aliyuncs.com", "echo"),
        (f"group.echo.{CLOUD}", "group.echo"),
        (f"echo-two.{CLOUD}", "echo_two"),
        ("echo.localhost:8080", "echo"),
        ("echo.localhost.", "echo"),
        ("echo_two.localhost", "echo_two"),
        ("digits.localhost", "Digits"),
        ("group.echo.localhost", "group.echo"),
        ("group.other.internal", "group"),
        ("echo.some-namespace:8080", "echo"),
        ("echo.127.0.0.1.nip.io", "echo"),
    ],
)
def test_a_services_own_host_names_it_and_its_root_is_the_service(authority, service):
    assert to("/v1/x?y", authority) == Route("http", service, "/v1/x?y")
    assert to("/", authority) == Route("http", service, "/")
    assert route_grpc(authority, NAMES, "other") == service
    assert route_grpc(authority, NAMES, None) == service


def test_inside_a_pod_the_host_and_the_path_name_the_service():
    assert to("/api/predict/echo/x", "echo.default:8080") == Route("http", "echo", "/x")


def test_on_a_services_own_host_no_path_leads_to_another_or_to_discovery():
    assert to("/api/predict/group/x", "echo.localhost") == Route("http", "echo", "/api/predict/group/x")
    path = "/api/v1/servicediscovery/upstreams/group"
    assert to(path, "echo.localhost") == Route("http", "echo", path)


def test_the_host_in_an_absolute_target_counts_more_than_the_header():
    assert to("http://echo.localhost/x", "group.localhost") == Route("http", "echo", "/x")
    assert to("http://echo.localhost?y", "group.localhost") == Route("http", "echo", "/?y")


@pytest.mark.parametrize(
    "authority", [f"nobody.{CLOUD}", "nobody.localhost:80", f"echo.nobody.{CLOUD}", f"ech.{CLOUD}"]
)
def test_the_own_host_of_an_unknown_service_leads_nowhere(authority):
    assert to("/api/predict/echo", authority) == UNKNOWN
    assert to("/", authority) == UNKNOWN
    assert route_grpc(authority, NAMES, "echo") is None


@pytest.mark.parametrize(
    "authority",
    [
        CLOUD,
        "1234.vpc.cn-shanghai.pai-eas.aliyuncs.com:80",
        "gw-1a2b.cn-shanghai.pai-eas.aliyuncs.com",
        "pai-eas-vpc.cn-shanghai.aliyuncs.com",
        "localhost:50051",
        "127.0.0.1:80",
        "[::1]:80",
        "::1",
        "echo",
        "gateway.example.org",
        "echoes.example.org",
        "",
        "..",
    ],
)
def test_a_host_that_names_no_service_leaves_it_to_the_path_and_to_the_default(authority):
    assert to("/api/predict/echo", authority) == Route("http", "echo", "/")
    assert to("/v1/x", authority) == UNKNOWN
    assert route_grpc(authority, NAMES, "echo") == "echo"
    assert route_grpc(authority, NAMES, None) is None


def test_an_address_names_no_service_whatever_the_services_are_called():
    assert route_grpc("10.0.0.1:80", ("10", "10.0"), None) is None


def test_a_dash_in_the_host_means_the_service_with_the_dash_if_there_is_one():
    for names in (("a_b", "a-b"), ("a-b", "a_b")):
        assert route_grpc("a-b.localhost", names, None) == "a-b"
        assert route_grpc("a_b.localhost", names, None) == "a_b"


@pytest.mark.parametrize(
    "path", ["/api/v1/servicediscovery/upstreams", "/exported/apis/eas.alibaba-inc.k8s.io/v1/upstreams"]
)
@pytest.mark.parametrize("query", ["", "?internal=true", "?internal=false", "?internal="])
@pytest.mark.parametrize("slashes", ["", "/"])
@pytest.mark.parametrize("authority", [CLOUD, "localhost:80"])
def test_both_paths_of_discovery_are_known_with_any_query(path, query, slashes, authority):
    assert to(f"{slashes}{path}/group.echo{query}", authority) == Route("discovery", "group.echo")
    assert to(f"{slashes}{path}/echo/v1/x{query}", authority) == Route("discovery", "echo")
    assert to(f"{slashes}{path}/nobody{query}", authority) == UNKNOWN
    assert to(f"{slashes}{path}{query}", authority) == UNKNOWN


@given(st.text(max_size=30), st.text(max_size=30))
def test_nothing_that_a_caller_sends_raises(target, authority):
    assert to(target, authority).kind in {"http", "discovery", "unknown", "refused"}
    assert route_grpc(authority, NAMES, "echo") in {*NAMES, None}
