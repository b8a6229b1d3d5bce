"""The schema of one call, which learns what it lacks: types that occur in an `Any` alone, and extensions."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from eas_grpc.schema import Method, Schema

__all__ = ["CallSchema", "symbols_of"]

# What JSON says of types that need not be among the files of a service.
_TYPE = re.compile(r'"@type"\s*:\s*"[^"\s]*/([\w.]+)"')
_EXTENSION = re.compile(r'"\[([\w.]+)\]"\s*:')
_UNKNOWN = re.compile(r'"@type"\s*:\s*"[^"\s]*/([\w.]+)",\s*"@value"')


def symbols_of(method: str) -> tuple[str, ...]:
    """What to ask reflection for to learn about a method: its service; () to ask for all of them."""
    service, _, _ = method.strip().strip("/").replace("/", ".").rpartition(".")
    return (service,) if service else ()


class CallSchema:
    """A schema with the method that is called. `fetch` gives a schema that has these symbols, too; None if nobody can."""

    def __init__(
        self, schema: Schema, method: str, fetch: Callable[[tuple[str, ...]], Schema] | None
    ) -> None:
        self.schema = schema
        self.method: Method = schema.method(method)
        self._fetch = fetch
        self._asked: set[str] = set()
        # Requests are made on a thread of grpc's.
        self._learning = threading.Lock()

    def parse(self, text: str, *, where: str) -> Message:
        """A request from JSON. Raises ConfigError."""
        if '"@type"' in text or '"[' in text:
            self._learn([*_TYPE.findall(text), *_EXTENSION.findall(text)])
        return self.schema.parse(self.method.request, text, where=where)

    def shown(self, message: Message, *, emit_defaults: bool, indent: int | None = 2) -> str:
        """A message of the call as JSON."""
        text = self.schema.to_json(message, emit_defaults=emit_defaults, indent=indent)
        if '"@value"' in text and self._learn(_UNKNOWN.findall(text)):
            text = self.schema.to_json(message, emit_defaults=emit_defaults, indent=indent)
        return text

    def details(self, trailers: Iterable[tuple[str, Any]]) -> list[dict[str, Any]]:
        """The details of a status, decoded."""
        import json

        from eas_grpc.schema import status_details

        trailers = tuple(trailers)
        found = status_details(trailers, self.schema)
        if found and self._learn(_UNKNOWN.findall(json.dumps(found))):
            found = status_details(trailers, self.schema)
        return found

    def _learn(self, names: Iterable[str]) -> bool:
        """Asks for types that are not known yet; whether there are more than before."""
        from eas_grpc.errors import EasError

        with self._learning:
            new = [name for name in dict.fromkeys(names) if name not in self._asked and not self._known(name)]
            if not new or self._fetch is None:
                return False
            self._asked.update(new)
            try:
                schema = self._fetch((self.method.service, *self._asked))
                self.method = schema.method(f"{self.method.service}/{self.method.name}")
            except EasError:
                # Whoever needs the type says that it is unknown.
                return False
            self.schema = schema
            return True

    def _known(self, name: str) -> bool:
        for find in (self.schema.pool.FindMessageTypeByName, self.schema.pool.FindExtensionByName):
            try:
                find(name)
            except KeyError:
                continue
            return True
        return False
