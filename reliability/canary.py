"""A walk past everything that could show a token: whoever walks prints all there is, and the judge looks for it (row F3)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import copy
import logging
import os
import pathlib
import pickle
import sys
import traceback
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any
from urllib.parse import quote

import grpc

import eas_grpc
from eas_grpc import aio
from eas_grpc.auth import bearer, check_token, token_source
from eas_grpc.errors import ConfigError
from eas_grpc.serving import ServerOptions
from eas_grpc.serving._background import in_background
from eas_grpc.settings import find_settings
from reliability.child import hear, say
from reliability.clients import OURS, collected, collected_aio, is_aio, metadata, open_channel
from reliability.ledger import SERVICE, SHAPES, answer, parse, request
from server_demo.gateway import Gateway, GatewayOptions, Service

__all__ = ["client", "commands", "forms", "occurrences", "servers", "traced"]

_HERE = str(pathlib.Path(__file__).parent)
_VERBS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("fine", {}),
    ("UNAUTHENTICATED", {}),
    ("UNAVAILABLE", {}),
    ("INVALID_ARGUMENT", {}),
    ("raise", {}),
    ("hold", {"timeout": 0.1}),
    ("fine", {"metadata": (("x-trace", "two\nlines"),)}),
    ("fine", {"timeout": -1}),
)


def forms(secret: str) -> list[str]:
    """How it may be written: as it is, in a URL, and as base64 or hex by whoever dumps bytes."""
    data = secret.encode()
    return [secret, quote(secret, safe=""), base64.b64encode(data).decode().rstrip("="), data.hex()]


def occurrences(text: str, secret: str) -> int:
    """How often a secret stands in a text, in any form."""
    return sum(text.count(form) for form in dict.fromkeys(forms(secret)))


# What is walked past: servers that see the token, and one that repeats it wherever a server can.


def servers(secret: str) -> None:
    """One that repeats what it was sent, both of ours and a gateway, which check it and log at DEBUG."""
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    options = ServerOptions(tokens=(secret,))
    with ExitStack() as stack:
        own = {
            name: stack.enter_context(
                in_background(partial(_register, flag), options=options, use_asyncio=flag)
            )
            for name, flag in (("threads", False), ("asyncio", True))
        }
        gateway = stack.enter_context(Gateway(options=GatewayOptions(rate_limit=0), ui=True))
        gateway.add(Service(name="mine", grpc=own["threads"].address, tokens=(secret,)))
        addresses = {name: each.address for name, each in own.items()}
        repeating = stack.enter_context(_repeating())
        say("ready", addresses={**addresses, "gateway": gateway.address, "repeating": repeating})
        while hear():
            _print(options, gateway, gateway.service("mine"), gateway.calls(), *own.values())
            say("printed")


@contextlib.contextmanager
def _repeating() -> Iterator[str]:
    with ThreadPoolExecutor(8) as pool:
        one = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
        _register(False, one, repeat=True)
        port = one.add_insecure_port("127.0.0.1:0")
        one.start()
        yield f"127.0.0.1:{port}"
        one.stop(0).wait()


def _register(use_asyncio: bool, to: Any, *, repeat: bool = False) -> None:
    def answers(requests: Any, context: Any) -> Iterator[bytes]:
        sent = dict(context.invocation_metadata()).get("authorization", "nothing")
        if repeat:
            pairs = (("x-sent", sent), ("x-raw-bin", sent.encode()))
            context.send_initial_metadata(pairs)
            context.set_trailing_metadata(pairs)
        for data in [requests] if isinstance(requests, bytes) else requests:
            yield from _answered(data, sent if repeat else "nothing", context)

    def one(requests: Any, context: Any) -> bytes:
        return list(answers(requests, context))[-1]

    async def one_async(requests: Any, context: Any) -> bytes:
        await _acted(requests if isinstance(requests, bytes) else await anext(aiter(requests)), context)
        return answer("fine")

    async def many_async(requests: Any, context: Any) -> Any:
        yield await one_async(requests, context)

    handlers = {}
    for shape in SHAPES:
        pair = (many_async, answers) if shape.endswith("stream") else (one_async, one)
        handlers[shape] = getattr(grpc, f"{shape}_rpc_method_handler")(pair[0] if use_asyncio else pair[1])
    to.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


def _answered(data: bytes, sent: str, context: Any) -> Iterator[bytes]:
    id, verb, _, _ = parse(data)
    if verb == "hold":
        while context.is_active():
            yield answer(id)
    elif verb == "raise":
        raise RuntimeError("a failure of the service")
    elif verb != "fine":
        context.abort(grpc.StatusCode[verb], f"I was sent '{sent}', or {sent!r}")
    yield answer(id)


async def _acted(data: bytes, context: Any) -> None:
    verb = parse(data)[1]
    if verb == "hold":
        await asyncio.sleep(1)
    elif verb == "raise":
        raise RuntimeError("a failure of the service")
    elif verb != "fine":
        await context.abort(grpc.StatusCode[verb], "as asked")


# The walk.


def _print(*things: object) -> None:
    """Whatever an object says of itself, and of what it holds."""
    for thing in things:
        held = dict(getattr(thing, "__dict__", {}))
        for kind in type(thing).__mro__:
            for name in getattr(kind, "__slots__", ()):
                if not name.startswith("__"):
                    held[name] = getattr(thing, name, None)
        print(repr(thing), str(thing) if not isinstance(thing, str) else "", repr(held), file=sys.stderr)


def _print_error(error: BaseException) -> None:
    """An error as a program, a log, a crash reporter and a process pool show it; the walker's own frames left out."""
    _print(error, error.args)
    logging.getLogger("walk").debug("failed", exc_info=error)
    for name in ("failure", "hint"):
        _print(getattr(error, name, None))
    for name in ("code", "details", "initial_metadata", "trailing_metadata", "debug_error_string"):
        method = getattr(error, name, None)
        if callable(method):
            print(method(), file=sys.stderr)
    shown: Any = traceback.TracebackException.from_exception(error, capture_locals=True)
    while shown is not None:
        frames = [each for each in shown.stack if not each.filename.startswith(_HERE)]
        print(*(f"{each.name}: {each.locals}" for each in frames), sep="\n", file=sys.stderr)
        # As Python prints it, and as crash reporters walk it.
        shown = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)
    with contextlib.suppress(TypeError, AttributeError, pickle.PicklingError):
        print(pickle.dumps(error, protocol=0), copy.copy(error), file=sys.stderr)


