"""`eas-grpc completion`: scripts for the shells, and the names that a TAB offers.

A TAB never dials: the names of methods come from a file in `$XDG_CACHE_HOME/eas-grpc/` that commands write with
`remember` when a service has told them. It holds addresses and names, no tokens.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "complete_methods",
    "complete_names",
    "complete_profiles",
    "complete_services",
    "completion",
    "known_names",
    "remember",
]

PROGRAM = "eas-grpc"
_VARIABLE = "_EAS_GRPC_COMPLETE"

_FORMAT = 1
_MOST_ADDRESSES = 50
_MOST_NAMES = 2000
_MOST_BYTES = 1024 * 1024
_OLDEST = 90 * 24 * 3600.0
_END_OF_TIME = 1e12
# The same names again are not written again before this.
_FRESH = 3600.0

# What a server says ends up in a shell: nothing but names of protobuf.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,400}(?:/[A-Za-z_][A-Za-z0-9_]{0,200})?\Z", re.ASCII)

_INSTALL = {
    "bash": (
        "eas-grpc completion bash > ~/.local/share/bash-completion/completions/eas-grpc",
        "(the package bash-completion reads that folder; without it: source the file in ~/.bashrc)",
    ),
    "zsh": (
        "eas-grpc completion zsh > ~/.zfunc/_eas-grpc",
        "(with `fpath+=~/.zfunc` before `autoload -Uz compinit && compinit` in ~/.zshrc)",
    ),
    "fish": (
        "eas-grpc completion fish > ~/.config/fish/completions/eas-grpc.fish",
        "(a new shell reads it by itself)",
    ),
}


@click.command()
@click.argument("shell", type=click.Choice(sorted(_INSTALL)))
def completion(*, shell: str) -> None:
    """Print the completion script of a shell.

    Its first lines, and standard error on a terminal, say where to put it. It completes commands, options, profiles,
    and the services and methods that an earlier command has seen; a TAB never goes to the network.

    \b
    eas-grpc completion bash > ~/.local/share/bash-completion/completions/eas-grpc
    eas-grpc completion zsh > ~/.zfunc/_eas-grpc
    eas-grpc completion fish > ~/.config/fish/completions/eas-grpc.fish
    """
    click.echo(script(shell), nl=False)
    if sys.stdout is not None and sys.stdout.isatty():
        click.echo(f"To install: {' '.join(_INSTALL[shell])}", err=True)


def script(shell: str) -> str:
    """What the shell is to run, with a comment that says how to install it."""
    from click.shell_completion import ShellComplete, get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    # Not the class's own `source`, which starts a bash to ask for its version: here may be none.
    source = ShellComplete.source(kind(click.Command(PROGRAM), {}, PROGRAM, _VARIABLE)).strip()
    comment = "".join(f"# {line}\n" for line in ("To install:", *_INSTALL[shell]))
    first, newline, rest = source.partition("\n")
    # zsh looks for this one in the first line.
    if first.startswith("#compdef"):
        return f"{first}{newline}{comment}{rest}\n"
    return f"{comment}{source}\n"


def complete_methods(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """`package.Service/Method` of the services seen before, for `shell_complete=`."""
    return _matching([name for name in _known(ctx) if "/" in name], incomplete)


def complete_services(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """`package.Service` of the services seen before, for `shell_complete=`."""
    return _matching(_services(_known(ctx)), incomplete)


def complete_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Services, methods and whatever other names were seen, for `shell_complete=`."""
    known = _known(ctx)
    return _matching([*_services(known), *known], incomplete)


