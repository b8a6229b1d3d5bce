"""The names that a TAB offers: what is kept of what a server said, for how long, and where."""

from __future__ import annotations

import json
import os
import stat
import time

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.cli import _completion
from eas_grpc.cli._completion import (
    complete_methods,
    complete_names,
    complete_profiles,
    complete_services,
    known_names,
    merge,
    remember,
)

NOW = 1_700_000_000.0
GREETER = "helloworld.GreeterService/SayHello"
CHAT = "chat.v1.Chat/Talk"


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "eas-grpc" / "names.json"


def context(**params) -> click.Context:
    found = click.Context(click.Command("call"))
    found.params = params
    return found


def tab(complete, incomplete="", **params) -> list[str]:
    return complete(context(**params), click.Argument(["x"]), incomplete)


def test_what_one_command_saw_another_completes(cache):
    remember("one:80", [GREETER, CHAT])
    assert tab(complete_methods) == [CHAT, GREETER]
    assert tab(complete_methods, "hello") == [GREETER]
    assert tab(complete_services) == ["chat.v1.Chat", "helloworld.GreeterService"]
    assert tab(complete_names, "chat") == ["chat.v1.Chat", CHAT]
    assert stat.S_IMODE(cache.stat().st_mode) == 0o600
    assert os.listdir(cache.parent) == ["names.json"]


@pytest.mark.parametrize("part", ["Say", "SayHello", "Greeter"])
def test_the_short_name_of_a_method_or_a_service_is_enough(part):
    remember("one:80", [GREETER, CHAT])
    assert tab(complete_methods, part) == [GREETER]
    assert tab(complete_methods, "nothing") == []


def test_the_names_are_those_of_the_address_that_is_meant(monkeypatch):
    remember("one:80", [GREETER])
    remember("two:80", [CHAT])
    assert tab(complete_methods, endpoint="one") == [GREETER]
    assert tab(complete_methods, endpoint="http://two/") == [CHAT]
    assert tab(complete_methods, endpoint="three") == [CHAT, GREETER]
    assert tab(complete_methods, endpoint="://") == [CHAT, GREETER]
    monkeypatch.setenv("EAS_ENDPOINT", "two")
    assert tab(complete_methods) == [CHAT]


def test_a_profile_on_the_line_counts_and_its_name_is_completed(tmp_path):
    folder = tmp_path / "eas-grpc"
    folder.mkdir()
    file = folder / "config.toml"
    file.write_text('[prod]\nendpoint = "two"\n[other]\n')
    file.chmod(0o600)
    remember("one:80", [GREETER])
    remember("two:80", [CHAT])
    assert tab(complete_methods, profile="prod") == [CHAT]
    assert tab(complete_profiles) == ["prod", "other"]
    assert tab(complete_profiles, "p") == ["prod"]
    file.write_text("broken")
    assert tab(complete_profiles) == []


def test_only_names_of_protobuf_reach_a_shell():
    bad = ["$(rm -rf /)/x", "a;b/c", "a/b c", "a\x1b[2J", "a/b\nc", "", "/", "a/", "é/b", "x" * 500, "a/b/c"]
    remember("one:80", [*bad, GREETER])
    assert tab(complete_names) == ["helloworld.GreeterService", GREETER]


def test_a_user_and_a_password_are_not_kept(cache):
    remember("user:geheim@one:80", [GREETER])
    assert "geheim" not in cache.read_text()


def test_the_same_names_are_not_written_again(cache):
    remember("one:80", [GREETER])
    os.utime(cache, (1, 1))
    remember("one:80", [GREETER])
    assert cache.stat().st_mtime == 1
    remember("one:80", [CHAT])
    assert cache.stat().st_mtime != 1
    assert tab(complete_methods) == [CHAT]


def test_old_and_many_addresses_are_forgotten():
    known = {}
    for number in range(60):
        known = merge(known, f"host{number}:80", [GREETER], NOW + number)
    assert len(known) == _completion._MOST_ADDRESSES
    assert "host59:80" in known
    assert "host0:80" not in known
    later = merge(known, "new:80", [CHAT], NOW + 100 * 24 * 3600)
    assert list(later) == ["new:80"]
    assert merge(later, "new:80", [], NOW + 101 * 24 * 3600) == {}


def test_the_file_is_bounded():
    known = {}
    for number in range(40):
        names = [f"p.Service{number}/{'M' * 150}{each}" for each in range(5000)]
        known = merge(known, f"host{number}:80", names, NOW + number)
    assert len(json.dumps(known)) <= _completion._MOST_BYTES
    assert "host39:80" in known
    assert all(len(entry["names"]) <= _completion._MOST_NAMES for entry in known.values())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "5",
        '{"format": 2, "addresses": {}}',
        '{"format": 1, "addresses": []}',
        '{"format": 1, "addresses": {"a": 5, "b": {"at": "x", "names": []}, "c": {"at": 1e400, "names": []}}}',
        '{"format": 1, "addresses": {"a": {"at": 1, "names": ["$(x)"]}}}',
        '{"format": 1, "addresses": {"a": {"at": ' + "9" * 400 + ', "names": []}}}',
        "[" * 100_000,
    ],
)
def test_a_broken_file_is_none_and_is_replaced(cache, text):
    cache.parent.mkdir(parents=True)
    cache.write_text(text)
    assert tab(complete_names) == []
    remember("one:80", [GREETER])
    assert tab(complete_methods) == [GREETER]


def test_names_that_are_too_old_are_not_offered(cache):
    cache.parent.mkdir(parents=True)
    entry = {"at": time.time() - 200 * 24 * 3600, "names": [GREETER]}
    cache.write_text(json.dumps({"format": 1, "addresses": {"one:80": entry}}))
    assert known_names(os.environ) == []


@given(st.binary(max_size=200))
def test_any_bytes_in_the_file_are_survived(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cache")
    (folder / "eas-grpc").mkdir()
    (folder / "eas-grpc" / "names.json").write_bytes(data)
    environ = {"XDG_CACHE_HOME": str(folder)}
    assert known_names(environ) == []
    remember("one:80", [GREETER], environ)
    assert known_names(environ) == [GREETER]


@pytest.mark.parametrize(
    "environ", [{}, {"HOME": ""}, {"XDG_CACHE_HOME": "relative"}, {"HOME": "/dev/null"}, {"HOME": "/proc/no"}]
)
def test_where_there_is_no_place_nothing_is_kept_and_nothing_is_said(environ, capfd):
    remember("one:80", [GREETER], environ)
    assert known_names(environ) == []
    assert capfd.readouterr() == ("", "")