def client(kind: str, door: str, addresses: dict[str, str], secret: str) -> None:
    """Every outcome of a call on every server: through `connect`, or through interceptors on a bare channel."""
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    warnings.simplefilter("always")
    work = _walk_aio(kind, door, addresses, secret) if is_aio(kind) else _walk(kind, door, addresses, secret)
    asyncio.run(work)
    if kind in OURS and door == "connect":
        _walk_round(secret)


def _opened(kind: str, door: str, name: str, address: str, secret: str) -> Any:
    if door == "connect":
        settings: dict[str, Any] = {"max_request": 5000}
        if name != "repeating":
            # One server is enough to see calls being tried again.
            settings["retry"] = None
        return open_channel(kind, address, token=secret, settings=settings)
    if is_aio(kind):
        return grpc.aio.insecure_channel(address, interceptors=aio.interceptors(token=secret))
    return grpc.intercept_channel(grpc.insecure_channel(address), *eas_grpc.interceptors(token=secret))


def _asked(kind: str, secret: str) -> Iterator[tuple[str, list[bytes], dict[str, Any]]]:
    for shape in SHAPES:
        for verb, said in (*_VERBS, ("large", {})):
            messages = [
                request("walk", "fine" if verb == "large" else verb, size=6000 if verb == "large" else 0)
            ]
            by_hand = () if kind in OURS else metadata(kind, secret)
            own = {"timeout": 5.0, **said, "metadata": (*by_hand, *said.get("metadata", ()))}
            yield shape, messages, own


async def _walk(kind: str, door: str, addresses: dict[str, str], secret: str) -> None:
    for name, address in {**addresses, "nobody": "127.0.0.1:1"}.items():
        with _opened(
            kind, door, name, address, secret if name != "asyncio" else f"{secret}-wrong"
        ) as channel:
            _print(channel)
            for shape, messages, said in _asked(kind, secret):
                try:
                    collected(channel, shape, messages, **said)
                except Exception as error:
                    _print_error(error)
                if name == "nobody":
                    break


async def _walk_aio(kind: str, door: str, addresses: dict[str, str], secret: str) -> None:
    for name, address in {**addresses, "nobody": "127.0.0.1:1"}.items():
        async with _opened(
            kind, door, name, address, secret if name != "threads" else f"{secret}-wrong"
        ) as channel:
            _print(channel)
            for shape, messages, said in _asked(kind, secret):
                try:
                    await collected_aio(channel, shape, messages, **said)
                except Exception as error:
                    _print_error(error)
                if name == "nobody":
                    break


