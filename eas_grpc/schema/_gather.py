"""Which questions to ask a service's reflection, and what its answers amount to; decided without asking.

`gather` is a generator: it yields questions that do not depend on each other, is sent their answers, and returns the
files when it has them all.
"""

from __future__ import annotations

from collections.abc import Container, Generator, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError

from eas_grpc.schema._errors import ReflectionError
from eas_grpc.schema._files import same_schema, well_known
from eas_grpc.schema._mend import mend, unresolved

__all__ = ["Answer", "Gathered", "Question", "Rounds", "gather", "service_in"]

# A service with more than this is none that a person meant to ask.
MAX_FILES = 5_000
MAX_BYTES = 64 << 20
MAX_QUESTIONS = 20_000
# Questions in one round; a service answers them in order.
_ROUND = 200

_DENIED = {7: "PERMISSION_DENIED", 16: "UNAUTHENTICATED"}


@dataclass(frozen=True)
class Question:
    """One question: `kind` is "list_services", "file_by_filename" or "file_containing_symbol"."""

    kind: str
    value: str = ""


@dataclass(frozen=True)
class Answer:
    """What the service says: names of services, files as bytes, or an error as a status code and a text."""

    services: tuple[str, ...] | None = None
    files: tuple[bytes, ...] | None = None
    code: int = 0
    text: str = ""

    @property
    def error(self) -> str:
        """What the service says is wrong."""
        return self.text or f"status {self.code}"


_T = TypeVar("_T")
Rounds = Generator["list[Question]", "list[Answer]", _T]


@dataclass
class Gathered:
    """What the service told; `services` are those that it lists, None where only some symbols were asked for."""

    files: dict[str, FileDescriptorProto] = field(default_factory=dict)
    services: tuple[str, ...] | None = None
    undescribed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def service_in(text: str) -> list[str]:
    """The symbols that may hold what a text names: the service before the slash, or the name and what is around it."""
    text = text.strip().strip("/")
    service, slash, _ = text.partition("/")
    if slash:
        return [service]
    around = text.rpartition(".")[0]
    return [each for each in (text, around) if each]


def gather(symbols: Iterable[str]) -> Rounds[Gathered]:
    """Everything that the symbols need; without any, or when one is not found, everything that the service lists."""
    told = _Told()
    wanted = list(symbols)
    if wanted and not (yield from _found(told, wanted)):
        wanted = []
    found = Gathered()
    if not wanted:
        found.services = yield from _listed()
        answers = yield from told.ask("file_containing_symbol", found.services)
        found.undescribed = {name: each.error for name, each in answers.items() if each.files is None}
    missing = yield from _imports(told)
    _join(found, told, missing, strict=bool(wanted))
    return found


def _found(told: _Told, wanted: list[str]) -> Rounds[bool]:
    """Whether the service has all of these, or for each what is around it."""
    candidates = [service_in(each) for each in wanted]
    while all(candidates):
        firsts = [each[0] for each in candidates]
        answers = yield from told.ask("file_containing_symbol", firsts)
        candidates = [each[1:] for each in candidates if answers[each[0]].files is None]
        if not candidates:
            return True
    return False


def _join(found: Gathered, told: _Told, missing: dict[str, str], *, strict: bool) -> None:
    mended = mend(told.files, missing)
    found.files, found.notes = mended.files, mended.notes
    if not mended.broken:
        return
    broken = ReflectionError(
        f"{next(iter(mended.broken.values()))}: name the .proto files with --proto, or a descriptor set with"
        " --descriptor-set",
        "incomplete",
    )
    # Asked for one method, the rest does not matter; asked for all, the others are still of use.
    if strict or not any(file.service for file in found.files.values()):
        broken.services = found.services or ()
        raise broken
    for name, why in mended.broken.items():
        file = told.files[name]
        found.undescribed.update(
            {f"{file.package}.{service.name}".lstrip("."): why for service in file.service}
        )


def _listed() -> Rounds[tuple[str, ...]]:
    (answer,) = yield [Question("list_services")]
    _not_denied(answer)
    if answer.services is None:
        raise ReflectionError(f"the service does not list what it offers: {answer.error}")
    if len(answer.services) > MAX_FILES:
        raise ReflectionError(f"the service lists more than {MAX_FILES} services: that is no schema to read")
    return tuple(dict.fromkeys(answer.services))


def _imports(told: _Told) -> Rounds[dict[str, str]]:
    """Asks for what the files import until nothing is open; the imports that cannot be had, with the reason."""
    missing: dict[str, str] = {}
    asked: set[str] = set()
    while True:
        while names := told.open_imports(missing):
            answers = yield from told.ask("file_by_filename", names)
            for name, answer in answers.items():
                if name not in told.files:
                    other = answer.files is not None
                    missing[name] = "it answers with files of other names" if other else answer.error
        lost = [each for each in unresolved(told.files) if each not in asked]
        if not lost:
            return missing
        asked.update(lost)
        yield from told.ask("file_containing_symbol", lost)


class _Told:
    """The files so far, within limits."""

    def __init__(self) -> None:
        self.files: dict[str, FileDescriptorProto] = {}
        self._bytes = 0
        self._questions = 0

    def ask(self, kind: str, values: Iterable[str]) -> Rounds[dict[str, Answer]]:
        """Asks for files and keeps those that come; the answer to each value."""
        left = list(dict.fromkeys(values))
        answers: dict[str, Answer] = {}
        while left:
            now, left = left[:_ROUND], left[_ROUND:]
            self._questions += len(now)
            if self._questions > MAX_QUESTIONS:
                raise ReflectionError(f"after {MAX_QUESTIONS} questions there is no end of its schema")
            for value, answer in zip(now, (yield [Question(kind, each) for each in now]), strict=True):
                answers[value] = answer
                if answer.files is not None:
                    self._take(answer.files, value)
                else:
                    _not_denied(answer)
        return answers

    def open_imports(self, missing: Container[str]) -> list[str]:
        """The imports that have not come yet."""
        every = dict.fromkeys(name for file in self.files.values() for name in file.dependency)
        return [
            name
            for name in every
            if name not in self.files and name not in missing and well_known(name) is None
        ]

    def _take(self, files: tuple[bytes, ...], asked: str) -> None:
        """Keeps files of an answer; ReflectionError for what is no file, or too much."""
        if not files:
            raise ReflectionError(f"the service answers without any file when asked for {asked!r}")
        for data in files:
            try:
                file = FileDescriptorProto.FromString(data)
            except DecodeError:
                file = FileDescriptorProto()
            if not file.name:
                raise ReflectionError(f"what the service sends for {asked!r} is no file descriptor")
            known = self.files.get(file.name)
            if known is None:
                self._bytes += len(data)
                self.files[file.name] = file
            elif not same_schema(known, file):
                raise ReflectionError(
                    f"the service sends two different files called {file.name!r}: do several versions of it answer at"
                    " this address?"
                )
        if len(self.files) > MAX_FILES or self._bytes > MAX_BYTES:
            raise ReflectionError(f"its schema has more than {MAX_FILES} files or {MAX_BYTES >> 20} MiB")


def _not_denied(answer: Answer) -> None:
    if answer.code in _DENIED:
        text = f"reflection is refused with {_DENIED[answer.code]}: {answer.error}"
        raise ReflectionError(text, "refused")
