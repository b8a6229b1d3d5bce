"""Tokens, ways in which they can be shown and ways in which services can be asked for; and services that note what arrives."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from server_demo.gateway import Gateway, GatewayOptions, Service
from support.gateway_clients import Answer, Http2, ask, request_bytes, signed
from support.gateway_upstreams import GrpcUpstream, HttpUpstream

# Long enough, and alike enough, to be told from each other and from anything else.
RIGHT = "cmlnaHQtdG9rZW4tb2YtbWluZQ=="
SECOND = "c2Vjb25kLXRva2VuLW9mLW1pbmU="
OTHER = "dG9rZW4tb2YtdGhlLW90aGVyLW9uZQ=="
WITHDRAWN = "d2l0aGRyYXduLXRva2VuLW9mLW1pbmU="
WRONG = "d3JvbmctdG9rZW4tb2Ytbm9ib2R5"
BAD = {
    "none": None,
    "wrong": WRONG,
    "a prefix": RIGHT[:-3],
    "longer": RIGHT + "x",
    "another case": RIGHT.swapcase(),
    "another service's": OTHER,
    "withdrawn": WITHDRAWN,
}
SECRETS = [RIGHT[:-3], RIGHT.swapcase(), SECOND, OTHER, WITHDRAWN, WRONG]

VERBS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW"]
CLOUD = "123.cn-hangzhou.pai-eas.aliyuncs.com"
BATCH = 90


@dataclass
class World:
    gateway: Gateway
    http: HttpUpstream
    grpc: GrpcUpstream
    instance: str

    def arrived(self) -> tuple[object, ...]:
        """All that the services have seen."""
        return self.http.accepted, self.http.received, len(self.http.heads), tuple(self.grpc.calls)


@contextmanager
def a_world() -> Iterator[World]:
    """Two services that note what arrives, behind a gateway that knows `RIGHT` and has forgotten `WITHDRAWN`."""
    options = GatewayOptions(rate_limit=0)
    with HttpUpstream() as http, GrpcUpstream() as rpc:
        mine = Service(name="mine", grpc=rpc.address, http=http.address, tokens=(RIGHT, WITHDRAWN))
        other = Service(name="other", grpc=rpc.address, http=http.address, tokens=(OTHER,))
        with Gateway(mine, other, options=options, ui=True, admin_port=0) as gateway:
            instance = gateway.add_instance("mine")
            found = World(gateway, http, rpc, f"127.0.0.1:{instance.port}")
            # It has to be a token that worked: on the connections that others use after it, too.
            answer = ask(gateway.address, "POST", "/api/predict/mine", bare(WITHDRAWN), b"x")
            assert answer.status == 200
            with Http2(gateway.address) as client:
                assert client.call("/a/b", bearer(WITHDRAWN), b"x").grpc_status == "0"
            gateway.configure("mine", tokens=(RIGHT,))
            yield found


def bare(token: str) -> list[tuple[str, str]]:
    return [("Authorization", token)]


def bearer(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


Form = Callable[[str, str, str], list[tuple[str, str]]]

# What a header says with a token, for a verb and a signed resource. The first three are those of EAS.
FORMS: dict[str, Form] = {
    "bare": lambda token, verb, path: bare(token),
    "bearer": lambda token, verb, path: [("Authorization", f"Bearer {token}")],
    "signature": lambda token, verb, path: signed(token, path, method=verb),
    "signature over POST": lambda token, verb, path: signed(token, f"{path}/", method="POST"),
    "odd case": lambda token, verb, path: [("aUTHORIZATION", f"bEARER {token}")],
    "blanks": lambda token, verb, path: [("Authorization", f" \t{token} \t")],
    "blanks and bearer": lambda token, verb, path: [("Authorization", f"\tBearer   {token}\t ")],
    "twice": lambda token, verb, path: bare(token) * 2,
    "as key": lambda token, verb, path: [("Authorization", f"EAS {token}")],
    "basic": lambda token, verb, path: [
        ("Authorization", "Basic " + base64.b64encode(f":{token}".encode()).decode())
    ],
    "two words": lambda token, verb, path: [("Authorization", f"{token} {token}")],
    "list": lambda token, verb, path: [("Authorization", f"{token}, Bearer {token}")],
    "bearer in bearer": lambda token, verb, path: [("Authorization", f"Bearer Bearer {token}")],
}
GOOD_FORMS = ["bare", "bearer", "signature", "odd case", "blanks"]

# With the right token in it, and yet no access.
NEVER: dict[str, Form] = {
    "right behind wrong": lambda token, verb, path: bare(WRONG) + bare(RIGHT),
    "wrong behind right": lambda token, verb, path: bare(RIGHT) + bare(WRONG),
    "right twice": lambda token, verb, path: bare(RIGHT) * 2,
    "elsewhere": lambda token, verb, path: [
        ("Proxy-Authorization", RIGHT),
        ("X-Authorization", RIGHT),
        ("Cookie", f"authorization={RIGHT}"),
        ("Token", RIGHT),
    ],
    "a signature for another path": lambda token, verb, path: signed(
        RIGHT, "/api/predict/other", method=verb
    ),
    "a signature for another verb": lambda token, verb, path: signed(
        RIGHT, path, method="OTHER" if verb == "POST" else "POST"
    ),
    "named by Connection": lambda token, verb, path: [*bare(RIGHT), ("Connection", "authorization")],
    "two words": FORMS["two words"],
    "a list": lambda token, verb, path: [("Authorization", f"{RIGHT}, {RIGHT}")],
    "half": lambda token, verb, path: bare(RIGHT[:10]) + bare(RIGHT[10:]),
}


@dataclass
class Way:
    """How a request over HTTP/1.1 gets to `mine`."""

    name: str
    target: str = "/api/predict/mine"
    host: str = "localhost"
    to_instance: bool = False
    headers: list[tuple[str, str]] = field(default_factory=list)
    options: dict[str, object] = field(default_factory=dict)

    def path(self) -> str:
        at = self.target.find("/", 8) if "://" in self.target else 0
        return self.target[at:]

    def address(self, world: World) -> str:
        return world.instance if self.to_instance else world.gateway.address

    def bytes(self, verb: str, headers: list[tuple[str, str]]) -> bytes:
        body = b"" if self.headers else b"body"
        return request_bytes(
            verb, self.target, [*headers, *self.headers], body, host=self.host, **self.options
        )


WAYS = [
    Way("by path"),
    Way("by path with a rest", "/api/predict/mine/v1/chat?stream=1"),
    Way("by path with a query", "/api/predict/mine?token=x"),
    Way("doubled slashes", "//api///predict//mine//v1"),
    Way("encoded", "/%61pi/predict/m%69ne/%76"),
    Way("absolute", "http://localhost/api/predict/mine"),
    Way("absolute to a host", "http://mine.localhost/v1"),
    Way("by host", "/v1?x=y", "mine.localhost"),
    Way("by host and path", "/api/predict/mine/v1", "mine.localhost:80"),
    Way("by domain", "/", f"mine.{CLOUD}"),
    Way("by domain in the network", "/v1", "mine.123.vpc.cn-hangzhou.pai-eas.aliyuncs.com:80"),
    Way("a gRPC path", "/eas_grpc_pb.greeter.v1.GreeterService/SayHello", "MINE.localhost"),
    Way("to an instance", to_instance=True),
    Way("to an instance by host", "/v1", "mine.localhost", to_instance=True),
    Way("in chunks", options={"chunked": True}),
    Way("HTTP/1.0", options={"version": "1.0"}),
    Way("a websocket", headers=[("Connection", "Upgrade"), ("Upgrade", "websocket")]),
    Way("tunnelled HTTP/2", headers=[("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c")]),
]
# These lead to no service, with any token.
NOWHERE = [
    Way("dots", "/api/predict/other/../mine"),
    Way("encoded dots", "/api/predict/other/%2e%2e/mine"),
    Way("backslashes", "/api/predict/other\\..\\mine"),
    Way("encoded slash", "/api/predict%2fmine"),
    Way("another name's beginning", "/api/predict/mine2"),
    Way("nothing", "/"),
    Way("the other's host", "/api/predict/mine", "unknown.localhost"),
]


def without_secrets(answer: Answer) -> Answer:
    found = [secret for secret in SECRETS if secret in answer.everything]
    assert not found, answer.everything
    return answer


def refusals(path: str, verb: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Every form with every bad token."""
    for kind, token in BAD.items():
        if token is None:
            yield kind, []
            yield f"{kind}: empty", bare("")
            yield f"{kind}: bearer alone", bare("Bearer ")
            yield f"{kind}: EAS alone", bare("EAS ")
        else:
            for name, form in FORMS.items():
                yield f"{kind}, {name}", form(token, verb, path)
    for name, form in NEVER.items():
        yield name, form(WRONG, verb, path)
