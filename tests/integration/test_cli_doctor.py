"""`eas-grpc doctor` where nothing is wrong, in both forms of output, and what it is asked to wait for."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from concurrent import futures

import grpc
import pytest
from click.testing import CliRunner
from grpc_health.v1 import health, health_pb2_grpc
from support.h2_answers import Http2
from support.processes import reserved_port

from eas_grpc.cli.__main__ import cli
from eas_grpc.doctor import STEPS, Question, examine
from server_demo import app
from server_demo.gateway import Certificate, Gateway, GatewayOptions, demo

TOKEN = "cli-token-of-the-doctor-41d8"
HELLO = "helloworld.GreeterService/SayHello"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def servers_of_tests_do_not_log_what_they_receive():
    """The HTTP/2 library below them logs every header at DEBUG; the suite searches what clients log."""
    logger = logging.getLogger("hpack")
    before = logger.level
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(before)


@pytest.fixture
def gateway():
    with Gateway() as gateway:
        demo.add_demo(gateway, [TOKEN])
        yield gateway


def doctor(*args: str):
    done = CliRunner().invoke(cli, ["doctor", *args])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert TOKEN not in done.output
    return done


def report(*args: str) -> dict:
    done = doctor(*args, "--json")
    found = json.loads(done.stdout)
    assert found["exit"] == done.exit_code
    return found


def outcomes(found: dict) -> dict[str, str]:
    return {step["name"]: step["outcome"] for step in found["steps"]}


def evidence(found: dict, name: str) -> str:
    return "; ".join(next(step["evidence"] for step in found["steps"] if step["name"] == name))


def test_our_gateway_is_good_in_every_step(gateway):
    found = report(gateway.address, "--token", TOKEN, "--method", HELLO, "-d", '{"name": "World"}')
    assert (found["verdict"], found["sure"], found["exit"], found["findings"]) == ("ok", True, 0, [])
    assert list(outcomes(found)) == list(STEPS)
    skipped = {"tls", "keepalive", "limits", "clock"}
    assert outcomes(found) == {name: "skipped" if name in skipped else "ok" for name in STEPS}
    assert "SERVING" in evidence(found, "health") and HELLO in evidence(found, "call")
    assert found["seconds"] < 5


def test_the_json_has_the_promised_names(gateway):
    found = report(f"http://{gateway.address}/", "--token", TOKEN)
    assert list(found) == [
        "address",
        "verdict",
        "sure",
        "sentence",
        "advice",
        "exit",
        "seconds",
        "findings",
        "steps",
    ]
    assert [each["id"] for each in found["findings"]] == ["address-scheme", "address-path"]
    assert set(found["findings"][0]) == {"id", "severity", "sure", "sentence", "advice", "evidence"}
    assert set(found["steps"][0]) == {"name", "outcome", "seconds", "evidence"}
    assert found["address"] == f"http://{gateway.address}/"


def test_the_bare_server_is_good_without_anything_said():
    with app.build(token=TOKEN) as server:
        done = doctor("-e", server.address, "--token", TOKEN)
    assert done.exit_code == 0
    assert "ok: The service answers. None of its own methods was called" in done.stdout
    assert "FAULT" not in done.stdout and done.stderr == ""


def test_tls_with_its_authority_is_good_and_without_it_the_token_stays_here(tmp_path):
    certificate = Certificate.selfsigned()
    file = tmp_path / "ca.pem"
    file.write_bytes(certificate.chain)
    with Gateway(certificate=certificate) as gateway:
        demo.add_demo(gateway, [TOKEN])
        good = report(f"https://{gateway.address}", "--token", TOKEN, "--cacert", str(file))
        flag = report(gateway.address, "--tls", "--token", TOKEN, "--cacert", str(file))
        before = len(gateway.calls())
        bad = report(f"https://{gateway.address}", "--token", TOKEN)
        calls = len(gateway.calls()) - before
    assert (good["verdict"], outcomes(good)["tls"]) == ("address-scheme", "ok")
    assert flag["verdict"] == "ok"
    assert (bad["verdict"], bad["sure"], bad["exit"]) == ("tls-unknown-ca", True, 5)
    assert calls == 0


def test_an_echoed_token_and_control_characters_stay_out_of_the_output(gateway):
    # The greeter says what it was told, so the answer of the raw request is the test's own server here.
    class Parrot(grpc.GenericRpcHandler):
        def service(self, details):
            given = dict(details.invocation_metadata).get("authorization", "")

            def refuse(_, context):
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"{given}\x1b[2J\u202e")

            return grpc.unary_unary_rpc_method_handler(refuse)

    server = grpc.server(futures.ThreadPoolExecutor(2), [Parrot()], options=[("grpc.so_reuseport", 0)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        done = doctor(f"127.0.0.1:{port}", "--token", TOKEN)
    finally:
        server.stop(0).wait()
    assert "Bearer ***\\x1b[2J\\u202e" in done.stdout
    assert "\x1b" not in done.stdout and done.exit_code == 73


def test_a_connection_that_is_closed_when_idle_is_found_by_holding_one():
    with Gateway(options=GatewayOptions(idle_timeout=0.5)) as gateway:
        demo.add_demo(gateway, [TOKEN])
        found = report(gateway.address, "--token", TOKEN, "--idle", "2s")
    assert (found["verdict"], found["exit"], outcomes(found)["keepalive"]) == ("idle-dropped", 0, "warning")
    assert "after 0." in evidence(found, "keepalive") or "after 1." in evidence(found, "keepalive")


def test_a_connection_that_survives_says_so(gateway):
    found = report(gateway.address, "--token", TOKEN, "--idle", "300ms")
    assert (found["verdict"], outcomes(found)["keepalive"]) == ("ok", "ok")
    assert "still good" in evidence(found, "keepalive")


def test_pings_that_a_stock_server_forbids_are_a_warning():
    server = grpc.server(futures.ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        found = examine(Question(address=f"127.0.0.1:{port}", idle=2.0, ping_every=0.2))
    finally:
        server.stop(0).wait()
    assert (found.verdict, found.exit) == ("keepalive-refused", 0)
    assert "too_many_pings" in found.findings[0].evidence


@pytest.mark.parametrize(("size", "verdict"), [("900k", "ok"), ("1200k", "request-too-large")])
def test_a_size_is_tried_without_calling_anything_of_the_services_own(gateway, size, verdict):
    found = report(gateway.address, "--token", TOKEN, "--max-request", size)
    assert (found["verdict"], found["sure"]) == (verdict, True)
    assert outcomes(found)["limits"] == ("ok" if verdict == "ok" else "fault")


@pytest.mark.parametrize(("args", "sure"), [((), False), (("--method", HELLO), True)])
def test_a_404_is_certain_only_where_a_path_of_the_service_got_it(args, sure):
    with Http2(((":status", "404"), ("content-type", "text/plain")), b"no route") as server:
        found = report(server.address, "--token", TOKEN, *args)
    assert (found["verdict"], found["sure"], found["exit"]) == ("gateway-404", sure, 76)
    assert "no route" in evidence(found, "gateway")


def test_without_an_address_the_environment_says_which(gateway, monkeypatch):
    monkeypatch.setenv("EAS_ENDPOINT", gateway.address)
    monkeypatch.setenv("EAS_TOKEN", f" {TOKEN}")
    found = report()
    assert (found["verdict"], found["address"]) == ("token-spaces", gateway.address)


def test_a_resolver_that_knows_more_than_python_is_told_and_the_calls_go_on():
    # c-ares knows every name below localhost (RFC 6761), the C library only where it is told.
    try:
        socket.getaddrinfo("name.localhost", 80)
    except OSError:
        pass
    else:
        pytest.skip("this machine's resolver knows names below localhost too")
    with app.build(token=TOKEN) as server:
        port = server.address.rpartition(":")[2]
        found = report(f"name.localhost:{port}", "--token", TOKEN)
    assert (found["verdict"], found["exit"]) == ("resolver-disagrees", 0)
    assert (outcomes(found)["http2"], outcomes(found)["health"]) == ("skipped", "ok")


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["host", "-e", "host"], 2, "given twice"),
        (["host", "-d", "{}"], 2, "--method"),
        (["host", "--token", "a-token-1", "--token-env", "X"], 2, "say two things"),
        (["host", "--token-env", "NOT_SET_HERE"], 2, "not set"),
        (["a b"], 2, "space"),
        (["host:80", "--token", "a b c d"], 2, "token"),
        (["host:80", "--idle", "soon"], 2, "length of time"),
    ],
)
def test_what_cannot_work_is_a_sentence_and_2(args, code, said):
    done = doctor(*args)
    assert done.exit_code == code
    assert said in done.output


def test_a_wrong_request_is_told_before_it_is_sent(gateway):
    found = report(gateway.address, "--token", TOKEN, "--method", HELLO, "-d", '{"nome": "x"}')
    assert (found["verdict"], found["exit"]) == ("request-invalid", 3)
    assert "nome" in found["advice"]


def test_letters_that_the_terminal_cannot_write_are_escaped_and_a_closed_pipe_is_quiet():
    with reserved_port() as port:
        environ = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
        done = subprocess.run(
            [sys.executable, "-m", "eas_grpc.cli", "doctor", f"127.0.0.1:{port}", "-H", "x: y"],
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
        )
    assert done.returncode == 5
    assert b"Nothing listens" in done.stdout and b"Traceback" not in done.stdout + done.stderr


def test_a_profile_brings_its_certificate_and_counts_where_it_is_used(tmp_path, monkeypatch):
    certificate = Certificate.selfsigned()
    config = tmp_path / "eas-grpc" / "config.toml"
    config.parent.mkdir()
    (config.parent / "root.pem").write_bytes(certificate.chain)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("MINE", TOKEN)
    with Gateway(certificate=certificate) as gateway:
        demo.add_demo(gateway, [TOKEN])
        config.write_text(
            f'use = "prod"\n[prod]\nendpoint = "https://{gateway.address}"\ntoken_env = "MINE"\ncacert = "root.pem"\n'
        )
        for args in ([], ["--profile", "prod"]):
            done = CliRunner().invoke(cli, ["doctor", "--json", "--method", HELLO, *args])
            assert (json.loads(done.stdout)["verdict"], done.exit_code) == ("address-scheme", 0)


def test_a_method_without_a_service_that_is_not_clear_is_not_called():
    with app.build(token=TOKEN) as server:
        for method in ("SayHello", "SayHelo"):
            args = ["doctor", server.address, "--token", TOKEN, "--method", method, "--json"]
            done = CliRunner().invoke(cli, args)
            assert (json.loads(done.stdout)["verdict"], done.exit_code) == ("request-invalid", 3)
