"""Mistakes in what `connect()` is given: each one clear sentence with the fix, in both colours, and nothing is sent.

That nothing reaches the network is shown twice: no channel of grpc's is built, and the listening socket that
stands where the endpoint is right is never connected to.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from support.h2_answers import Silent

import eas_grpc
from eas_grpc import Keepalive, Profile, RetryPolicy, StreamLimits, aio
from eas_grpc.errors import ConfigError

SECRET = "dG9rZW4tdGhhdC1pcy1zZWNyZXQ="

DOORS: dict[str, Callable[..., Any]] = {"connect": eas_grpc.connect, "aio.connect": aio.connect}


@dataclass
class Mistake:
    """What is passed and what the message says to do instead.

    `given` may be a callable, for what is refused while it is made. Names in capitals are environment
    variables; `{listener}` stands for a good address, `{folder}` for the folder of `files`.
    """

    given: dict[str, Any] | Callable[[], dict[str, Any]]
    fix: str
    variables: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


def endpoint(text: Any, fix: str) -> Mistake:
    return Mistake({"endpoint": text}, fix)


def token(text: Any, fix: str) -> Mistake:
    return Mistake({"token": text}, fix)


async def fetch_token() -> str:
    return SECRET


MISTAKES = {
    "endpoint empty": endpoint("  ", "write it as"),
    "endpoint not text": endpoint(8080, "must be a str such as"),
    "endpoint quoted": endpoint("'demo.example:80'", "write 'demo.example:80'"),
    "endpoint with one slash": endpoint("http:/demo.example", "write 'demo.example:80'"),
    "endpoint of another scheme": endpoint("ws://demo.example", "write 'demo.example:80'"),
    "endpoint with two schemes": endpoint("http://https://demo.example", "write 'https://demo.example:443'"),
    "endpoint without a port": endpoint("demo.example:", "write 'demo.example:80'"),
    "endpoint with a wrong port": endpoint("demo.example:80a", "write 'demo.example:80'"),
    "endpoint with too high a port": endpoint("demo.example:70000", "write 'demo.example:80'"),
    "endpoint 443 without scheme": endpoint("demo.example:443", "write 'https://demo.example'"),
    "endpoint https on 80": endpoint("https://demo.example:80", "write 'https://demo.example'"),
    "endpoint bare IPv6": endpoint("2001:db8::1", "needs square brackets: write '[2001:db8::1]:80'"),
    "endpoint a list": endpoint("one.example:80,two.example:80", "write 'one.example:80'"),
    "endpoint with a space": endpoint("demo .example", "remove it"),
    "endpoint with a query": endpoint("http://demo.example/?x=1", "write 'demo.example:80'"),
    "endpoint with user info": endpoint(f"http://me:{SECRET}@demo.example", "write 'demo.example:80'"),
    "endpoint a placeholder": endpoint("http://<service>.example", "copy the real one"),
    "endpoint a token": endpoint(SECRET, "pass it as token="),
    "endpoint only a port": endpoint("8080", "write 'host:8080'"),
    "endpoint a wrong IPv4": endpoint("10.0.0.256", "four numbers from 0 to 255"),
    "endpoint with an invisible character": endpoint("demo\u200b.example", "write 'demo.example:80'"),
    "endpoint no socket": endpoint("unix:", "write 'unix:/path/to/socket'"),
    "no endpoint": endpoint(None, "pass endpoint="),
    "token empty": token("", "copy it from the service's details page"),
    "token blank": token(" \n", "copy it from the service's details page"),
    "token only Bearer": token("Bearer ", "copy it from the service's details page"),
    "token two lines": token(f"{SECRET}\nmore", "pass one token, in one line"),
    "token two words": token(f"{SECRET} more", "pass one token, in one line"),
    "token not ASCII": token(f"{SECRET}\u00e4", "copy it again, as plain text"),
    "token quoted": token(f'"{SECRET}"', "remove them"),
    "token a header": token(f"Authorization: {SECRET}", "leave out 'Authorization:'"),
    "token a signature": token(f"EAS {SECRET}", "pass the service's token itself"),
    "token a placeholder": token("<your-token>", "the one from the service's details page"),
    "token too long": token("x" * 9000, "is this the content of another file?"),
    "token bytes": token(SECRET.encode(), "must be a str, a path or a callable"),
    "token a number": token(12345678, "must be a str, a path or a callable"),
    "token an async callable": token(fetch_token, "keep the fetched token and return it"),
    "token a path as text": Mistake({"token": "{folder}/token"}, "pass pathlib.Path(...)", {}, {"token": SECRET}),
    "token file missing": token(pathlib.Path("{folder}/missing"), "cannot be read: No such file"),
    "token file a folder": token(pathlib.Path("{folder}"), "cannot be read: Is a directory"),
    "token file empty": Mistake({"token": pathlib.Path("{folder}/token")}, "is empty", {}, {"token": "\n"}),
    "token file a program": Mistake({"token": pathlib.Path("{folder}/token")}, "is not text", {}, {"token": "\udcff"}),
    "deadline zero": Mistake({"deadline": 0}, "write seconds above 0, or None"),
    "deadline negative": Mistake({"deadline": -1}, "write seconds above 0, or None"),
    "deadline NaN": Mistake({"deadline": float("nan")}, "write seconds above 0, or None"),
    "deadline infinite": Mistake({"deadline": float("inf")}, "None for no limit"),
    "deadline text": Mistake({"deadline": "5"}, "must be a number of seconds, not str"),
    "deadline a flag": Mistake({"deadline": True}, "must be a number of seconds, not bool"),
    "profile unknown": Mistake({"profile": "dircet"}, "write 'gateway', 'direct' or a Profile"),
    "profile of the file": Mistake({"profile": {"name": "prod"}}, "write 'gateway', 'direct' or a Profile"),
    "profile without keepalive": Mistake(
        lambda: {
            "profile": Profile(
                name="x", keepalive=30, client_idle=None, warn_request_bytes=None, max_request_bytes=None,
                replay_buffer_bytes=1,
            )
        },
        "must be a Keepalive(",
    ),
    "keepalive of no time": Mistake(
        lambda: {"profile": Keepalive(time=0, timeout=1, without_calls=True)}, "write seconds above 0"
    ),
    "retry a number": Mistake({"retry": 3}, "must be a RetryPolicy or None"),
    "retry a flag": Mistake({"retry": False}, "must be a RetryPolicy or None"),
    "retry once": Mistake(lambda: {"retry": RetryPolicy(attempts=1)}, "write retry=None"),
    "retry six times": Mistake(lambda: {"retry": RetryPolicy(attempts=6)}, "outside 2 to 5"),
    "retry shrinking": Mistake(lambda: {"retry": RetryPolicy(multiplier=0.5)}, "at least 1"),
    "retry backwards": Mistake(lambda: {"retry": RetryPolicy(max_backoff=0.01)}, "shorter than initial_backoff"),
    "retry without one name": Mistake(lambda: {"retry": RetryPolicy(exclude="a.B")}, "write exclude=('a.B',)"),
    "retry without a path": Mistake(lambda: {"retry": RetryPolicy(exclude=("a/b/c",))}, "'pkg.Service/Method'"),
    "stream limits a number": Mistake({"stream_limits": 30}, "must be StreamLimits(first_message="),
    "stream limits zero": Mistake(lambda: {"stream_limits": StreamLimits(gap=0)}, "None for no limit"),
    "max_request zero": Mistake({"max_request": 0}, "between 1 and 2147483647 bytes, or None"),
    "max_request too much": Mistake({"max_request": 2**31}, "between 1 and 2147483647 bytes, or None"),
    "max_request text": Mistake({"max_request": "1MB"}, "must be a number of bytes or None"),
    "max_response negative": Mistake({"max_response": -1}, "or None for no limit"),
    "options a dict": Mistake({"options": {"grpc.keepalive_time_ms": 1}}, "write list(options.items())"),
    "options one pair": Mistake({"options": ("grpc.keepalive_time_ms", 1)}, "not a (name, value) pair"),
    "options a number": Mistake({"options": 5}, "must be a list of (name, value) pairs"),
    "option misspelt": Mistake(
        {"options": [("grpc.keep_alive_time_ms", 1)]}, "write 'grpc.keepalive_time_ms'"
    ),
    "option unknown": Mistake({"options": [("grpc.zzz", 1)]}, "leave it out"),
    "option a float": Mistake({"options": [("grpc.keepalive_time_ms", 30000.0)]}, "write 30000"),
    "option text": Mistake({"options": [("grpc.keepalive_time_ms", "30000")]}, "without quotation marks"),
    "option no flag": Mistake({"options": [("grpc.enable_retries", 2)]}, "takes 1 or 0"),
    "option no text": Mistake({"options": [("grpc.default_authority", 5)]}, "takes a str"),
    "option twice": Mistake(
        {"options": [("grpc.enable_retries", 1), ("grpc.enable_retries", 0)]}, "leave one of them out"
    ),
    "credentials for plaintext": Mistake(
        {"endpoint": "demo.example", "credentials": grpc.ssl_channel_credentials()},
        "write https:// in front, or leave them out",
    ),
    "EAS_ENDPOINT broken": Mistake(
        {"endpoint": None}, "EAS_ENDPOINT: ", {"EAS_ENDPOINT": "http:/demo.example"}
    ),
    "EAS_TOKEN broken": Mistake({}, "pass one token, in one line", {"EAS_TOKEN": f"{SECRET} more"}),
    "EAS_TOKEN and a file": Mistake({}, "unset one of them", {"EAS_TOKEN": SECRET, "EAS_TOKEN_FILE": "x"}),
    "EAS_TOKEN_FILE missing": Mistake({}, "cannot be read: No such file", {"EAS_TOKEN_FILE": "/no/such/file"}),
    "EAS_PROFILE without a file": Mistake({}, "config.toml", {"EAS_PROFILE": "prod"}),
    "EAS_PROFILE unknown": Mistake(
        {}, "did you mean 'prod'?", {"EAS_PROFILE": "prdo"}, {"eas-grpc/config.toml": "[prod]\n"}
    ),
    "profile with a wrong key": Mistake(
        {}, "did you mean 'token'?", {"EAS_PROFILE": "prod"},
        {"eas-grpc/config.toml": f'[prod]\ntokne = "{SECRET}"\n'},
    ),
    "profile with two tokens": Mistake(
        {}, "remove one of them", {"EAS_PROFILE": "prod"},
        {"eas-grpc/config.toml": f'[prod]\ntoken = "{SECRET}"\ntoken_file = "x"\n'},
    ),
    "profile not TOML": Mistake(
        {}, "config.toml", {"EAS_PROFILE": "prod"},
        {"eas-grpc/config.toml": f"[prod]\ntoken = {SECRET}\n"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def listener() -> Iterator[Silent]:
    with Silent() as listener:
        yield listener
        assert listener.accepted == 0


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The channels that grpc was asked for."""
    made: list[str] = []

    def watch(module: Any, name: str) -> None:
        real = getattr(module, name)

        def noted(*args: Any, **kwargs: Any) -> Any:
            made.append(name)
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, noted)

    for module in (grpc, grpc.aio):
        watch(module, "insecure_channel")
        watch(module, "secure_channel")
    return made


