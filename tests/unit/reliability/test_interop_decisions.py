"""What the interop row counts and says, what its server objects to, and that its cases can fail."""

from __future__ import annotations

import contextlib

import grpc
import pytest

from reliability import gotools
from reliability.interop_calls import Answer
from reliability.interop_cases import VARIED
from reliability.interop_cell import Amounts, Cell
from reliability.interop_clients import CASES, GO_CASES
from reliability.interop_server import echoed, objection, status
from reliability.pb import interop_pb2 as pb
from reliability.rows.interop import counted, failures
from reliability.score import Skip


def test_there_are_24_cases_and_go_knows_17_of_them():
    assert len(CASES) == 24
    assert len(GO_CASES) == 17
    assert set(GO_CASES) <= set(CASES)
    assert set(VARIED) <= set(CASES)


def test_a_cell_is_whole_only_if_every_case_of_it_ran_and_passed():
    whole, failed, missing = {"a": "", "b": ""}, {"a": "", "b": "wrong"}, {"a": ""}
    assert counted([whole, whole], ["a", "b"]) == ("2 of 2 cells, 4 of 4 cases",) * 2
    assert counted([whole, failed, missing], ["a", "b"])[0] == "1 of 3 cells, 4 of 6 cases"
    assert counted([{"the whole cell": "it hung"}], ["a", "b"])[0] == "0 of 1 cells, 0 of 2 cases"


def test_failures_are_told_once_for_each_client_and_case():
    found = {
        ("sync", "Server", "direct"): {"cases": {"a": "late", "b": ""}, "figures": {}},
        ("sync", "Server", "gateway"): {"cases": {"a": "later", "b": ""}, "figures": {}},
        ("aio", "Server", "direct"): {"cases": {"a": "", "b": ""}, "figures": {}},
    }
    assert failures(found) == ["sync: a failed in 2 cells, first Server / direct: late"]


def request(expected):
    wanted = None if expected is None else pb.BoolValue(value=expected)
    return pb.SimpleRequest(expect_compressed=wanted)


@pytest.mark.parametrize(
    ("expected", "flags", "objects"),
    [
        (None, None, False),
        (True, [True], False),
        (False, [False], False),
        (True, [False], True),
        (False, [True], True),
        (True, [], True),
        (False, None, True),
    ],
)
def test_a_server_objects_to_a_message_that_is_not_as_it_says(expected, flags, objects):
    assert bool(objection(request(expected), 0, flags)) is objects


def test_a_server_looks_at_the_flag_of_that_very_message():
    assert not objection(request(False), 1, [True, False])
    assert objection(request(False), 0, [True, False])


def test_what_a_server_sends_back():
    metadata = (("x", "1"), ("y", "2"), ("x", "3"))
    assert echoed(metadata, "x") == (("x", "1"), ("x", "3"))
    assert echoed(None, "x") == ()
    assert status(pb.SimpleRequest()) is None
    asked = pb.SimpleRequest(response_status=pb.EchoStatus(code=2, message="text"))
    assert status(asked) == (grpc.StatusCode.UNKNOWN, "text")


class Careless:
    """A client to which every call goes well, and nothing comes back."""

    taken = 0

    async def one(self, *_args, **_how):
        return Answer("OK")

    upload = upload_and_cancel = download = one

    async def many(self, _method, _request, count, **_how):
        for _ in range(count):
            yield Answer("OK")

    def talk(self, _method, **_how):
        return self

    def say(self, *messages):
        self.taken += len(messages)

    def close(self):
        pass

    cancel = close

    async def hear(self):
        return None

    async def end(self):
        return Answer("OK")


@pytest.mark.parametrize("name", sorted(set(CASES) - {"empty_stream"}))
async def test_no_case_is_content_with_calls_that_merely_go_well(name):
    @contextlib.asynccontextmanager
    async def fresh(**_how):
        yield Careless()

    amounts = Amounts(soak=1, channels=1, concurrent=1, long_lived=1, pause=0, picks=1)
    with pytest.raises((AssertionError, IndexError)):
        await CASES[name](Cell(Careless(), [], amounts, fresh, 2))


def test_a_tool_that_cannot_be_built_says_why(monkeypatch, tmp_path):
    monkeypatch.setattr(gotools, "BUILD", tmp_path / "build")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Skip, match="no `go` on the PATH"):
        gotools.tool("h2spec")


def test_a_tool_that_is_built_is_not_built_again(monkeypatch, tmp_path):
    monkeypatch.setattr(gotools, "BUILD", tmp_path)
    monkeypatch.setenv("PATH", "")
    (tmp_path / "h2spec").touch()
    assert gotools.tool("h2spec") == tmp_path / "h2spec"
