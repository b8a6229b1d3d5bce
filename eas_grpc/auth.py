"""The service token: checked when given, read again when it changes, never printed.

Knows no grpc. What EAS expects on a gRPC call is metadata `authorization: Bearer <token>` (the PAI-EAS page
on gRPC, "Token authentication").
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol, TypeVar, Union

from eas_grpc.errors import ConfigError

__all__ = [
    "AUTHORIZATION",
    "Masked",
    "Renewal",
    "Token",
    "TokenSource",
    "bearer",
    "check_token",
    "hidden",
    "hides_tokens",
    "token_matches",
    "token_source",
]

AUTHORIZATION = "authorization"

Token = Union[str, "os.PathLike[str]", Callable[[], str]]

# Seconds for which the answer to one refused call also serves others that were refused with the same token.
_SHARED_FOR = 1.0

# gRPC core refuses metadata above 16 KB and may refuse it above 8 KB.
_LONGEST_TOKEN = 8000

_Kind = TypeVar("_Kind", bound=type)

_BEARER = re.compile(r"bearer(\s+|\Z)", re.IGNORECASE)
_logger = logging.getLogger(__name__)


class Masked(str):
    """Text that is sent as it is but whose `repr` is a mask, so also in a tuple, a log or a frame's locals."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __reduce__(self) -> tuple[type, tuple[str]]:
        raise TypeError("a token is not pickled: pass the token, a file or a callable to the other process")


class TokenSource(Protocol):
    """Where the token comes from."""

    def current(self) -> str:
        """The token to send now, checked and without `Bearer `."""
        ...

    def renewed(self) -> str:
        """The same after a refusal: whatever may be out of date is looked up again."""
        ...


def hidden(token: Token | None) -> Token | None:
    """The same; text prints as a mask, for a frame whose locals may be shown (pytest -l, crash reporters)."""
    return Masked(token) if isinstance(token, str) else token


def hides_tokens(kind: _Kind) -> _Kind:
    """For a dataclass with keyword arguments: `tokens` prints as masks, also in the frames that refuse an argument."""
    made = vars(kind)["__init__"]

    @functools.wraps(made)
    def init(self: Any, **given: Any) -> None:
        tokens = given.pop("tokens", ())
        if isinstance(tokens, tuple | list):
            tokens = tuple(map(hidden, tokens))
        elif isinstance(tokens, str):
            tokens = Masked(tokens)
        made(self, **given, **({"tokens": tokens} if tokens != () else {}))

    setattr(kind, "__init__", init)  # noqa: B010
    return kind


def check_token(text: object) -> Masked:
    """The bare token, without surrounding space or a `Bearer ` in front; a ConfigError for anything else.

    No message repeats the text.
    """
    if not isinstance(text, str):
        raise ConfigError(
            f"the token must be a str, a path or a callable that returns a str, not {type(text).__name__}"
        )
    text = Masked(text)
    token = Masked(text.strip())
    if token.lower().startswith("authorization:"):
        raise ConfigError(
            "the token holds a whole header: leave out 'Authorization:' and pass the token alone"
        )
    # The length, not the match: a match prints what it has found.
    token = Masked(token[_length_of_prefix(token) :])
    if not token:
        raise ConfigError(
            "the token is empty: copy it from the service's details page in the PAI-EAS console"
        )
    if token.startswith("EAS "):
        raise ConfigError(
            "this is a signature of the HTTP interface ('EAS ...'), not a token: pass the service's token itself"
        )
    if token[0] in "\"'" or token[-1] in "\"'":
        raise ConfigError("the token is wrapped in quotation marks: remove them")
    if token.startswith(("<", "your-")):
        raise ConfigError(
            "the token is a placeholder from an example: put in the one from the service's details page"
        )
    if not token.isascii():
        raise ConfigError("the token holds a character outside ASCII: copy it again, as plain text")
    if not token.isprintable() or " " in token:
        raise ConfigError(
            "the token holds a line break, a space or a control character: pass one token, in one line"
        )
    if len(token) > _LONGEST_TOKEN:
        raise ConfigError(
            f"the token has {len(token)} characters; gRPC carries at most {_LONGEST_TOKEN} in a header:"
            " is this the content of another file?"
        )
    return token


def _length_of_prefix(token: str) -> int:
    prefix = _BEARER.match(token)
    return prefix.end() if prefix else 0


def bearer(token: str) -> tuple[str, str]:
    """The metadata pair for a bare token; prints as a mask."""
    return AUTHORIZATION, Masked(f"Bearer {token}")


def token_matches(given: str, accepted: Iterable[str]) -> bool:
    """Whether `given` is one of the accepted tokens, in time that does not depend on where they differ."""
    import hashlib
    import hmac

    digest = hashlib.sha256(given.encode()).digest()
    # A list, not a generator: any() must not stop early and tell by its time which token matched.
    return any([hmac.compare_digest(digest, hashlib.sha256(t.encode()).digest()) for t in accepted])  # noqa: C419


