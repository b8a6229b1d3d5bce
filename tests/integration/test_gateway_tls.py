"""TLS at the gateway: a certificate of one's own or a self-signed one, for every protocol."""

from __future__ import annotations

import contextlib
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import requests
from click.testing import CliRunner
from support.gateway_clients import Http1, Http2, connected, port_of

from eas_grpc.cli.__main__ import cli
from eas_grpc.errors import ConfigError
from server_demo.gateway import Certificate, Gateway, demo

TOKEN = "dG9rZW4tb2YtYWxs"
AUTH = [("Authorization", TOKEN)]
ECHO = "/api/predict/echo"
HELLO = b"\x0a\x05World"


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return Certificate.selfsigned()


@pytest.fixture(scope="module")
def gateway(certificate) -> Iterator[Gateway]:
    with Gateway(certificate=certificate, ui=True) as running:
        demo.add_demo(running, [TOKEN])
        yield running


@pytest.fixture
def root(certificate, tmp_path) -> Path:
    """The file that a client trusts."""
    path = tmp_path / "root.pem"
    path.write_bytes(certificate.chain)
    return path


def trusting(certificate: Certificate, *protocols: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=certificate.chain.decode())
    context.set_alpn_protocols(list(protocols))
    return context


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["h2", "http/1.1"], "h2"),
        (["http/1.1", "h2"], "h2"),
        (["h2"], "h2"),
        (["http/1.1"], "http/1.1"),
        (["http/1.0"], None),
    ],
)
def test_alpn_chooses_the_protocol(gateway, certificate, offered, chosen):
    with connected(gateway.address, trusting(certificate, *offered)) as connection:
        assert connection.selected_alpn_protocol() == chosen
        assert connection.version() in {"TLSv1.2", "TLSv1.3"}


def test_http_1_and_http_2_and_grpc_are_answered(gateway, certificate):
    with Http1(gateway.address, trusting(certificate, "http/1.1")) as client:
        assert client.ask("POST", ECHO, AUTH, b"x").body == b"x"
        assert client.ask("POST", ECHO, [], b"x").status == 401
    with Http2(gateway.address, trusting(certificate, "h2")) as client:
        assert client.request("POST", ECHO, AUTH, b"x").body == b"x"
        bearer = [("authorization", f"Bearer {TOKEN}")]
        assert client.call("/GreeterService/SayHello", bearer, HELLO).body.endswith(b"Hello, World!")
        assert client.call("/GreeterService/SayHello", [], HELLO).grpc_status == "16"


def test_1_mb_passes_in_both_directions(gateway, certificate):
    body = os.urandom(1_000_000)
    with Http1(gateway.address, trusting(certificate, "http/1.1")) as client:
        assert client.ask("POST", ECHO, AUTH, body).body == body
        assert client.ask("POST", ECHO, AUTH, body + b"x").status == 413
    with Http2(gateway.address, trusting(certificate, "h2")) as client:
        assert client.request("POST", ECHO, AUTH, body).body == body


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "echo.localhost"])
def test_grpc_over_tls_trusts_the_certificate_for_every_name_of_this_machine(gateway, certificate, host):
    credentials = grpc.ssl_channel_credentials(certificate.chain)
    options = [("grpc.ssl_target_name_override", host)]
    with grpc.secure_channel(gateway.address, credentials, options) as channel:
        call = channel.unary_unary("/GreeterService/SayHello")
        metadata = [("authorization", f"Bearer {TOKEN}")]
        assert call(HELLO, metadata=metadata, timeout=10).endswith(b"Hello, World!")


def test_grpc_that_does_not_trust_it_is_unavailable(gateway):
    with grpc.secure_channel(gateway.address, grpc.ssl_channel_credentials()) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/GreeterService/SayHello")(HELLO, timeout=10)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_requests_over_https(gateway, root):
    url = gateway.url("echo").replace("127.0.0.1", "localhost")
    assert url.startswith("https://localhost:")
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(url, data="x", headers={"Authorization": TOKEN}, verify=str(root), timeout=10)
        assert (answer.status_code, answer.content) == (200, b"x")
        with pytest.raises(requests.exceptions.SSLError):
            session.post(url, data="x", timeout=10)


