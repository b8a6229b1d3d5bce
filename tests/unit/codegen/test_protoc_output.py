"""What protoc prints, read: texts recorded from grpcio-tools 1.71.2 (protoc 29), and the rule that nothing gets lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.codegen._diagnostics import Diagnostic, Severity
from eas_grpc.codegen._protoc import read_protoc


def shown(name: str) -> str:
    return f"protos/{name}"


def read(output: str, **options) -> tuple[Diagnostic, ...]:
    return read_protoc(output, shown, **options)


def lines(output: str) -> list[str]:
    return [str(diagnostic) for diagnostic in read(output)]


MISSING = """\
other/thing.proto: File not found.
a.proto:3:1: Import "other/thing.proto" was not found or had errors.
a.proto:4:13: "other.Thing" is not defined.
a.proto:4:41: "other.Thing" is not defined.
"""
TWO_MISSING = """\
p/b.proto: File not found.
p/c.proto: File not found.
a.proto:2:1: Import "p/b.proto" was not found or had errors.
a.proto:3:1: Import "p/c.proto" was not found or had errors.
a.proto:4:13: "p.B" is not defined.
a.proto:4:24: "p.C" is not defined.
"""
CASCADE = """\
x/c.proto:2:25: Expected ";".
x/b.proto:2:1: Import "x/c.proto" was not found or had errors.
x/b.proto:3:13: "C" is not defined.
x/b.proto:3:22: "Nope" is not defined.
a.proto:2:1: Import "x/b.proto" was not found or had errors.
a.proto:3:13: "B" is not defined.
"""
CYCLE = """\
a.proto:2:1: File recursively imports itself: a.proto -> b.proto -> c.proto -> a.proto
c.proto:2:1: Import "a.proto" was not found or had errors.
c.proto:3:13: "A" is not defined.
b.proto:2:1: Import "c.proto" was not found or had errors.
b.proto:3:13: "C" is not defined.
a.proto:2:1: Import "b.proto" was not found or had errors.
a.proto:3:13: "B" is not defined.
"""
DUPLICATES = """\
a.proto:4:9: "A" is already defined in "acme".
a.proto:6:10: "X" is already defined in "acme".
a.proto:6:10: Note that enum values use C++ scoping rules, meaning that enum values are siblings of their type, \
not children of it.  Therefore, "X" must be unique within "acme", not just within "F".
"""
OVERLAP = """\
a.proto:3:9: "acme.A" is already defined in file "acme/a.proto".
acme/c.proto:3:1: Import "a.proto" was not found or had errors.
acme/c.proto:4:13: "acme.A" seems to be defined in "acme/a.proto", which is not imported by "acme/c.proto".  \
To use it here, please add the necessary import.
"""
SYNTAX = """\
a.proto:4:3: Expected ";".
a.proto:6:32: Expected "(".
a.proto:7:6: Expected enum name.
"""
LATIN = """\
a.proto:2:12: Interpreting non ascii codepoint 233.
a.proto:2:12: Expected "{".
"""
NO_PLUGIN = """\
/nowhere/foo: program not found or is not executable
Please specify a program using absolute path or make sure the program is available in your PATH system variable
--foo_out: protoc-gen-foo: Plugin failed with status code 1.
"""
NO_SYNTAX = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
W0000 00:00:1795260968.035662    4662 parser.cc:686] No syntax specified for the proto file: a.proto. Please use \
'syntax = "proto2";' or 'syntax = "proto3";' to specify a syntax version. (Defaulted to proto2 syntax.)
"""
CRASH = """\
Traceback (most recent call last):
  File "/opt/bin/protoc-gen-foo", line 4, in <module>
    raise KeyError("boom: x")
KeyError: 'boom: x'
--foo_out: protoc-gen-foo: Plugin failed with status code 1.
"""
CHATTER = "a.proto:2:1: warning: Import google/protobuf/any.proto is unused.\nWriting mypy to a_pb2.pyi\n"


