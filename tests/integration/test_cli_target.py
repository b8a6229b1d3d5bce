"""The options that say how a service is reached, tried with `eas-grpc health` against servers that look at what arrives."""

from __future__ import annotations

from concurrent import futures
from contextlib import contextmanager

import grpc
import pytest
from click.testing import CliRunner
from grpc_health.v1 import health_pb2, health_pb2_grpc

from eas_grpc.cli.__main__ import cli
from server_demo.gateway import Certificate

SECRET = "Y2FuYXJ5LXRva2VuLWluLW9wdGlvbnM="


class Health(health_pb2_grpc.HealthServicer):
    def Check(self, request, context):
        self.metadata = dict(context.invocation_metadata())
        self.seconds = context.time_remaining()
        self.peer = context.auth_context()
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


@contextmanager
def serving(certificate: Certificate | None = None, client_root: bytes | None = None):
    server = grpc.server(futures.ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    servicer = Health()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    if certificate is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        pair = [(certificate.key, certificate.chain)]
        credentials = grpc.ssl_server_credentials(pair, client_root, client_root is not None)
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    servicer.address = f"127.0.0.1:{port}"
    try:
        yield servicer
    finally:
        server.stop(0).wait()


@pytest.fixture
def server():
    with serving() as servicer:
        yield servicer


@pytest.fixture
def pem(tmp_path):
    """Writes certificates and keys to files."""

    def write(name: str, data: bytes) -> str:
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    return write


def health(*args: str, **environ: str):
    return CliRunner().invoke(cli, ["health", *args], env=environ, prog_name="eas-grpc")


def test_metadata_arrives_in_lower_case_and_binary_values_decoded(server):
    done = health("-e", server.address, "-H", "X-Tenant: a b: c", "-H", "trace-bin:AAEC/w", "-H", "Empty:")
    assert (done.exit_code, done.stdout) == (0, "SERVING\n")
    assert server.metadata["x-tenant"] == "a b: c"
    assert server.metadata["trace-bin"] == bytes([0, 1, 2, 255])
    assert server.metadata["empty"] == ""


def test_an_authorization_of_ones_own_replaces_the_token_of_the_environment(server):
    ours = ("-e", server.address, "-H", "Authorization: Basic dTpw")
    assert health(*ours, EAS_TOKEN=SECRET).exit_code == 0
    assert server.metadata["authorization"] == "Basic dTpw"
    both = health(*ours, "--token", SECRET)
    assert (both.exit_code, both.stdout) == (2, "")
    assert "-H authorization and a token option say two things" in both.stderr


def test_a_token_command_that_fails_is_a_setting_and_no_failed_call(server, tmp_path):
    (tmp_path / "eas-grpc").mkdir()
    (tmp_path / "eas-grpc" / "config.toml").write_text(
        f'[prod]\nendpoint = "{server.address}"\ntoken_command = ["no-such-program-anywhere"]\n'
    )
    for command in (["health"], ["list"], ["call", "a.B/C", "-d", "{}"], ["load", "a.B/C", "-n", "1"]):
        done = CliRunner().invoke(
            cli, [*command, "--profile", "prod"], env={"XDG_CONFIG_HOME": str(tmp_path)}
        )
        assert done.exit_code == 2, (command, done.stderr)
        assert "token_command cannot run no-such-program-anywhere" in done.stderr
        assert "failed with" not in done.stderr


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("no-colon", "there is no colon"),
        ("a b: c", "'a b' is no name"),
        (": value", "'' is no name"),
        ("grpc-timeout: 1S", "belongs to gRPC itself"),
        ("TE: trailers", "belongs to gRPC itself"),
        (f"x: {SECRET}é", "characters outside printable ASCII"),
        (f"x: {SECRET}\r\nevil: 1", "characters outside printable ASCII"),
        (f"x-bin: {SECRET}!", "is not base64"),
    ],
)
def test_metadata_that_cannot_be_sent_is_refused_without_its_value(given, sentence):
    done = health("-e", "127.0.0.1:9", "-H", given)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert SECRET not in done.output


def test_a_token_comes_from_the_variable_that_is_named(server):
    assert health("-e", server.address, "--token-env", "MINE", MINE=f" {SECRET}\n").exit_code == 0
    assert server.metadata["authorization"] == f"Bearer {SECRET}"


def test_the_time_that_is_written_is_the_deadline(server):
    health("-e", server.address, "--timeout", "90s")
    assert 60 < server.seconds < 91


def test_tls_with_a_certificate_to_trust(pem):
    certificate = Certificate.selfsigned("127.0.0.1")
    root = pem("root.pem", certificate.chain)
    with serving(certificate) as server:
        for address in (["-e", f"https://{server.address}"], ["-e", server.address, "--tls"]):
            assert health(*address, "--cacert", root).stdout == "SERVING\n"
        unknown = health("-e", f"https://{server.address}")
        assert unknown.exit_code == 5
        assert "certificate" in unknown.stderr