def placed(value: Any, folder: pathlib.Path) -> Any:
    """The value with `{folder}` filled in."""
    if isinstance(value, pathlib.Path):
        return pathlib.Path(str(value).replace("{folder}", str(folder)))
    return value.replace("{folder}", str(folder)) if isinstance(value, str) else value


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_one_sentence_with_the_fix_and_nothing_is_sent(
    name: str,
    door: str,
    listener: Silent,
    built: list[str],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mistake = MISTAKES[name]
    for variable, value in mistake.variables.items():
        monkeypatch.setenv(variable, value)
    for file, content in mistake.files.items():
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError) as caught:
        given = mistake.given() if callable(mistake.given) else mistake.given
        options = {key: placed(value, tmp_path) for key, value in given.items()}
        DOORS[door](**{"endpoint": listener.address, **options})
    message = str(caught.value)
    assert mistake.fix in message
    assert message == message.strip()
    assert message.isprintable(), "one line, nothing invisible"
    assert 20 < len(message) < 400
    assert not message.endswith((".", ":"))
    assert "Traceback" not in message
    assert SECRET not in message
    assert isinstance(caught.value, ValueError)
    assert built == []


class Blocking(grpc.UnaryUnaryClientInterceptor):
    def intercept_unary_unary(self, continuation, client_call_details, request):
        return continuation(client_call_details, request)


