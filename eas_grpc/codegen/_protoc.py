"""What protoc prints, read: places, what follows from what, and the hint for the commonest mistakes.

Pure: text in, diagnostics out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from eas_grpc.codegen._diagnostics import Diagnostic, Position, Severity

__all__ = ["read_protoc"]

_LOCATED = re.compile(r"^(?P<file>.+?):(?P<line>\d+):(?P<column>\d+): (?P<text>.*)$")
_NOT_FOUND = re.compile(r"^(?P<file>.+?): File not found\.$")
_BAD_IMPORT = re.compile(r'^Import "(?P<file>.+)" was not found or had errors\.$')
_LOG = re.compile(r"^[IWEF]\d{4} [\d:.]+\s+\d+ \S+\] (?P<text>.*)$")
_NO_SYNTAX = re.compile(r"^No syntax specified for the proto file: (?P<file>.+?)\. (?P<text>.*)$")
_CHATTER = ("Writing mypy to ", "WARNING: All log messages before absl::InitializeLog() is called")
_PLUGIN = re.compile(r"^(?P<path>.+): program not found or is not executable$")

_WELL_KNOWN = re.compile(
    r'^"google\.protobuf\.(Any|Duration|Empty|FieldMask|ListValue|Struct|Timestamp|Value|\w+Value)" is not defined\.$'
)
_FILES = {"FieldMask": "field_mask", "ListValue": "struct", "Value": "struct"} | {
    f"{kind}Value": "wrappers"
    for kind in ["Bool", "Bytes", "Double", "Float", "Int32", "Int64", "String", "UInt32", "UInt64"]
}

# What to do about the commonest mistakes, by words of protoc's text; those that need more than words come first below.
_HINTS = {
    "recursively imports itself": "move what both sides need into a file that imports neither",
    "is not defined.": "import the file that defines it, or mend the spelling or the package in front of it",
    "uses reserved number": "take a number that was never used",
    "enum value must be zero": "let the first value be 0, named ..._UNSPECIFIED",
    "later than the maximum supported edition": "install a newer grpcio-tools, or write an older edition",
    'Expected ";".': "a `;` may be missing in front of it, at the end of the line before for example",
}


@dataclass(frozen=True)
class _Line:
    file: str
    line: int
    column: int
    text: str


def read_protoc(
    output: str,
    show: Callable[[str], str],
    *,
    found_at: Callable[[str], str] = lambda _: "",
    import_name: Callable[[str], str] = lambda path: path,
) -> tuple[Diagnostic, ...]:
    """Every line of protoc's error output that matters, errors that only follow from another folded into it.

    `show` turns a proto's import name into a path for people. `found_at` may know a folder that holds a proto which
    protoc did not find; it answers "" where it does not. `import_name` turns a path into the name again: newer versions of
    protoc print where a file lies, older ones what it is imported as.
    """
    located: list[_Line] = []
    others: list[Diagnostic] = []
    missing: list[str] = []
    for raw in output.splitlines():
        if not raw.strip() or raw.startswith(_CHATTER):
            continue
        match = _LOCATED.match(raw)
        if match is not None:
            located.append(_Line(import_name(match[1]), int(match[2]), int(match[3]), match[4]))
        elif (absent := _NOT_FOUND.match(raw)) is not None:
            missing.append(absent[1])
        else:
            others.append(_other(raw, show))
    found = _once([_diagnostic(line, show, more, found_at) for line, more in _folded(located)])
    imported = {match[1] for line in located if (match := _BAD_IMPORT.match(line.text))}
    found += [_not_given(name, found_at) for name in dict.fromkeys(missing) if name not in imported]
    return (*found, *_joined(others))


def _once(found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """The same, each hint only where it stands first."""
    told: set[str] = set()
    kept = []
    for each in found:
        kept.append(each.with_hint("") if each.hint in told else each)
        told.add(each.hint)
    return kept


def _folded(lines: Sequence[_Line]) -> list[tuple[_Line, int]]:
    """The lines that say something of their own, each with the number of those that follow from it."""
    own_errors = {line.file for line in lines if not _is_warning(line) and not _BAD_IMPORT.match(line.text)}
    bad_imports = {line.file for line in lines if _BAD_IMPORT.match(line.text)}
    kept: list[tuple[_Line, int]] = []
    # By file the index of its first error, and of the error behind its first import that failed.
    first_of: dict[str, int] = {}
    import_of: dict[str, int] = {}

    def follow(index: int) -> None:
        line, more = kept[index]
        kept[index] = (line, more + 1)

    for line in sorted(lines, key=lambda line: _rank(line, own_errors, bad_imports)):
        bad = _BAD_IMPORT.match(line.text)
        # An import of a file that has errors of its own, or that imports such a file, says nothing new; nor does
        # a name that the import would have brought.
        if bad and bad[1] in first_of:
            follow(first_of[bad[1]])
            first_of.setdefault(line.file, first_of[bad[1]])
            import_of.setdefault(line.file, first_of[bad[1]])
            continue
        if _follows_from_import(line) and line.file in import_of:
            follow(import_of[line.file])
            continue
        if kept and _is_same_place(line, kept[-1][0]):
            follow(len(kept) - 1)
            continue
        if not _is_warning(line):
            first_of.setdefault(line.file, len(kept))
        if bad:
            import_of.setdefault(line.file, len(kept))
        kept.append((line, 0))
    return kept


def _is_same_place(line: _Line, last: _Line) -> bool:
    """protoc's parser stumbles on: the second error that it reports of one place is a consequence."""
    if _is_warning(line) or _is_warning(last):
        return False
    return (last.file, last.line, last.column) == (line.file, line.line, line.column)


