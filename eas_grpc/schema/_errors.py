"""What can be wrong with a schema that is read from a running service, and its own words in our sentences."""

from __future__ import annotations

from eas_grpc.errors import CallFailure, SchemaError

__all__ = ["ReflectionError", "visible"]


class ReflectionError(SchemaError):
    """A service does not tell its schema, or not one that can be used.

    `reason` is `"off"` (it has no reflection), `"refused"` (the token), `"incomplete"` (files are missing) or
    `"broken"` (what it tells contradicts itself); `failure` is the call's, where there was one, and `services` the names
    that it listed all the same.
    """

    def __init__(self, message: str, reason: str = "broken", failure: CallFailure | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.failure = failure
        self.services: tuple[str, ...] = ()

    def __reduce__(self) -> tuple[type[ReflectionError], tuple[str, str, CallFailure | None]]:
        """Plain data, so that the real error crosses process pools."""
        return type(self), (str(self), self.reason, self.failure)


def visible(text: str) -> str:
    """Text of a foreign service for a terminal or a comment: what would steer the terminal is spelled out."""
    return "".join(each if each == "\t" or each.isprintable() else _spelled(each) for each in text)


def _spelled(character: str) -> str:
    return f"\\x{ord(character):02x}" if ord(character) < 0x100 else f"\\u{ord(character):04x}"