def test_another_name_is_asked_for_and_found_in_the_certificate(pem):
    certificate = Certificate.selfsigned("inside.example")
    with serving(certificate) as server:
        args = ["-e", f"https://{server.address}", "--cacert", pem("root.pem", certificate.chain)]
        assert health(*args, "--authority", "inside.example").stdout == "SERVING\n"
        wrong = health(*args, "--authority", "another.example")
        assert wrong.exit_code == 5
        assert "certificate is for another name" in wrong.stderr


def test_a_server_that_asks_for_a_certificate_gets_ours(pem):
    theirs, ours = Certificate.selfsigned("127.0.0.1"), Certificate.selfsigned("client.example")
    files = [pem(name, data) for name, data in (("r", theirs.chain), ("c", ours.chain), ("k", ours.key))]
    with serving(theirs, client_root=ours.chain) as server:
        args = ["-e", f"https://{server.address}", "--cacert", files[0]]
        assert health(*args).exit_code == 5
        assert health(*args, "--cert", files[1], "--key", files[2]).stdout == "SERVING\n"
        assert b"client.example" in b"".join(server.peer["x509_subject_alternative_name"])


def test_what_is_said_twice_or_by_half_is_refused(pem):
    certificate = Certificate.selfsigned("a.example")
    chain, key, text = pem("c", certificate.chain), pem("k", certificate.key), pem("t", b"no certificate")
    for args, sentence in {
        ("-e", "https://h", "--plaintext"): "--plaintext, but https://h:443 says https",
        ("-e", "http://h", "--tls"): "--tls, but http:// is plaintext",
        ("-e", "h", "--cacert", chain): "--cacert is for TLS, but h:80 is plaintext",
        ("-e", "https://h", "--cert", chain): "belong together",
        ("-e", "https://h", "--key", key): "belong together",
        ("-e", "https://h", "--cacert", text): "holds no certificate in PEM form",
        ("-e", "https://h", "--cert", chain, "--key", chain): "holds no key in PEM form",
        ("-e", "h", "--token", "a", "--token-env", "B"): "--token and --token-env say two things",
        (
            "-e",
            "h",
            "--token-env",
            "NOT_SET_ANYWHERE",
        ): "--token-env NOT_SET_ANYWHERE: this variable is not set",
        ("-e", "h", "--timeout", "0"): "is not a length of time",
        ("-e", "h", "--timeout", "٣s"): "is not a length of time",
        ("-e", "h", "--max-message", "0"): "is not a size",
        ("-e", "h", "--max-message", "4TB"): "is not a size",
    }.items():
        done = health(*args)
        assert (done.exit_code, done.stdout) == (2, ""), args
        assert sentence in done.stderr, args


def test_the_proxy_of_the_environment_counts_where_it_is_asked_for(server):
    # Nothing listens there: who goes through it does not arrive.
    proxy = {"http_proxy": "http://127.0.0.1:1"}
    assert health("-e", server.address, **proxy).exit_code == 0
    assert health("-e", server.address, "--no-proxy", **proxy).exit_code == 0
    assert health("-e", server.address, "--proxy", "--timeout", "2s", **proxy).exit_code == 5


def test_a_message_beyond_the_size_that_is_allowed_is_refused():
    from server_demo import app

    with app.build() as server:
        args = ["hello", "x" * 2000, "-e", server.address, "--token", app.DEFAULT_TOKEN]
        assert CliRunner().invoke(cli, args).exit_code == 0
        done = CliRunner().invoke(cli, [*args, "--max-message", "1k"])
        assert done.exit_code == 64 + grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


def test_a_profile_brings_its_certificate_and_the_name_to_ask_for(pem, tmp_path):
    certificate = Certificate.selfsigned("inside.example")
    pem("root.pem", certificate.chain)
    (tmp_path / "eas-grpc").mkdir()
    with serving(certificate) as server:
        (tmp_path / "eas-grpc" / "config.toml").write_text(
            f'[prod]\nendpoint = "https://{server.address}"\ncacert = "../root.pem"\n'
            'authority = "inside.example"\ntimeout = "50s"\ntoken_env = "MINE"\n'
        )
        environ = {"XDG_CONFIG_HOME": str(tmp_path), "MINE": SECRET}
        assert health("--profile", "prod", **environ).stdout == "SERVING\n"
        assert server.metadata["authorization"] == f"Bearer {SECRET}"
        wrong = health("--profile", "prod", "--authority", "another.example", **environ)
        assert wrong.exit_code == 5
