"""`eas-grpc lint` and `breaking` against the real `buf`, on a corpus of schemas and changes.

Verdict and rules must agree, except where a difference is listed by name in buf_differences.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from interop import buf_differences
from interop.programs import ROOT, finish, protoc, unavailable
from interop.schema_changes import CHANGES, SCHEMAS, Change

from eas_grpc.codegen import _rules
from eas_grpc.codegen._elements import Schema, read_schema
from eas_grpc.codegen._rules import Level
from eas_grpc.codegen.breaking import breaking
from eas_grpc.codegen.lint import lint

pytestmark = pytest.mark.interop

CATEGORIES = {Level.WIRE: "WIRE", Level.JSON: "WIRE_JSON", Level.SOURCE: "FILE"}
FOUND = 100

# buf has a rule per category for what we have in groups; and it counts a service that moves as deleted.
GROUPS = {
    **{name: rule.group for name, rule in _rules.BREAKING.items()},
    "SERVICE_SAME_FILE": "SERVICE_NO_DELETE",
}


@pytest.fixture(scope="module")
def buf(tmp_path_factory):
    """Runs buf, and gives its findings by the case that they are about."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which("buf", path=places) or unavailable("no `buf`: install the wheel buf-bin")
    home = tmp_path_factory.mktemp("home")

    def run(cases, folder: Path, *arguments: object, **config: object) -> dict[str, set[str]]:
        done = finish(
            *(
                program,
                *arguments,
                "--error-format",
                "json",
                "--config",
                json.dumps({"version": "v2", **config}),
            ),
            cwd=folder,
            HOME=str(home),
        )
        assert done.returncode == FOUND, done.stderr
        found: dict[str, set[str]] = {case.slug: set() for case in cases}
        for line in done.stdout.splitlines():
            finding = json.loads(line)
            # What is deleted has no path, but its name in the message.
            text = finding.get("path") or finding["message"]
            found[re.search(r"case_\w+", text)[0]].add(finding["type"])
        return found

    return run


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Writes and compiles one side of all cases; gives the folder, and a schema for each case."""

    def write(cases, side: str) -> tuple[Path, dict[str, Schema]]:
        folder = tmp_path_factory.mktemp(side)
        names = {case.slug: case.files(getattr(case, side)) for case in cases}
        for files in names.values():
            for name, text in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text)
        out = tmp_path_factory.mktemp("out") / "set.binpb"
        protoc(
            *(f"-I{folder}", "--include_imports", "--include_source_info", f"--descriptor_set_out={out}"),
            *(name for files in names.values() for name in files),
        )
        files = FileDescriptorSet.FromString(out.read_bytes())
        return folder, {slug: read_schema(files, own, {}) for slug, own in names.items()}

    return write


@pytest.fixture(scope="module")
def verdicts(buf, written):
    """For each change, (ours, buf's) by level."""
    (before, old), (after, new) = written(CHANGES, "old"), written(CHANGES, "new")
    found: dict[str, dict[Level, tuple[set[str], set[str]]]] = {change.name: {} for change in CHANGES}
    for level, category in CATEGORIES.items():
        theirs = buf(CHANGES, after, "breaking", ".", "--against", before, breaking={"use": [category]})
        for change in CHANGES:
            ours = breaking(old[change.slug], new[change.slug], level=level)
            found[change.name][level] = (
                {GROUPS[finding.rule] for finding in ours},
                {GROUPS.get(rule, rule) for rule in theirs[change.slug]},
            )
    return found


@pytest.fixture(scope="module")
def lints(buf, written):
    """For each schema, (ours, buf's)."""
    folder, schemas = written(SCHEMAS, "new")
    rules = ["STANDARD", "COMMENT_SERVICE", "COMMENT_RPC"]
    theirs = buf(SCHEMAS, folder, "lint", ".", lint={"use": rules})
    return {
        case.name: ({finding.rule for finding in lint(schemas[case.slug])}, theirs[case.slug])
        for case in SCHEMAS
    }


def listed(differences) -> set[str]:
    return {name for difference in differences.values() for name in difference.cases}


def check(name: str, ours: set[str], theirs: set[str], differences) -> None:
    """Both say the same but for what the differences of this case allow."""
    known = [difference for difference in differences.values() if name in difference.cases]
    assert ours - theirs <= {rule for difference in known for rule in difference.ours}
    assert theirs - ours <= {rule for difference in known for rule in difference.theirs}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_breaking_agrees_with_buf_on_every_level(change: Change, verdicts):
    for ours, theirs in verdicts[change.name].values():
        check(change.name, ours, theirs, buf_differences.BREAKING)


@pytest.mark.parametrize("case", SCHEMAS, ids=lambda case: case.name)
def test_lint_agrees_with_buf(case: Change, lints):
    check(case.name, *lints[case.name], buf_differences.LINT)


def cases_of(differences):
    return [
        pytest.param(d, name, id=f"{title}: {name}")
        for title, d in differences.items()
        for name in sorted(d.cases)
    ]


@pytest.mark.parametrize(("difference", "name"), cases_of(buf_differences.BREAKING))
def test_a_listed_difference_of_breaking_still_differs(difference, name, verdicts):
    levels = verdicts[name].values()
    assert any(
        (ours - theirs) & difference.ours or (theirs - ours) & difference.theirs for ours, theirs in levels
    )


@pytest.mark.parametrize(("difference", "name"), cases_of(buf_differences.LINT))
def test_a_listed_difference_of_lint_still_differs(difference, name, lints):
    ours, theirs = lints[name]
    assert (ours - theirs) & difference.ours or (theirs - ours) & difference.theirs


def test_where_rules_differ_somebody_still_hears_of_the_change(verdicts):
    """On the level `source` no change that buf reports is lost, except where the whole difference is that it does."""
    silent = {
        name for name, levels in verdicts.items() if levels[Level.SOURCE][1] and not levels[Level.SOURCE][0]
    }
    allowed = {"A new syntax is no finding of its own", "Options that Python does not read"}
    assert silent <= listed({name: buf_differences.BREAKING[name] for name in allowed})


def test_every_case_has_its_own_name():
    names = Counter(case.slug for case in (*CHANGES, *SCHEMAS))
    assert [name for name, count in names.items() if count > 1] == []


def test_every_listed_case_is_in_the_corpus():
    assert listed(buf_differences.BREAKING) <= {change.name for change in CHANGES}
    assert listed(buf_differences.LINT) <= {case.name for case in SCHEMAS}


def test_the_documentation_lists_exactly_these_differences():
    text = (ROOT / "docs/schemas.md").read_text("utf-8")
    for command, differences in (("lint", buf_differences.LINT), ("breaking", buf_differences.BREAKING)):
        section = re.search(
            rf"^### Where `{command}` differs from buf\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL
        )
        assert re.findall(r"^- \*\*(.+?)\.\*\*", section[1], re.MULTILINE) == list(differences)


@pytest.mark.parametrize(
    ("rules", "command"), [(_rules.LINT, "lint"), (_rules.BREAKING, "breaking")], ids=["lint", "breaking"]
)
def test_the_documentation_has_every_rule_with_its_words(rules, command):
    text = (ROOT / "docs/schemas.md").read_text("utf-8")
    for rule in rules.values():
        degree = rule.severity.value if command == "lint" else rule.level.value
        assert f"| `{rule.name}` | {degree} | {rule.text} |" in text
