"""Everything that is not a right token, sent to every method; and how long a refusal takes (row F4)."""

from __future__ import annotations

import http.client
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Any, NamedTuple

import grpc
import numpy as np

from eas_grpc import serving
from eas_grpc.auth import token_matches
from eas_grpc.serving import ServerOptions
from eas_grpc.serving._background import in_background
from eas_grpc.serving._registry import collect
from reliability.child import hear, say
from reliability.ledger import SHAPES, answer
from server_demo.gateway import Gateway, GatewayOptions, Request, Response, Service
from server_demo.gateway._auth import http_verdict
from server_demo.gateway._exchange import Head

__all__ = [
    "HEALTH",
    "Timing",
    "bad_headers",
    "bad_metadata",
    "compare",
    "grpc_refusals",
    "http_refusals",
    "judge",
    "servers",
    "timings",
    "timings_over_the_wire",
]

OTHERS_TOKEN = "token-of-another-service"
_SERVICE = "reliability.Refused"
# Where the two tokens differ: at both ends of a text that is long enough for the difference to be seen.
_LENGTH = 4000
_OTHER = ord("b")
_HALVINGS = 200

Method = tuple[str, str]


def servers(token: str) -> None:
    """Our servers in both colours and a gateway, which ask for the token, and one of grpcio's own, which cannot.

    On each is every service of ours: models in three protocols, reflection, health. Says `ready` with the addresses and
    the methods; a word asks how many handlers have run.
    """
    ran: list[str] = []
    closed, opened = ServerOptions(tokens=(token,)), ServerOptions()
    plain, coroutines = partial(_register, ran, False), partial(_register, ran, True)
    with ExitStack() as stack:
        threads = stack.enter_context(in_background(plain, options=closed))
        asyncio = stack.enter_context(in_background(coroutines, options=closed, use_asyncio=True))
        upstream = stack.enter_context(in_background(plain, options=opened))
        gateway = stack.enter_context(Gateway(options=GatewayOptions(rate_limit=0)))
        web = gateway.serve_http(partial(_web, ran))
        for name, right in (("mine", token), ("other", OTHERS_TOKEN)):
            gateway.add(Service(name=name, grpc=upstream.address, http=web, tokens=(right,)))
        stock = stack.enter_context(_stock(ran))
        addresses = {
            "threads": threads.address,
            "asyncio": asyncio.address,
            "gateway": gateway.address,
            "stock": stock,
        }
        say("ready", addresses=addresses, methods=_methods(plain))
        while hear():
            say("ran", count=len(ran))


@contextmanager
def _stock(ran: list[str]) -> Iterator[str]:
    with ThreadPoolExecutor(16) as pool:
        one = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
        _register_shapes(ran, False, one)
        port = one.add_insecure_port("127.0.0.1:0")
        one.start()
        yield f"127.0.0.1:{port}"
        one.stop(0).wait()


def _web(ran: list[str], request: Request) -> Response:
    ran.append(request.path)
    return Response(200, b"ran")


def _register(ran: list[str], use_asyncio: bool, to: Any) -> None:
    @serving.model(name="refused")
    def double(numbers: np.ndarray) -> np.ndarray:
        ran.append("model")
        return numbers * 2

    models = serving.Models(double)
    (models.register_async if use_asyncio else models.register)(to)
    _register_shapes(ran, use_asyncio, to)


def _register_shapes(ran: list[str], use_asyncio: bool, to: Any) -> None:
    handlers = {shape: _handler(ran, shape, use_asyncio) for shape in SHAPES}
    to.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))


def _handler(ran: list[str], shape: str, use_asyncio: bool) -> Any:
    def one(_requests: Any, _context: Any) -> bytes:
        ran.append(shape)
        return answer("ran")

    def many(_requests: Any, _context: Any) -> Iterator[bytes]:
        ran.append(shape)
        yield answer("ran")

    async def one_async(requests: Any, context: Any) -> bytes:
        return one(requests, context)

    async def many_async(requests: Any, context: Any) -> Any:
        for each in many(requests, context):
            yield each

    chosen = (many_async, many) if shape.endswith("stream") else (one_async, one)
    return getattr(grpc, f"{shape}_rpc_method_handler")(chosen[0] if use_asyncio else chosen[1])


