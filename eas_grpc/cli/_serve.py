"""`eas-grpc serve`: the demo services on this machine, as EAS would serve them."""

from __future__ import annotations

import logging
import sys

import click

from eas_grpc.cli._target import LOCAL_TOKEN

__all__ = ["serve"]


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=50080, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one."
)
@click.option("--token", metavar="TEXT", help=f"The token to ask for (default {LOCAL_TOKEN}).")
@click.option("--no-token", is_flag=True, help="Let everybody call.")
@click.option("--public", is_flag=True, help="Allow an address that other machines can reach.")
@click.option("--asyncio", "use_asyncio", is_flag=True, help="Serve on asyncio instead of threads.")
@click.option("-v", "--verbose", is_flag=True, help="Print a line for each call on stderr.")
def serve(
    host: str, port: int, token: str | None, *, no_token: bool, public: bool, use_asyncio: bool, verbose: bool
) -> None:
    """Serve a greeter and two demo models until interrupted.

    The models are `echo` and `digits`. Prints `ready on HOST:PORT` as soon as calls are answered.
    """
    from server_demo import app

    if no_token and token is not None:
        raise click.UsageError("--token and --no-token exclude each other: leave one of them out")
    if verbose:
        logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
        logging.getLogger("eas_grpc.serving.access").setLevel(logging.INFO)
    wanted = None if no_token else LOCAL_TOKEN if token is None else token
    sys.exit(app.serve(host, port, wanted, public=public, use_asyncio=use_asyncio))