def _rank(line: _Line, own_errors: set[str], bad_imports: set[str]) -> int:
    """Causes before consequences; otherwise protoc's own order, since sorting is stable."""
    bad = _BAD_IMPORT.match(line.text)
    if bad:
        return 1 if bad[1] in own_errors | bad_imports else 0
    return 2 if _follows_from_import(line) and line.file in bad_imports else 0


def _follows_from_import(line: _Line) -> bool:
    return line.text.endswith("is not defined.") or "which is not imported by" in line.text


def _is_warning(line: _Line) -> bool:
    return line.text.startswith("warning: ")


def _diagnostic(
    line: _Line, show: Callable[[str], str], more: int, found_at: Callable[[str], str]
) -> Diagnostic:
    text = line.text.removeprefix("warning: ").removeprefix("error: ")
    return Diagnostic(
        text=text,
        at=Position(file=show(line.file), line=line.line, column=line.column),
        severity=Severity.WARNING if _is_warning(line) else Severity.ERROR,
        hint=_hint(text, found_at),
        more=more,
    )


def _hint(text: str, found_at: Callable[[str], str]) -> str:
    bad = _BAD_IMPORT.match(text)
    if bad:
        return _missing_hint(bad[1], found_at)
    if "which is not imported by" in text:
        return (
            "if both names are the same file on disk, two include roots overlap: keep only the upper one, and "
            "import by the path below it"
        )
    if "is already defined in file" in text:
        return (
            "two files define the same name: rename one, give it another `package`, or, if it is the same file seen "
            "through two include roots, keep only one of the roots"
        )
    unknown = _WELL_KNOWN.match(text)
    if unknown:
        return f'import "google/protobuf/{_FILES.get(unknown[1], unknown[1].lower())}.proto"'
    return next((hint for words, hint in _HINTS.items() if words in text), "")


def _missing_hint(name: str, found_at: Callable[[str], str]) -> str:
    folder = found_at(name)
    if folder:
        return f"there is one below {folder}: add `-I {folder}`"
    if name.startswith("google/") and not name.startswith("google/protobuf/"):
        return "install or update googleapis-common-protos: its protos are found by themselves then"
    return "name the folder that it is relative to with -I"


def _not_given(name: str, found_at: Callable[[str], str]) -> Diagnostic:
    return Diagnostic(text=f"there is no {name} below the include roots", hint=_missing_hint(name, found_at))


def _other(raw: str, show: Callable[[str], str]) -> Diagnostic:
    log = _LOG.match(raw)
    text = log[1] if log else raw
    syntax = _NO_SYNTAX.match(text)
    if syntax:
        return Diagnostic(
            text=f"no syntax is given, so it is read as proto2. {syntax[2]}",
            at=Position(file=show(syntax[1])),
            severity=Severity.WARNING,
        )
    plugin = _PLUGIN.match(text)
    if plugin:
        return Diagnostic(
            text=text,
            hint="name the program's full path: --plugin NAME=PATH; programs of an environment stand in its bin folder",
        )
    return Diagnostic(text=text)


def _joined(others: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Lines without a place belong together: a traceback, or an explanation of two lines."""
    plain = [diagnostic.text for diagnostic in others if diagnostic.at is None]
    located = [diagnostic for diagnostic in others if diagnostic.at is not None]
    if not plain:
        return located
    hint = next((diagnostic.hint for diagnostic in others if diagnostic.hint), "")
    return [*located, replace(others[0], text="\n".join(plain), hint=hint, at=None, severity=Severity.ERROR)]
