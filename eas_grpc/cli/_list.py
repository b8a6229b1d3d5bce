"""`eas-grpc list`: what a service offers, by reflection or from a schema that is named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from eas_grpc.cli._completion import complete_services
from eas_grpc.cli._console import printable
from eas_grpc.cli._schema_source import Source, find_schema, schema_options, tell
from eas_grpc.cli._target import Target, target_options

if TYPE_CHECKING:
    from eas_grpc.schema import Method, Schema

__all__ = ["list_"]


@click.command("list")
@click.argument("service", required=False, metavar="[SERVICE]", shell_complete=complete_services)
@click.option("-m", "--methods", is_flag=True, help="The methods of all services.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, with the types of each method.")
@schema_options
@target_options
def list_(service: str | None, *, methods: bool, as_json: bool, source: Source, target: Target) -> None:
    """List services, or the methods of one.

    The service is asked by reflection, unless a schema is named: --proto, --descriptor-set and --module need no
    network at all. SERVICE may be the end of a name if only one fits.
    """
    from eas_grpc.schema import ReflectionError

    try:
        schema = find_schema(target, source, None, symbols=() if service is None else (service,))
    except ReflectionError as error:
        # That much it said, and it may be all that is wanted.
        if service is None and not methods and not as_json:
            for name in sorted(error.services):
                click.echo(printable(name))
        raise
    tell(schema)
    if service is not None:
        found = schema.methods(service)
        click.echo(json.dumps([_method(each) for each in found], indent=2) if as_json else _paths(found))
    elif as_json:
        click.echo(json.dumps(_whole(schema), indent=2))
    elif methods:
        for name in schema.services:
            click.echo(_paths(schema.methods(name)))
    else:
        for name in sorted([*schema.services, *schema.undescribed]):
            click.echo(printable(name))


def _paths(methods: tuple[Method, ...]) -> str:
    return "\n".join(method.path[1:] for method in methods)


def _method(method: Method) -> dict[str, Any]:
    return {
        "name": method.name,
        "path": method.path,
        "shape": method.shape,
        "request": method.request.DESCRIPTOR.full_name,
        "response": method.response.DESCRIPTOR.full_name,
        "deprecated": method.deprecated,
        "idempotency": method.idempotency,
    }


def _whole(schema: Schema) -> dict[str, Any]:
    return {
        "origin": schema.origin,
        "services": [
            {"name": name, "methods": [_method(each) for each in schema.methods(name)]}
            for name in schema.services
        ],
        "undescribed": schema.undescribed,
        "notes": list(schema.notes),
    }
