"""A group that keeps its manners where something is missing: closed streams, a reader that has gone, a full disk.

Whatever a command has to say about its own errors it says itself; here is what may happen in any of them.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, NoReturn

import click

__all__ = ["SturdyGroup", "prepare_streams"]

# What a disk or a folder may say to somebody who wants to write; anything else is a bug and keeps its traceback.
_OF_THE_DISK = {
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_NOT_TEXT = (
    "an argument or a value has characters that the locale of this shell cannot hold: set LC_ALL=C.UTF-8 and"
    " try again"
)


class SturdyGroup(click.Group):
    """Ends quietly with 0 when the reader of its output goes away, and says in a sentence what the disk refuses."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """As click does, with streams that are there."""
        prepare_streams()
        try:
            return super().main(*args, **kwargs)
        finally:
            _flush()

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """As click does; `--help` is printed here."""
        try:
            return super().make_context(*args, **kwargs)
        except BrokenPipeError:
            _end_quietly()

    def invoke(self, ctx: click.Context) -> Any:
        """As click does."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _end_quietly()
        except UnicodeEncodeError as error:
            if not any("\ud800" <= char <= "\udfff" for char in str(error.object)):
                raise
            raise _UsageRefusal(_NOT_TEXT) from None
        except OSError as error:
            # A full disk without a name was met while writing what is printed: `> /dev/full`.
            named = error.filename or ("standard output" if error.errno in _FULL else None)
            if error.errno not in _OF_THE_DISK or named is None:
                raise
            raise _FileRefusal(f"{named}: {error.strerror}") from None


def prepare_streams() -> None:
    """Opens what was closed as nothing, and lets no character that the locale lacks end a command.

    A file that is opened where standard error was closed would get what is meant for standard error.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            _open_as_nothing(number)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower().replace("-", "") != "utf8":
            stream.reconfigure(errors="backslashreplace")


def _open_as_nothing(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)


def _end_quietly() -> NoReturn:
    _flush()
    raise SystemExit(0)


def _flush() -> None:
    """Now rather than at Python's end, which would complain. What nobody reads any more goes nowhere."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, stream.fileno())
            os.close(nothing)
        except ValueError:  # closed by the command itself
            continue


class _UsageRefusal(click.ClickException):
    exit_code = 2


class _FileRefusal(click.ClickException):
    exit_code = 3
