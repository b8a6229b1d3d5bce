"""What a profile may say, which one counts, and who may have written the file."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest

from eas_grpc import _profiles
from eas_grpc._token_command import CommandToken
from eas_grpc.errors import ConfigError
from eas_grpc.settings import (
    Profiles,
    ReadableTokenWarning,
    SavedProfile,
    find_settings,
    load_profiles,
    parse_profiles,
    resolve,
    used_profile,
)

FILE = Path("/conf/eas-grpc/config.toml")
SECRET = "Zm9vYmFyLXNlY3JldC10b2tlbg=="
POSIX = pytest.mark.skipif(os.name != "posix", reason="only POSIX has these modes")


@pytest.fixture(autouse=True)
def nobody_was_warned(monkeypatch):
    monkeypatch.setattr(_profiles, "_warned_paths", set())


def one(text: str) -> SavedProfile:
    return parse_profiles(f"[prod]\n{text}\n", FILE, home="/home/u")["prod"]


# ---- what it may say


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ('token_env = "TOKEN"', "token_env", "TOKEN"),
        ('token_command = ["vault", "read", "x"]', "token_command", ("vault", "read", "x")),
        ('token_command = ["./ask", "x"]', "token_command", ("/conf/eas-grpc/ask", "x")),
        ('token_command = ["/bin/ask"]', "token_command", ("/bin/ask",)),
        ('token_command = ["~/ask"]', "token_command", ("/home/u/ask",)),
        ('cacert = "ca.pem"', "cacert", Path("/conf/eas-grpc/ca.pem")),
        ('cacert = "~/ca.pem"', "cacert", Path("/home/u/ca.pem")),
        ('authority = "name"', "authority", "name"),
        ('timeout = "500ms"', "timeout", 0.5),
        ('timeout = "2m"', "timeout", 120.0),
        ("timeout = 3", "timeout", 3.0),
        ("timeout = 0.5", "timeout", 0.5),
    ],
)
def test_a_profile_says_where_its_token_is_and_how_to_connect(text, key, value):
    assert getattr(one(text), key) == value


def test_a_certificate_comes_with_its_key():
    saved = one('cert = "/c.pem"\nkey = "k.pem"')
    assert (saved.cert, saved.key) == (Path("/c.pem"), FILE.parent / "k.pem")


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (f'token_env = "{SECRET}"', "token_env of [prod] must be the name of an environment variable"),
        (f'token_command = "echo {SECRET}"', "token_command of [prod] must be a list of texts"),
        (f'token_command = ["echo", 5, "{SECRET}"]', "token_command of [prod] must be a list of texts"),
        ("token_command = []", "token_command of [prod] is empty"),
        ('token_command = [" "]', "token_command of [prod] is empty"),
        (f'token_env = "A"\ntoken = "{SECRET}"', "[prod] has both token and token_env: remove one"),
        ('token_env = "A"\ntoken_command = ["x"]', "[prod] has both token_env and token_command"),
        ('cert = "c"', "[prod] has cert without key"),
        ('key = "k"', "[prod] has key without cert"),
        ("timeout = 0", "timeout of [prod] must be a length of time above 0"),
        ("timeout = true", "timeout of [prod] must be a length of time"),
        ("timeout = nan", "timeout of [prod] must be a length of time"),
        ("timeout = inf", "timeout of [prod] must be a length of time"),
        ('timeout = "soon"', "timeout of [prod] must be a length of time"),
        ('timeout = "-1s"', "timeout of [prod] must be a length of time"),
        ('cacert = ["x"]', "cacert of [prod] must be a text in quotation marks, not list"),
        ('cacert = "a\\u0000b"', "cacert of [prod] has a NUL character"),
    ],
)
def test_what_cannot_be_meant_is_refused_without_repeating_it(text, advice):
    with pytest.raises(ConfigError) as caught:
        one(text)
    assert advice in str(caught.value)
    assert SECRET not in str(caught.value)


def test_no_kind_of_token_shows():
    for text in (f'token = "{SECRET}"', 'token_env = "THE_NAME"', f'token_command = ["x", "{SECRET}"]'):
        assert SECRET not in repr(one(text))
        assert "THE_NAME" not in repr(one(text))


# ---- the token


def settle(saved: SavedProfile, environ: dict[str, str] | None = None, **given):
    profiles = {"prod": saved}
    return resolve(
        endpoint=given.pop("endpoint", None),
        token=given.pop("token", None),
        environ=environ or {},
        profiles=profiles,
        profile="prod",
    )


def test_a_token_may_be_in_a_variable():
    found = settle(SavedProfile(endpoint="h", token_env="MINE"), {"MINE": f" {SECRET}\n"})
    assert (found.token, found.token_origin) == (SECRET, "profile 'prod'")
    assert SECRET not in repr(found)


@pytest.mark.parametrize("environ", [{}, {"MINE": ""}, {"MINE": " "}])
def test_a_variable_that_is_not_set_is_an_error_and_no_silence(environ):
    with pytest.raises(
        ConfigError, match=r"profile 'prod': the variable MINE that token_env names is not set"
    ):
        settle(SavedProfile(endpoint="h", token_env="MINE"), environ)


def test_a_token_where_the_name_of_a_variable_was_due_is_not_repeated():
    with pytest.raises(ConfigError, match=r"the variable that token_env names is not set") as caught:
        settle(SavedProfile(endpoint="h", token_env="c2VjcmV0dG9rZW4"), {})
    assert "c2VjcmV0" not in str(caught.value)


def test_a_token_that_is_given_needs_no_variable():
    saved = SavedProfile(endpoint="h", token_env="MINE")
    assert settle(saved, token="t").token == "t"
    assert settle(saved, {"EAS_TOKEN": "e"}).token == "e"


def test_a_command_is_not_run_before_the_token_is_needed(tmp_path):
    found = settle(SavedProfile(endpoint="h", token_command=("touch", str(tmp_path / "ran"))))
    assert isinstance(found.token, CommandToken)
    assert found.token_origin == "profile 'prod'"
    assert not (tmp_path / "ran").exists()


def test_the_rest_of_the_profile_is_handed_on():
    saved = SavedProfile(endpoint="h", cacert=Path("/ca"), authority="a", timeout=2.0)
    found = settle(saved)
    assert (found.profile, found.cacert, found.authority, found.timeout) == ("prod", Path("/ca"), "a", 2.0)
    assert (found.cert, found.key) == (None, None)


# ---- use


def used(endpoint: str | None = "own.example", use: str = "prod") -> Profiles:
    profiles = Profiles(
        prod=SavedProfile(endpoint=endpoint, token=SECRET, timeout=9.0), other=SavedProfile(endpoint="o")
    )
    profiles.use = use
    return profiles


def with_use(environ=None, profiles=None, **given):
    return resolve(
        endpoint=given.get("endpoint"),
        token=given.get("token"),
        environ=environ or {},
        profiles=used() if profiles is None else profiles,
        profile=given.get("profile"),
    )


def test_the_profile_in_use_counts_where_nothing_is_named():
    found = with_use()
    assert (str(found.endpoint), found.endpoint_origin) == ("own.example:80", "profile 'prod'")
    assert (found.token, found.timeout, found.profile) == (SECRET, 9.0, "prod")


@pytest.mark.parametrize(
    ("environ", "endpoint"), [({}, "else.example"), ({"EAS_ENDPOINT": "else.example"}, None)]
)
def test_its_token_goes_to_no_other_endpoint(environ, endpoint):
    found = with_use(environ, endpoint=endpoint)
    assert found.endpoint.host == "else.example"
    assert (found.token, found.token_origin, found.timeout, found.profile) == (None, None, None, None)


def test_a_token_that_is_given_goes_to_the_endpoint_in_use():
    assert with_use(token="t").token == "t"
    found = with_use({"EAS_TOKEN": "e"})
    assert (found.token, found.endpoint.host) == ("e", "own.example")


def test_a_named_profile_wins_over_the_one_in_use():
    assert with_use(profile="other").endpoint.host == "o"
    assert with_use({"EAS_PROFILE": "other"}).endpoint.host == "o"
    assert with_use(profile="other").token is None


def test_a_profile_in_use_without_an_endpoint_is_no_endpoint():
    with pytest.raises(ConfigError, match="there is no endpoint"):
        with_use(profiles=used(endpoint=None))


def test_a_profile_in_use_that_is_gone_is_named():
    with pytest.raises(ConfigError, match=r"use = 'prd' is unknown: did you mean 'prod'\?"):
        with_use(profiles=used(use="prd"))


@pytest.mark.parametrize("text", ["use = 5", "use = ['prod']", "[use]\nendpoint = 'h'"])
def test_use_is_the_name_of_a_profile(text):
    with pytest.raises(ConfigError, match="use must be the name of a profile in quotation marks"):
        parse_profiles(text, FILE)


@pytest.fixture
def config(tmp_path):
    """The user's file, and the environment that leads to it."""
    path = tmp_path / "eas-grpc" / "config.toml"
    path.parent.mkdir()

    def write(text: str, mode: int = 0o600) -> dict[str, str]:
        path.write_text(text)
        path.chmod(mode)
        return {"XDG_CONFIG_HOME": str(tmp_path)}

    return write


