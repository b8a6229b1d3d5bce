"""The reference of the command line, made from the commands: `docs/cli.md` and the manual page `docs/eas-grpc.1`.

    python -m eas_grpc.cli._pages            # writes both below the current folder
    python -m eas_grpc.cli._pages --check    # exits 1 where they are not what the commands give

The words are the commands' own help. Only what click has kept the same since 8.1 is asked of it, so that the pages do
not depend on its version.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

__all__ = ["Page", "commands", "main", "man", "markdown"]

PROGRAM = "eas-grpc"
_NO_DATE = "0000-00-00"
TITLE = "call, serve, generate for and check PAI-EAS model-inference services"

_EXIT_CODES = (
    ("0", "good"),
    ("1", "a check failed"),
    ("2", "usage: an option, an argument, a setting"),
    ("3", "a local file or a schema"),
    ("4", "the service is not serving"),
    ("5", "cannot connect"),
    ("64 + n", "a call failed with gRPC status n"),
    ("130", "interrupted"),
)
_ENVIRONMENT = (
    ("EAS_ENDPOINT", "the address, where no option says one"),
    ("EAS_TOKEN, EAS_TOKEN_FILE", "the token, or the file that holds it"),
    ("EAS_PROFILE", "the profile, where no option says one"),
    ("http_proxy, no_proxy", "as gRPC reads them; loopback and VPC addresses never go through a proxy"),
    ("NO_COLOR, FORCE_COLOR", "no colours; colours and tables also into a pipe"),
    ("XDG_CONFIG_HOME, XDG_CACHE_HOME", "where the two files below are, instead of ~/.config and ~/.cache"),
)
_FILES = (
    ("~/.config/eas-grpc/config.toml", "profiles; see eas-grpc profile"),
    ("~/.cache/eas-grpc/names.json", "names of services and methods, for completion"),
)


class Page(NamedTuple):
    """One command as the pages show it."""

    path: str
    usage: str
    # Paragraphs; lines of one that was marked with \\b are kept apart.
    help: list[list[str]]
    options: list[tuple[str, str]]


def commands(group: click.Group, path: str = PROGRAM) -> Iterator[Page]:
    """Every command that is not hidden, the group first, in the order of `--help`."""
    yield _page(group, path)
    context = click.Context(group, **group.context_settings)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield _page(command, f"{path} {name}")


def markdown(pages: list[Page]) -> str:
    """The page for docs/."""
    first, *rest = pages
    lines = [
        "# The command line",
        "",
        "What `--help` says, on one page; made from the commands by `python -m eas_grpc.cli._pages`.",
        "",
        *_markdown_help(first.help[:1]),
        "| exit code | means |",
        "|---|---|",
        *(f"| {code} | {meaning} |" for code, meaning in _EXIT_CODES),
        "",
        "| variable | says |",
        "|---|---|",
        *(f"| `{name}` | {meaning} |" for name, meaning in _ENVIRONMENT),
        "",
        "| file | holds |",
        "|---|---|",
        *(f"| `{name}` | {meaning} |" for name, meaning in _FILES),
        "",
        "An option wins over a variable, and a variable over a profile. A reader that goes away (`| head`) ends a",
        "command quietly.",
        "",
    ]
    for page in rest:
        lines += [f"## {page.path}", "", "```text", page.usage, "```", "", *_markdown_help(page.help)]
        if page.options:
            lines += ["| option | |", "|---|---|"]
            lines += [f"| `{_cell(option)}` | {_cell(_escaped(text))} |" for option, text in page.options]
            lines.append("")
    return "\n".join(lines)


def man(pages: list[Page], date: str) -> str:
    """The manual page, for `man`; `date` is that of the last change, as 2026-11-21."""
    first, *rest = pages
    lines = [
        f'.TH {PROGRAM.upper().replace("-", chr(92) + "-")} 1 "{date}" "{PROGRAM}" "User Commands"',
        ".nh",
        ".ad l",
        ".SH NAME",
        *_filled(f"{PROGRAM} - {TITLE}"),
        ".SH SYNOPSIS",
        f".B {_roff(PROGRAM)}",
        "COMMAND [OPTIONS] [ARGUMENTS]",
        ".SH DESCRIPTION",
        *_man_help(first.help[:1]),
        "An option wins over a variable, and a variable over a profile.",
        ".SH COMMANDS",
    ]
    for page in rest:
        lines += [f'.SS "{_roff(page.path)}"', f".B {_roff(page.usage)}", *_man_help(page.help, first=".PP")]
        for option, text in page.options:
            lines += [".TP", f".B {_roff(option)}", *(_filled(text) or ["\\&"])]
    for heading, rows in (("EXIT STATUS", _EXIT_CODES), ("ENVIRONMENT", _ENVIRONMENT), ("FILES", _FILES)):
        lines.append(f'.SH "{heading}"')
        for name, meaning in rows:
            lines += [".TP", f".B {_roff(name)}", *_filled(meaning)]
    return "\n".join(lines) + "\n"


def _page(command: click.Command, path: str) -> Page:
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    parts = [path]
    if isinstance(command, click.Group):
        parts.append("COMMAND")
    elif options:
        parts.append("[OPTIONS]")
    parts += map(_argument, arguments)
    return Page(
        path=path,
        usage=" ".join(parts),
        help=_paragraphs(inspect.cleandoc(command.help or "")),
        options=[(_option(each), " ".join((each.help or "").split())) for each in options],
    )


def _argument(argument: click.Argument) -> str:
    name = argument.metavar or (argument.name or "").upper()
    if isinstance(argument.type, click.Choice) and argument.metavar is None:
        name = f"{{{'|'.join(map(str, argument.type.choices))}}}"
    name = name.strip("[]").removesuffix("...")
    many = "..." if argument.nargs == -1 else ""
    return f"{name}{many}" if argument.required else f"[{name}{many}]"


def _option(option: click.Option) -> str:
    """`-e, --endpoint ADDRESS`, `--tls / --plaintext`."""
    names = ", ".join(option.opts)
    if option.secondary_opts:
        return f"{names} / {', '.join(option.secondary_opts)}"
    if option.is_flag or option.count:
        return names
    if option.metavar:
        value = option.metavar
    elif isinstance(option.type, click.Choice):
        value = f"{{{'|'.join(map(str, option.type.choices))}}}"
    else:
        value = {"filename": "FILE", "directory": "FOLDER", "path": "PATH"}.get(
            option.type.name, option.type.name.upper().replace(" ", "-")
        )
    return f"{names} {value}"


def _paragraphs(text: str) -> list[list[str]]:
    """The help in paragraphs, each of one line, or of several where it is marked with a backspace."""
    found: list[list[str]] = []
    for block in re.split(r"\n[ \t]*\n", text.partition("\f")[0].strip()):
        lines = block.split("\n")
        if lines[0].strip() == "\b":
            found.append([line.rstrip() for line in lines[1:]])
        elif block.strip():
            found.append([" ".join(block.split())])
    return found


def _markdown_help(paragraphs: list[list[str]]) -> list[str]:
    lines: list[str] = []
    for paragraph in paragraphs:
        kept = len(paragraph) > 1
        lines += ["```text", *paragraph, "```", ""] if kept else [_escaped(paragraph[0]), ""]
    return lines


def _man_help(paragraphs: list[list[str]], first: str = "") -> list[str]:
    lines: list[str] = []
    for index, paragraph in enumerate(paragraphs):
        start = first if index == 0 else ".PP"
        lines += [start] if start else []
        if len(paragraph) > 1:
            lines += [".nf", *map(_roff, paragraph), ".fi"]
        else:
            lines += _filled(paragraph[0])
    return lines


def _filled(text: str) -> list[str]:
    """A paragraph in lines that an editor shows whole."""
    import textwrap

    lines = textwrap.wrap(text, 72, break_long_words=False, break_on_hyphens=False)
    return [_roff(line) for line in lines]


def _escaped(text: str) -> str:
    """Text for Markdown; code in backticks stays, the rest has no markup of its own."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([<>*_\[\]])", r"\\\1", part) for part in parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _roff(text: str) -> str:
    """Text for roff: hyphens that can be copied, and no line that starts as a request."""
    plain = text.replace("`", "").replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    plain = plain.replace("^", "\\(ha").replace("~", "\\(ti")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain


