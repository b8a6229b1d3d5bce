"""Changes to the profiles file: every other line stays as it is."""

from __future__ import annotations

import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc._profiles import USE, parse_profiles
from eas_grpc._profiles_text import change, with_profile, with_use, without_profile
from eas_grpc.errors import ConfigError, SchemaError

FILE = Path("/conf/config.toml")
TEXT = """\
# Services of the team.

# production, ask before use
[prod]
endpoint = "prod.example"  # the VPC address
token_env = "PROD"

# for trying out
["my test"]
endpoint = "test.example"
"""


def test_a_profile_is_added_at_the_end():
    changed = with_profile(TEXT, "new", {"endpoint": "h", "token_command": ["a b", 'c"d']}, FILE)
    assert changed == TEXT + '\n[new]\nendpoint = "h"\ntoken_command = ["a b", "c\\"d"]\n'
    assert parse_profiles(changed, FILE)["new"].token_command == ("a b", 'c"d')


def test_the_first_profile_makes_the_file():
    assert with_profile("", "new", {}, FILE) == "[new]\n"
    assert with_profile("# mine", "new", {}, FILE) == "# mine\n\n[new]\n"


def test_a_profile_is_replaced_where_it_stands():
    changed = with_profile(TEXT, "prod", {"endpoint": "other"}, FILE)
    assert changed == TEXT.replace(
        'endpoint = "prod.example"  # the VPC address\ntoken_env = "PROD"\n', 'endpoint = "other"\n'
    )
    assert with_profile(TEXT, "my test", {"endpoint": "o"}, FILE) == TEXT.replace("test.example", "o")


def test_a_profile_is_taken_out_and_the_comment_of_the_next_one_stays():
    changed = without_profile(TEXT, "prod", FILE)
    assert "# for trying out\n" in changed
    assert list(parse_profiles(changed, FILE)) == ["my test"]
    assert changed.startswith("# Services of the team.\n")


def test_taking_out_the_profile_in_use_leaves_none_in_use():
    changed = without_profile(with_use(TEXT, "prod", FILE), "prod", FILE)
    assert parse_profiles(changed, FILE).use is None
    changed = without_profile(with_use(TEXT, "prod", FILE), "my test", FILE)
    assert parse_profiles(changed, FILE).use == "prod"


def test_use_is_written_in_front_changed_in_place_and_taken_out():
    first = with_use(TEXT, "prod", FILE)
    assert first == 'use = "prod"\n\n' + TEXT
    second = with_use("# x\n" + first, "my test", FILE)
    assert second == '# x\nuse = "my test"\n\n' + TEXT
    assert with_use(second, None, FILE) == "# x\n\n" + TEXT
    assert with_use(TEXT, None, FILE) == TEXT


def test_the_ends_of_lines_are_kept():
    text = TEXT.replace("\n", "\r\n")
    for changed in (
        with_profile(text, "n", {"endpoint": "h"}, FILE),
        with_use(text, "prod", FILE),
        without_profile(text, "prod", FILE),
    ):
        assert changed.count("\n") == changed.count("\r\n")


@pytest.mark.parametrize(
    "text",
    [
        'prod = {endpoint = "h"}\n[x]\n',
        'prod.endpoint = "h"\n[x]\n',
        # A text of several lines that looks like a table.
        "[x]\nauthority = '''\n[prod]\n'''\n[prod] # the real one\nendpoint = 'h'\n",
    ],
)
def test_what_cannot_be_changed_is_left_to_its_owner(text):
    with pytest.raises(ConfigError, match=r"edit it by hand|nothing was changed"):
        without_profile(text, "prod", FILE)
    with pytest.raises(ConfigError, match=r"edit it by hand|nothing was changed"):
        with_profile(text, "prod", {"endpoint": "o"}, FILE)


def test_a_wrong_file_is_not_changed():
    with pytest.raises(ConfigError, match="is not valid TOML"):
        with_profile("[x", "prod", {}, FILE)
    with pytest.raises(ConfigError, match="unknown key"):
        with_use("[x]\nendpont = 'h'\n", "x", FILE)


def test_values_that_would_be_wrong_are_not_written():
    with pytest.raises(ConfigError, match=r"nothing was changed, .* has cert without key"):
        with_profile(TEXT, "new", {"cert": "c"}, FILE)
    with pytest.raises(ConfigError, match="is not UTF-8"):
        with_profile(TEXT, "new", {"endpoint": "h\udcff"}, FILE)


_TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8
).filter(str.strip)
_NAME = _TEXT.filter(lambda name: name != USE)


@given(st.dictionaries(_NAME, _TEXT, max_size=5), _NAME, _TEXT)
def test_any_name_and_value_comes_back_as_it_was_written(others, name, value):
    text = ""
    for other, endpoint in others.items():
        text = with_profile(text, other, {"endpoint": endpoint}, FILE)
    text = with_profile(text, name, {"endpoint": value}, FILE)
    wanted = {**others, name: value}
    assert {each: saved.endpoint for each, saved in parse_profiles(text, FILE).items()} == wanted
    used = with_use(text, name, FILE)
    assert parse_profiles(used, FILE).use == name
    left = parse_profiles(without_profile(used, name, FILE), FILE)
    del wanted[name]
    assert ({each: saved.endpoint for each, saved in left.items()}, left.use) == (wanted, None)


# ---- writing


def test_the_file_is_for_its_owner_alone_whatever_it_was(tmp_path):
    path = tmp_path / "a" / "b" / "config.toml"
    change(path, lambda text: text + "[x]\n")
    assert path.read_text() == "[x]\n"
    path.chmod(0o644)
    change(path, lambda text: text + "[y]\n")
    assert path.read_text() == "[x]\n[y]\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["config.toml"]


def test_changes_at_the_same_time_are_all_kept(tmp_path):
    path = tmp_path / "config.toml"

    def add(name: str) -> None:
        def edit(text: str) -> str:
            time.sleep(0.01)  # long enough for the others to have read the same, if they could
            return text + f"[{name}]\n"

        change(path, edit)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, "abcdefgh"))
    assert sorted(path.read_text().split()) == [f"[{name}]" for name in "abcdefgh"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.toml").write_text("")
    (tmp_path / "config.toml").symlink_to("real.toml")
    change(tmp_path / "config.toml", lambda _text: "[x]\n")
    assert (tmp_path / "config.toml").is_symlink()
    assert (tmp_path / "real.toml").read_text() == "[x]\n"


def test_a_change_that_fails_leaves_nothing_behind(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(TEXT)

    def broken(_text: str) -> str:
        raise ConfigError("no")

    with pytest.raises(ConfigError, match="no"):
        change(path, broken)
    assert path.read_text() == TEXT
    assert os.listdir(tmp_path) == ["config.toml"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SchemaError, match=r"config.toml cannot be written: (File exists|Not a directory)"):
        change(tmp_path / "file" / "config.toml", lambda text: text)
    (tmp_path / "config.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        change(tmp_path / "config.toml", lambda text: text)
