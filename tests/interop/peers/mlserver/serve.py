"""Serves the models below a folder with MLServer, gRPC alone, on a port of the system's choice; says `ready on
HOST:PORT` once every model is loaded; SIGTERM ends it with status 0."""

import asyncio
import sys

import grpc.aio
from mlserver import MLServer
from mlserver.cli.serve import load_settings

ports = []
new_server = grpc.aio.server


def listening(*args, **kwargs):
    """A server that notes its port, which MLServer drops."""
    server = new_server(*args, **kwargs)
    bind = server.add_insecure_port
    server.add_insecure_port = lambda address: ports.append(bind(address))
    return server


async def never_started(*_args, **_kwargs):
    """In place of the HTTP server's start and stop."""


async def main(folder):
    grpc.aio.server = listening
    settings, models = await load_settings(folder)
    server = MLServer(settings)
    server._rest_server.start = server._rest_server.stop = never_started
    serving = asyncio.create_task(server.start(models))
    while not (ports and await server._data_plane.ready()):  # no event tells when
        if serving.done():
            break
        await asyncio.sleep(0.01)
    else:
        print(f"ready on {settings.host}:{ports[0]}", file=said, flush=True)
    await serving


said, sys.stdout = sys.stdout, sys.stderr  # MLServer logs to stdout
asyncio.run(main(sys.argv[1]))