def test_the_file_is_read_for_use_only_where_no_endpoint_is_named(config):
    environ = config('use = "prod"\n[prod]\nendpoint = "own.example"\n')
    assert find_settings(environ=environ).endpoint.host == "own.example"
    assert used_profile(environ) == "prod"
    environ = config("this is not TOML")
    assert find_settings(environ=environ, endpoint="h").endpoint.host == "h"
    assert find_settings(environ=environ | {"EAS_ENDPOINT": "h"}).endpoint.host == "h"
    with pytest.raises(ConfigError, match="is not valid TOML"):
        find_settings(environ=environ)


@pytest.mark.parametrize("environ", [{}, {"XDG_CONFIG_HOME": "/no/such/folder"}])
def test_without_a_file_nothing_is_in_use(environ):
    assert used_profile(environ) is None
    with pytest.raises(ConfigError, match="there is no endpoint"):
        find_settings(environ=environ)


# ---- the file


def test_a_file_of_the_former_name_is_pointed_out_in_one_sentence(tmp_path):
    (tmp_path / "profiles.toml").write_text("[prod]\n")
    with pytest.raises(ConfigError) as caught:
        load_profiles(tmp_path / "config.toml")
    assert str(caught.value) == (
        f"there is no {tmp_path / 'config.toml'}, but the file has its former name:"
        f" mv {tmp_path / 'profiles.toml'} {tmp_path / 'config.toml'}"
    )