def _fresh(pages: list[Page], folder: Path) -> list[tuple[Path, str]]:
    """Each page with its text; the manual page with the date that it has, where nothing else is different."""
    manual = folder / "eas-grpc.1"
    there = manual.read_text("utf-8") if manual.is_file() else ""
    date = re.search(r'\A\.TH \S+ 1 "(\d{4}-\d\d-\d\d)"', there)
    text = man(pages, date[1] if date else _NO_DATE)
    if text != there:
        text = man(pages, _NO_DATE)
    return [(folder / "cli.md", markdown(pages)), (manual, text)]


def _today() -> str:
    import time

    return time.strftime("%Y-%m-%d")


@click.command()
@click.option(
    "--check", is_flag=True, help="Change nothing; exit 1 where a page is not what the commands give."
)
@click.argument("root", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")
def main(*, root: Path, check: bool) -> None:
    """Write docs/cli.md and docs/eas-grpc.1 below ROOT."""
    from eas_grpc.cli.__main__ import cli

    stale = []
    for path, text in _fresh(list(commands(cli)), root / "docs"):
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        stale.append(str(path))
        if not check:
            # A page that changes has today's date.
            path.write_text(text.replace(_NO_DATE, _today()), "utf-8")
    if stale:
        click.echo(f"{'not fresh' if check else 'written'}: {', '.join(stale)}", err=True)
        raise SystemExit(1 if check else 0)


if __name__ == "__main__":
    main()