@pytest.mark.parametrize(("flag", "version"), [("--http2", "2"), ("--http1.1", "1.1"), ("--http1.0", "1.1")])
def test_curl_over_https(gateway, root, flag, version):
    curl = shutil.which("curl") or pytest.skip("no `curl`")
    done = subprocess.run(
        [
            *(curl, "-sS", "--noproxy", "*", "--max-time", "10", flag, "--cacert", root),
            *("-H", f"Authorization: {TOKEN}", "-d", "body", "-w", " %{http_version} %{http_code}"),
            gateway.url("echo"),
        ],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"body {version} 200", "")


def test_a_client_without_tls_gets_no_answer_and_the_gateway_goes_on(gateway, certificate):
    with connected(gateway.address) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"HTTP/" not in connection.recv(100)
    with Http1(gateway.address, trusting(certificate, "http/1.1")) as client:
        assert client.ask("POST", ECHO, AUTH, b"x").status == 200


def test_a_head_request_for_the_page_over_http_2_gets_no_body(gateway, certificate):
    with Http2(gateway.address, trusting(certificate, "h2")) as client:
        assert client.request("GET", "/_eas").status == 200
        assert client.request("HEAD", "/_eas/nothing").body == b""


def test_an_instance_shows_the_same_certificate(gateway, certificate):
    (instance,) = gateway.instances("echo")
    with Http1(f"{instance.ip}:{instance.port}", trusting(certificate, "http/1.1")) as client:
        assert client.ask("POST", ECHO, AUTH, b"x").status == 200


# Certificates.


@pytest.fixture
def files(certificate, tmp_path) -> tuple[Path, Path]:
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(certificate.chain)
    key.write_bytes(certificate.key)
    return chain, key


def test_a_certificate_of_ones_own_is_shown(files, certificate):
    with (
        Gateway(certificate=Certificate.load(*files)) as running,
        connected(running.address, trusting(certificate)) as connection,
    ):
        shown = connection.getpeercert(binary_form=True)
    assert shown == ssl.PEM_cert_to_DER_cert(certificate.chain.decode())


def test_a_key_is_in_no_repr(certificate):
    assert b"PRIVATE KEY" in certificate.key
    assert "PRIVATE" not in repr(certificate)


def unusable(files: tuple[Path, Path], how: str) -> str:
    """Spoils the files; gives what is said of it."""
    chain, key = files
    if how == "another's key":
        key.write_bytes(Certificate.selfsigned().key)
    elif how == "swapped":
        first = chain.read_bytes()
        chain.write_bytes(key.read_bytes())
        key.write_bytes(first)
    elif how == "no PEM":
        key.write_text("nothing")
    elif how == "empty":
        chain.write_bytes(b"")
    else:
        key.unlink()
        return f"{key} cannot be read: No such file"
    return "certificate and key cannot be used together"


BROKEN = ["another's key", "swapped", "no PEM", "empty", "missing"]


@pytest.mark.parametrize("how", BROKEN)
def test_files_that_cannot_be_used_are_refused_in_one_sentence(files, how):
    said = unusable(files, how)
    with pytest.raises(ConfigError) as caught:
        Certificate.load(*files)
    assert said in str(caught.value)
    assert "PRIVATE" not in str(caught.value)


@pytest.mark.parametrize("how", BROKEN)
def test_the_command_refuses_them_as_well(files, how):
    said = unusable(files, how)
    flags = ["--tls-cert", str(files[0]), "--tls-key", str(files[1])]
    done = CliRunner().invoke(cli, ["serve", "--port", "0", *flags])
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "flags", [["--tls-cert", "a"], ["--tls-key", "a"], ["--tls-selfsigned", "--tls-cert", "a"]]
)
def test_flags_that_do_not_fit_are_a_usage_error(flags):
    done = CliRunner().invoke(cli, ["serve", "--port", "0", *flags])
    assert done.exit_code == 2
    assert "Error: --tls-" in done.stderr


@pytest.mark.parametrize("own", [False, True])
def test_the_command_serves_over_tls(files, own, certificate):
    script = Path(sys.executable).with_name("eas-grpc")
    flags = ["--tls-cert", files[0], "--tls-key", files[1]] if own else ["--tls-selfsigned"]
    command = [script, "serve", "--port", "0", "--token", TOKEN, *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().removeprefix("ready on ").strip()
            if own:
                context = trusting(certificate, "http/1.1")
            else:
                shown = ssl.get_server_certificate(("127.0.0.1", port_of(address)))
                context = ssl.create_default_context(cadata=shown)
            with Http1(address, context) as client:
                assert client.ask("POST", ECHO, AUTH, b"x").body == b"x"
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()
