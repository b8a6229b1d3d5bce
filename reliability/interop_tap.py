"""Relays that read which messages are compressed, and end TLS where the server behind them has none of its own.

`tap` runs in a process of its own. Whoever wants to know asks its control port with `flags_of`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import traceback
from contextlib import suppress
from typing import Any

from reliability.child import hear, say
from reliability.interop_flags import Connection, Flags
from server_demo.gateway import Certificate

__all__ = ["ask", "flags_of", "listen", "tap"]

_CHUNK = 256 * 1024
_ASK_SECONDS = 5.0
_NEW_PORTS = 20


def tap(hosts: list[str], targets: list[str], certificate: list[str]) -> None:
    """Listens at one port on every host, in plaintext and at another one with TLS, until it is killed.

    `targets` has a target for each host; `certificate` is a chain and its key, as files; none means no TLS.
    """
    # It reports each connection that is cut, and cutting some is what the cases do.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    asyncio.run(_serve(hosts, targets, certificate))


async def _serve(hosts: list[str], targets: list[str], certificate: list[str]) -> None:
    calls: dict[str, Flags] = {}
    context = Certificate.load(*certificate).context() if certificate else None
    servers = [await asyncio.start_server(lambda r, w: _answer(calls, r, w), "127.0.0.1", 0)]
    ports = {}
    for name, tls in (("plain", None), ("tls", context)):
        if name == "plain" or tls is not None:
            port, opened = await _open(calls, hosts, targets, tls)
            ports[name] = port
            servers += opened
    say("up", ports=ports, control=servers[0].sockets[0].getsockname()[1])
    await asyncio.to_thread(hear)
    for server in servers:
        server.close()


async def _open(
    calls: dict[str, Flags], hosts: list[str], targets: list[str], tls: ssl.SSLContext | None
) -> tuple[int, list[asyncio.Server]]:
    port, sockets = listen(hosts)
    servers = []
    for listening, target in zip(sockets, targets, strict=True):

        async def relay(reader: Any, writer: Any, target: str = target) -> None:
            await _relay(calls, target, reader, writer)

        servers.append(await asyncio.start_server(relay, sock=listening, ssl=tls, limit=_CHUNK))
    return port, servers


def listen(hosts: list[str]) -> tuple[int, list[socket.socket]]:
    """A port that is free on all of these hosts, and the sockets that have it."""
    for _ in range(_NEW_PORTS):
        sockets: list[socket.socket] = []
        port = 0
        try:
            for host in hosts:
                sockets.append(socket.create_server((host, port), backlog=128))
                port = sockets[0].getsockname()[1]
        except OSError:
            for each in sockets:
                each.close()
        else:
            return port, sockets
    raise OSError(f"no port is free on all of {', '.join(hosts)}")


async def _relay(
    calls: dict[str, Flags], target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    host, _, port = target.rpartition(":")
    connection = Connection(calls)
    try:
        back_reader, back_writer = await asyncio.open_connection(host, int(port), limit=_CHUNK)
    except OSError:
        writer.close()
        return
    await asyncio.gather(
        _pump(reader, back_writer, connection.from_client),
        _pump(back_reader, writer, connection.from_server),
    )
    for each in (writer, back_writer):
        each.close()
        with suppress(OSError, ssl.SSLError):
            await each.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, look: Any) -> None:
    with suppress(OSError, ssl.SSLError):
        while data := await reader.read(_CHUNK):
            try:
                look(data)
            except Exception:
                # Bytes that are no HTTP/2 go on all the same; whoever asks for flags learns that there are none.
                traceback.print_exc()
                look = _blind
            writer.write(data)
            await writer.drain()
    # HTTP/2 knows no half-closed connection: when one side is gone, so is the other.
    writer.close()


def _blind(_data: bytes) -> None:
    """Sees nothing."""


async def _answer(
    calls: dict[str, Flags], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    with suppress(OSError):
        call = (await reader.readline()).decode().strip()
        writer.write(json.dumps(calls.get(call)).encode() + b"\n")
        await writer.drain()
    writer.close()


def ask(control: int, call: str) -> Flags | None:
    """What the tap with that control port saw of a call so far; None if it did not see the call."""
    with socket.create_connection(("127.0.0.1", control), timeout=_ASK_SECONDS) as connection:
        connection.sendall(call.encode() + b"\n")
        with connection.makefile("rb") as answer:
            return json.loads(answer.readline())


def flags_of(controls: list[int], call: str, way: str) -> list[bool]:
    """The flags of a call's messages in one direction; a ValueError where taps do not agree or did not see it."""
    seen = [(ask(control, call) or {}).get(way) for control in controls]
    if not seen or seen[0] is None or any(each != seen[0] for each in seen):
        raise ValueError(f"what the taps saw of the call: {seen}")
    return seen[0]