def _methods(register: Callable[[Any], None]) -> list[Method]:
    """Path and shape of each method, and of those that a server adds or does not know."""
    found = []
    for path, handler in collect(register).methods():
        sides = [
            "stream" if flag else "unary" for flag in (handler.request_streaming, handler.response_streaming)
        ]
        found.append((path, "_".join(sides)))
    found += [
        (f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo", "stream_stream")
        for version in ("v1", "v1alpha")
    ]
    return [*found, (f"/{_SERVICE}/Unknown", "unary_unary"), ("/no.such.Service/Method", "unary_unary")]


HEALTH: tuple[Method, ...] = (
    ("/grpc.health.v1.Health/Check", "unary_unary"),
    ("/grpc.health.v1.Health/Watch", "unary_stream"),
    ("/grpc.health.v1.Health/List", "unary_unary"),
)


def bad_metadata(token: str) -> dict[str, list[tuple[str, str]]]:
    """What a gRPC call may bring that must not open anything."""
    return {
        "nothing": [],
        "empty": [("authorization", "")],
        "Bearer alone": [("authorization", "Bearer")],
        "Bearer and a space": [("authorization", "Bearer ")],
        "wrong": [("authorization", "Bearer wrong-token")],
        "its beginning": [("authorization", f"Bearer {token[:-1]}")],
        "more than it": [("authorization", f"Bearer {token}x")],
        "its end": [("authorization", f"Bearer {token[1:]}")],
        "other case": [("authorization", f"Bearer {token.swapcase()}")],
        "another service's": [("authorization", f"Bearer {OTHERS_TOKEN}")],
        "bare": [("authorization", token)],
        "another scheme": [("authorization", f"Basic {token}")],
        "a signature": [("authorization", f"EAS {token}")],
        "twice": [("authorization", f"Bearer {token}"), ("authorization", f"Bearer {token}")],
        "right and wrong": [("authorization", "Bearer wrong"), ("authorization", f"Bearer {token}")],
        "both in one": [("authorization", f"Bearer wrong, Bearer {token}")],
        "other keys": [
            ("x-authorization", f"Bearer {token}"),
            ("token", token),
            ("cookie", f"token={token}"),
        ],
    }


def bad_headers(token: str) -> dict[str, dict[str, str]]:
    """The same over HTTP, where the bare token and a signature are right as well."""
    sent = {name: pairs[0][1] for name, pairs in bad_metadata(token).items() if len(pairs) == 1}
    del sent["bare"]
    return {
        "nothing": {},
        **{name: {"Authorization": value} for name, value in sent.items()},
        "bare, wrong": {"Authorization": "wrong-token"},
        "bare, another service's": {"Authorization": OTHERS_TOKEN},
        "a forged signature": {"Authorization": "EAS AAAAAAAAAAAAAAAAAAAAAAAAAAA="},
        "an empty signature": {"Authorization": "EAS "},
        "other headers": {"X-Authorization": token, "Token": token, "Cookie": f"token={token}"},
    }


def grpc_refusals(address: str, methods: list[Method], token: str) -> dict[str, Any]:
    """How many calls were made, and which did not end as UNAUTHENTICATED; `let_in` is a call with the right token."""
    passed, made = [], 0
    with grpc.insecure_channel(address) as channel:
        for path, shape in methods:
            call = getattr(channel, shape)(path)
            for name, sent in bad_metadata(token).items():
                made += 1
                status = _status(call, shape, sent)
                if status != "UNAUTHENTICATED":
                    passed.append(f"{path} with {name}: {status}")
        right = [("authorization", f"Bearer {token}")]
        stub = channel.unary_unary(f"/{_SERVICE}/unary_unary")
        let_in = _status(stub, "unary_unary", right) == "OK"
    return {"made": made, "passed": passed, "let_in": let_in}


def _status(call: Any, shape: str, sent: list[tuple[str, str]]) -> str:
    try:
        got = call(iter([b""]) if shape.startswith("stream") else b"", timeout=5.0, metadata=sent)
        if shape.endswith("stream"):
            next(got)
            got.cancel()
    except StopIteration:
        return "OK"
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


_WAYS = (
    ("GET", "/api/predict/mine"),
    ("POST", "/api/predict/mine"),
    ("POST", "/api/predict/mine/v1/x?y=1"),
    ("POST", "//api//predict/mine"),
    ("POST", "/api/predict/other/../mine"),
    ("PUT", "/api/predict/mine"),
    ("DELETE", "/api/predict/mine"),
    ("OPTIONS", "/api/predict/mine"),
    ("HEAD", "/api/predict/mine"),
)


def http_refusals(address: str, token: str) -> dict[str, Any]:
    """The same over HTTP: which requests were answered otherwise than by 401, or 404 for a path that is none."""
    passed, made = [], 0
    for verb, target in (*_WAYS, ("POST", f"/api/predict/mine?token={token}&authorization={token}")):
        for name, headers in bad_headers(token).items():
            made += 1
            status = _http_status(address, verb, target, headers)
            if status != 401 and not (status in {400, 404} and ".." in target):
                passed.append(f"{verb} {target.partition('?')[0]} with {name}: {status}")
    let_in = _http_status(address, "POST", "/api/predict/mine", {"Authorization": token}) == 200
    return {"made": made, "passed": passed, "let_in": let_in}


def _http_status(address: str, verb: str, target: str, headers: dict[str, str]) -> int:
    with closing(http.client.HTTPConnection(*address.rsplit(":", 1), timeout=5)) as connection:
        connection.request(verb, target, b"x" if verb in {"POST", "PUT"} else None, headers)
        return connection.getresponse().status


# How long it takes.


class Timing(NamedTuple):
    """Nanoseconds between the medians for a wrong first and a wrong last byte, and between those of the same kind."""

    difference: float
    noise: float


def timings(pairs: int, seed: int) -> dict[str, Timing]:
    """The comparison of tokens and that of signatures in our code; and the two ways in which one would write it without."""
    token = "a" * _LENGTH

    def http(given: str) -> object:
        head = Head("POST", "/api/predict/mine", "localhost", [(b"authorization", given.encode())])
        return http_verdict(head, (token,), strict=False)

    ways: dict[str, Callable[[str], object]] = {
        "token": lambda given: token_matches(given, (token,)),
        "HTTP": http,
        "compared with ==": lambda given: given == token,
        "byte by byte": lambda given: all(one == other for one, other in zip(given, token, strict=True)),
    }
    return {name: compare(way, token, pairs, seed) for name, way in ways.items()}


def timings_over_the_wire(address: str, token: str, pairs: int, seed: int) -> Timing:
    """The same for whole calls."""
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(f"/{_SERVICE}/unary_unary")

        def way(given: str) -> object:
            return _status(call, "unary_unary", [("authorization", f"Bearer {given}")])

        return compare(way, token, pairs, seed)


def compare(way: Callable[[str], object], token: str, pairs: int, seed: int) -> Timing:
    """How much longer one takes than the other: taken by lot, so that whatever else the machine does meets both."""
    rng = random.Random(seed)
    found = np.empty((pairs, 2))
    clock = time.perf_counter_ns
    for number in range(pairs):
        # By lot and not in turns: a fixed order has a rhythm of its own, which shows as some 20 ns.
        for side in rng.choice(((0, 1), (1, 0))):
            # Made anew and in the same way, so that both lie in the same place, and in the same caches.
            made = bytearray(token, "ascii")
            made[-side] = _OTHER
            given = made.decode()
            began = clock()
            way(given)
            found[number, side] = clock() - began
            del given
    return judge(found, seed)


def judge(found: Any, seed: int) -> Timing:
    """The difference of the medians of two columns, and the largest of halves of the same column.

    The noise is at least two of the steps in which the clock counts, as far as the readings show them.
    """
    rng = np.random.default_rng(seed)
    difference = abs(float(np.subtract(*np.median(found, axis=0))))
    steps = np.diff(np.unique(found[found <= np.median(found)]))
    noise = 2 * float(np.median(steps)) if len(steps) else 0.0
    for column in found.T:
        for _ in range(_HALVINGS):
            one, other = np.array_split(rng.permutation(column), 2)
            noise = max(noise, abs(float(np.median(one) - np.median(other))))
    return Timing(difference, noise)
