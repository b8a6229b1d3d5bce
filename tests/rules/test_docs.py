"""What README and docs tell people to write and to run works; how blocks are run stands in documents.py."""

from __future__ import annotations

import re

import pytest
from rules.documents import BadDocument, Block, blocks, broken_links, commands, run_block
from rules.repository import ROOT

from eas_grpc import __version__
from server_demo import app

TOKEN = "demo-token"
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "server_demo/**/*.md", "*/README.md")
    for path in ROOT.glob(pattern)
    if not path.relative_to(ROOT).parts[0].startswith(".")
)


def cases():
    for path in DOCUMENTS:
        name = path.relative_to(ROOT).as_posix()
        try:
            found = blocks(path.read_text("utf-8"))
        except BadDocument:
            continue  # test_each_block_can_be_read says so
        for block in found:
            if (
                block.language == "python"
                or block.file
                or (block.language in {"sh", "console"} and commands(block))
            ):
                yield pytest.param(block, id=f"{name}:{block.line}")


@pytest.fixture(scope="module")
def server():
    with app.build(token=TOKEN) as server:
        yield server


@pytest.fixture(autouse=True)
def tools(monkeypatch):
    """The compiler and its plugins have environments of their own here; a user has them beside `eas-grpc`."""
    monkeypatch.setenv("EAS_GRPC_PROTOC_PYTHON", str(ROOT / ".venv-codegen/bin/python"))
    monkeypatch.setenv("EAS_GRPC_PLUGINS_BIN", str(ROOT / ".venv-codegen-plugins/bin"))


@pytest.fixture
def run(server, tmp_path):
    def run(text: str) -> None:
        for block in blocks(text):
            run_block(block, server.address, TOKEN, tmp_path, ROOT)

    return run


@pytest.mark.parametrize("block", list(cases()))
def test_the_code_in_the_documents_works(block: Block, server, tmp_path):
    run_block(block, server.address, TOKEN, tmp_path, ROOT)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_each_block_can_be_read(path):
    blocks(path.read_text("utf-8"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(path):
    assert broken_links(path, path.read_text("utf-8")) == []


def test_the_readme_has_code_that_is_run_and_stays_short():
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 110
    assert any(block.language == "python" and not block.not_run for block in blocks(text))


def test_every_page_of_the_docs_is_reached_from_the_readme():
    readme = (ROOT / "README.md").read_text("utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert f"](docs/{page.name})" in readme, page.name


def test_the_changelog_has_an_entry_for_this_version():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    entry = re.search(rf"^## {re.escape(__version__)}\b.*\n((?:(?!## ).*\n)*)", text, re.MULTILINE)
    assert entry is not None, f"no '## {__version__}' in CHANGELOG.md"
    assert re.search(r"^- \S", entry[1], re.MULTILINE), "the entry is empty"


# What follows proves that a broken document is noticed.

CALL = """
```python
import eas_grpc
from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloRequest
from eas_grpc_pb.greeter.v1.greeter_pb2_grpc import GreeterServiceStub

with eas_grpc.connect(ARGUMENTS) as channel:
    assert GreeterServiceStub(channel).SayHello(HelloRequest(name="World")).message == "Hello, World!"
```
"""


@pytest.mark.parametrize(
    "arguments", ["", '"127.0.0.1:50080", token="demo-token"', '"http://127.0.0.1:50080/"']
)
def test_a_block_reaches_the_server_by_environment_and_by_the_shown_address(run, arguments):
    run(CALL.replace("ARGUMENTS", arguments))


@pytest.mark.parametrize(
    "text",
    [
        "```python\nimport eas_grpc\neas_grpc.conect()\n```\n",
        "```python\nthis is no Python\n```\n",
        "```python\nimport warnings; warnings.warn('deprecated', DeprecationWarning, stacklevel=2)\n```\n",
        CALL.replace("ARGUMENTS", '"127.0.0.1:50080", token="wrong"'),
        "```sh\neas-grpc helo\n```\n",
        "```sh\nEAS_TOKEN=wrong eas-grpc hello\n```\n",
        "```console\n$ eas-grpc hello --no-such-option\nHello, World!\n```\n",
        "```sh\neas-grpc hello | grep 'good evening'\n```\n",
        "```sh\neas-grpc serve --host 0.0.0.0\n```\n",
        "```sh\neas-grpc hello \\\n  --token wrong\n```\n",
        "<!-- file: examples/no_such_file.py -->\n```python\npass\n```\n",
        "<!-- file: examples/quickstart.py -->\n```python\nprint('not in that file')\n```\n",
        "1. indented\n\n    ```python\n    raise SystemExit(1)\n    ```\n",
        "<!-- not run: the comment is for another block -->\n\ntext\n\n```python\n1 / 0\n```\n",
    ],
)
def test_a_block_that_does_not_work_is_noticed(run, text):
    with pytest.raises(BadDocument):
        run(text)


@pytest.mark.parametrize(
    "text",
    [
        "```python\n",
        "```py\nimport eas_grpc\n```\n",
        "```bash\neas-grpc hello\n```\n",
        "```\n$ eas-grpc hello\n```\n",
        "```\nimport eas_grpc\n```\n",
        "<!-- not run -->\n```python\n1 / 0\n```\n",
        "<!-- not run: -->\n```python\n1 / 0\n```\n",
        "<!--not run: no spaces-->\n```python\n1 / 0\n```\n",
    ],
)
def test_a_block_that_cannot_be_read_is_noticed(text):
    with pytest.raises(BadDocument):
        blocks(text)


@pytest.mark.parametrize(
    "text",
    [
        "<!-- not run: needs a real service -->\n```python\n1 / 0\n```\n",
        "<!-- not run: needs a real service -->\n\n```sh\neas-grpc hello -e demo.example\n```\n",
        '```python\nif __name__ == "__main__":\n    raise SystemExit(1)\n```\n',
        "```sh\nmake test    # not ours to run here\neas-grpc hello  # prints Hello, World!\n```\n",
        "```console\n$ eas-grpc hello\nHello, World!\neas-grpc this is output\n```\n",
        "```sh\neas-grpc hello Ada | grep -q Ada\n```\n",
        "```sh\neas-grpc serve &\n```\n",
        "```sh\neas-grpc health --watch\n```\n",
        "```toml\nneither = python\n```\n",
        "```\n  a drawing\n```\n",
    ],
)
def test_a_block_that_works_or_says_why_it_is_not_run_passes(run, text):
    run(text)


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("[a](README.md) [b](docs/) [c](https://example.com/no) [d](mailto:a@example.com)", []),
        ("[a](no.md) and ![b](no.png)", ["no.md", "no.png"]),
        ("# One heading\n[a](#one-heading) [b](#another)", ["#another"]),
        ("[a](README.md#no-such-heading)", ["README.md#no-such-heading"]),
        ("`[a](no.md)`\n```text\n[a](no.md)\n```\n", []),
    ],
)
def test_a_link_that_leads_nowhere_is_noticed(text, broken):
    assert broken_links(ROOT / "page.md", text) == broken
