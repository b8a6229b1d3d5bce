"""Why a caller gets no result, as plain data: the status by its gRPC name, and a text that the caller may see."""

from __future__ import annotations

__all__ = ["REFUSALS", "BadInput", "Refused", "verdict"]

# Details travel in the trailers, percent-encoded, where peers allow 8 KiB and more: three bytes for each of UTF-8's
# beyond ASCII.
_LONGEST_TEXT = 1000


class BadInput(ValueError):
    """Raise it in a model that does not take its inputs: the caller gets INVALID_ARGUMENT and this text."""


class Refused(Exception):
    """A request that is not answered; whoever asked learns status and text."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text


REFUSALS = (Refused, BadInput)


def verdict(error: Refused | BadInput) -> tuple[str, str]:
    """The status, by name, and the text of a refusal."""
    status, text = (
        (error.status, error.text) if isinstance(error, Refused) else ("INVALID_ARGUMENT", str(error))
    )
    encoded = text.encode(errors="replace")
    if len(encoded) <= _LONGEST_TEXT:
        return status, text
    return status, encoded[:_LONGEST_TEXT].decode(errors="ignore") + "..."