def test_a_missing_import_is_one_error_with_what_follows_folded_into_it():
    (found,) = read(MISSING)
    assert str(found) == (
        'protos/a.proto:3:1: error: Import "other/thing.proto" was not found or had errors. '
        "(and 2 more that follow from this)"
    )
    assert found.hint == "name the folder that it is relative to with -I"


def test_a_missing_import_that_lies_near_names_the_include_root():
    (found,) = read(MISSING, found_at={"other/thing.proto": "../third_party"}.__getitem__)
    assert found.hint == "there is one below ../third_party: add `-I ../third_party`"


def test_several_missing_imports_are_told_each_and_the_names_they_bring_are_not():
    assert lines(TWO_MISSING) == [
        'protos/a.proto:2:1: error: Import "p/b.proto" was not found or had errors. (and 2 more that follow from this)',
        'protos/a.proto:3:1: error: Import "p/c.proto" was not found or had errors.',
    ]


def test_missing_googleapis_say_which_package_has_them():
    output = MISSING.replace("other/thing.proto", "google/api/annotations.proto")
    assert read(output)[0].hint.startswith("install or update googleapis-common-protos")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("Timestamp", "timestamp"),
        ("FieldMask", "field_mask"),
        ("Int64Value", "wrappers"),
        ("Value", "struct"),
    ],
)
def test_a_well_known_type_that_nobody_imported_is_said_where_to_find(name, file):
    (found,) = read(f'a.proto:3:1: "google.protobuf.{name}" is not defined.')
    assert found.hint == f'import "google/protobuf/{file}.proto"'


def test_the_well_known_protos_are_no_matter_of_that_package():
    output = MISSING.replace("other/thing.proto", "google/protobuf/new.proto")
    assert read(output)[0].hint == "name the folder that it is relative to with -I"


def test_a_file_that_was_asked_for_and_is_not_there_has_no_place():
    (found,) = read("acme/zzz.proto: File not found.\n")
    assert (found.at, found.text) == (None, "there is no acme/zzz.proto below the include roots")
    assert found.hint == "name the folder that it is relative to with -I"


def test_errors_of_a_file_swallow_those_of_whoever_imports_it_directly_or_not():
    """One cause, five consequences, in three files."""
    assert lines(CASCADE) == [
        'protos/x/c.proto:2:25: error: Expected ";". (and 5 more that follow from this)'
    ]


def test_a_mistake_of_ones_own_is_told_beside_a_broken_import():
    output = CASCADE + 'a.proto:9:9: "A" is already defined in "acme".\n'
    assert lines(output)[1:] == ['protos/a.proto:9:9: error: "A" is already defined in "acme".']


def test_a_cycle_is_one_error_that_shows_the_way_round():
    (found,) = read(CYCLE)
    assert str(found) == (
        "protos/a.proto:2:1: error: File recursively imports itself: a.proto -> b.proto -> c.proto -> a.proto "
        "(and 6 more that follow from this)"
    )
    assert "imports neither" in found.hint


def test_a_duplicate_in_one_file_is_told_once_with_its_note():
    assert lines(DUPLICATES) == [
        'protos/a.proto:4:9: error: "A" is already defined in "acme".',
        'protos/a.proto:6:10: error: "X" is already defined in "acme". (and 1 more that follow from this)',
    ]


def test_a_duplicate_across_files_says_what_to_do():
    (found,) = read('b.proto:3:9: "acme.A" is already defined in file "a.proto".\n')
    assert str(found.at) == "protos/b.proto:3:9"
    assert found.hint.startswith("two files define the same name: rename one")


def test_overlapping_include_roots_are_recognized():
    """One file on disk under two names: protoc only says that it defines the same twice."""
    (found,) = read(OVERLAP)
    assert (str(found.at), found.more) == ("protos/a.proto:3:9", 2)
    assert "two include roots" in found.hint


def test_a_name_that_only_another_path_brings_points_at_the_roots():
    last = OVERLAP.splitlines()[-1]
    (found,) = read(last)
    assert "two include roots overlap" in found.hint


