"""`eas_grpc.settings`: which endpoint and token win, and what is said when none can."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.endpoint import Endpoint
from eas_grpc.errors import ConfigError
from eas_grpc.settings import (
    SavedProfile,
    default_profiles_path,
    find_settings,
    load_profiles,
    parse_profiles,
    resolve,
)

FILE = Path("/conf/eas-grpc/config.toml")
# Whoever finds this in a message or a repr has found a leak.
SECRET = "Zm9vYmFyLXNlY3JldC10b2tlbg=="
PROFILES = {
    "prod": SavedProfile(endpoint="prod.example", token=SECRET),
    "file": SavedProfile(endpoint="file.example", token_file=Path("/t/file.token")),
    "bare": SavedProfile(),
}


def settle(endpoint=None, token=None, environ=None, profile=None):
    return resolve(endpoint=endpoint, token=token, environ=environ or {}, profiles=PROFILES, profile=profile)


# Given: endpoint, token, environment, profile. Expected: endpoint, its origin, token, its origin.
PRECEDENCE = [
    ("arg", "t", {}, None, "arg:80", "the argument", "t", "the argument"),
    ("arg", None, {}, None, "arg:80", "the argument", None, None),
    (None, None, {"EAS_ENDPOINT": "env", "EAS_TOKEN": "e"}, None, "env:80", "EAS_ENDPOINT", "e", "EAS_TOKEN"),
    (
        "arg",
        "t",
        {"EAS_ENDPOINT": "env", "EAS_TOKEN": "e"},
        None,
        "arg:80",
        "the argument",
        "t",
        "the argument",
    ),
    ("arg", None, {"EAS_TOKEN": " e\n"}, None, "arg:80", "the argument", "e", "EAS_TOKEN"),
    ("arg", None, {"EAS_TOKEN_FILE": "/t/x"}, None, "arg:80", "the argument", Path("/t/x"), "EAS_TOKEN_FILE"),
    (
        "arg",
        None,
        {"EAS_TOKEN_FILE": "~/x", "HOME": "/home/u"},
        None,
        "arg:80",
        "the argument",
        Path("/home/u/x"),
        "EAS_TOKEN_FILE",
    ),
    (None, None, {}, "prod", "prod.example:80", "profile 'prod'", SECRET, "profile 'prod'"),
    (
        None,
        None,
        {"EAS_PROFILE": "file"},
        None,
        "file.example:80",
        "profile 'file'",
        Path("/t/file.token"),
        "profile 'file'",
    ),
    (
        None,
        None,
        {"EAS_PROFILE": "file"},
        "prod",
        "prod.example:80",
        "profile 'prod'",
        SECRET,
        "profile 'prod'",
    ),
    (None, None, {"EAS_ENDPOINT": "env"}, "prod", "env:80", "EAS_ENDPOINT", SECRET, "profile 'prod'"),
    (None, None, {"EAS_TOKEN": "e"}, "prod", "prod.example:80", "profile 'prod'", "e", "EAS_TOKEN"),
    ("arg", None, {"EAS_PROFILE": "prod"}, None, "arg:80", "the argument", SECRET, "profile 'prod'"),
    ("arg", None, {"EAS_PROFILE": "bare"}, None, "arg:80", "the argument", None, None),
    # set but empty is unset
    ("arg", None, {"EAS_TOKEN": "", "EAS_TOKEN_FILE": " "}, None, "arg:80", "the argument", None, None),
    (
        None,
        None,
        {"EAS_ENDPOINT": " ", "EAS_PROFILE": "prod"},
        None,
        "prod.example:80",
        "profile 'prod'",
        SECRET,
        ...,
    ),
    ("arg", None, {"EAS_PROFILE": ""}, None, "arg:80", "the argument", None, None),
    ("arg", None, {"EAS_TOKEN": "e", "EAS_TOKEN_FILE": ""}, None, "arg:80", "the argument", "e", "EAS_TOKEN"),
]


@pytest.mark.parametrize(
    ("endpoint", "token", "environ", "profile", "found", "origin", "found_token", "token_origin"), PRECEDENCE
)
def test_the_argument_wins_over_the_environment_and_that_over_the_profile(
    endpoint, token, environ, profile, found, origin, found_token, token_origin
):
    settings = settle(endpoint, token, environ, profile)
    assert (str(settings.endpoint), settings.endpoint_origin) == (found, origin)
    assert settings.token == found_token
    assert token_origin is ... or settings.token_origin == token_origin


def test_a_token_may_be_a_callable_or_a_path():
    def ask():
        return "t"

    assert settle("host", ask).token is ask
    assert settle("host", Path("x")).token == Path("x")


def test_an_endpoint_that_is_parsed_already_is_kept():
    endpoint = Endpoint.parse("https://host/api/predict/svc")
    assert settle(endpoint).endpoint is endpoint


def test_a_profile_of_the_environment_that_is_not_needed_is_not_looked_up():
    assert settle("host", "t", {"EAS_PROFILE": "gone"}).endpoint.host == "host"
    assert (
        settle(None, None, {"EAS_ENDPOINT": "h", "EAS_TOKEN": "t", "EAS_PROFILE": "gone"}).endpoint.host
        == "h"
    )


def test_a_pair_of_variables_that_is_not_needed_does_no_harm():
    assert settle("host", "t", {"EAS_TOKEN": "a", "EAS_TOKEN_FILE": "b"}).token == "t"


def test_a_token_never_shows():
    settings = settle(profile="prod")
    assert settings.token == SECRET
    assert SECRET not in repr(settings) + str(settings) + repr(PROFILES)


BAD_RESOLUTIONS = [
    ({}, ["endpoint='<service>", "EAS_ENDPOINT", "EAS_PROFILE"]),
    ({"environ": {"EAS_ENDPOINT": ""}}, ["there is no endpoint"]),
    ({"profile": "bare"}, ["there is no endpoint"]),
    (
        {"endpoint": "host", "environ": {"EAS_TOKEN": SECRET, "EAS_TOKEN_FILE": "x"}},
        ["EAS_TOKEN and EAS_TOKEN_FILE", "unset one"],
    ),
    ({"profile": "prood"}, ["profile='prood' is unknown", "did you mean 'prod'?", "'bare', 'file', 'prod'"]),
    ({"profile": ""}, ["profile='' is unknown", "'bare', 'file', 'prod'"]),
    ({"endpoint": "host", "token": "t", "profile": "zzz"}, ["write one of 'bare', 'file', 'prod'"]),
    ({"environ": {"EAS_PROFILE": "fil"}}, ["EAS_PROFILE=fil is unknown", "did you mean 'file'?"]),
    ({"endpoint": "host:443"}, ["'https://host'"]),
    ({"endpoint": ""}, ["the endpoint is empty"]),
    ({"environ": {"EAS_ENDPOINT": "host:0"}}, ["EAS_ENDPOINT: the endpoint's port", "write 'host:80'"]),
    ({"environ": {"EAS_ENDPOINT": SECRET}}, ["EAS_ENDPOINT: the endpoint looks like a token"]),
    ({"environ": {"EAS_ENDPOINT": f"http://u:{SECRET}@host"}}, ["EAS_ENDPOINT: ", "write 'host:80'"]),
]


@pytest.mark.parametrize(("given_", "advice"), BAD_RESOLUTIONS)
def test_what_cannot_be_resolved_says_what_to_do(given_, advice):
    with pytest.raises(ConfigError) as caught:
        settle(**given_)
    assert all(part in str(caught.value) for part in advice)
    assert SECRET not in str(caught.value)


def test_a_bad_endpoint_in_a_profile_names_the_profile():
    profiles = {"p": SavedProfile(endpoint="ftp://host")}
    with pytest.raises(ConfigError, match=r"^profile 'p': .*write 'host:80'"):
        resolve(endpoint=None, token=None, environ={}, profiles=profiles, profile="p")


def test_a_profile_without_any_profiles_says_where_to_write_it():
    with pytest.raises(ConfigError, match=r"EAS_PROFILE=p is unknown, .* \[p\]"):
        resolve(endpoint=None, token=None, environ={"EAS_PROFILE": "p"}, profiles={})


# ---- the file


def test_profiles_are_read_and_token_files_start_at_the_file():
    text = f"""
        [prod]
        endpoint = "http://demo.1234.cn-hangzhou.pai-eas.aliyuncs.com/"
        token = "{SECRET}"
        [a]
        token_file = "a.token"
        [b]
        token_file = "/t/b.token"
        [c]
        token_file = "~/c.token"
        ["with space"]
        endpoint = "host"
        [empty]
    """
    profiles = parse_profiles(text, FILE, home="/home/u")
    assert profiles["prod"].token == SECRET
    assert profiles["a"].token_file == FILE.parent / "a.token"
    assert profiles["b"].token_file == Path("/t/b.token")
    assert profiles["c"].token_file == Path("/home/u/c.token")
    assert profiles["with space"].endpoint == "host"
    assert profiles["empty"] == SavedProfile()
    assert SECRET not in repr(profiles)


BAD_FILES = [
    ("[prod", f"{FILE}:1 is not valid TOML"),
    ("[a]\nendpoint = 'h'\n[prod]\nendpoint =\n", f"{FILE}:4 is not valid TOML"),
    (f"[prod]\ntoken = {SECRET}", f"{FILE}:2 is not valid TOML"),
    (f"[prod]\n\ntoken = '{SECRET}", f"{FILE}:3 is not valid TOML"),
    (f"[prod]\ntoken = '{SECRET}'\ntoken = '{SECRET}'\n", f"{FILE}:"),
    ("x = " + "[" * 100_000, "nested too deeply"),
    ("x = " + "1" * 5000, "config.toml"),
    (
        f"endpoint = 'h'\ntoken = '{SECRET}'",
        "'endpoint' stands outside of a table: put it below a line such as [prod]",
    ),
    (f"[[prod]]\ntoken = '{SECRET}'", "'prod' stands outside of a table"),
    ("[prod]\nendpont = 'h'", "[prod] has an unknown key 'endpont': did you mean 'endpoint'?"),
    (f"[prod]\ntokn = '{SECRET}'", "did you mean 'token'?"),
    ("[prod]\ntoken-file = 'x'", "did you mean 'token_file'?"),
    (
        "[prod]\nregion = 'x'",
        "write one of 'authority', 'cacert', 'cert', 'endpoint', 'key', 'timeout', 'token', 'token_command'",
    ),
    ("[prod.eu]\nendpoint = 'h'", "[prod] has an unknown key 'eu'"),
    ("[prod]\nendpoint = 80", "endpoint of [prod] must be a text in quotation marks, not int"),
    (f"[prod]\ntoken = ['{SECRET}']", "token of [prod] must be a text in quotation marks, not list"),
    ("[prod]\ntoken_file = true", "token_file of [prod] must be a text in quotation marks, not bool"),
    ("[prod]\nendpoint = ''", "endpoint of [prod] is empty: fill it in or remove the line"),
    ("[prod]\ntoken = ' '", "token of [prod] is empty"),
    (
        f"[prod]\ntoken = '{SECRET}'\ntoken_file = 'x'",
        "[prod] has both token and token_file: remove one of them",
    ),
]


@pytest.mark.parametrize(("text", "advice"), BAD_FILES)
def test_a_wrong_file_is_refused_with_its_place(text, advice):
    with pytest.raises(ConfigError) as caught:
        parse_profiles(text, FILE)
    assert advice in str(caught.value)
    assert str(FILE) in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@given(st.text())
def test_any_text_gives_profiles_or_a_config_error(text):
    with contextlib.suppress(ConfigError):
        parse_profiles(text, FILE)


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"HOME": "/home/u"}, "/home/u/.config/eas-grpc/config.toml"),
        ({"HOME": "/home/u", "XDG_CONFIG_HOME": ""}, "/home/u/.config/eas-grpc/config.toml"),
        ({"HOME": "/home/u", "XDG_CONFIG_HOME": "rel"}, "/home/u/.config/eas-grpc/config.toml"),
        ({"HOME": "/home/u", "XDG_CONFIG_HOME": "/xdg"}, "/xdg/eas-grpc/config.toml"),
        ({"XDG_CONFIG_HOME": "/xdg"}, "/xdg/eas-grpc/config.toml"),
    ],
)
def test_the_file_is_where_the_desktop_rules_put_it(environ, path):
    assert default_profiles_path(environ) == Path(path)


def test_no_home_is_a_config_error():
    with pytest.raises(ConfigError, match="set HOME or XDG_CONFIG_HOME"):
        default_profiles_path({})


def test_a_missing_file_says_how_to_make_it(tmp_path):
    with pytest.raises(
        ConfigError, match=r"there is no .*config.toml: create it with a table such as \[prod\]"
    ):
        load_profiles(tmp_path / "config.toml")


def test_an_unreadable_file_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_profiles(tmp_path)
    (tmp_path / "p.toml").write_bytes(b"\xff\xfe[\0")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load_profiles(tmp_path / "p.toml")


def test_a_byte_order_mark_in_front_is_no_error(tmp_path):
    (tmp_path / "p.toml").write_bytes(b"\xef\xbb\xbf[prod]\r\nendpoint = 'h'\r\n")
    assert load_profiles(tmp_path / "p.toml") == {"prod": SavedProfile(endpoint="h")}


@pytest.fixture
def environ(tmp_path):
    folder = tmp_path / "eas-grpc"
    folder.mkdir()
    (folder / "config.toml").write_text("[prod]\nendpoint = 'https://h'\ntoken_file = 't'\n")
    return {"XDG_CONFIG_HOME": str(tmp_path)}


def test_settings_are_found_from_the_file_of_the_user(environ, tmp_path):
    for settings in (
        find_settings(profile="prod", environ=environ),
        find_settings(environ=environ | {"EAS_PROFILE": "prod"}),
    ):
        assert str(settings.endpoint) == "https://h:443"
        assert settings.token == tmp_path / "eas-grpc" / "t"


def test_the_file_is_not_read_where_nobody_asks_for_a_profile(tmp_path):
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "EAS_ENDPOINT": "h", "EAS_TOKEN": "t"}
    assert find_settings(environ=environ).token == "t"
    assert find_settings(environ=environ | {"EAS_PROFILE": "gone"}).token == "t"


def test_a_profile_without_a_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no .*config.toml"):
        find_settings(environ={"XDG_CONFIG_HOME": str(tmp_path), "EAS_PROFILE": "prod"})
