"""`eas-grpc env`: what somebody pastes into a bug report."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from eas_grpc import __version__
from eas_grpc.cli import _env
from eas_grpc.cli.__main__ import cli

SECRET = "canary-0123456789abcdef"
PROXIES = ("http_proxy", "https_proxy", "grpc_proxy", "no_proxy", "no_grpc_proxy", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxies_of_the_machine(monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)


def env(*args: str, **variables: str):
    done = CliRunner().invoke(cli, ["env", *args], env=variables)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


def write_profiles(folder, text):
    (folder / "eas-grpc").mkdir()
    file = folder / "eas-grpc" / "config.toml"
    file.write_text(text)
    file.chmod(0o600)


def test_the_text_has_its_four_sections_and_the_versions():
    text = env()
    assert [line for line in text.splitlines() if not line.startswith(" ")] == [
        "versions",
        "settings",
        "proxies",
        "conflicts",
    ]
    for name in ("python", "eas-grpc", "grpcio", "protobuf", "numpy"):
        assert f"\n  {name} " in text
    assert "not installed" not in text.partition("grpcio-reflection")[0]


def test_an_empty_section_says_so():
    assert "proxies\n  none\n" in env()


def test_json_is_one_object_with_the_same_facts():
    found = json.loads(env("--json", EAS_ENDPOINT="host:80", http_proxy="http://proxy:3128"))
    assert list(found) == ["versions", "settings", "proxies", "conflicts"]
    assert found["versions"]["eas-grpc"] == __version__
    assert found["settings"]["EAS_ENDPOINT"] == "host:80"
    assert found["settings"]["EAS_PROFILE"] == "not set"
    assert found["proxies"] == {"http_proxy": "http://proxy:3128"}


@pytest.mark.parametrize("flags", [[], ["--json"]], ids=["text", "json"])
def test_no_secret_is_printed(flags, tmp_path):
    write_profiles(tmp_path, f'[prod]\ntoken = "{SECRET}"\n')
    text = env(
        *flags,
        EAS_TOKEN=SECRET,
        EAS_PROFILE="prod",
        EAS_ENDPOINT=f"http://user:{SECRET}@host/",
        http_proxy=f"http://user:{SECRET}@proxy:3128",
        https_proxy=f"{SECRET}@proxy:3128",
        grpc_proxy=f"http://user:p@{SECRET}@proxy:3128",
    )
    assert SECRET not in text
    assert "***" in text
    assert "user:" not in text
    assert text.count("proxy:3128") == 3


def test_the_profile_file_is_named_whether_it_is_there_or_not(tmp_path):
    file = tmp_path / "eas-grpc" / "config.toml"
    assert f"{file} (none)" in env()
    file.parent.mkdir()
    file.touch()
    assert f"{file} (found)" in env()


def test_no_home_is_no_crash(monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert "HOME is not set" in env()


def test_an_upper_case_no_proxy_that_grpc_does_not_read_is_pointed_out():
    hint = "grpc reads only the lower-case no_proxy"
    assert hint in env(NO_PROXY="localhost")
    assert hint not in env(NO_PROXY="localhost", no_proxy="localhost")
    assert hint not in env()


def test_a_package_that_gets_in_the_way_is_pointed_out(monkeypatch):
    monkeypatch.setattr(_env, "_CONFLICTS", {"click": "is here for the test", "no-such-package": "is not"})
    found = json.loads(env("--json"))
    assert found["conflicts"] == {"click": "is here for the test"}


def test_it_loads_no_grpc():
    program = (
        "import sys; from eas_grpc.cli.__main__ import cli; cli(['env'], standalone_mode=False);"
        "print(sorted({'grpc', 'numpy', 'google.protobuf'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_two_tokens_are_a_conflict_and_the_error_of_a_call_is_shown():
    found = json.loads(env("--json", EAS_ENDPOINT="host:80", EAS_TOKEN=SECRET, EAS_TOKEN_FILE="no-such"))
    assert found["conflicts"]["EAS_TOKEN and EAS_TOKEN_FILE"] == "both are set: unset one of them"
    assert "are both set" in found["settings"]["resolved endpoint"]
    assert json.loads(env("--json", EAS_TOKEN=SECRET))["conflicts"] == {}


def test_a_token_file_that_is_not_there_is_pointed_out(tmp_path):
    file = tmp_path / "token"
    assert f"{file} (does not exist)" in env(EAS_TOKEN_FILE=str(file))
    file.write_text(SECRET)
    text = env(EAS_TOKEN_FILE=str(file))
    assert str(file) in text
    assert "does not exist" not in text
    assert SECRET not in text


def test_the_endpoint_and_where_it_and_the_token_come_from_are_shown(tmp_path):
    write_profiles(
        tmp_path,
        f'[prod]\nendpoint = "http://one.example/"\ntoken = "{SECRET}"\n[test]\nendpoint = "two:81"\n',
    )
    found = json.loads(env("--json", EAS_PROFILE="prod"))["settings"]
    assert found["profiles"] == "prod, test"
    assert found["resolved endpoint"] == "one.example:80 (from profile 'prod')"
    assert found["resolved token"] == "*** (from profile 'prod')"
    found = json.loads(env("--json", EAS_PROFILE="test", EAS_ENDPOINT="three:82"))["settings"]
    assert found["resolved endpoint"] == "three:82 (from EAS_ENDPOINT)"
    assert found["resolved token"] == "none"
    assert "there is no endpoint" in json.loads(env("--json"))["settings"]["resolved endpoint"]


def test_the_profile_that_use_names_is_shown_and_is_what_is_dialled(tmp_path):
    write_profiles(tmp_path, 'use = "prod"\n[prod]\nendpoint = "one:81"\ntoken_env = "NO_SUCH_VARIABLE"\n')
    found = json.loads(env("--json", EAS_TOKEN=SECRET))["settings"]
    assert found["profile in use"] == "prod"
    assert found["resolved endpoint"] == "one:81 (from profile 'prod')"
    assert found["resolved token"] == "*** (from EAS_TOKEN)"
    assert "is not set" in json.loads(env("--json"))["settings"]["resolved endpoint"]


def test_a_file_of_the_former_name_is_pointed_out(tmp_path):
    (tmp_path / "eas-grpc").mkdir()
    (tmp_path / "eas-grpc" / "profiles.toml").touch()
    assert "profiles.toml has its former name: rename it" in env()
