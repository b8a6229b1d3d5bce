"""What people write down: profiles, tokens, the table in pyproject.toml, and the environment that names them.

The first byte of an input chooses the reader. A token that is accepted and then refused, or in a message, is a finding too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from eas_grpc.auth import check_token
from eas_grpc.codegen._settings import read_table
from eas_grpc.errors import ConfigError
from eas_grpc.settings import load_profiles, resolve

RATE = 4500
VARIABLES = ("EAS_ENDPOINT", "EAS_TOKEN", "EAS_TOKEN_FILE", "EAS_PROFILE")
# What is shorter may stand in a message by chance.
SHORTEST_SECRET = 12


def check(data: bytes) -> None:
    """Only ConfigError is allowed."""
    if data:
        (_profiles, _token, _table)[data[0] % 3](data[1:])


@cache
def _file() -> Path:
    path = Path(tempfile.mkdtemp(prefix="eas-grpc-fuzz-"), "pyproject.toml")
    # It may hold a token, and one that others can read is warned of.
    path.touch(0o600)
    return path


def _profiles(data: bytes) -> None:
    # What stands before the first NUL are variables, line by line.
    environment, _, text = data.partition(b"\0")
    values = [line.decode("utf-8", "surrogateescape") for line in environment.split(b"\n")]
    environ = {"HOME": "/somewhere", **dict(zip(VARIABLES, values, strict=False))}
    _file().write_bytes(text)
    try:
        profiles = load_profiles(_file(), home="/somewhere")
    except ConfigError:
        profiles = {}
    for name in (None, *profiles):
        try:
            found = resolve(endpoint=None, token=None, environ=environ, profiles=profiles, profile=name)
        except ConfigError:
            continue
        assert (found.token is None) == (found.token_origin is None)
        if isinstance(found.token, str) and len(found.token) >= SHORTEST_SECRET:
            assert found.token not in repr(found)


def _token(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    try:
        token = check_token(text)
    except ConfigError as error:
        # The words of the messages are no secret.
        assert len(text) < SHORTEST_SECRET or text.strip() not in str(error)
        return
    assert token.isascii()
    assert token.isprintable()
    assert token in text
    assert repr(token) == "'***'"
    assert check_token(str(token)) == token


def _table(data: bytes) -> None:
    _file().write_bytes(data)
    try:
        read_table(_file())
    except ConfigError:
        return


def seeds() -> Iterator[bytes]:
    """Each reader, with what it likes and what it does not."""
    profile = (
        b'[prod]\nendpoint = "demo.example:80"\ntoken_file = "~/t"\n[test]\nendpoint="[::1]:1"\ntoken="abc"\n'
    )
    yield b"\0\0" + profile
    yield b"\0host:1\ntoken\n\nprod\0" + profile
    yield b"\0\n\n\nprod\0" + b'x = 1\n[prod]\nport = [1, 2.5, 1979-05-27, {a = "b"}]\n'
    yield b"\0\0" + b"x = " + b"[" * 2000
    for token in (
        b"Bearer dG9rZW4=",
        b" token\n",
        b"Authorization: Bearer x",
        b"EAS abc",
        b'"quoted"',
        b"<token>",
    ):
        yield b"\1" + token
    yield (
        b'\2[tool.eas-grpc]\nprotos = ["protos"]\ninclude = ["x"]\n[tool.eas-grpc.generate]\nout = "src"\n'
        b'runtime = "portable"\nplugins = {a = "b"}\n[tool.eas-grpc.lint]\nexcept = ["A"]\n'
    )
    yield b"\2x = " + b"[" * 2000
