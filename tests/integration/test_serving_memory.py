"""A server keeps the memory of large messages, unless told otherwise.

It holds for the whole process, and the other tests have started servers in ours: each test here has its own.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from support.serving import COLOURS

from eas_grpc.errors import ConfigError
from eas_grpc.serving import ServerOptions

PROGRAM = """
import json, resource
from support.serving import running
from eas_grpc.serving import ServerOptions

def faults():
    buffer = b"x" * 40_000_000
    del buffer
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        buffer = b"x" * 40_000_000
        del buffer
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
with running({colour!r}, options={options}):
    print(json.dumps([before, faults()]))
"""

# A page fault brings 4 KiB, or 2 MiB where the system hands out huge pages.
GIVEN_BACK = 20 * 20


def faults_before_and_after_the_start(colour: str, options: str) -> tuple[int, int]:
    """Page faults of twenty buffers of 40 MB before the start of a server and beside it."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM.format(colour=colour, options=options)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    before, after = json.loads(done.stdout)
    return before, after


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="there is only glibc to set")
@pytest.mark.parametrize("options", ["None", "ServerOptions(keep_large_buffers=True)"])
@pytest.mark.parametrize("colour", COLOURS)
def test_a_started_server_keeps_the_memory_of_large_buffers(colour, options):
    before, after = faults_before_and_after_the_start(colour, options)
    assert before >= GIVEN_BACK
    assert after < GIVEN_BACK / 4


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="there is only glibc to set")
@pytest.mark.parametrize("colour", COLOURS)
def test_a_server_that_may_not_leaves_the_allocator_alone(colour):
    before, after = faults_before_and_after_the_start(colour, "ServerOptions(keep_large_buffers=False)")
    assert before >= GIVEN_BACK
    assert after >= GIVEN_BACK


@pytest.mark.parametrize("name", ["keep_large_buffers", "reflection"])
@pytest.mark.parametrize("value", [None, 1, "yes"])
def test_what_is_neither_true_nor_false_is_refused(name, value):
    with pytest.raises(ConfigError, match=f"{name} must be True or False, not {value!r}"):
        ServerOptions(**{name: value})
