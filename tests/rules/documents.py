"""Reads documents and runs what they tell people to run (no tests here).

A code block is fenced and names its language. Python blocks are run, each alone, in an empty folder, against a
running demo server: `127.0.0.1:50080` is replaced by its address, and EAS_ENDPOINT and EAS_TOKEN lead there too.
`if __name__ == "__main__":` is not entered. In `sh` and `console` blocks, every line that starts with `eas-grpc`
(after `$ `, where there is one) is run; `serve` and `--watch` are stopped once they have said something.

A comment on the line above a block changes that: `<!-- not run: reason -->`, or `<!-- file: examples/a.py -->` for
a block that is a part of a file, which is then run in its place.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SHOWN_ADDRESS = "127.0.0.1:50080"

# Blocks in other languages are read by people alone; "" is for drawings.
READ = {"", "text", "toml", "json", "yaml", "proto", "dockerfile"}
RUN = {"python", "sh", "console"}

_FENCE = re.compile(r"(?P<indent> *)(?P<fence>`{3,}|~{3,}) *(?P<language>[\w+-]*)")
_DIRECTIVE = re.compile(r"<!-- (?P<verb>not run|file): (?P<what>\S.*?) -->")
_COMMAND = re.compile(r"(?:[A-Z_]+=\S+ +)*eas-grpc(?: |$)")
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_SECONDS = 30


class BadDocument(AssertionError):
    """Something in a document does not do what it says."""


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` is that of its first line of code."""

    language: str
    code: str
    line: int
    not_run: str = ""
    file: str = ""


def blocks(text: str) -> list[Block]:
    """Every fenced block; BadDocument where a fence or a comment above one is not as it should be."""
    found = []
    lines = iter(enumerate(text.splitlines(), 1))
    above = ""
    for number, line in lines:
        if opening := _FENCE.match(line):
            code = list(_until(opening, lines, number))
            found.append(_block(opening["language"], code, number + 1, above))
            above = ""
        elif line.strip():
            above = line.strip()
    return found


def _until(opening: re.Match[str], lines: Iterator[tuple[int, str]], number: int) -> Iterator[str]:
    for _, line in lines:
        if line.strip() == opening["fence"]:
            return
        yield line
    raise BadDocument(f"line {number}: the block is never closed")


def _block(language: str, lines: list[str], number: int, above: str) -> Block:
    code = textwrap.dedent("\n".join(lines)) + "\n"
    if language not in READ | RUN:
        known = ", ".join(sorted(RUN | READ - {""}))
        raise BadDocument(f"line {number}: the language {language!r} is not one of {known}")
    if not language and re.search(r"^(\$ |import |from \w+ import |eas-grpc )", code, re.MULTILINE):
        raise BadDocument(f"line {number}: this is code, so the block must name its language")
    directive = _DIRECTIVE.fullmatch(above)
    if directive is None:
        if re.match(r"<!--\s*(not run|file)\b", above):
            raise BadDocument(
                f"line {number}: write <!-- not run: reason --> or <!-- file: path -->, not {above}"
            )
        return Block(language, code, number)
    if directive["verb"] == "file":
        return Block(language, code, number, file=directive["what"])
    return Block(language, code, number, not_run=directive["what"])


def commands(block: Block) -> list[str]:
    """The command lines of ours in a shell block, in order."""
    lines = re.sub(r"\\\n\s*", " ", block.code).splitlines()
    if block.language == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    else:
        lines = [line.removeprefix("$ ") for line in lines]
    return [line for line in lines if _COMMAND.match(line)]


def run_block(block: Block, address: str, token: str, folder: Path, root: Path) -> None:
    """Runs what is to be run in a block; BadDocument with its output when that fails."""
    if block.not_run:
        return
    code = block.code
    if block.file:
        file = root / block.file
        if not file.is_file():
            raise BadDocument(f"there is no file {block.file}")
        if code.strip() not in file.read_text("utf-8"):
            raise BadDocument(f"the block is not in {block.file} any more: copy it again")
        code = file.read_text("utf-8")
    environ = _environ(address, token, folder)
    if block.language == "python":
        _run_python(code.replace(SHOWN_ADDRESS, address), environ, folder)
    elif block.language in RUN:
        for command in commands(block):
            _run_command(command.replace(SHOWN_ADDRESS, address), environ, folder)


def _environ(address: str, token: str, folder: Path) -> dict[str, str]:
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    ours = {"EAS_ENDPOINT": address, "EAS_TOKEN": token, "HOME": str(folder), "PATH": programs}
    return {name: value for name, value in os.environ.items() if name != "XDG_CONFIG_HOME"} | ours


def _run_python(code: str, environ: Mapping[str, str], folder: Path) -> None:
    (folder / "block.py").write_text(code, "utf-8")
    program = "import runpy; runpy.run_path('block.py', run_name='block')"
    _finish([sys.executable, "-W", "error", "-c", program], environ, folder)


def _run_command(command: str, environ: Mapping[str, str], folder: Path) -> None:
    words = shlex.split(command.rstrip("& "), comments=True)
    if words[:2] == ["eas-grpc", "serve"]:
        _until_it_speaks([*words, "--port", "0"], environ, folder)
    elif "--watch" in words:
        _until_it_speaks(words, environ, folder)
    else:
        _finish(["sh", "-c", command], environ, folder)


def _finish(command: list[str], environ: Mapping[str, str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, env=environ, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise BadDocument(f"not over after {_SECONDS} s: {command[-1]}") from None
    if done.returncode != 0:
        raise BadDocument(f"exit status {done.returncode}: {command[-1]}\n{done.stdout}{done.stderr}")


def _until_it_speaks(words: list[str], environ: Mapping[str, str], folder: Path) -> None:
    program = str(Path(sys.executable).with_name(words[0]))
    with subprocess.Popen(
        [program, *words[1:]],
        env=environ,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            said = process.stdout.readline()
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=_SECONDS)
        finally:
            process.kill()
    if not said or process.returncode != 0:
        raise BadDocument(f"exit status {process.returncode}: {shlex.join(words)}\n{said}{rest}{errors}")


def broken_links(path: Path, text: str) -> list[str]:
    """The links to files, and to headings in them, that lead nowhere; other hosts are not asked."""
    return [target for target in links(text) if not _leads_somewhere(path, text, target)]


def links(text: str) -> list[str]:
    """The targets of a document's links, those within code left out."""
    prose = re.sub(r"^ *(`{3,}|~{3,}).*?^ *\1 *$", "", text, flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"`[^`\n]*`", "", prose)
    return [match["target"] for match in _LINK.finditer(prose)]


def _leads_somewhere(path: Path, text: str, target: str) -> bool:
    if re.match(r"[a-z]+:", target):
        return True
    name, _, anchor = target.partition("#")
    if name:
        file = path.parent / name
        if not file.exists():
            return False
        text = file.read_text("utf-8") if anchor else ""
    return not anchor or anchor in _anchors(text)


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
