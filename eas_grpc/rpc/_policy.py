"""What every call gets, decided once for both colours and all four shapes. Knows no channel and no socket."""

from __future__ import annotations

import logging
import sys
from typing import Any

from eas_grpc.auth import AUTHORIZATION, Masked, Renewal, TokenSource, bearer
from eas_grpc.calls import CallShape, Metadata, check_metadata, has_key
from eas_grpc.deadline import UNSET, call_timeout
from eas_grpc.errors import CallFailure
from eas_grpc.options import StreamLimits
from eas_grpc.rpc._replay import Attempts, Replays
from eas_grpc.rpc._status import refusal

__all__ = ["CallPolicy", "secret_in"]

_logger = logging.getLogger("eas_grpc.rpc")


class CallPolicy:
    """Token, deadline, stream limits and request size of the calls on one channel.

    One object serves all calls of a channel, from any thread: what it keeps is only a cache.
    """

    def __init__(
        self,
        *,
        tokens: TokenSource | None,
        deadline: float | None,
        stream_limits: StreamLimits | None,
        max_request: int | None,
        warn_request: int | None,
        replays: Replays | None = None,
    ) -> None:
        self.tokens = tokens
        self._renewal = None if tokens is None else Renewal(tokens)
        self._replays = replays
        self.deadline = deadline
        self.stream_limits = stream_limits
        self.max_request = max_request
        self.warn_request = warn_request
        thresholds = [size for size in (max_request, warn_request) if size is not None]
        # Below this many bytes a request needs no second look.
        self.notable_request = min(thresholds, default=sys.maxsize)
        self._warned: set[str] = set()
        self._cached: tuple[str, Metadata] = ("", ())

    def begin(self, shape: CallShape, timeout: Any, metadata: Any) -> tuple[float | None, Metadata | None]:
        """Timeout in seconds and metadata to send. Raises ConfigError for what grpc would garble."""
        seconds = call_timeout(shape, timeout, self.deadline)
        given = check_metadata(metadata) if metadata else ()
        if self.tokens is None or has_key(given, AUTHORIZATION):
            return seconds, given or None
        own = self._authorization(self.tokens.current())
        return seconds, (own + given if given else own)

    def limits(self, shape: CallShape, timeout: Any) -> StreamLimits | None:
        """The limits per message for a call: where responses stream and the caller set no timeout."""
        return self.stream_limits if shape.many_responses and timeout is UNSET else None

    def attempts(self, method: str) -> Attempts | None:
        """For a call whose requests stream; None where it is not to be tried again."""
        return None if self._replays is None else self._replays.attempts(method)

    def room(self, method: str) -> int:
        """How many bytes of a stream of requests are kept, to be sent again."""
        return self._replays.room if self._replays is not None and self._replays.covers(method) else 0

    def second_chance(self, sent: Metadata | None) -> Metadata | None:
        """Metadata for one more try after UNAUTHENTICATED, if the source now gives another token.

        None where the caller brought an authorization of its own or the token is still the same. Calls that are
        refused together with the same token ask the source once.
        """
        # A pair of ours stands first and is masked; anything else was the caller's.
        if self._renewal is None or not sent or not isinstance(sent[0][1], Masked):
            return None
        try:
            token = self._renewal.after(secret_in(sent))
        except Exception as error:
            # The service's refusal is the better answer, and callbacks that wait for it must be called.
            _logger.warning("no second try: the token source failed with %s", type(error).__name__)
            return None
        if token is None:
            return None
        fresh = self._authorization(token)
        return None if sent[0] == fresh[0] else fresh + sent[1:]

    def oversize(self, size: int, method: str) -> CallFailure | None:
        """The refusal for a request of `size` bytes, or None; warns once per method when it comes close."""
        if self.max_request is not None and size > self.max_request:
            return refusal(
                "RESOURCE_EXHAUSTED",
                f"the request has {size:,} bytes, the gateway takes {self.max_request:,}; nothing was sent",
                method,
                "send less (split the batch, or a narrower dtype), call the service directly"
                " (profile='direct'), or raise max_request= if this address takes more",
            )
        if self.warn_request is not None and size > self.warn_request and method not in self._warned:
            self._warned.add(method)
            limit = "no limit here" if self.max_request is None else f"refused above {self.max_request:,}"
            _logger.warning(
                "%s: a request of %s bytes comes close to the gateway's limit (%s)",
                method,
                f"{size:,}",
                limit,
            )
        return None

    def _authorization(self, token: str) -> Metadata:
        cached = self._cached
        if cached[0] != token:
            self._cached = cached = (token, (bearer(token),))
        return cached[1]


def secret_in(metadata: Metadata | None) -> str:
    """The token among the metadata that was sent, for masking; empty if there is none."""
    for key, value in metadata or ():
        if key == AUTHORIZATION:
            words = (value if isinstance(value, str) else value.decode("ascii", "replace")).split()
            return words[-1] if words else ""
    return ""