@POSIX
@pytest.mark.parametrize(
    ("mode", "own_group", "who"),
    [
        (0o600, False, None),
        (0o400, False, None),
        (0o644, False, "read"),
        (0o640, False, "read"),
        (0o640, True, "read"),
        (0o660, True, "read"),
        (0o664, True, "read"),
        (0o660, False, "write"),
        (0o602, True, "write"),
        (0o666, False, "write"),
    ],
)
def test_what_others_may_do_is_read_from_the_mode(mode, own_group, who):
    assert _profiles.others_may(mode, own_group=own_group) == who


@POSIX
def test_a_file_that_others_can_change_is_refused(config):
    environ = config('use = "prod"\n[prod]\nendpoint = "h"\n', 0o666)
    with pytest.raises(ConfigError, match=r"can be changed by others, commands included: chmod 600 "):
        find_settings(environ=environ)


@POSIX
def test_a_token_that_others_can_read_is_warned_of_once(config):
    environ = config(f'[prod]\nendpoint = "h"\ntoken = "{SECRET}"\n', 0o644)
    with pytest.warns(ReadableTokenWarning, match="chmod 600") as caught:
        assert find_settings(profile="prod", environ=environ).token == SECRET
    assert SECRET not in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        find_settings(profile="prod", environ=environ)


@POSIX
def test_a_file_without_a_token_may_be_read_by_all(config):
    environ = config('[prod]\nendpoint = "h"\ntoken_env = "T"\n', 0o644)
    assert find_settings(profile="prod", environ=environ | {"T": "t"}).token == "t"
