"""May this call in? Pure: sees the path and the metadata, answers with a refusal text or None.

Must never put a token, or any other metadata, into a text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eas_grpc.auth import AUTHORIZATION, token_matches
from eas_grpc.serving.options import ServerOptions

_SCHEME = "bearer "


def refusal(options: ServerOptions, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> str | None:
    """Why the call is UNAUTHENTICATED; None when it may go on.

    `method` is the full path, `/package.Service/Method`.
    """
    if not options.tokens or any(_opens(entry, method) for entry in options.open_methods):
        return None
    return bearer_refusal([value for key, value in metadata if key.lower() == AUTHORIZATION], options.tokens)


def bearer_refusal(given: Sequence[str | bytes], tokens: Iterable[str]) -> str | None:
    """Why these values of `authorization` do not open what is closed with `tokens`; None when they do."""
    if not given:
        return "no token: send the metadata 'authorization: Bearer <token>'"
    if len(given) > 1:
        return f"{len(given)} authorization entries in the metadata: send exactly one"
    value = given[0]
    if isinstance(value, bytes) or value[: len(_SCHEME)].lower() != _SCHEME:
        return "the authorization metadata does not start with 'Bearer ': send 'Bearer <token>'"
    token = value[len(_SCHEME) :]
    if not token.strip():
        return "the authorization metadata is 'Bearer ' with no token behind it: send 'Bearer <token>'"
    if not token_matches(token, tokens):
        return "wrong token: it has the right form but is not one that this service accepts"
    return None


def _opens(entry: str, method: str) -> bool:
    """Whether an entry of `open_methods` means this method: `/package.Service/` all of it, else exactly it."""
    return method.startswith(entry) if entry.endswith("/") else method == entry
