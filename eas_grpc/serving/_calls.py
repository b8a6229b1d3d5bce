"""What the two colours of interceptor share: the statuses of a call and the two log entries about it."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from eas_grpc.serving._access import LOGGER, CallRecord, failure_text, printable

CANCELLED = grpc.StatusCode.CANCELLED.name

_access = logging.getLogger(LOGGER)
_logger = logging.getLogger("eas_grpc.serving")

_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


def code_of(context: Any) -> grpc.StatusCode:
    """The status that a servicer has set so far; OK when it has not.

    grpc gives None, grpc.aio a bare number or None, depending on its version.
    """
    code = context.code()
    if code is None:
        return grpc.StatusCode.OK
    return code if isinstance(code, grpc.StatusCode) else _BY_NUMBER.get(code, grpc.StatusCode.UNKNOWN)


def details_of(context: Any) -> str:
    """The text that a servicer has set so far."""
    details = context.details()
    if isinstance(details, bytes):
        return details.decode(errors="replace")
    return details or ""


def log_call(record: CallRecord) -> None:
    """Writes the one access record of a call."""
    level = record.level()
    if _access.isEnabledFor(level):
        _access.log(level, "%s", record, extra=record.fields())


def report_failure(method: str, context: Any, error: BaseException) -> tuple[grpc.StatusCode, str]:
    """Logs what a servicer raised, with its traceback; the status and the text that its caller may see.

    A status and a text that the servicer set itself before raising are what it wanted to say, so they stay.
    """
    error_id = secrets.token_hex(4)
    _logger.error(
        "%s raised %s, error id %s", printable(method), type(error).__name__, error_id, exc_info=error
    )
    code = code_of(context)
    if code is grpc.StatusCode.OK:
        return grpc.StatusCode.UNKNOWN, failure_text(error_id)
    return code, details_of(context) or failure_text(error_id)


def behavior_of(handler: Any) -> Any:
    """The servicer's method behind a handler, whatever its shape."""
    return handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream


class Watched:
    """The handlers around the servicers', made once for each method: that costs more than most calls' check."""

    # A generic handler may answer any path; callers must not be able to fill the memory with paths.
    _MOST = 1000

    def __init__(self, make: Callable[[str, Any], Any]) -> None:
        self._make = make
        self._made: dict[str, tuple[Any, Any]] = {}

    def __call__(self, method: str, handler: Any) -> Any:
        """The handler to run in the place of `handler`."""
        known = self._made.get(method)
        if known is not None and known[0] is handler:
            return known[1]
        watched = self._make(method, handler)
        if len(self._made) < self._MOST:
            self._made[method] = (handler, watched)
        return watched


class BadMessage(Exception):
    """A message could not be read or written; without a text, since grpc.aio sends that to the caller."""


def quiet(method: str, convert: Any) -> Any:
    """The (de)serializer, with what it raises kept here: the log has it, with its traceback where it is no caller's fault."""

    def converted(value: Any) -> Any:
        try:
            return convert(value)
        except DecodeError as error:
            # Anybody can send what is no message; a traceback for each would let them fill the log.
            _logger.warning("%s: a message could not be read: %s", printable(method), printable(str(error)))
            raise BadMessage from None
        except Exception:
            _logger.exception("%s: a message could not be read or written", printable(method))
            raise BadMessage from None

    return convert and converted


def same_shape(handler: Any, behavior: Any, method: str) -> Any:
    """A handler like the given one that runs `behavior` instead."""
    make: Any = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[bool(handler.request_streaming), bool(handler.response_streaming)]
    return make(
        behavior, quiet(method, handler.request_deserializer), quiet(method, handler.response_serializer)
    )
