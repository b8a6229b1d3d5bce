"""The lowest versions that output accepts, and the warnings for who asks for less; checked against `packaging`."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from eas_grpc.codegen._floor import floors, loose, owners, shut_out

PB2 = """\
_runtime_version.ValidateProtobufRuntimeVersion(
    _runtime_version.Domain.PUBLIC,
    5,
    29,
    0,
    '',
    'acme/a.proto'
)
"""
GRPC = "GRPC_GENERATED_VERSION = '1.71.2'\nGRPC_VERSION = grpc.__version__\n"

# Every version that could matter: small numbers show the same rules.
GRID = [".".join(map(str, version)) for version in product((1, 4, 5, 6, 7), (0, 1, 2), (0, 1, 2))]
VERSIONS = st.sampled_from(GRID)


def test_the_floor_is_what_the_modules_check_when_they_are_imported():
    assert floors([PB2, GRPC], portable=False, services=True) == {"protobuf": "5.29.0", "grpcio": "1.71.2"}


def test_the_highest_of_several_modules_counts():
    """By numbers, not by letters."""
    texts = [PB2, PB2.replace("5,\n", "10,\n"), GRPC.replace("71", "100"), GRPC]
    assert floors(texts, portable=False, services=True) == {"protobuf": "10.29.0", "grpcio": "1.100.2"}


def test_messages_alone_need_no_grpcio():
    assert floors([PB2], portable=False, services=False) == {"protobuf": "5.29.0"}


def test_portable_modules_check_nothing_and_have_the_floor_that_they_are_tested_with():
    assert floors([PB2, GRPC], portable=True, services=True) == {"protobuf": "3.20.3", "grpcio": "1.62.3"}
    assert floors([], portable=True, services=False) == {"protobuf": "3.20.3"}


def test_modules_of_old_compilers_check_nothing():
    assert floors(["DESCRIPTOR = 1"], portable=False, services=True) == {
        "protobuf": "3.20.3",
        "grpcio": "1.62.3",
    }


@pytest.mark.parametrize(("edition", "version"), [("2023", "5.27.0"), ("2024", "6.31.0"), ("9999", "3.20.3")])
def test_an_edition_raises_the_floor_of_portable_modules_as_well(edition, version):
    """An older protobuf cannot read the descriptor at all."""
    assert floors([], portable=True, services=False, editions=[edition]) == {"protobuf": version}


def test_whoever_ships_the_modules_of_imported_protos_is_needed_in_any_version():
    """Protobuf's own come with protobuf, which is named anyway."""
    imported = [
        "google/protobuf/any.proto",
        "google/api/http.proto",
        "eas_grpc_pb/tensor/v1/tensor.proto",
        "a.proto",
    ]
    needed = owners(imported)
    assert needed == {"eas-grpc": "", "googleapis-common-protos": ""}
    assert loose(needed, ["eas-grpc", "googleapis-common-protos<2"], where="x") == []
    assert shut_out(needed, {"x 1": ["eas-grpc<1", "googleapis-common-protos==1.0"]}) == []


LOWEST = {"protobuf": "5.29.0", "grpcio": "1.71.2"}


def test_a_requirement_that_allows_too_little_is_quoted_with_what_to_write():
    (warning,) = loose(LOWEST, ["protobuf>=4.21", "grpcio>=1.71.2"], where="pyproject.toml")
    assert warning.startswith(
        "pyproject.toml allows `protobuf>=4.21`, but the generated code needs protobuf 5.29.0"
    )
    assert "write `protobuf>=5.29.0`" in warning


@pytest.mark.parametrize(
    "line",
    ["protobuf", "protobuf<7", "protobuf!=5.29.1", "protobuf==5.*", "protobuf~=5.0", "Protobuf>=5.28.9,<7"],
)
def test_every_way_to_allow_an_older_version_is_noticed(line):
    assert len(loose(LOWEST, [line, "grpcio>=2"], where="x")) == 1


@pytest.mark.parametrize(
    "line", ["protobuf>=5.29", "protobuf>=6,<8", "protobuf==5.29.3", "protobuf~=5.29", "protobuf===6.0.0"]
)
def test_a_requirement_at_or_above_the_floor_is_fine(line):
    assert loose(LOWEST, [line, "grpcio>=1.71.2", "numpy"], where="x") == []


