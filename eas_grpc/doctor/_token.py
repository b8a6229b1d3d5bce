"""The token as the user has it: can it be sent, and what would another client make of it? Pure but for the file."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from eas_grpc.auth import Masked, Token, check_token, token_source
from eas_grpc.doctor._catalogue import found
from eas_grpc.doctor._records import Finding
from eas_grpc.endpoint import Endpoint
from eas_grpc.errors import ConfigError

__all__ = ["GivenToken", "judge_token", "plaintext_note", "read_token"]

_BEARER = re.compile(r"\s*bearer(\s|\Z)", re.IGNORECASE)


@dataclass(frozen=True)
class GivenToken:
    """What was made of it. `token` is bare and can be sent; None where there is none or it cannot."""

    token: str | None = field(default=None, repr=False)
    given: bool = False
    findings: tuple[Finding, ...] = ()
    evidence: tuple[str, ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def usable(self) -> bool:
        """Whether calls can be made: with the token, or without where none was given."""
        return self.token is not None or not self.given


def read_token(token: Token | None) -> GivenToken:
    """The token from wherever it is; a file that cannot be read is a finding."""
    if token is None:
        return GivenToken(evidence=("none given",))
    if isinstance(token, str):
        return judge_token(token)
    try:
        source = token_source(token)
        assert source is not None
        text = source.current()
    except (ConfigError, UnicodeError) as error:
        return GivenToken(given=True, findings=(_invalid(str(error)),))
    except Exception as error:
        # A callable of the user's may raise anything, with anything in its text.
        return GivenToken(
            given=True, findings=(_invalid(f"the token callable raised {type(error).__name__}: look there"),)
        )
    if isinstance(token, os.PathLike):
        return _from_file(Path(token), text)
    return GivenToken(Masked(text), True, (), (f"{len(text)} characters, from a callable",), (Masked(text),))


def _from_file(path: Path, token: str) -> GivenToken:
    """The same with what a program that only reads the file would send; one line break at its end is usual."""
    raw = Masked(token)
    with contextlib.suppress(OSError, UnicodeError):
        raw = Masked(path.read_text("utf-8"))
    judged = judge_token(raw.removesuffix("\n").removesuffix("\r"))
    if judged.token != token:
        # The file was replaced just now.
        judged = judge_token(token)
    return replace(judged, evidence=(f"{len(token)} characters, from the file {path}",))


def judge_token(raw: str) -> GivenToken:
    """Text that was given as a token, with all that is around it."""
    raw = Masked(raw)
    secrets = tuple(Masked(part) for part in {str(raw), str(raw).strip(), *str(raw).split()} if part)
    try:
        source = token_source(raw)
        token = Masked(check_token(raw))
        assert source is not None
    except ConfigError as error:
        return GivenToken(given=True, findings=(_invalid(str(error)),), secrets=secrets)
    notes = []
    if raw != raw.strip():
        notes.append(
            found(
                "token-spaces",
                "The token has spaces or line breaks around it: we strip them, a plain gRPC client sends them or"
                ' fails with "Invalid metadata".',
                "copy the token again, or strip it where it is read",
            )
        )
    if _BEARER.match(raw):
        notes.append(
            found(
                "token-bearer",
                "The token begins with 'Bearer ': we take that off, another client may send it twice.",
                "keep the bare token, as the console shows it",
            )
        )
    return GivenToken(token, True, tuple(notes), (f"{len(token)} characters",), secrets)


def plaintext_note(endpoint: Endpoint, token: str | None) -> tuple[Finding, ...]:
    """A note where everybody on the way can read the token."""
    if token is None or endpoint.tls or endpoint.is_private:
        return ()
    return (
        found(
            "plaintext-token",
            "The token goes over a public network unencrypted.",
            "use the VPC address, or https:// where the service offers it",
        ),
    )


def _invalid(message: str) -> Finding:
    where = ""
    if message.startswith("token file ") and ": " in message:
        place, message = message.split(": ", 1)
        where = f" ({place})"
    sentence, _, advice = message.partition(": ")
    return found(
        "token-invalid",
        f"{sentence[:1].upper()}{sentence[1:]}{where}; no call can be sent.",
        advice or "copy the token again from the service's details page",
    )