class Asyncio(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation, client_call_details, request):
        return await continuation(client_call_details, request)


@pytest.mark.parametrize(
    ("door", "wrong", "fix"),
    [
        ("connect", 5, "write [yours]"),
        ("connect", Blocking(), "write [yours]"),
        ("connect", [Asyncio()], "an asyncio interceptor"),
        ("connect", ["x"], "derive it from one"),
        ("aio.connect", 5, "write [yours]"),
        ("aio.connect", [Blocking()], "a blocking interceptor"),
    ],
)
def test_interceptors_of_the_wrong_kind_are_refused_at_once(door: str, wrong: object, fix: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(fix)):
        DOORS[door]("localhost:1", interceptors=wrong)


@pytest.mark.parametrize("door", DOORS)
def test_a_token_that_nobody_passed_is_named_by_where_it_came_from(
    door: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setenv("EAS_TOKEN", "two words")
    with pytest.raises(ConfigError, match=r"^EAS_TOKEN: the token holds"):
        DOORS[door]("localhost:1")
    monkeypatch.delenv("EAS_TOKEN")
    empty = tmp_path / "token"
    empty.write_text("")
    monkeypatch.setenv("EAS_TOKEN_FILE", str(empty))
    with pytest.raises(ConfigError, match=r"token file .*token: the token is empty"):
        DOORS[door]("localhost:1")
    with pytest.raises(ConfigError, match="proxy must be True, False or None"):
        DOORS[door]("localhost:1", token="t", proxy="no")


@pytest.mark.parametrize("door", [eas_grpc.interceptors, aio.interceptors])
@pytest.mark.parametrize(
    ("wrong", "fix"),
    [
        ({"max_request": "1"}, "number of bytes"),
        ({"deadline": 0}, "write seconds above 0"),
        ({"profile": "nobody"}, "write 'gateway'"),
        ({"token": ""}, "copy it from"),
        ({"stream_limits": 5}, "StreamLimits("),
    ],
)
def test_a_mistake_at_the_interceptors_is_refused_the_same_way(
    door: Callable[..., Any], wrong: dict[str, Any], fix: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(fix)):
        door(**wrong)


@pytest.mark.parametrize("door", DOORS)
def test_what_is_right_is_not_refused(door: str, listener: Silent, built: list[str]) -> None:
    """The other half: the same table would pass if everything were refused."""
    for given in (
        {},
        {"token": f"Bearer {SECRET}", "deadline": None, "retry": None, "stream_limits": None},
        {"max_request": None, "max_response": None, "profile": "direct"},
        {"options": [("grpc.keepalive_time_ms", 30_000), ("somebody.else", 1)]},
        {"retry": RetryPolicy(attempts=5, exclude=("a.B", "a.B/C"))},
    ):
        channel = DOORS[door](listener.address, **given)
        if door == "connect":
            channel.close()
    assert built == ["insecure_channel"] * (5 if door == "connect" else 0)


def test_there_are_mistakes_enough() -> None:
    assert len(MISTAKES) >= 40
