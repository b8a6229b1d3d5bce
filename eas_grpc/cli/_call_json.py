"""Several JSON values one after the other, as they come out of a pipe. Pure."""

from __future__ import annotations

import codecs
import re

from eas_grpc.errors import ConfigError

__all__ = ["JsonValues"]

# What matters outside of a text, inside of one, and in a number or word at the top.
_OUTSIDE = re.compile(r'["{}\[\]]')
_INSIDE = re.compile(r'["\\]')
# The mark at the start of a file is none of its values.
_BLANK = re.compile(r"[\s\ufeff]*")
_WORD_END = re.compile(r'[\s"{}\[\]]')


class JsonValues:
    """Cuts a text that arrives in pieces into JSON values, without a look at what is in them.

    They may be pretty-printed or one a line, with space between them or none. `feed` gives those that are complete.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""  # what has begun and is not complete
        self._at = 0  # how much of it has been looked at
        self._depth = 0
        self._quoted = False

    def feed(self, data: bytes) -> list[str]:
        """The values that end in this piece. Raises ConfigError for what is not UTF-8."""
        return self._cut(self._decoded(data, last=False))

    def finish(self) -> list[str]:
        """What is left at the end: a number or word, or a value that is cut off, which whoever reads it will say."""
        values = self._cut(self._decoded(b"", last=True))
        if self._text:
            values.append(self._text)
            self._text, self._at, self._depth, self._quoted = "", 0, 0, False
        return values

    def _decoded(self, data: bytes, *, last: bool) -> str:
        try:
            return self._decoder.decode(data, last)
        except UnicodeDecodeError:
            raise ConfigError(f"{self._where} is not UTF-8: save it as UTF-8 text") from None

    def _cut(self, piece: str) -> list[str]:
        text = self._text + piece
        values: list[str] = []
        start = 0
        while True:
            if not self._at:
                start = _BLANK.match(text, start).end()  # type: ignore[union-attr]  # it matches nothing, too
            end = self._end(text, start)
            if end is None:
                break
            values.append(text[start:end])
            start, self._at, self._depth = end, 0, 0
        self._text = text[start:]
        return values

    def _end(self, text: str, start: int) -> int | None:
        """Where the value ends that begins at `start`; None if it may go on in what has not come yet."""
        if start == len(text):
            return None
        if text[start] not in '"{}[]':
            word = _WORD_END.search(text, start)
            return None if word is None else word.start()
        at = start + self._at
        while at < len(text):
            found = (_INSIDE if self._quoted else _OUTSIDE).search(text, at)
            if found is None:
                at = len(text)
                break
            if found[0] == "\\":
                if found.end() == len(text):
                    at = found.start()
                    break
                at = found.end() + 1
                continue
            at = found.end()
            if found[0] == '"':
                self._quoted = not self._quoted
            else:
                self._depth += 1 if found[0] in "{[" else -1
            # Below zero is no JSON; it is handed on, so that its reader says what is wrong with it.
            if not self._quoted and self._depth <= 0:
                return at
        self._at = at - start
        return None
