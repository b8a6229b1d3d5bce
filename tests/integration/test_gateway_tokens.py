"""Tokens come and go while the gateway runs, and stand in nothing that can be read."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.gateway_access import (
    RIGHT,
    SECOND,
    SECRETS,
    WRONG,
    World,
    a_world,
    bare,
    bearer,
    refusals,
)
from support.gateway_clients import Http1, Http2, ask


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with a_world() as found:
        yield found


def test_a_withdrawn_token_ends_access_on_connections_that_are_there_and_leaves_calls_under_way(world):
    gateway = world.gateway
    gateway.configure("mine", tokens=(RIGHT, SECOND))
    with Http1(gateway.address) as http, Http2(gateway.address) as rpc:
        for token in (RIGHT, SECOND):
            assert http.ask("POST", "/api/predict/mine", bare(token), b"x").status == 200
            assert rpc.call("/a/b", bearer(token), b"x").grpc_status == "0"
        talk = rpc.begin_call("/a/b", bearer(SECOND), b"one", end=False)
        rpc.until(lambda: talk in rpc.answers and b"one" in rpc.answers[talk].body)
        gateway.configure("mine", tokens=(RIGHT,))
        before = world.arrived()
        assert http.ask("POST", "/api/predict/mine", bare(SECOND), b"x").status == 401
        assert rpc.call("/a/b", bearer(SECOND), b"x").grpc_status == "16"
        assert world.arrived() == before
        rpc.send(talk, b"\0\0\0\0\3two", end=True)
        assert rpc.answer(talk).grpc_status == "0"
        assert rpc.answers[talk].body.endswith(b"two")
        assert http.ask("POST", "/api/predict/mine", bare(RIGHT), b"x").status == 200


def test_the_admin_interface_takes_a_token_away_as_well_and_the_last_one_not(world):
    admin = world.gateway.admin_address
    path = "/services/mine/tokens"
    json_type = [("Content-Type", "application/json")]

    def put(*tokens: str) -> int:
        return ask(admin, "PUT", path, json_type, json.dumps({"tokens": tokens}).encode()).status

    try:
        assert put(SECOND, RIGHT) == 204
        assert ask(world.gateway.address, "POST", "/api/predict/mine", bare(SECOND)).status == 200
        assert put(RIGHT) == 204
        assert ask(world.gateway.address, "POST", "/api/predict/mine", bare(SECOND)).status == 401
        assert put() == 400
    finally:
        world.gateway.configure("mine", tokens=(RIGHT,))


def test_who_waits_for_a_worker_came_in_with_a_token_that_was_right_then(world):
    """A call is judged when it comes; withdrawing a token is no reason to forget it in the queue."""
    gateway = world.gateway
    gateway.configure("mine", tokens=(RIGHT, SECOND), worker_threads=1)
    try:
        with Http2(gateway.address) as rpc:
            first = rpc.begin_call("/a/b", bearer(RIGHT), b"one", end=False)
            rpc.until(lambda: first in rpc.answers)
            second = rpc.begin_call("/a/b", bearer(SECOND), b"two")
            third = rpc.begin_call("/a/b", bearer(WRONG), b"two")
            assert rpc.answer(third).grpc_status == "16"
            gateway.configure("mine", tokens=(RIGHT,))
            rpc.send(first, b"", end=True)
            assert rpc.answer(second).grpc_status == "0"
    finally:
        gateway.configure("mine", tokens=(RIGHT,), worker_threads=0)


def test_no_token_stands_in_anything_that_can_be_read(world, caplog):
    gateway = world.gateway
    caplog.set_level(logging.DEBUG)
    for _, headers in refusals("/api/predict/mine", "POST"):
        ask(gateway.address, "POST", "/api/predict/mine?token=" + WRONG, headers, b"x")
    ask(gateway.address, "POST", "/api/predict/mine?token=" + RIGHT, bare(RIGHT), b"x")
    with Http2(gateway.address) as client:
        client.call("/a/b?token=" + RIGHT, bearer(RIGHT), b"x")
        client.call("/a/b", bearer(WRONG), b"x")
    texts = [
        # The test's own clients have loggers too.
        *(repr(vars(record)) for record in caplog.records if record.threadName == "eas-gateway"),
        repr(gateway.calls()),
        repr(gateway),
        repr(gateway.service("mine")),
        repr(vars(gateway)),
        repr(gateway.faults.active()),
    ]
    texts += gateway.run(
        lambda core: [repr(vars(core)), repr([vars(each) for each in core.services.values()])]
    )
    for address, base in ((gateway.admin_address, ""), (gateway.address, "/_eas/api")):
        for name in ("state", "calls?after=0", "trace"):
            answer = ask(address, "GET", f"{base}/{name}")
            assert answer.status == 200
            texts.append(answer.everything)
    texts.append(ask(gateway.address, "GET", "/_eas").everything)
    for text in texts:
        assert [secret for secret in SECRETS if secret in text] == []


def test_the_line_for_each_call_on_stderr_holds_no_token():
    script = Path(sys.executable).with_name("eas-grpc")
    command = [script, "serve", "--port", "0", "-v", "--token", RIGHT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().removeprefix("ready on ").strip()
            for token in (RIGHT, WRONG):
                for target in ("/api/predict/echo", f"/api/predict/echo?token={token}"):
                    ask(address, "POST", target, bare(token), b"x")
                with Http2(address) as client:
                    client.call("/GreeterService/SayHello", bearer(token), b"")
            process.terminate()
            printed, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert errors.count("POST /api/predict/echo") == 4
    assert errors.count("/GreeterService/SayHello") == 2
    assert [secret for secret in SECRETS if secret in printed + errors] == []