def _walk_round(secret: str) -> None:
    """Objects that hold a token, and every mistake with one."""
    source = token_source(secret)
    assert source is not None
    _print(
        source, bearer(secret), check_token(secret), find_settings(endpoint="h:1", token=secret, environ={})
    )
    _print(token_source(lambda: secret), eas_grpc.interceptors(token=secret), aio.interceptors(token=secret))
    eas_grpc.connect("canary.example.com", token=secret).close()
    broken = (
        f"{secret}\n{secret}",
        f"{secret} x",
        f"Authorization: {secret}",
        f"'{secret}'",
        f"<{secret}>",
        secret * 500,
    )
    for token in (*broken, f"{secret}\u00e9", f"EAS {secret}"):
        for connect in (eas_grpc.connect, aio.connect):
            _mistake(connect, "127.0.0.1:1", token=token)
            _mistake(connect, "127.0.0.1:1", token=secret, deadline=-1)
        _mistake(ServerOptions, tokens=(token,))
        _mistake(ServerOptions, tokens=token)
        _mistake(Service, name="x", tokens=(token,))
        os.environ["EAS_TOKEN"] = token
        _mistake(eas_grpc.connect, "127.0.0.1:1")
    for thing in (check_token(secret), bearer(secret), eas_grpc.connect("127.0.0.1:1", token=secret)):
        _mistake(pickle.dumps, thing)


def _mistake(function: Any, *args: Any, **named: Any) -> None:
    try:
        function(*args, **named)
    except (ConfigError, TypeError, pickle.PicklingError) as error:
        _print_error(error)


def traced(kind: str, address: str, secret: str) -> None:
    """A few calls, for core to trace: one that goes well, one that fails, one that is refused."""

    async def there() -> None:
        for given in (secret, f"{secret}-wrong"):
            async with open_channel(kind, address, token=given) as channel:
                for verb in ("fine", "ABORTED"):
                    with contextlib.suppress(grpc.RpcError):
                        said = {"timeout": 5.0, "metadata": metadata(kind, given)}
                        await collected_aio(channel, "unary_unary", [request("trace", verb)], **said)

    def here() -> None:
        for given in (secret, f"{secret}-wrong"):
            with open_channel(kind, address, token=given) as channel:
                for verb in ("fine", "ABORTED"):
                    with contextlib.suppress(grpc.RpcError):
                        said = {"timeout": 5.0, "metadata": metadata(kind, given)}
                        collected(channel, "unary_unary", [request("trace", verb)], **said)

    asyncio.run(there()) if is_aio(kind) else here()


# The command line.


def commands(address: str, secret: str, folder: str) -> None:
    """Every command that meets a token, going well and going wrong, with the token from every place."""
    from click.testing import CliRunner

    from eas_grpc.cli.__main__ import cli

    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    files = _token_files(pathlib.Path(folder), secret)
    wrong = f"{secret}-wrong"
    given = [
        {"EAS_TOKEN": secret},
        {"EAS_TOKEN": wrong},
        {"EAS_TOKEN": f"{secret} x"},
        {"EAS_TOKEN": secret, "EAS_TOKEN_FILE": files["good"]},
        {"EAS_TOKEN_FILE": files["good"]},
        {"EAS_TOKEN_FILE": files["broken"]},
        {"EAS_PROFILE": "good"},
        {"EAS_PROFILE": "broken"},
    ]
    names = sorted(cli.commands)
    asked = [([name, "--help"], given[0]) for name in names] + [(["--help"], given[0]), ([], given[0])]
    for variables in given:
        there = {**variables, "EAS_ENDPOINT": address}
        asked += [(["env"], there), (["env", "--json"], there), (["hello"], there), (["health"], there)]
        asked += [(["health", "--list"], there)]
    for flag, value in (
        ("--token", secret),
        ("--token", wrong),
        ("--token", f"'{secret}'"),
        ("--token-file", files["broken"]),
    ):
        asked += [([name, "-e", address, flag, value], {}) for name in ("hello", "health")]
        asked += [([name, "-e", "127.0.0.1:1", flag, value], {}) for name in ("hello", "health")]
    for more in (
        f"token={secret} x",
        f"token={secret},keepalive=no",
        f"token={secret},token={secret} x",
        f"tokn={secret}",
    ):
        upstream = f"x=127.0.0.1:1,{more}"
        asked.append(
            (["serve", "--port", "0", "--token", secret, "--upstream", upstream, "--fault", "no"], {})
        )
    asked.append((["serve", "--port", "0", "--token", f"'{secret}'"], {}))
    for command, variables in asked:
        done = CliRunner().invoke(cli, command, env={"XDG_CONFIG_HOME": folder, **variables})
        print(done.exit_code, done.output, done.stderr, file=sys.stderr)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            _print_error(done.exception)
    say("asked", count=len(asked))


def _token_files(folder: pathlib.Path, secret: str) -> dict[str, str]:
    """Files with a good and a broken token, and a file of profiles."""
    texts = {"good": secret, "broken": f"{secret}\n{secret}"}
    for name, text in texts.items():
        (folder / name).write_text(text)
    home = folder / "eas-grpc"
    home.mkdir(exist_ok=True)
    good = f'[good]\nendpoint = "127.0.0.1:1"\ntoken = "{secret}"\n'
    (home / "config.toml").write_text(f'{good}[broken]\ntoken = "{secret} x"\nendpont = "h"\n')
    (home / "config.toml").chmod(0o600)
    return {name: str(folder / name) for name in texts}
