"""Changes to the text of the profiles file that leave every other line as it is, comments and order included.

The functions on text are pure, and each proves its work: the new text is parsed again, and what was not meant to
change has not. Where a table is written in a way that they cannot change (an inline table, a key with dots), they say so.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from eas_grpc._profiles import USE, Profiles, parse_profiles
from eas_grpc.errors import ConfigError, SchemaError

__all__ = ["Value", "change", "with_profile", "with_use", "without_profile"]

Value = str | Sequence[str]

_BARE = re.compile(r"[A-Za-z0-9_-]+\Z", re.ASCII)
_HEADER = re.compile(r"\s*\[\s*(?P<key>[^\[\]]+?|\"(?:[^\"\\]|\\.)*\"|'[^']*')\s*\]\s*(?:#.*)?\Z")
_ANY_HEADER = re.compile(r"\s*\[")
_USE_LINE = re.compile(rf"\s*(?:{USE}|\"{USE}\"|'{USE}')\s*=")


def with_profile(text: str, name: str, values: Mapping[str, Value], path: Path) -> str:
    """The text with this profile: at its end, or in the place of the one of that name."""
    newline = _newline(text)
    lines = [f"[{_key(name)}]", *(f"{key} = {_value(value)}" for key, value in values.items())]
    table = "".join(line + newline for line in lines)
    before = parse_profiles(text, path)
    if name in before:
        start, end = _place(text, name, path)
        rest = text[end:]
        changed = text[:start] + table + (newline if rest.lstrip().startswith("[") else "") + rest
    else:
        kept = text if not text or text.endswith("\n") else text + newline
        changed = kept + (newline if kept.strip() else "") + table
    _prove(before, changed, path, name)
    after = parse_profiles(changed, path)
    if name not in after or after.use != before.use:
        raise _by_hand(path, name)
    return changed


def without_profile(text: str, name: str, path: Path) -> str:
    """The text without this profile, and without a `use` that names it."""
    before = parse_profiles(text, path)
    start, end = _place(text, name, path)
    head, rest = text[:start], re.sub(r"\A\r?\n", "", text[end:])
    # The empty line that `with_profile` put in front goes with it.
    changed = head + rest if rest.strip() else re.sub(r"(?<=\n)\r?\n\Z", "", head)
    if before.use == name:
        changed = _set_use(changed, None)
    _prove(before, changed, path, name)
    after = parse_profiles(changed, path)
    if name in after or after.use != (None if before.use == name else before.use):
        raise _by_hand(path, name)
    return changed


def with_use(text: str, name: str | None, path: Path) -> str:
    """The text in which this profile, or none, is the one that counts where nobody names another."""
    before = parse_profiles(text, path)
    changed = _set_use(text, name)
    _prove(before, changed, path, None)
    if parse_profiles(changed, path).use != name:
        raise ConfigError(f"{path}: the line with `{USE}` cannot be changed from here: edit it by hand")
    return changed


def change(path: Path, edit: Callable[[str], str]) -> None:
    """Writes what `edit` makes of the file's text (empty where there is none), whole or not at all, mode 600.

    One at a time. A SchemaError says why it cannot be written.
    """
    # The file may be a link into somebody's folder of settings: that is what changes, not the link.
    real = Path(os.path.realpath(path))
    try:
        real.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The folder, and not the file, which is replaced: who waited for it would hold the old one.
        lock = os.open(real.parent, os.O_RDONLY)
    except OSError as error:
        raise SchemaError(f"{path} cannot be written: {error.strerror}") from None
    try:
        _wait_for(lock)
        _change(path, real, edit)
    finally:
        os.close(lock)


def _wait_for(lock: int) -> None:
    """Until nobody else is changing the file."""
    import fcntl

    with contextlib.suppress(OSError):  # not on every disk
        fcntl.flock(lock, fcntl.LOCK_EX)


def _change(path: Path, real: Path, edit: Callable[[str], str]) -> None:
    import tempfile

    try:
        text = real.read_bytes().decode("utf-8-sig") if real.exists() else ""
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8: save it as UTF-8 text") from None
    except OSError as error:
        raise SchemaError(f"{path} cannot be read: {error.strerror}") from None
    changed = edit(text)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(changed.encode())
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, real)  # noqa: PTH105
        except BaseException:
            os.unlink(name)  # noqa: PTH108
            raise
    except OSError as error:
        raise SchemaError(f"{path} cannot be written: {error.strerror}") from None


def _prove(before: Profiles, changed: str, path: Path, name: str | None) -> None:
    """Nothing but the profile of that name is different now."""
    try:
        after = parse_profiles(changed, path)
    except ConfigError as error:
        raise ConfigError(f"nothing was changed, for the file would be wrong after it: {error}") from None
    others = {each for each in (*before, *after) if each != name}
    if any(before.get(each) != after.get(each) for each in others):
        raise _by_hand(path, name or USE)


def _place(text: str, name: str, path: Path) -> tuple[int, int]:
    """From the header of this table to behind its last line that is no comment of the next one."""
    at, start, end = 0, None, 0
    for line in _lines(text):
        bare = line.strip()
        if start is not None and _ANY_HEADER.match(line):
            break
        if start is None and (header := _HEADER.match(line.rstrip("\r\n"))) and _named(header["key"]) == name:
            start = at
        at += len(line)
        if start is not None and bare and not bare.startswith("#"):
            end = at
    if start is None:
        raise _by_hand(path, name)
    return start, end


def _named(key: str) -> str | None:
    """The name that the key of a table means; None where it has parts."""
    if _BARE.match(key):
        return key
    try:
        tables = parse_profiles(f"[{key}]\n", Path("key"))
    except ConfigError:
        return None
    return next(iter(tables))


def _set_use(text: str, name: str | None) -> str:
    newline = _newline(text)
    line = "" if name is None else f"{USE} = {_quoted(name)}{newline}"
    lines = _lines(text)
    for index, each in enumerate(lines):
        if _ANY_HEADER.match(each):
            break
        if _USE_LINE.match(each):
            rest = lines[index + 1 :]
            if not line and index == 0 and rest and not rest[0].strip():
                rest = rest[1:]
            return "".join([*lines[:index], line, *rest])
    if not line:
        return text
    return line + (newline + text if text.strip() else text)


def _lines(text: str) -> list[str]:
    """With their ends. TOML's lines end with a line feed and with nothing else that `splitlines` takes for an end."""
    return re.split(r"(?<=\n)", text)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _key(name: str) -> str:
    return name if _BARE.match(name) else _quoted(name)


def _value(value: Value) -> str:
    return _quoted(value) if isinstance(value, str) else f"[{', '.join(map(_quoted, value))}]"


def _quoted(text: str) -> str:
    """A basic string of TOML; JSON's escapes are among its own."""
    import json

    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"{text!a} is not UTF-8, as a file of profiles has to be: write it otherwise"
        ) from None
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _by_hand(path: Path, name: str) -> ConfigError:
    return ConfigError(f"{path}: {name!r} is not written as a table of its own, [{name}]: edit it by hand")
