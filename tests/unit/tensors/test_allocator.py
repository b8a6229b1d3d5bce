"""`eas_grpc.tensors._allocator`: large buffers find the memory of those before them.

It holds for the whole process, so whatever really calls glibc does so in a process of its own.
"""

from __future__ import annotations

import ctypes
import json
import platform
import subprocess
import sys

import pytest

from eas_grpc.errors import ConfigError
from eas_grpc.tensors import keep_large_buffers

MIB = 1024 * 1024

# Somebody else's word for it: platform reads the program file.
needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="there is only glibc to set")

# `faults()`: how often the system had to give memory to 50 buffers of 40 MB, of which `at_once` live side by side,
# after as many for a warm-up.
PROGRAM = """
import json, resource, threading
from eas_grpc.tensors import keep_large_buffers

def faults(at_once=1):
    def buffers(rounds):
        for _ in range(rounds):
            living = [b"x" * 40_000_000 for _ in range(at_once)]
            del living
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    before = buffers(1)
    return buffers(50 // at_once) - before

def faults_in_a_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(faults(at_once=5)))
    thread.start()
    thread.join()
    return found[0]

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()

"""


def said(program: str):
    """What a program prints, as JSON; a warning is an error."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM + program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@needs_glibc
def test_large_buffers_cause_no_page_faults_any_more():
    before, could, after = said("print(json.dumps([faults(), keep_large_buffers(), faults()]))")
    assert could
    # 10,000 pages a buffer, or 20 where the system hands out huge ones.
    assert before >= 50 * 20
    assert after < 50


@needs_glibc
def test_it_holds_in_threads_that_start_later_and_hold_several():
    assert said("keep_large_buffers(); print(faults_in_a_thread())") < 50


@needs_glibc
def test_the_measurement_sees_what_threads_give_back():
    assert said("print(faults_in_a_thread())") >= 50 * 20


@needs_glibc
def test_more_than_the_limit_goes_back_to_the_system():
    program = f"""
keep_large_buffers(100 * {MIB})
start = resident()
buffer = b"x" * (90 * {MIB})
del buffer
kept = resident() - start
buffer = b"x" * (200 * {MIB})
del buffer
print(json.dumps([kept, resident() - start]))
"""
    kept, afterwards = said(program)
    assert kept > 80 * MIB
    assert afterwards < 10 * MIB


@needs_glibc
def test_asking_again_is_fine_and_changes_the_limit():
    program = f"print(json.dumps([keep_large_buffers(), keep_large_buffers(), keep_large_buffers({MIB}), faults()]))"
    *could, faults = said(program)
    assert could == [True, True, True]
    assert faults >= 50 * 20


@pytest.mark.parametrize(
    "limit", [0, -1, MIB - 1, 2**31, 1.5e9, True, None, "512M"], ids=lambda limit: repr(limit)
)
def test_a_limit_that_cannot_work_is_refused(limit):
    with pytest.raises(ConfigError) as caught:
        keep_large_buffers(limit)
    assert str(caught.value) == (
        f"limit must be a whole number of bytes from 1048576 to 2147483647, not {limit!r}"
    )


class Library:
    """A C library that says what it was told."""

    def __init__(self, malloc=None, **functions) -> None:
        self.told = []
        self.malloc = malloc or ctypes.pythonapi.PyMem_RawMalloc
        self.mallopt = lambda name, value: self.told.append((name, value)) or 1
        vars(self).update(functions)


@pytest.fixture
def load(monkeypatch):
    """Lets `ctypes.CDLL` find these in place of the process and of libc.so.6."""

    def load(process, libc=None) -> None:
        def find(name, **_):
            if name is not None and libc is None:
                raise OSError(f"{name}: cannot open shared object file")
            return process if name is None else libc

        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(ctypes, "CDLL", find)

    return load


def test_glibc_is_told_three_things(load):
    libc = Library(gnu_get_libc_version=lambda: b"2.36")
    load(libc, libc)
    assert keep_large_buffers(MIB)
    assert dict(libc.told) == {-1: MIB, -4: 0, -8: 1}


def test_a_c_library_other_than_glibc_is_left_alone(load):
    musl = Library()
    load(musl, musl)
    assert not keep_large_buffers()
    assert musl.told == []


def test_glibc_is_left_alone_where_another_allocator_is_in_charge(load):
    process = Library(ctypes.pythonapi.PyMem_RawRealloc, gnu_get_libc_version=lambda: b"2.36")
    libc = Library(gnu_get_libc_version=lambda: b"2.36")
    load(process, libc)
    assert not keep_large_buffers()
    assert process.told == libc.told == []


def test_a_glibc_of_another_name_is_left_alone(load):
    process = Library(gnu_get_libc_version=lambda: b"2.36")
    load(process)
    assert not keep_large_buffers()
    assert process.told == []


def test_a_refusal_is_passed_on(load):
    libc = Library(gnu_get_libc_version=lambda: b"2.36", mallopt=lambda *_: 0)
    load(libc, libc)
    assert not keep_large_buffers()


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_are_left_alone(monkeypatch, load, system):
    libc = Library(gnu_get_libc_version=lambda: b"2.36")
    load(libc, libc)
    monkeypatch.setattr(sys, "platform", system)
    assert not keep_large_buffers()
    assert libc.told == []


def test_a_python_without_ctypes_is_fine(monkeypatch):
    monkeypatch.setitem(sys.modules, "ctypes", None)
    assert not keep_large_buffers()