def token_source(token: Token | None) -> TokenSource | None:
    """A source for what a caller may pass as token: the text, a path, or a callable; None for none.

    The text and the file are checked now; a callable is asked for each call and must be quick.
    """
    if token is None:
        return None
    token = hidden(token)
    if isinstance(token, str):
        _refuse_path_as_text(token)
        return _Fixed(check_token(token))
    if isinstance(token, os.PathLike):
        return _File(os.fspath(token))
    if callable(token):
        if inspect.iscoroutinefunction(token):
            raise ConfigError("the token callable must not be async: keep the fetched token and return it")
        return _Callable(token)
    return _Fixed(check_token(token))


def _refuse_path_as_text(text: str) -> None:
    if "\0" not in text and text.startswith(("/", "./", "~")) and os.path.isfile(os.path.expanduser(text)):  # noqa: PTH111, PTH113
        raise ConfigError("the token names a file: pass pathlib.Path(...) to have the token read from it")


class _Fixed:
    """One token for ever."""

    __slots__ = ("_token",)

    def __init__(self, token: str) -> None:
        self._token = token

    def current(self) -> str:
        return self._token

    def renewed(self) -> str:
        return self._token

    def __repr__(self) -> str:
        return "<token>"


class _File:
    """The token in a file, read again when the file has changed (one `stat` per call)."""

    __slots__ = ("_missing", "_path", "_seen", "_token")

    def __init__(self, path: str) -> None:
        self._path = path
        self._missing = False
        try:
            self._seen = self._stamp()
            self._token = self._read()
        except OSError as error:
            raise ConfigError(f"the token file {path} cannot be read: {error.strerror}") from None

    def current(self) -> str:
        return self._look(anyway=False)

    def renewed(self) -> str:
        # A file that is overwritten within one tick of its clock (4 ms, or 2 s on some network shares) looks unchanged.
        return self._look(anyway=True)

    def _look(self, *, anyway: bool) -> str:
        try:
            stamp = self._stamp()
            if anyway or stamp != self._seen:
                # Noted first: what cannot be used is looked at again when it changes, not for every call.
                self._seen = stamp
                self._token = self._read()
            self._missing = False
        except ConfigError as error:
            _logger.warning("keeping the last token: %s", error)
        except OSError as error:
            # Somebody is replacing the file just now: the old token is the better answer.
            if not self._missing:
                _logger.warning("keeping the last token: token file %s: %s", self._path, error.strerror)
            self._missing = True
        return self._token

    def _stamp(self) -> tuple[int, int, int]:
        found = os.stat(self._path)  # noqa: PTH116
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> str:
        try:
            with open(self._path, encoding="utf-8") as file:  # noqa: PTH123
                # However large the file is: this much is enough to tell that it is not a token.
                return check_token(file.read(_LONGEST_TOKEN * 2))
        except UnicodeDecodeError:
            raise ConfigError(f"the token file {self._path} is not text") from None
        except ConfigError as error:
            raise ConfigError(f"token file {self._path}: {error}") from None

    def __repr__(self) -> str:
        return f"<token from file {self._path}>"


class _Callable:
    """The token that a callable returns, asked for each call."""

    __slots__ = ("_get",)

    def __init__(self, get: Callable[[], str]) -> None:
        self._get = get

    def current(self) -> str:
        return self._checked(self._get())

    def renewed(self) -> str:
        # A callable that keeps its answer has `renewed`, which asks again.
        return self._checked(getattr(self._get, "renewed", self._get)())

    @staticmethod
    def _checked(token: object) -> str:
        if not isinstance(token, str):
            raise ConfigError(f"the token callable returned {type(token).__name__}, not str")
        return check_token(token)

    def __repr__(self) -> str:
        return "<token from a callable>"


class _Answer(NamedTuple):
    """What a source said after a refusal, and when it was asked; `token` is None where it failed."""

    refused: str
    token: str | None
    began: float
    ended: float

    def serves(self, refused: str, arrived: float) -> bool:
        """Whether it is good for another call that was `refused` and asks at this moment."""
        if refused != self.refused:
            return False
        if self.began >= arrived:
            return True
        return self.token not in {None, refused} and arrived - self.ended <= _SHARED_FOR


class Renewal:
    """Asks a source once for all calls that were refused with the same token, from any thread."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._last: _Answer | None = None
        self._pid = 0
        self._asking = threading.RLock()

    def after(self, refused: str) -> str | None:
        """The token to send instead of one that was refused; None if another call just asked in vain.

        Raises what the source raises. The token may be the refused one, where the source has no other.
        """
        refused, arrived = Masked(refused), time.monotonic()
        with self._lock():
            if self._last is not None and self._last.serves(refused, arrived):
                return self._last.token
            token, began = None, time.monotonic()
            try:
                token = self._source.renewed()
            finally:
                self._last = _Answer(refused, token, began, time.monotonic())
            return token

    def _lock(self) -> threading.RLock:
        # A child that was forked off while a thread asked would wait for that thread for ever.
        if self._pid != os.getpid():
            self._pid, self._asking = os.getpid(), threading.RLock()
        return self._asking
