"""A server whose figures are known beforehand, in a process of its own, to judge what `eas_grpc.load` measures.

`with LoadServer(delays=[0.05, 0.15]) as server:` waits so long before each answer, drawn evenly from between the two.
`stall_at=n` makes the whole process stand still for `stall` seconds when the n-th call arrives. The server counts
by itself what arrives and how it ends, and says so in `counters()`.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "load.test.Rig"
REFUSED = "every so many calls are refused, für alle"
_TESTS = Path(__file__).parents[1]
_SHAPES = {"Unary": (0, 0), "Many": (0, 1), "Collect": (1, 0), "Both": (1, 1)}


def descriptor_set() -> descriptor_pb2.FileDescriptorSet:
    """The service: Unary, Many (a stream of answers), Collect (a stream of requests), Both."""
    file = descriptor_pb2.FileDescriptorProto(
        name="load/test/rig.proto", package="load.test", syntax="proto3"
    )
    ask = file.message_type.add(name="Ask")
    kinds = descriptor_pb2.FieldDescriptorProto
    for number, (name, kind) in enumerate(
        [("name", kinds.TYPE_STRING), ("count", kinds.TYPE_INT32), ("gap", kinds.TYPE_DOUBLE)], 1
    ):
        ask.field.add(name=name, number=number, type=kind, label=kinds.LABEL_OPTIONAL)
    answer = file.message_type.add(name="Answer")
    answer.field.add(name="text", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    service = file.service.add(name="Rig")
    for name, (many_asks, many_answers) in _SHAPES.items():
        service.method.add(
            name=name,
            input_type=".load.test.Ask",
            output_type=".load.test.Answer",
            client_streaming=bool(many_asks),
            server_streaming=bool(many_answers),
        )
    return descriptor_pb2.FileDescriptorSet(file=[file])


def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_set().file:
        pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    return pool


def ask(**fields: Any) -> bytes:
    """A request's bytes."""
    kind = message_factory.GetMessageClass(_pool().FindMessageTypeByName("load.test.Ask"))
    return kind(**fields).SerializeToString()


class _Rig:
    def __init__(self, config: dict[str, Any]) -> None:
        self._delays = config.get("delays")
        self._dice = random.Random(config.get("seed", 1))
        self._token = config.get("token")
        self._fail_every = config.get("fail_every")
        self._fail_status = config.get("fail_status", "RESOURCE_EXHAUSTED")
        self._stall_at, self._stall = config.get("stall_at"), config.get("stall", 1.0)
        self.counts: dict[str, Any] = {}
        self.reset()
        pool = _pool()
        self._ask = message_factory.GetMessageClass(pool.FindMessageTypeByName("load.test.Ask"))
        self._answer = message_factory.GetMessageClass(pool.FindMessageTypeByName("load.test.Answer"))
        self.pool = pool

    def reset(self) -> None:
        self.counts = {"arrived": 0, "statuses": {}, "asks": 0, "answers": 0, "in_flight": 0}
        self.counts |= {"names": {}, "peers": {}, "stalled": 0.0}

    async def _arrive(self, context: Any) -> None:
        self.counts["arrived"] += 1
        self.counts["in_flight"] += 1
        peers = self.counts["peers"]
        peers[context.peer()] = peers.get(context.peer(), 0) + 1
        if self.counts["arrived"] == self._stall_at:
            began = time.monotonic()
            time.sleep(self._stall)
            self.counts["stalled"] = time.monotonic() - began
        if self._token is not None:
            given = dict(context.invocation_metadata()).get("authorization")
            if given != f"Bearer {self._token}":
                await self._refuse(context, "UNAUTHENTICATED", "wrong token")
        if self._fail_every and self.counts["arrived"] % self._fail_every == 0:
            await self._refuse(context, self._fail_status, REFUSED)
        if self._delays:
            await asyncio.sleep(self._dice.uniform(*self._delays))

    async def _refuse(self, context: Any, status: str, details: str) -> None:
        self._end(status)
        await context.abort(grpc.StatusCode[status], details)

    def _end(self, status: str) -> None:
        self.counts["in_flight"] -= 1
        statuses = self.counts["statuses"]
        statuses[status] = statuses.get(status, 0) + 1

    def _asked(self, ask: Any) -> Any:
        self.counts["asks"] += 1
        if ask.name:
            names = self.counts["names"]
            names[ask.name] = names.get(ask.name, 0) + 1
        return ask

    def _answered(self, text: str) -> Any:
        self.counts["answers"] += 1
        return self._answer(text=text)

    async def unary(self, ask: Any, context: Any) -> Any:
        await self._arrive(context)
        answer = self._answered(self._asked(ask).name)
        self._end("OK")
        return answer

    async def many(self, ask: Any, context: Any) -> Any:
        await self._arrive(context)
        self._asked(ask)
        for number in range(ask.count):
            if number:
                await asyncio.sleep(ask.gap)
            yield self._answered(ask.name)
        self._end("OK")

    async def collect(self, asks: Any, context: Any) -> Any:
        await self._arrive(context)
        async for each in asks:
            self._asked(each)
        answer = self._answered("")
        self._end("OK")
        return answer

    async def both(self, asks: Any, context: Any) -> Any:
        await self._arrive(context)
        async for each in asks:
            yield self._answered(self._asked(each).name)
        self._end("OK")

    def handlers(self) -> dict[str, Any]:
        made = {}
        for name, (many_asks, many_answers) in _SHAPES.items():
            kind = f"{'stream' if many_asks else 'unary'}_{'stream' if many_answers else 'unary'}"
            make = getattr(grpc, f"{kind}_rpc_method_handler")
            made[name] = make(
                getattr(self, name.lower()),
                request_deserializer=self._ask.FromString,
                response_serializer=self._answer.SerializeToString,
            )
        return made


async def _serve(config: dict[str, Any]) -> None:
    from grpc_reflection.v1alpha import reflection

    rig = _Rig(config)

    async def counters(request: bytes, _: Any) -> bytes:
        found = json.dumps(rig.counts).encode()
        if request == b"reset":
            rig.reset()
        return found

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    control = {"Counters": grpc.unary_unary_rpc_method_handler(counters)}
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(SERVICE, rig.handlers()),
            grpc.method_handlers_generic_handler("control", control),
        )
    )
    reflection.enable_server_reflection([SERVICE, reflection.SERVICE_NAME], server, pool=rig.pool)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(0)


class LoadServer:
    """The server in a process; `address` once it is entered."""

    def __init__(self, **config: Any) -> None:
        self._config = config
        self.address = ""

    def __enter__(self) -> LoadServer:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.load_server"],
            env=os.environ | {"PYTHONPATH": str(_TESTS), "LOAD_SERVER": json.dumps(self._config)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()
        assert self.address, "the server did not start"
        return self

    def counters(self, *, reset: bool = False) -> dict[str, Any]:
        """What the server counted: calls arrived, statuses, messages, calls in flight, names, connections."""
        with grpc.insecure_channel(self.address) as channel:
            answer = channel.unary_unary("/control/Counters")(b"reset" if reset else b"", timeout=10)
        return json.loads(answer)

    def kill(self) -> None:
        """Ends it in the middle of what it does."""
        self._process.kill()

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._process.communicate()


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(os.environ["LOAD_SERVER"])))
