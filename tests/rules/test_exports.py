"""Public names: each module lists them, completely and in order, and each resolves."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import eas_grpc
import server_demo

DOORS = [
    "eas_grpc",
    "eas_grpc.aio",
    "eas_grpc.codegen",
    "eas_grpc.doctor",
    "eas_grpc.testing",
    "eas_grpc.errors",
    "eas_grpc.inference",
    "eas_grpc.load",
    "eas_grpc.rpc",
    "eas_grpc.schema",
    "eas_grpc.serving",
    "eas_grpc.tensors",
]


def modules(package) -> list[str]:
    # Importing a `__main__` is harmless: each guards its last lines.
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return [package.__name__, *(module.name for module in found)]


MODULES = modules(eas_grpc)
PUBLIC = [name for name in MODULES if not any(part.startswith("_") for part in name.split("."))]

# Users import from these by name; what lies deeper belongs to the folder's own door.
TOP_FLOOR = [name for name in PUBLIC if name.count(".") == 1 and name != "eas_grpc.cli"]


def in_order(names) -> list[str]:
    """Constants, classes, the rest: the order in which ruff keeps `__all__`."""
    return sorted(names, key=lambda name: (0 if name.isupper() else 1 if name[:1].isupper() else 2, name))


@pytest.mark.parametrize(
    "name", [name for name in MODULES if hasattr(importlib.import_module(name), "__all__")]
)
def test_every_listed_name_is_there_once_and_in_order(name):
    module = importlib.import_module(name)
    listed = list(module.__all__)
    assert listed == in_order(set(listed))
    for each in listed:
        assert getattr(module, each) is not None, each


@pytest.mark.parametrize("name", sorted({*DOORS, *TOP_FLOOR}))
def test_what_a_door_defines_is_listed(name):
    module = importlib.import_module(name)
    listed = module.__all__
    defined = {
        each
        for each, value in vars(module).items()
        if not each.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == name
    }
    assert defined <= set(listed), f"{name} defines {sorted(defined - set(listed))} without listing it"


def test_the_doors_are_those_that_the_design_names():
    assert set(DOORS) <= set(PUBLIC)


def test_dir_shows_what_is_offered_and_nothing_else():
    assert dir(eas_grpc) == sorted(eas_grpc.__all__)


def test_a_star_import_gives_exactly_the_listed_names():
    found: dict[str, object] = {}
    exec("from eas_grpc import *", found)
    assert set(found) - {"__builtins__"} == set(eas_grpc.__all__)


def test_each_name_of_the_package_is_the_one_of_its_home():
    for name, home in eas_grpc._HOMES.items():
        assert getattr(eas_grpc, name) is getattr(importlib.import_module(home), name)
    for name in eas_grpc._MODULES:
        assert getattr(eas_grpc, name) is importlib.import_module(f"eas_grpc.{name}")
    assert {*eas_grpc._HOMES, *eas_grpc._MODULES} == set(eas_grpc.__all__) - {"__version__"}


@pytest.mark.parametrize("door", [eas_grpc.inference, eas_grpc.tensors], ids=lambda door: door.__name__)
def test_each_name_of_a_folder_that_loads_late_is_the_one_of_its_home(door):
    for name, home in door._HOMES.items():
        assert getattr(door, name) is getattr(importlib.import_module(f"{door.__name__}.{home}"), name)
    assert {*door._HOMES, *getattr(door, "_MODULES", ())} == set(door.__all__)
    assert dir(door) == sorted(door.__all__)
    with pytest.raises(AttributeError, match=f"module '{door.__name__}' has no attribute 'conect'"):
        door.conect


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'eas_grpc' has no attribute 'conect'"):
        eas_grpc.conect
    assert not hasattr(eas_grpc, "__wrapped__")


@pytest.mark.parametrize("name", [*MODULES, *modules(server_demo)])
def test_every_module_says_what_it_is_for(name):
    if name != "server_demo.train_digits":  # needs scikit-learn, which only training does
        assert (
            (importlib.import_module(name).__doc__ or "").strip().endswith((".", ":", ")", "]", "`", "..."))
        )


def test_warnings_of_an_import_are_errors():
    program = (
        "import eas_grpc.aio, eas_grpc.serving, eas_grpc.codegen, eas_grpc.cli.__main__, server_demo.app;"
        "from eas_grpc.inference import *; from eas_grpc.tensors import *"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