def test_each_syntax_error_has_its_place():
    assert lines(SYNTAX) == [
        'protos/a.proto:4:3: error: Expected ";".',
        'protos/a.proto:6:32: error: Expected "(".',
        "protos/a.proto:7:6: error: Expected enum name.",
    ]


def test_what_the_parser_says_of_one_place_a_second_time_is_a_consequence():
    """Latin-1 in a name: the byte first, then the confusion about it."""
    assert lines(LATIN) == [
        "protos/a.proto:2:12: error: Interpreting non ascii codepoint 233. (and 1 more that follow from this)"
    ]


@pytest.mark.parametrize("program", ["/nowhere/foo", "protoc-gen-foo"])
def test_a_plugin_that_is_missing_is_one_error_with_advice(program):
    (found,) = read(NO_PLUGIN.replace("/nowhere/foo", program))
    assert found.text.splitlines()[0] == f"{program}: program not found or is not executable"
    assert found.hint.startswith("name the program's full path: --plugin NAME=PATH")


def test_a_missing_syntax_line_is_a_warning_at_the_file():
    """Out of a log line with time and process number, which change every time."""
    (found,) = read(NO_SYNTAX)
    assert str(found).startswith(
        "protos/a.proto:1:1: warning: no syntax is given, so it is read as proto2. Please"
    )


def test_log_lines_lose_time_and_process():
    (found,) = read("E0000 00:00:1795260968.035662    4662 importer.cc:12] something is off\n")
    assert (found.text, found.severity) == ("something is off", Severity.ERROR)


def test_a_traceback_of_a_plugin_stays_in_one_piece():
    (found,) = read(CRASH)
    assert found.text == CRASH.rstrip()
    assert (found.at, found.hint) == (None, "")


def test_a_traceback_does_not_hide_a_warning_with_a_place():
    found = read(CHATTER + CRASH + NO_SYNTAX)
    assert [diagnostic.severity for diagnostic in found] == [
        Severity.WARNING,
        Severity.WARNING,
        Severity.ERROR,
    ]
    assert found[-1].text == CRASH.rstrip()


def test_an_unused_import_is_a_warning_and_what_plugins_chat_about_is_nothing():
    assert lines(CHATTER) == ["protos/a.proto:2:1: warning: Import google/protobuf/any.proto is unused."]


def test_a_warning_takes_nothing_that_follows_into_itself():
    """Not even an error of the same place."""
    output = 'a.proto:2:1: warning: Import x.proto is unused.\na.proto:2:1: Expected ";".\n'
    assert [(d.severity, d.more) for d in read(output)] == [(Severity.WARNING, 0), (Severity.ERROR, 0)]


def test_silence_is_no_diagnostic():
    assert read("\n\n") == ()


FILES = st.sampled_from(["a.proto", "b.proto", "x/c.proto"])
SAYINGS = st.one_of(
    st.builds('Import "{}" was not found or had errors.'.format, FILES),
    st.sampled_from(
        [
            '"A" is not defined.',
            'Expected ";".',
            "warning: Import x.proto is unused.",
            '"A" is already defined in "b".',
        ]
    ),
)
LOCATED = st.builds("{}:{}:{}: {}".format, FILES, st.integers(1, 3), st.integers(1, 2), SAYINGS)


@given(st.lists(LOCATED, min_size=1, max_size=12))
def test_every_line_is_either_told_or_counted(found):
    """Folding hides nothing: a broken run never looks like a good one."""
    told = read("\n".join(found))
    assert sum(1 + diagnostic.more for diagnostic in told) == len(found)
    assert {str(d.at) + d.text for d in told} <= {
        "protos/" + line.replace(": warning: ", ": ").replace(": ", "", 1) for line in found
    }
    errors = sum(": warning: " not in line for line in found)
    assert bool(errors) == any(diagnostic.severity is Severity.ERROR for diagnostic in told)


@given(st.text(max_size=200))
def test_any_text_at_all_can_be_read_and_one_that_says_something_says_it(output):
    """Plugins print what they like."""
    told = read(output)
    assert bool(told) == any(
        line.strip() and not line.startswith(("Writing mypy to ", "WARNING: All log"))
        for line in output.splitlines()
    )
