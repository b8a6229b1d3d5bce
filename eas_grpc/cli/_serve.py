"""`eas-grpc serve`: services on this machine behind a gateway, as EAS would serve them."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import click

from eas_grpc.cli._target import LOCAL_TOKEN

if TYPE_CHECKING:
    from server_demo.gateway import Certificate, GatewayOptions

__all__ = ["serve"]

# Options of the gateway that are flags here: the flag's value replaces what the kind of gateway has.
_LIMITS = ("max_body_bytes", "keepalive", "rate_limit", "idle_timeout", "backend_idle_timeout")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=50080, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one."
)
@click.option(
    "--token",
    "tokens",
    metavar="TEXT",
    multiple=True,
    help=f"A token to accept (default {LOCAL_TOKEN}); repeatable.",
)
@click.option("--no-token", is_flag=True, help="Let everybody call.")
@click.option("--public", is_flag=True, help="Allow an address that other machines can reach.")
@click.option("--asyncio", "use_asyncio", is_flag=True, help="Serve on asyncio instead of threads.")
@click.option("-v", "--verbose", is_flag=True, help="Print a line for each call on stderr.")
@click.option(
    "--upstream",
    "upstreams",
    metavar="NAME=HOST:PORT",
    multiple=True,
    help="Put a server of yours behind the gateway, gRPC and HTTP; repeatable. Settings may follow:"
    " ,token=T ,keepalive=S ,rate_limit=N ,worker_threads=N ,max_queue_size=N ,decompressor=NAME, and ,grpc= or ,http="
    " with HOST:PORT or none. gRPC calls that name no service go to the first one that speaks it.",
)
@click.option("--tls-selfsigned", is_flag=True, help="TLS, with a certificate made for this run.")
@click.option("--tls-cert", metavar="FILE", help="TLS, with this certificate chain (PEM).")
@click.option("--tls-key", metavar="FILE", help="The key to --tls-cert (PEM).")
@click.option(
    "--gateway",
    "kind",
    type=click.Choice(["shared", "dedicated"]),
    default="shared",
    show_default=True,
    help="Whose limits: requests of 5 s, 1000 a second, idle for 180 s; or of 600 s, any number, 600 s.",
)
@click.option(
    "--max-body", "max_body_bytes", type=click.IntRange(0), help="Bytes; 0 for any size (default 1000000)."
)
@click.option("--keepalive", type=float, help="Seconds that a request may take.")
@click.option(
    "--rate-limit", type=click.IntRange(0), help="Calls a second for each service; 0 for any number."
)
@click.option("--idle-timeout", type=float, help="Seconds after which a client's idle connection closes.")
@click.option("--backend-idle-timeout", type=float, help="The same for connections to services (default 30).")
@click.option("--strict-auth", is_flag=True, help="Over HTTP: no 'Bearer', and check a signed Content-MD5.")
@click.option(
    "--fault",
    "faults",
    metavar="KIND[:NAME=VALUE,...]",
    multiple=True,
    help="A fault to begin with; repeatable.",
)
@click.option(
    "--admin-port", type=click.IntRange(0, 65535), help="Open the admin interface there, on loopback."
)
@click.option("--ui", is_flag=True, help="Show the live page at /_eas.")
def serve(
    host: str,
    port: int,
    tokens: tuple[str, ...],
    *,
    no_token: bool,
    public: bool,
    use_asyncio: bool,
    verbose: bool,
    upstreams: tuple[str, ...],
    ui: bool,
    admin_port: int | None,
    faults: tuple[str, ...],
    **others: Any,
) -> None:
    """Serve the demo, or servers of yours, behind a gateway.

    The gateway behaves as EAS's does; `greeter`, `echo` and `digits` are behind it, and gRPC and HTTP share the port.
    Prints `ready on HOST:PORT` as soon as calls are answered, and serves until interrupted.
    """
    from server_demo import app
    from server_demo.gateway import Gateway, demo

    if no_token and tokens:
        raise click.UsageError("--token and --no-token exclude each other: leave one of them out")
    if verbose:
        logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
        logging.getLogger("server_demo.gateway.access").setLevel(logging.INFO)
    wanted = () if no_token else tokens or (LOCAL_TOKEN,)
    gateway = Gateway(
        *(demo.upstream(text, wanted) for text in upstreams),
        host=host,
        port=port,
        options=_options(others),
        certificate=_certificate(host, others),
        ui=ui,
        admin_port=admin_port,
    )
    app.check_name(host)
    app.check_host(host, public=public, token=wanted[0] if wanted else None)
    sys.exit(demo.serve(gateway, wanted, use_asyncio=use_asyncio, faults=faults, say=_say))


def _options(given: dict[str, Any]) -> GatewayOptions:
    from dataclasses import replace

    from server_demo.gateway import GatewayOptions

    limits = {name: given[name] for name in _LIMITS if given[name] is not None}
    if limits.get("max_body_bytes") == 0:
        limits["max_body_bytes"] = None
    return replace(GatewayOptions.of_kind(given["kind"]), strict_auth=given["strict_auth"], **limits)


def _certificate(host: str, given: dict[str, Any]) -> Certificate | None:
    from server_demo.gateway import Certificate

    chain, key = given["tls_cert"], given["tls_key"]
    if given["tls_selfsigned"] and (chain or key):
        raise click.UsageError("--tls-selfsigned and --tls-cert exclude each other: leave one of them out")
    if (chain is None) != (key is None):
        raise click.UsageError("--tls-cert and --tls-key belong together: give both")
    if given["tls_selfsigned"]:
        return Certificate.selfsigned(host)
    return None if chain is None else Certificate.load(chain, key)


def _say(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()
