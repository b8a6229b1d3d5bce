"""`eas_grpc.endpoint`: everything people paste, and what each of it means."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.endpoint import Endpoint
from eas_grpc.errors import ConfigError

EAS = "demo.1234.cn-hangzhou.pai-eas.aliyuncs.com"
# Whoever finds this in a message has found a leak.
SECRET = "Zm9vYmFyLXNlY3JldC10b2tlbg"

PLAINTEXT = [
    ("host", "host:80"),
    ("host:80", "host:80"),
    ("  host:80\n", "host:80"),
    ("host:50080", "host:50080"),
    ("http://host", "host:80"),
    ("http://host/", "host:80"),
    ("HTTP://Host/", "host:80"),
    ("http://host:8080/api/predict/svc", "host:8080"),
    ("host/api/predict/svc", "host:80"),
    ("http://host:443", "http://host:443"),
    ("grpc://host:443", "http://host:443"),
    (f"http://{EAS}/", f"{EAS}:80"),
    (f"http://{EAS}/api/predict/demo/", f"{EAS}:80"),
    (f"{EAS.upper()}.", f"{EAS}:80"),
    ("grpc://host", "host:80"),
    ("dns:///host:80", "host:80"),
    ("dns:///host", "host:80"),
    ("dns:host:81", "host:81"),
    ("ipv4:10.0.0.1:80", "10.0.0.1:80"),
    ("ipv6:[::1]:80", "[::1]:80"),
    ("ipv6:///[::1]", "[::1]:80"),
    ("10.0.0.1", "10.0.0.1:80"),
    ("[::1]:80", "[::1]:80"),
    ("[0:0:0:0:0:0:0:1]", "[::1]:80"),
    ("http://[::1]/x", "[::1]:80"),
    ("my_service.ns:8080", "my_service.ns:8080"),
    ("b\u00fccher.example", "xn--bcher-kva.example:80"),
    ("\u4f8b\u5b50.\u6d4b\u8bd5", "xn--fsqu00a.xn--0zwm56d:80"),
    ("http:8080", "http:8080"),
    ("host:00080", "host:80"),
]


@pytest.mark.parametrize(("text", "short"), PLAINTEXT)
def test_plaintext_addresses_are_normalised(text, short):
    endpoint = Endpoint.parse(text)
    assert str(endpoint) == short
    assert not endpoint.tls
    assert endpoint.target == "dns:///" + short.removeprefix("http://")


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("https://host", "https://host:443"),
        ("https://host/", "https://host:443"),
        ("https://host:8443/x", "https://host:8443"),
        ("grpcs://host", "https://host:443"),
        ("https://[::1]", "https://[::1]:443"),
    ],
)
def test_tls_addresses_are_normalised(text, short):
    endpoint = Endpoint.parse(text)
    assert (str(endpoint), endpoint.tls) == (short, True)
    assert endpoint.target == "dns:///" + short.removeprefix("https://")


@pytest.mark.parametrize(
    ("text", "target", "short"),
    [
        ("unix:/tmp/s.sock", "unix:/tmp/s.sock", "unix:/tmp/s.sock"),
        ("unix:///tmp/s.sock", "unix:/tmp/s.sock", "unix:/tmp/s.sock"),
        ("unix:s.sock", "unix:s.sock", "unix:s.sock"),
        ("unix:/tmp/a b%c", "unix:/tmp/a%20b%25c", "unix:/tmp/a b%c"),
        ("unix-abstract:name", "unix-abstract:name", "unix-abstract:name"),
    ],
)
def test_a_unix_socket_is_dialled_by_its_path(text, target, short):
    endpoint = Endpoint.parse(text)
    assert (endpoint.target, str(endpoint)) == (target, short)
    assert endpoint.is_loopback and endpoint.is_private and not endpoint.tls
    assert endpoint.authority == "localhost"


def test_a_host_named_like_a_scheme_of_grpc_stays_a_host():
    endpoint = Endpoint.parse("http://unix")
    assert endpoint.target == "dns:///unix:80"
    assert Endpoint.parse(str(endpoint)) == endpoint


def test_no_port_never_means_443_without_https():
    assert Endpoint.parse("host").port == 80
    assert Endpoint.parse("dns:///host").port == 80
    assert Endpoint.parse("ipv4:1.2.3.4").port == 80


@pytest.mark.parametrize(
    ("text", "service", "path"),
    [
        ("host", None, None),
        ("http://host/", None, None),
        ("http://host/api/predict", None, None),
        ("http://host/api/predict/svc", "svc", None),
        ("http://host/api/predict/svc/", "svc", None),
        ("http://host//api//predict/group.svc/v1/x", "group.svc", "/v1/x"),
        ("http://host/v1/chat", None, "/v1/chat"),
    ],
)
def test_service_and_path_of_a_console_url_are_remembered(text, service, path):
    endpoint = Endpoint.parse(text)
    assert (endpoint.service, endpoint.path) == (service, path)


REFUSED = [
    # ambiguous
    ("host:443", "write 'https://host' for TLS or 'http://host:443' for plaintext"),
    ("dns:///host:443", "'https://host'"),
    ("[::1]:443", "'https://[::1]'"),
    ("https://host:80", "write 'https://host' for TLS on 443 or 'host:80' for plaintext"),
    # port
    ("host:0", "write 'host:80'"),
    ("host:65536", "write 'host:80'"),
    ("host:999999999999", "write 'host:80'"),
    ("host:-1", "write 'host:80'"),
    ("host:grpc", "write 'host:80'"),
    ("host:\uff18\uff10", "write 'host:80'"),
    ("host:", "write 'host:80'"),
    ("http://host:/api/predict/svc", "write 'host:80'"),
    ("https://host:0", "from 1 to 65535"),
    ("localhost:80\\n", "write 'localhost:80'"),
    # nothing, or too much of it
    ("", "the endpoint is empty"),
    (" \n\t ", "the endpoint is empty"),
    ("x" * 3000 + ".com", "3004 characters"),
    ("http://", "empty"),
    ("http:///", "too many slashes"),
    (":80", "empty"),
    ("80", "write 'host:80'"),
    ("99999", "as in '10.0.0.1:80'"),
    # space and characters that nobody sees
    ("host :80", "write 'host:80'"),
    ("host: 80", "write 'host:80'"),
    ("host.example:80 and more", "write 'host.example:80'"),
    ("ho st", "remove it"),
    ("host.example:80\r\nx", "write 'host.example:80'"),
    ("ho\u200bst:80", "(U+200B): write 'host:80'"),
    ("host\x00:80", "(U+0000)"),
    ("host\x1b[0m", "(U+001B)"),
    ("\ufeffhost:80", "write 'host:80'"),
    ("host\ud800", "(U+D800)"),
    ("'host:80'", "write 'host:80'"),
    ('"http://host"', "write 'host:80'"),
    ("\u201chost\u201d", "write 'host:80'"),
    ("host\uff1a80", "full-width colon or slash: write 'host:80'"),
    # schemes
    ("ftp://host:21/x", "'ftp', which is no scheme of gRPC: write 'host:21'"),
    ("ws://host/api/predict/svc", "write 'host:80'"),
    ("wss://host", "write 'https://host:443'"),
    ("tcp://host:50051", "write 'host:50051'"),
    ("xds:///host", "write 'host:80'"),
    ("passthrough:///host:81", "write 'host:81'"),
    ("http:/host", "not followed by '://': write 'host:80'"),
    ("http//host", "write 'host:80'"),
    ("https//host", "write 'https://host:443'"),
    ("https:host", "write 'https://host:443'"),
    ("//host/x", "write 'host:80'"),
    ("http:///host", "too many slashes after 'http:': write 'host:80'"),
    ("http://https://host", "more than one scheme: write 'https://host:443'"),
    ("http://http:/host", "write 'host:80'"),
    ("dns://8.8.8.8/host:81", "write 'host:81'"),
    ("ipv4:host:80", "write 'host:80'"),
    ("ipv6:host:80", "as in 'ipv6:[::1]:80'"),
    # addresses
    ("::1", "write '[::1]:80'"),
    ("fe80::1", "write '[fe80::1]:80'"),
    ("::1:8080", "write '[::1:8080]:80' or '[::1]:8080'"),
    ("::1:50080", "write '[::1]:50080'"),
    ("fe80::1%eth0", "more than one ':'"),
    ("[fe80::1%eth0]:80", "zone"),
    ("[host]:80", "write 'host:80'"),
    ("[::1", "as in '[::1]:80'"),
    ("[::1]80", "as in '[::1]:80'"),
    ("[::zz]:80", "as in '[::1]:80'"),
    ("host:80:81", "write 'host:80'"),
    ("256.1.1.1", "not an IPv4 address"),
    ("1.2.3", "not an IPv4 address"),
    ("010.0.0.1", "without leading zeros"),
    ("0x7f.0x1", "not an IPv4 address"),
    # names
    ("a..b", "two dots in a row"),
    (".host", "two dots in a row"),
    ("-host", "begins or ends with '-'"),
    ("host-.com", "begins or ends with '-'"),
    ("ho*st", "'*'"),
    ("$EAS_ENDPOINT", "'$'"),
    ("EAS_ENDPOINT=host", "'='"),
    ("a" * 64 + ".com", "64 characters and 63 is the limit"),
    (".".join(["a" * 60] * 5), "253 is the limit"),
    ("\u2100.com", "'/'"),
    ("\u00fc" * 70 + ".com", "write it in ASCII"),
    ("\U0001f600\ufffd.com", "write it in ASCII"),
    # lists
    ("a:80,b:80", "write 'a:80'"),
    ("ipv4:1.2.3.4:80,1.2.3.5:80", "write '1.2.3.4:80'"),
    # placeholders
    ("<service>.<uid>.cn-hangzhou.pai-eas.aliyuncs.com:80", "placeholder"),
    ("service-name.{uid}.{region}.pai-eas.aliyuncs.com:80", "placeholder"),
    ("service-name.uid.region.pai-eas.aliyuncs.com", "placeholder"),
    ("your-service-endpoint:your port", "placeholder"),
    ("http://your-endpoint/", "placeholder"),
    # sockets
    ("unix:", "write 'unix:/path/to/socket'"),
    ("unix:/tmp/", "write 'unix:/path/to/socket'"),
    ("unix://tmp/s", "write 'unix:///path/to/socket'"),
    ("unix:////tmp/s", "write 'unix:///path/to/socket'"),
    ("unix:@name", "'unix-abstract:name'"),
    ("unix:/tmp/a\nb", "invisible character"),
    ("unix:/" + "a" * 107, "108 bytes and 107 is the limit"),
]


@pytest.mark.parametrize(("text", "advice"), REFUSED)
def test_wrong_input_is_refused_with_what_to_write(text, advice):
    with pytest.raises(ConfigError) as caught:
        Endpoint.parse(text)
    assert advice in str(caught.value)
    assert "\n" not in str(caught.value)
    assert type(caught.value) is ConfigError


WITH_SECRETS = [
    (f"http://user:{SECRET}@host/api/predict/svc", "write 'host:80'"),
    (f"https://{SECRET}@host", "write 'https://host:443'"),
    (f"user:{SECRET}@host:81", "write 'host:81'"),
    (f"http://user:{SECRET}/x@host", "leave it out"),
    (f"http://user:x@{SECRET}@host", "leave it out"),
    (f"http://user:x#{SECRET}@host", "leave it out"),
    (f"http://user:{SECRET} x@host", "write 'host:80'"),
    (f"ftp://user:{SECRET}@host", "write 'host:80'"),
    (f"http://host/api/predict/svc?token={SECRET}", "write 'host:80'"),
    (f"http://host:81/#{SECRET}", "write 'host:81'"),
    (f"http://user:{SECRET}@host?x", "write 'host:80'"),
    (f"{SECRET}==", "looks like a token: pass it as token="),
    (f"'{SECRET}=='", "quotation marks"),
    (f"Bearer {SECRET}", "looks like a token"),
    (f"Authorization: {SECRET}", "looks like a token"),
    (f"EAS {SECRET}", "looks like a token"),
    (f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}", "looks like a token"),
    (f"{SECRET}0123456789", "looks like a token"),
    (f"user:{SECRET}", "write 'user:80'"),
    (f"host.example:80 {SECRET}", "write 'host.example:80'"),
    (f"host.example:80\n{SECRET}", "write 'host.example:80'"),
    (f"host {SECRET}", "remove it"),
    (f"{SECRET}!{SECRET}", "'!'"),
    (f"{SECRET}-" * 4, "63 is the limit"),
]


@pytest.mark.parametrize(("text", "advice"), WITH_SECRETS)
def test_a_secret_in_the_wrong_place_is_never_repeated(text, advice):
    with pytest.raises(ConfigError) as caught:
        Endpoint.parse(text)
    assert advice in str(caught.value)
    assert SECRET.lower() not in str(caught.value).lower()
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("value", [None, 80, b"host:80", ["host"], ("host", 80), object()])
def test_what_is_no_text_is_refused_by_its_type(value):
    with pytest.raises(ConfigError, match=f"must be a str .* not {type(value).__name__}"):
        Endpoint.parse(value)


def test_an_endpoint_is_taken_as_it_is():
    endpoint = Endpoint.parse("https://host/api/predict/svc")
    assert Endpoint.parse(endpoint) is endpoint


def test_an_endpoint_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Endpoint.parse("host").port = 81


FRAGMENTS = [
    *(
        "http:",
        "https:",
        "grpc",
        "//",
        "/",
        "host",
        ":",
        "80",
        "443",
        "[",
        "]",
        "::1",
        "unix:",
        "dns:",
        "ipv4:",
    ),
    *(
        "@",
        "?",
        "#",
        ".",
        "-",
        "\u00e9",
        "\uff1a",
        "\u3002",
        " ",
        "\n",
        "%",
        "1.2.3.4",
        "\u200b",
        ",",
        "ftp:",
        "'",
    ),
]
ANYTHING = st.one_of(
    st.text(),
    st.text(alphabet=st.characters(exclude_categories=[])),
    st.lists(st.sampled_from(FRAGMENTS), max_size=9).map("".join),
)


@given(ANYTHING)
def test_any_text_gives_an_endpoint_or_a_config_error_and_is_stable(text):
    try:
        endpoint = Endpoint.parse(text)
    except ConfigError:
        return
    again = Endpoint.parse(str(endpoint))
    assert (again.target, again.tls, str(again)) == (endpoint.target, endpoint.tls, str(endpoint))
    assert endpoint.target.isascii() and endpoint.target.isprintable() and " " not in endpoint.target


@given(
    host=st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z])?(\.[a-z]([a-z0-9-]{0,8}[a-z])?){1,4}", fullmatch=True),
    port=st.integers(1, 65535).filter(lambda port: port not in (80, 443)),
    scheme=st.sampled_from(["", "http://", "https://", "dns:///"]),
    path=st.sampled_from(["", "/", "/api/predict/svc"]),
)
def test_host_and_port_survive(host, port, scheme, path):
    endpoint = Endpoint.parse(f"{scheme}{host}:{port}{path}")
    assert (endpoint.host, endpoint.port, endpoint.tls) == (host, port, scheme == "https://")
    assert endpoint.target == f"dns:///{host}:{port}"


@pytest.mark.parametrize(
    "unit", ["http:/", "a://", "[", ":", "@", "//", "dns:", "unix:", "\u00e9.", "'", "\u200b", "?"]
)
def test_a_pattern_repeated_to_the_limit_is_refused_and_not_followed(unit):
    with pytest.raises(ConfigError):
        Endpoint.parse(unit * (1999 // len(unit)))
