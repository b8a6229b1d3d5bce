"""`eas_grpc.auth`: what counts as a token, where it comes from, and that no message repeats it."""

from __future__ import annotations

import contextlib
import copy
import os
import pathlib
import pickle
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.auth import (
    AUTHORIZATION,
    Masked,
    bearer,
    check_token,
    hidden,
    token_matches,
    token_source,
)
from eas_grpc.errors import ConfigError

SECRET = "c2VjcmV0LW9mLWEtc2VydmljZQ=="

# token68 of RFC 9110, which is what a bearer token may be made of; EAS tokens are base64.
tokens = st.text(string.ascii_letters + string.digits + "-._~+/=", min_size=1, max_size=100).filter(
    lambda text: text.lower() != "bearer" and not text.startswith("your-")
)
spaces = st.sampled_from(["", " ", "\n", "\r\n", "\t", "  \n"])


# ---- check_token


@given(tokens)
def test_a_good_token_passes_unchanged(token: str) -> None:
    assert check_token(token) == token
    assert check_token(check_token(token)) == token


@given(tokens, spaces, spaces, st.sampled_from(["", "Bearer ", "bearer ", "BEARER\t", "Bearer   "]))
def test_space_around_it_and_bearer_before_it_make_no_difference(
    token: str, before: str, after: str, prefix: str
) -> None:
    assert check_token(f"{before}{prefix}{token}{after}") == token
    assert check_token(f"Bearer {token}") == check_token(token)


def test_a_token_that_only_begins_like_bearer_keeps_its_beginning() -> None:
    assert check_token("bearerless123") == "bearerless123"


@given(st.text())
def test_any_text_is_a_token_that_can_be_sent_or_is_refused(text: str) -> None:
    try:
        token = check_token(text)
    except ConfigError as error:
        assert str(error).startswith(("the token ", "this is a signature"))
        assert str(error).isprintable()
    else:
        assert token in text
        assert token.isascii()
        assert token.isprintable()
        assert " " not in token
        assert check_token(token) == token


BROKEN = [
    ("", "copy it from the service's details page"),
    (" \n\t", "copy it from the service's details page"),
    ("Bearer", "copy it from the service's details page"),
    ("Bearer \n", "copy it from the service's details page"),
    (f"Authorization: {SECRET}", "leave out 'Authorization:'"),
    (f"authorization:Bearer {SECRET}", "leave out 'Authorization:'"),
    (f"EAS {SECRET}", "not a token: pass the service's token itself"),
    (f'"{SECRET}"', "quotation marks: remove them"),
    (f"'{SECRET}'", "quotation marks: remove them"),
    (f"{SECRET}'", "quotation marks: remove them"),
    (f"Bearer '{SECRET}'", "quotation marks: remove them"),
    (f"<{SECRET}>", "put in the one from the service's details page"),
    ("your-token", "put in the one from the service's details page"),
    (f"{SECRET}\u00e4", "copy it again, as plain text"),
    (f"\ufeff{SECRET}", "copy it again, as plain text"),
    (f"{SECRET}\u200b", "copy it again, as plain text"),
    (f"{SECRET}\n{SECRET}", "pass one token, in one line"),
    (f"{SECRET} {SECRET}", "pass one token, in one line"),
    (f"Bearer Bearer {SECRET}", "pass one token, in one line"),
    (f"{SECRET}\0", "pass one token, in one line"),
    (f"{SECRET}\x7f", "pass one token, in one line"),
    (SECRET * 300, "is this the content of another file?"),
    (SECRET.encode(), "must be a str, a path or a callable that returns a str, not bytes"),
    (None, "not NoneType"),
    (5, "not int"),
]


@pytest.mark.parametrize(("text", "fix"), BROKEN)
def test_a_broken_token_is_refused_with_the_fix_and_without_itself(text: object, fix: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_token(text)
    assert fix in str(caught.value)
    assert SECRET not in str(caught.value)
    assert str(caught.value).isprintable()


# ---- how it prints


@given(tokens)
def test_a_token_prints_as_a_mask_wherever_repr_is_used(token: str) -> None:
    masked = check_token(token)
    shown = [
        repr(masked),
        repr([masked]),
        repr({0: masked}),
        f"{masked!r}",
        repr(bearer(token)),
    ]
    assert shown[0] == "'***'"
    assert shown[-1] == "('authorization', '***')"
    assert all("'***'" in text and f"'{token}'" not in text for text in shown)


@given(tokens)
def test_a_masked_token_is_sent_as_it_is(token: str) -> None:
    key, value = bearer(token)
    assert (key, value) == (AUTHORIZATION, f"Bearer {token}")
    assert value.encode() == f"Bearer {token}".encode()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_token_is_not_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="pass the token, a file or a callable") as caught:
        pickle.dumps({"metadata": [bearer(SECRET)]}, protocol)
    assert SECRET not in str(caught.value)


def test_a_copy_is_refused_rather_than_unmasked() -> None:
    with pytest.raises(TypeError):
        copy.deepcopy(check_token(SECRET))


def test_text_is_hidden_and_anything_else_is_left_as_it_is() -> None:
    def get() -> str:
        return SECRET

    assert type(hidden(SECRET)) is Masked
    assert hidden(SECRET) == SECRET
    assert hidden(get) is get
    assert hidden(None) is None


