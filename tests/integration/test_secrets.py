"""The token appears in no log record, warning, repr, traceback (locals included), error or pickle.

Every path is walked through success and every kind of failure, against a server that repeats the token
wherever a server can; then everything that could be printed is searched for it.
"""

from __future__ import annotations

import os
import pathlib
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.haul import CANARY, OTHER_CANARY, OURS, Haul, TellTale, searched
from support.paths import PATHS, Path

import eas_grpc
from eas_grpc import aio
from eas_grpc.auth import Masked, bearer, check_token, token_source
from eas_grpc.errors import CallError, ConfigError, PlaintextTokenWarning
from eas_grpc.options import PROFILES, StreamLimits
from eas_grpc.rpc._connect import call_policy, plan
from eas_grpc.settings import find_settings

every_path = pytest.mark.parametrize("path", PATHS, ids=str)


@pytest.fixture
def tell_tale() -> Iterator[TellTale]:
    with TellTale() as server:
        yield server


@pytest.fixture
def haul(capfd: pytest.CaptureFixture[str]) -> Iterator[Haul]:
    with searched(capfd) as haul:
        yield haul


@pytest.fixture(params=["text", "file", "callable"])
def token(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Any:
    if request.param == "text":
        return f" Bearer {CANARY}\n"
    if request.param == "callable":
        return lambda: CANARY
    file = tmp_path / "token"
    file.write_text(CANARY + "\n")
    return file


# ---- calls


@every_path
def test_no_call_shows_the_token_however_it_ends(
    path: Path, token: Any, tell_tale: TellTale, haul: Haul
) -> None:
    limits = StreamLimits(first_message=5, gap=5)
    with path.client(
        tell_tale.address, token=token, max_request=5000, stream_limits=limits, deadline=10
    ) as client:
        haul.add_object("the channel", client.channel)
        haul.add_object("the callable", client.multicallable)

        call = client.begin(b"fine")
        call.messages()
        assert CANARY in call.trailing_metadata()["x-sent"], "the server was sent no token"
        haul.add("a call that went well", call.call)

        for verb, options in (
            (b"UNAUTHENTICATED", {}),
            (b"UNAVAILABLE", {}),
            (b"INVALID_ARGUMENT", {"timeout": 5}),
            (b"hold", {"timeout": 0.1}),
            (bytes(6000), {}),
            (b"fine", {"metadata": (("x-trace", "two\nlines"),)}),
            (b"fine", {"timeout": -1}),
        ):
            where = f"the error of {verb[:20]!r} {options}"
            with pytest.raises((CallError, ConfigError)) as caught:
                client.run(verb, **options)
            haul.add_error(where, caught.value)

        call = client.begin(b"ABORTED")
        with pytest.raises(CallError) as caught:
            call.messages()
        haul.add("a call that failed", call.call, call.code(), call.details())
        assert call.details() == caught.value.details()

        call = client.begin(b"hold")
        haul.add("a call under way", call.call)
        call.cancel()
        with pytest.raises(BaseException) as ended:
            call.messages()
        haul.add_error("the error of a cancelled call", ended.value)
        haul.add("a cancelled call", call.call, call.code(), call.details())


@every_path
def test_neither_the_old_nor_the_new_token_is_shown_after_a_rotation(
    path: Path, tell_tale: TellTale, haul: Haul
) -> None:
    tokens = iter([CANARY, *[OTHER_CANARY] * 5])
    with path.client(tell_tale.address, token=lambda: next(tokens)) as client:
        with pytest.raises(CallError) as caught:
            client.run(b"UNAUTHENTICATED")
        haul.add_error("the error", caught.value)


@every_path
def test_a_token_that_went_bad_is_not_shown_by_the_call_that_refuses_it(
    path: Path, tell_tale: TellTale, haul: Haul, tmp_path: pathlib.Path
) -> None:
    """A callable raises; a file keeps the last token and is reported in the log."""
    with path.client(tell_tale.address, token=lambda: f"{CANARY}\n{OTHER_CANARY}") as client:
        with pytest.raises(ConfigError, match="line break") as caught:
            client.run(b"fine")
        haul.add_error("the error", caught.value)
    file = tmp_path / "token"
    file.write_text(CANARY)
    with path.client(tell_tale.address, token=file) as client:
        file.write_text(f"{CANARY}\n{OTHER_CANARY}")
        client.run(b"fine")
    assert any("keeping the last token" in text for _, text in haul.texts)


@every_path
def test_a_callers_own_authorization_is_masked_in_errors(path: Path, tell_tale: TellTale) -> None:
    """What the caller passes stands in the caller's own frame; what comes back is masked as our token is."""
    with path.client(tell_tale.address, token=OTHER_CANARY) as client:
        for value in (f"Basic {CANARY}", f"{CANARY} ", CANARY.encode()):
            with pytest.raises(CallError) as caught:
                client.run(b"ABORTED", metadata=(("authorization", value),))
            assert "***" in caught.value.details()
            assert CANARY not in repr(caught.value.failure)


# ---- what stands around the calls


def test_no_object_shows_the_token_it_holds(token: Any, haul: Haul, monkeypatch: pytest.MonkeyPatch) -> None:
    source = token_source(token)
    assert source is not None
    source.current()
    haul.add_object("the source", source)
    haul.add("the pair", bearer(CANARY), [check_token(CANARY)], {"token": check_token(CANARY)})

    policy = call_policy(source, deadline=5, profile=PROFILES["direct"], stream_limits=None, max_request=None)
    policy.begin(eas_grpc.rpc._policy.CallShape.UNARY_UNARY, 5.0, ())
    haul.add_object("the policy", policy)
    made = plan(
        "localhost:1",
        token=token,
        deadline=5,
        profile="gateway",
        retry=None,
        stream_limits=None,
        max_request=None,
        max_response=None,
        proxy=None,
        credentials=None,
        options=(),
    )
    haul.add_object("the plan", made)
    for interceptor in (*eas_grpc.interceptors(token=token), *aio.interceptors(token=token)):
        haul.add_object("an interceptor", interceptor)
    monkeypatch.setenv("EAS_TOKEN", CANARY)
    haul.add("the settings", find_settings(endpoint="localhost:1", environ=os.environ))
    haul.add("the settings", find_settings(endpoint="localhost:1", token=CANARY, environ=os.environ))


def test_nothing_that_holds_a_token_is_pickled(token: Any) -> None:
    source = token_source(token)
    policy = call_policy(source, deadline=5, profile=PROFILES["direct"], stream_limits=None, max_request=None)
    policy.begin(eas_grpc.rpc._policy.CallShape.UNARY_UNARY, 5.0, ())
    for thing in (check_token(CANARY), bearer(CANARY), policy):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises((TypeError, pickle.PicklingError, AttributeError)) as caught:
                pickle.dumps(thing, protocol)
            assert CANARY not in str(caught.value)


def test_the_warning_of_a_token_over_plaintext_names_the_host_alone(haul: Haul) -> None:
    with pytest.warns(PlaintextTokenWarning, match="canary-mine") as warned:
        eas_grpc.connect("canary-mine.example.com", token=CANARY).close()
    haul.add("the warning", *[warning.message for warning in warned])


# ---- mistakes

BROKEN = {
    "two lines": f"{CANARY}\n{OTHER_CANARY}",
    "a space": f"{CANARY} {OTHER_CANARY}",
    "a header": f"Authorization: Bearer {CANARY}",
    "quoted": f"'{CANARY}'",
    "not ASCII": f"{CANARY}\u00e9",
    "a signature": f"EAS {CANARY}",
    "a placeholder": f"<{CANARY}>",
    "too long": CANARY * 500,
}
DOORS: dict[str, Callable[..., Any]] = {
    "connect": eas_grpc.connect,
    "interceptors": eas_grpc.interceptors,
    "aio.connect": aio.connect,
    "aio.interceptors": aio.interceptors,
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("how", ["text", "file"])
def test_a_refused_token_is_not_shown(
    door: str, broken: str, how: str, haul: Haul, tmp_path: pathlib.Path
) -> None:
    token: Any = BROKEN[broken]
    if how == "file":
        token = tmp_path / "token"
        token.write_text(BROKEN[broken], encoding="utf-8")
    where = ("localhost:1",) if door.endswith("connect") else ()
    with pytest.raises(ConfigError) as caught:
        DOORS[door](*where, token=token)
    haul.add_error(door, caught.value)


@pytest.mark.parametrize("door", DOORS)
def test_a_good_token_is_not_shown_by_another_mistake(door: str, haul: Haul) -> None:
    where = ("localhost:1",) if door.endswith("connect") else ()
    for wrong in ({"deadline": -1}, {"profile": "nobody"}, {"stream_limits": 5}):
        with pytest.raises(ConfigError) as caught:
            DOORS[door](*where, token=CANARY, **wrong)
        haul.add_error(f"{door} {wrong}", caught.value)


@pytest.mark.parametrize("door", ["aio.connect", "aio.interceptors"])
def test_the_asyncio_doors_do_not_show_the_token_in_their_own_frame(door: str) -> None:
    where = ("localhost:1",) if door.endswith("connect") else ()
    with pytest.raises(ConfigError) as caught:
        DOORS[door](*where, token=CANARY, deadline=-1)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in shown.stack if frame.filename.startswith(str(OURS))]
    assert ours
    assert not any(CANARY in str(frame.locals) for frame in ours)


@pytest.mark.parametrize("door", ["connect", "aio.connect"])
@pytest.mark.parametrize(
    ("variables", "profiles"),
    [
        ({"EAS_TOKEN": CANARY}, None),
        ({"EAS_TOKEN": CANARY, "EAS_ENDPOINT": "http:/broken"}, None),
        ({"EAS_TOKEN": CANARY, "EAS_TOKEN_FILE": "token"}, None),
        ({"EAS_TOKEN": f"{CANARY} {OTHER_CANARY}", "EAS_ENDPOINT": "localhost:1"}, None),
        ({"EAS_PROFILE": "prod"}, f'[prod]\ntoken = "{CANARY}"\nendpont = "x"\n'),
        ({"EAS_PROFILE": "prod"}, f'[prod]\ntoken = "{CANARY}"\n[prod\n'),
        ({"EAS_PROFILE": "prod"}, f'[prod]\ntoken = "{CANARY}"\n'),
        ({"EAS_PROFILE": "other"}, f'[prod]\ntoken = "{CANARY}"\n'),
    ],
)
def test_the_environments_and_the_profiles_token_is_not_shown_by_a_mistake_there(
    door: str,
    variables: dict[str, str],
    profiles: str | None,
    haul: Haul,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if profiles is not None:
        folder = tmp_path / "eas-grpc"
        folder.mkdir()
        (folder / "config.toml").write_text(profiles)
        (folder / "config.toml").chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        DOORS[door]()
    haul.add_error(f"{door} {sorted(variables)}", caught.value)


# ---- grpc core's own log

PROGRAM = """
import asyncio, sys
import eas_grpc, grpc
from eas_grpc import aio

method = "/test.Echo/unary_unary"

async def main():
    async with aio.connect(sys.argv[1]) as channel:
        for verb in (b"fine", b"ABORTED"):
            try:
                print(await channel.unary_unary(method)(verb))
            except grpc.RpcError as error:
                print(repr(error), file=sys.stderr)

with eas_grpc.connect(sys.argv[1]) as channel:
    for verb in (b"fine", b"ABORTED", b"UNAUTHENTICATED"):
        try:
            print(channel.unary_unary(method)(verb))
        except grpc.RpcError as error:
            print(repr(error), file=sys.stderr)
asyncio.run(main())
"""


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"GRPC_VERBOSITY": "debug"},
        {"GRPC_VERBOSITY": "debug", "GRPC_TRACE": "http,channel,call,call_error,op_failure,client_channel_call"},
    ],
    ids=["as it is", "debug", "traced"],
)  # fmt: skip
def test_grpcs_own_log_does_not_hold_the_token(switches: dict[str, str], tell_tale: TellTale) -> None:
    """What the server repeats is left out of the search: core traces other people's headers as they come.

    `GRPC_TRACE=tcp` and `all` print the bytes on the wire, in which the token has to be.
    """
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tell_tale.address],
        env=os.environ | {"EAS_TOKEN": CANARY} | switches,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines() == ["b'fine'"] * 2
    assert done.stderr.count("CallFailure(") == 3
    ours = [line for line in done.stderr.splitlines() if not any(echo in line for echo in ECHOES)]
    assert not any(CANARY in line for line in ours)
    if "GRPC_TRACE" in switches:
        assert "SEND_INITIAL_METADATA" in done.stderr


ECHOES = ("x-sent", "x-raw-bin", "I was sent")


def test_a_masked_token_is_text_like_any_other() -> None:
    token = check_token(CANARY)
    assert isinstance(token, Masked)
    assert token == CANARY
    assert f"{token}" == CANARY
    assert CANARY not in repr([token])
