"""A channel in a forked child makes its own connection; nobody hangs, and the parent goes on unharmed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support.processes import EchoProcess

TESTS = Path(__file__).parent.parent

PREAMBLE = """
import asyncio, gc, json, os, signal, sys, threading, time
import eas_grpc
from eas_grpc import aio
address, report = sys.argv[1], {}

def in_child(work, limit):
    '''Forks; the child runs `work`. Returns how it ended: ok, failed, crashed or hung.'''
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    until = time.monotonic() + limit
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return "crashed" if os.WIFSIGNALED(status) else ("failed" if status else "ok")
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hung"
"""


def run(address: str, program: str, timeout: float = 60) -> dict[str, object]:
    """Runs the program in a process of its own, so that its forks do not copy this test's threads."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRPC_")}
    ended = subprocess.run(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(program), address],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=TESTS,
        env=environment,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.parametrize("stream", [False, True], ids=["unary calls", "unary calls and an open stream"])
def test_a_hundred_forks_under_load_leave_no_hung_child_and_an_unharmed_parent(stream: bool) -> None:
    with EchoProcess() as server:
        report = run(
            server.address,
            f"""
            channel = eas_grpc.connect(address, token="t")
            echo = channel.unary_unary("/test.Echo/unary_unary")
            chat = channel.stream_stream("/test.Echo/stream_stream")
            stop, failed, done = threading.Event(), [], [0]

            def load():
                while not stop.is_set():
                    try:
                        assert echo(b"echo:x") == b"x"
                        done[0] += 1
                    except Exception as error:
                        failed.append(repr(error))

            def names():
                while not stop.is_set():
                    time.sleep(0.01)
                    yield b"echo:y"

            def converse():
                try:
                    for answer in chat(names()):
                        assert answer == b"y"
                except Exception as error:
                    failed.append(repr(error))

            threads = [threading.Thread(target=load) for _ in range(8)]
            if {stream}:
                threads.append(threading.Thread(target=converse))
            for thread in threads:
                thread.start()
            ends = [in_child(lambda: echo(b"echo:child"), 10) for _ in range(100)]
            before = done[0]
            until = time.monotonic() + 10
            while done[0] < before + 100 and time.monotonic() < until:
                time.sleep(0.01)
            stop.set()
            for thread in threads:
                thread.join(10)
            report["ends"] = {{kind: ends.count(kind) for kind in sorted(set(ends))}}
            report["parent failed"] = failed
            report["parent goes on"] = done[0] >= before + 100
            report["threads left"] = sum(thread.is_alive() for thread in threads)
            channel.close()
            print(json.dumps(report))
            """,
            timeout=120,
        )
    assert report == {"ends": {"ok": 100}, "parent failed": [], "parent goes on": True, "threads left": 0}


def test_a_child_may_make_new_stubs_and_streams_on_the_inherited_channel() -> None:
    with EchoProcess() as server:
        report = run(
            server.address,
            """
            channel = eas_grpc.connect(address, token="t")
            channel.unary_unary("/test.Echo/unary_unary")(b"echo:x")

            def child():
                assert list(channel.unary_stream("/test.Echo/unary_stream")(b"echo:a")) == [b"a"]
                with channel:
                    assert channel.unary_unary("/test.Echo/unary_unary")(b"echo:b") == b"b"

            report["ends"] = [in_child(child, 10) for _ in range(3)]
            report["parent"] = channel.unary_unary("/test.Echo/unary_unary")(b"echo:c").decode()
            print(json.dumps(report))
            """,
        )
    assert report == {"ends": ["ok"] * 3, "parent": "c"}


def test_the_child_does_not_share_the_parents_connection() -> None:
    with EchoProcess() as server:
        report = run(
            server.address,
            """
            channel = eas_grpc.connect(address, token="t")
            peer = channel.unary_unary("/test.Echo/peer")
            mine = peer(b"")
            read, write = os.pipe()
            in_child(lambda: os.write(write, peer(b"")), 10)
            report["different"] = os.read(read, 100) != mine
            report["still the same"] = peer(b"") == mine
            print(json.dumps(report))
            """,
        )
    assert report == {"different": True, "still the same": True}


def test_an_asyncio_channel_that_was_not_used_before_the_fork_works_in_the_child() -> None:
    with EchoProcess() as server:
        report = run(
            server.address,
            """
            channel = aio.connect(address, token="t")

            async def call():
                async with channel:
                    assert await channel.unary_unary("/test.Echo/unary_unary")(b"echo:x") == b"x"

            report["ends"] = in_child(lambda: asyncio.run(call()), 10)
            asyncio.run(call())
            print(json.dumps(report))
            """,
        )
    assert report == {"ends": "ok"}


def test_a_child_of_a_process_that_uses_asyncio_is_told_so_instead_of_waiting_for_ever() -> None:
    with EchoProcess() as server:
        report = run(
            server.address,
            """
            channel = aio.connect(address, token="t")
            echo = channel.unary_unary("/test.Echo/unary_unary")

            async def call():
                return await echo(b"echo:x")

            async def parent():
                await call()
                read, write = os.pipe()

                def child():
                    try:
                        asyncio.run(call())
                    except eas_grpc.errors.ConfigError as error:
                        os.write(write, str(error).encode())

                def in_thread():
                    report["ends"] = in_child(child, 10)
                thread = threading.Thread(target=in_thread)
                thread.start()
                thread.join()
                report["said"] = os.read(read, 500).decode()
                report["parent"] = (await call()).decode()
                await channel.close()

            asyncio.run(parent())
            print(json.dumps(report))
            """,
        )
    assert report["ends"] == "ok"
    assert "fork before the first call" in str(report["said"])
    assert report["parent"] == "x"