def complete_profiles(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The names of profiles, for `shell_complete=`."""
    import warnings

    from eas_grpc.errors import EasError
    from eas_grpc.settings import default_profiles_path, load_profiles

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            profiles = load_profiles(default_profiles_path(os.environ))
    except EasError:
        return []
    return [name for name in profiles if name.startswith(incomplete) and name.isprintable()]


def remember(address: str, names: Iterable[str], environ: Mapping[str, str] | None = None) -> None:
    """Keeps the names that this address offers (`package.Service/Method`, `package.Service`) for a later TAB.

    Never raises and never prints: whoever calls has something better to do. Where there is no place to write, the
    names are forgotten.
    """
    path = _cache(os.environ if environ is None else environ)
    if path is None:
        return
    try:
        now = time.time()
        known = _read(path)
        merged = merge(known, address, names, now)
        if merged is not known:
            _write(path, merged)
    except (OSError, ValueError):
        return


def merge(known: dict[str, Any], address: str, names: Iterable[str], now: float) -> dict[str, Any]:
    """What is known with these names, within the limits; the very same object where there is nothing to write."""
    address = address.rpartition("@")[2]
    kept = sorted({name for name in names if _NAME.match(name)})[:_MOST_NAMES]
    old = known.get(address)
    if old is not None and old["names"] == kept and 0 <= now - old["at"] < _FRESH:
        return known
    entries = {address: {"at": now, "names": kept}} if kept else {}
    for other, entry in sorted(known.items(), key=lambda item: -item[1]["at"]):
        if other != address and now - entry["at"] < _OLDEST and len(entries) < _MOST_ADDRESSES:
            entries[other] = entry
    while len(entries) > 1 and len(json.dumps(entries)) > _MOST_BYTES:
        entries.popitem()
    return entries


def known_names(environ: Mapping[str, str], address: str | None = None) -> list[str]:
    """The names seen at this address; of all addresses where none is given or nothing is known of it."""
    path = _cache(environ)
    known = {} if path is None else _read(path)
    now = time.time()
    young = {each: entry["names"] for each, entry in known.items() if now - entry["at"] < _OLDEST}
    if address in young:
        return sorted(young[address])
    return sorted({name for names in young.values() for name in names})


def _known(ctx: click.Context) -> list[str]:
    return known_names(os.environ, _address(ctx))


def _address(ctx: click.Context) -> str | None:
    """The endpoint that the rest of the command line and the environment mean; None where it cannot be told."""
    import warnings

    from eas_grpc.errors import EasError
    from eas_grpc.settings import find_settings

    given = {name: ctx.params.get(name) for name in ("endpoint", "profile")}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # A token stands here so that none is looked for.
            found = find_settings(**given, token="-", environ=os.environ)  # noqa: S106
    except EasError:
        return None
    return str(found.endpoint)


def _matching(names: Iterable[str], incomplete: str) -> list[str]:
    """Those that start so; else those of which the service's or the method's own name does."""
    listed = list(dict.fromkeys(names))
    found = [name for name in listed if name.startswith(incomplete)]
    return found or [
        name
        for name in listed
        if any(part.startswith(incomplete) for part in (name.rpartition("/")[2], name[_last_dot(name) :]))
    ]


def _last_dot(name: str) -> int:
    return name.partition("/")[0].rfind(".") + 1


def _services(names: Iterable[str]) -> list[str]:
    return sorted({name.partition("/")[0] for name in names})


def _cache(environ: Mapping[str, str]) -> Path | None:
    """`$XDG_CACHE_HOME/eas-grpc/names.json`, with `~/.cache` where that is not set; None where there is no home."""
    from pathlib import Path

    cache, home = environ.get("XDG_CACHE_HOME", ""), environ.get("HOME", "")
    if Path(cache).is_absolute():
        return Path(cache, PROGRAM, "names.json")
    return Path(home, ".cache", PROGRAM, "names.json") if home else None


def _read(path: Path) -> dict[str, Any]:
    """The entries by address; what is broken, or not ours, is nothing."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(2 * _MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    entries = found.get("addresses") if isinstance(found, dict) and found.get("format") == _FORMAT else None
    if not isinstance(entries, dict):
        return {}
    return {address: entry for address, entry in entries.items() if _is_entry(entry)}


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    at, names = entry.get("at"), entry.get("names")
    return (
        isinstance(at, int | float)
        and 0 <= at < _END_OF_TIME
        and isinstance(names, list)
        and all(isinstance(name, str) and _NAME.match(name) for name in names)
    )


def _write(path: Path, entries: dict[str, Any]) -> None:
    """Whole or not at all, for this user alone."""
    import tempfile

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(prefix=".names.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"format": _FORMAT, "addresses": entries}, file)
        os.replace(name, path)  # noqa: PTH105
    except BaseException:
        os.unlink(name)  # noqa: PTH108
        raise