def test_lines_that_are_no_requirements_are_for_others_to_judge():
    assert loose(LOWEST, ["not a requirement!", "protobuf>=5.29", "grpcio>=1.80"], where="x") == []
    assert shut_out(LOWEST, {"odd 1.0": ["not a requirement!"]}) == []


@given(operator=st.sampled_from([">=", "==", "~="]), bound=VERSIONS, floor=VERSIONS)
def test_it_is_warned_of_just_when_a_version_below_the_floor_is_allowed(operator, bound, floor):
    allowed = SpecifierSet(f"{operator}{bound}")
    below = [version for version in GRID if GRID.index(version) < GRID.index(floor)]
    expected = any(allowed.contains(version) for version in below)
    assert bool(loose({"protobuf": floor}, [f"protobuf{operator}{bound}"], where="x")) == expected


def test_an_installed_package_that_shuts_the_floor_out_is_named():
    """The vendor's SDK and Triton's client of their day."""
    installed = {"eas-prediction 0.20": ["protobuf<4,>=3.20"], "tritonclient 2.41": ["grpcio>=1.41", "numpy"]}
    (warning,) = shut_out(LOWEST, installed)
    assert warning.startswith(
        "eas-prediction 0.20 asks for `protobuf<4,>=3.20`, and the generated code for 5.29.0"
    )
    assert "--runtime portable" in warning


def test_requirements_for_another_system_or_of_an_extra_do_not_count():
    installed = {"x 1": ['protobuf<4; sys_platform == "nowhere"', 'protobuf<4; extra == "old"']}
    assert shut_out(LOWEST, installed) == []
    assert len(shut_out(LOWEST, {"x 1": ['protobuf<4; python_version >= "3"']})) == 1


@given(
    operator=st.sampled_from(["<", "<=", "==", "===", "~=", ">=", ">", "!="]), bound=VERSIONS, floor=VERSIONS
)
def test_a_package_is_named_just_when_it_allows_no_version_from_the_floor_on(operator, bound, floor):
    """A grid of versions and a very late one stand for all."""
    allowed = SpecifierSet(f"{operator}{bound}")
    # Between `bound` and the next number of a `~=` there are versions that no grid has.
    from_floor_on = [*GRID[GRID.index(floor) :], "4.999.999", "5.999.999", "6.999.999", "7.999.999", "999"]
    late = [v for v in from_floor_on if tuple(map(int, v.split("."))) >= tuple(map(int, floor.split(".")))]
    expected = not any(allowed.contains(version) for version in [*late, *_next_patches(bound, floor)])
    assert bool(shut_out({"protobuf": floor}, {"x 1": [f"protobuf{operator}{bound}"]})) == expected


def _next_patches(bound: str, floor: str) -> list[str]:
    """Later patches of the floor's and of the bound's own minor version, where they are not below the floor."""
    numbers = tuple(map(int, floor.split(".")))
    candidates = [f"{each.rpartition('.')[0]}.999" for each in (bound, floor)]
    return [each for each in candidates if tuple(map(int, each.split("."))) >= numbers]


@pytest.mark.parametrize(
    ("requirement", "named"),
    [
        ("protobuf~=4.0", True),
        ("protobuf~=5.0", False),
        ("protobuf==5.0.*", True),
        ("protobuf==5.29.*", False),
        ("protobuf==5.*", False),
        ("protobuf==4.*", True),
        ("protobuf<6.0dev,>=3.20.2", False),
        ("protobuf<=5.28.3", True),
    ],
)
def test_wildcards_and_compatible_releases_are_read_as_they_are_meant(requirement, named):
    assert bool(shut_out({"protobuf": "5.29.0"}, {"x 1": [requirement]})) == named


def test_portable_output_is_not_told_to_be_portable():
    (said,) = loose({"grpcio": "1.62.3"}, ["grpcio>=1.60"], where="pyproject.toml", portable=True)
    assert said.endswith("write `grpcio>=1.62.3`")
    (said,) = loose({"grpcio": "1.62.3"}, ["grpcio>=1.60"], where="pyproject.toml")
    assert "--runtime portable" in said


def test_a_package_that_the_output_imports_has_to_be_named():
    lowest = owners(["google/api/http.proto", "google/protobuf/any.proto"])
    assert lowest == {"googleapis-common-protos": ""}
    (said,) = loose(lowest, ["grpcio>=1.60"], where="pyproject.toml")
    assert "googleapis-common-protos, which pyproject.toml does not name" in said
    assert loose(lowest, ["googleapis-common-protos"], where="pyproject.toml") == []
