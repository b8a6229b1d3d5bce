"""What it takes to search for a token: a server that repeats it, and a haul of all that is printed.

Frames of the tests themselves may hold the token, so they are left out of the search.
"""

from __future__ import annotations

import copy
import logging
import pathlib
import pickle
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

import eas_grpc
from eas_grpc.errors import CallError
from support.echo import HANDLERS, SHAPES

CANARY = "Y2FuYXJ5LWluLWEtY29hbC1taW5l=="
OTHER_CANARY = "c2Vjb25kLWNhbmFyeS1pbi1hLW1pbmU="

OURS = pathlib.Path(eas_grpc.__file__).parent

# Frames whose locals may hold the token: the caller's.
EXEMPT = str(pathlib.Path(__file__).parents[1])


class TellTale:
    """A server that repeats the authorization it was sent: in its headers, its trailers and its status.

    Requests: `fine`, `hold`, or the name of the status to fail with.
    """

    def __enter__(self) -> TellTale:
        self._server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        handlers = {shape: HANDLERS[shape](self._handler(*flags)) for shape, flags in SHAPES.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait()

    def _handler(self, many_requests: bool, many_responses: bool) -> Callable[..., Any]:
        def answers(request: Any, context: grpc.ServicerContext) -> Iterator[bytes]:
            sent = dict(context.invocation_metadata()).get("authorization", "nothing")
            pairs = (("x-sent", sent), ("x-raw-bin", sent.encode()))
            context.send_initial_metadata(pairs)
            context.set_trailing_metadata(pairs)
            for verb in request if many_requests else (request,):
                if verb == b"hold":
                    while context.is_active():
                        yield b"still here"
                elif verb != b"fine":
                    context.abort(grpc.StatusCode[verb.decode()], f"I was sent '{sent}', or {sent!r}")
            yield b"fine"

        def single(request: Any, context: grpc.ServicerContext) -> bytes:
            last = b""
            for answer in answers(request, context):
                last = answer
            return last

        return answers if many_responses else single


class Haul:
    """All that was printed or could have been; `add` takes things, `check` searches them."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []

    def add(self, where: str, *things: object) -> None:
        for thing in things:
            self.texts += [(where, repr(thing)), (where, str(thing))]

    def add_text(self, where: str, text: str) -> None:
        self.texts.append((where, text))

    def add_object(self, where: str, thing: object) -> None:
        """With what it holds."""
        self.add(where, thing)
        held = dict(getattr(thing, "__dict__", {}))
        held |= {
            name: getattr(thing, name) for name in getattr(type(thing), "__slots__", ()) if name[:2] != "__"
        }
        self.add_text(f"inside {where}", repr(held))

    def add_error(self, where: str, error: BaseException) -> None:
        self.add(where, error, error.args)
        self.add_text(where, "".join(traceback.format_exception(error)))
        self.add_text(f"locals of {where}", locals_shown(error))
        if isinstance(error, CallError):
            self.add(where, error.failure, error.hint, error.code(), error.details(), copy.copy(error))
            self.add(where, error.initial_metadata(), error.trailing_metadata(), error.debug_error_string())
        self.add_text(f"pickle of {where}", pickle.dumps(error, protocol=0).decode("latin-1"))

    def check(self) -> None:
        assert self.texts
        for where, text in self.texts:
            for secret in (CANARY, OTHER_CANARY):
                # Not in a plain assert: its report would print the text.
                if secret in text:
                    pytest.fail(f"the token is in {where}: {text.replace(secret, '<TOKEN>')}")


def locals_shown(error: BaseException) -> str:
    """The traceback as crash reporters and `pytest -l` print it, with the locals of our frames and grpc's."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    lines: list[str] = []
    while shown is not None:
        frames = [frame for frame in shown.stack if not frame.filename.startswith(EXEMPT)]
        lines += [f"{frame.filename}:{frame.name}: {frame.locals}" for frame in frames]
        shown = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)
    return "\n".join(lines)


class Records(logging.Handler):
    def __init__(self, haul: Haul) -> None:
        super().__init__(logging.DEBUG)
        self.haul = haul
        self.formatter = logging.Formatter("%(name)s %(levelname)s %(message)s")

    def emit(self, record: logging.LogRecord) -> None:
        self.haul.add_text("the log", self.format(record))
        self.haul.add_text("a log record", repr(record.__dict__))


@contextmanager
def searched(capfd: pytest.CaptureFixture[str]) -> Iterator[Haul]:
    """Collects every log record at DEBUG, every warning, and what was written to the terminal; then searches."""
    haul = Haul()
    handler = Records(haul)
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    before = [(logger, logger.level, logger.disabled) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.disabled = False
    logging.getLogger().addHandler(handler)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            yield haul
        for warning in warned:
            haul.add("a warning", warning.message)
        out, err = capfd.readouterr()
        haul.add_text("standard output", out)
        haul.add_text("standard error", err)
        haul.check()
    finally:
        logging.getLogger().removeHandler(handler)
        for logger, level, disabled in before:
            logger.setLevel(level)
            logger.disabled = disabled
