"""`eas-grpc serve`: the demo services on this machine, as EAS would serve them."""

from __future__ import annotations

import sys

import click

from eas_grpc.cli._target import LOCAL_TOKEN

__all__ = ["serve"]


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=50080, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one."
)
@click.option(
    "--token", default=LOCAL_TOKEN, metavar="TEXT", help=f"The token to ask for (default {LOCAL_TOKEN})."
)
@click.option("--public", is_flag=True, help="Allow an address that other machines can reach.")
@click.option("--asyncio", "use_asyncio", is_flag=True, help="Serve on asyncio instead of threads.")
def serve(host: str, port: int, token: str, *, public: bool, use_asyncio: bool) -> None:
    """Serve a greeter and two demo models until interrupted.

    The models are `echo` and `digits`. Prints `ready on HOST:PORT` as soon as calls are answered.
    """
    from server_demo import app

    sys.exit(app.serve(host, port, token, public=public, use_asyncio=use_asyncio))