# ---- token_matches


@given(tokens, st.lists(tokens))
def test_a_token_matches_if_it_is_among_the_accepted_ones(given: str, accepted: list[str]) -> None:
    assert token_matches(given, accepted) == (given in accepted)
    assert token_matches(given, [*accepted, given])
    assert not token_matches(given, [f"{given}x", given[:-1]])


# ---- sources


def test_no_token_has_no_source() -> None:
    assert token_source(None) is None


def test_a_text_gives_the_same_token_for_ever() -> None:
    source = token_source(f"Bearer {SECRET}\n")
    assert source.current() == source.current() == SECRET
    assert repr(source) == "<token>"


def test_a_callable_is_asked_each_time_and_its_answer_checked() -> None:
    answers = iter([f"Bearer {SECRET}", "other\n", f"{SECRET} {SECRET}", 5, None])
    source = token_source(lambda: next(answers))
    assert [source.current(), source.current()] == [SECRET, "other"]
    for fix in ("in one line", "returned int, not str", "returned NoneType, not str"):
        with pytest.raises(ConfigError, match=fix) as caught:
            source.current()
        assert SECRET not in str(caught.value)
    assert repr(source) == "<token from a callable>"


def test_an_error_of_the_callable_is_the_callers_own() -> None:
    def get() -> str:
        raise KeyError("no secret store here")

    with pytest.raises(KeyError, match="no secret store"):
        token_source(get).current()


def test_an_async_callable_is_refused_when_it_is_given() -> None:
    async def get() -> str:
        return SECRET

    with pytest.raises(ConfigError, match="must not be async: keep the fetched token and return it"):
        token_source(get)


@pytest.mark.parametrize("value", [SECRET.encode(), 5, ["a"], {"token": "a"}])
def test_anything_else_is_refused_when_it_is_given(value: Any) -> None:
    with pytest.raises(ConfigError, match="must be a str, a path or a callable"):
        token_source(value)


@pytest.mark.parametrize(("text", "fix"), [pair for pair in BROKEN if isinstance(pair[0], str)])
def test_a_broken_text_is_refused_when_it_is_given(text: str, fix: str) -> None:
    with pytest.raises(ConfigError) as caught:
        token_source(text)
    assert fix in str(caught.value)
    assert SECRET not in str(caught.value)


# ---- a file


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "service.token"
    path.write_text(f"{SECRET}\n")
    return path


def replace(path: pathlib.Path, text: str) -> None:
    """As secret stores do it: another file under the same name."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


def test_a_file_is_read_again_when_it_was_replaced(file: pathlib.Path) -> None:
    source = token_source(file)
    assert source.current() == SECRET
    replace(file, "another")
    assert source.current() == "another"


def test_a_file_of_the_same_size_in_the_same_instant_is_noticed_too(file: pathlib.Path) -> None:
    source = token_source(file)
    before = file.stat()
    replace(file, "x" * (before.st_size - 1) + "\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert source.current() == "x" * (before.st_size - 1)


def test_a_file_that_did_not_change_is_not_read_again(file: pathlib.Path) -> None:
    source = token_source(file)
    before = file.stat()
    file.write_text("y" * (before.st_size - 1) + "\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert source.current() == SECRET


@pytest.mark.parametrize("content", ["", "two words", f"{SECRET}\u00e4"])
def test_a_file_that_went_bad_keeps_the_last_token_until_it_is_good_again(
    file: pathlib.Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = token_source(file)
    replace(file, content)
    assert source.current() == SECRET
    assert "keeping the last token" in caplog.text
    assert SECRET not in caplog.text
    replace(file, "good-again")
    assert source.current() == "good-again"


def test_a_file_that_went_away_keeps_the_last_token_until_it_is_back(
    file: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = token_source(file)
    file.unlink()
    assert source.current() == SECRET
    assert source.current() == SECRET
    assert caplog.text.count("No such file") == 1  # said once, not for every call
    file.write_text("back")
    assert source.current() == "back"


@pytest.mark.parametrize(
    ("content", "fix"),
    [
        (b"", "copy it from the service's details page"),
        (b"two words", "in one line"),
        (b"\xff\xfe\x00", "is not text"),
        (SECRET.encode() * 300, "is this the content of another file?"),
    ],
)
def test_a_file_without_a_token_is_refused_when_it_is_given(
    file: pathlib.Path, content: bytes, fix: str
) -> None:
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        token_source(file)
    assert fix in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.token cannot be read: No such file"):
        token_source(tmp_path / "missing.token")


def test_a_source_of_a_file_shows_its_path_alone(file: pathlib.Path) -> None:
    assert repr(token_source(file)) == f"<token from file {file}>"


def test_the_text_of_a_path_is_refused_where_there_is_such_a_file(file: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match=r"pass pathlib\.Path\(\.\.\.\)"):
        token_source(str(file))
    file.unlink()
    assert token_source(str(file)).current() == str(file)


@given(st.sampled_from(["/", "./", "~", "~/", "~\0/"]), st.text(max_size=5))
def test_text_that_looks_like_a_path_never_fails_otherwise(prefix: str, rest: str) -> None:
    with contextlib.suppress(ConfigError):
        token_source(prefix + rest)
