"""`eas-grpc describe`: what services, methods and messages look like, as .proto text, JSON, a template, or files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eas_grpc.cli._completion import complete_names
from eas_grpc.cli._schema_source import Source, find_schema, schema_options, tell
from eas_grpc.cli._target import Target, target_options

if TYPE_CHECKING:
    from eas_grpc.schema import Element, Schema

__all__ = ["describe"]


@click.command()
@click.argument("name", required=False, metavar="[NAME]", shell_complete=complete_names)
@click.option("--json", "as_json", is_flag=True, help="As JSON instead of .proto text.")
@click.option(
    "--template", is_flag=True, help="JSON of a message, or of a method's request, to be filled in."
)
@click.option(
    "--save-descriptor-set",
    "set_file",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Write the schema as a FileDescriptorSet; - is standard output.",
)
@click.option(
    "--save-protos",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the schema as .proto files below a folder.",
)
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
@schema_options
@target_options
def describe(
    name: str | None,
    *,
    as_json: bool,
    template: bool,
    set_file: Path | None,
    folder: Path | None,
    force: bool,
    source: Source,
    target: Target,
) -> None:
    """Show what a service, a method or a message looks like.

    NAME is that of a service, method, message, enum, field or enum value, or the end of it if only one fits; without
    it, all services are shown. Comments are there if the schema has them: that of --proto does, reflection seldom.
    What is saved is all that NAME needs, or everything, and then nothing is printed.
    """
    saving = set_file is not None or folder is not None
    if as_json + template + saving > 1:
        raise click.UsageError("--json, --template and --save-... exclude each other")
    if template and name is None:
        raise click.UsageError("--template is of a message or a method: name it")
    if force and not saving:
        raise click.UsageError("--force belongs to --save-protos or --save-descriptor-set")
    schema = find_schema(target, source, None, symbols=() if name is None else (name,))
    tell(schema)
    if saving:
        _save(schema, name, set_file, folder, force=force)
    elif template:
        click.echo(_template(schema, name or ""))
    elif as_json:
        from eas_grpc.cli._call_output import Printer
        from eas_grpc.schema import as_data

        found = [as_data(schema, each) for each in _named(schema, name)]
        Printer().json(json.dumps(found if name is None else found[0], indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(_text(schema, each) for each in _named(schema, name)), nl=False)


def _named(schema: Schema, name: str | None) -> list[Element]:
    from eas_grpc.errors import SchemaError

    if name is not None:
        if (listed := name.strip().strip("/").partition("/")[0]) in schema.undescribed:
            raise SchemaError(
                f"{schema.origin} lists {listed}, but does not describe it: {schema.undescribed[listed]}"
            )
        return [schema.find(name)]
    if not schema.services:
        raise SchemaError(f"{schema.origin} has no services: name a message")
    return [schema.find(service) for service in schema.services]


def _text(schema: Schema, element: Element) -> str:
    """What a name stands for; of a method its messages too, since who asks for one wants to call it."""
    from eas_grpc.schema import describe as text_of

    shown = [element]
    if element.kind == "method":
        types = (element.proto.input_type, element.proto.output_type)
        shown += [schema.find(each.removeprefix(".")) for each in dict.fromkeys(types)]
    blocks = []
    for each in shown:
        article = "an" if each.kind[0] in "aeio" else "a"
        kind = "value of an enum" if each.kind == "value" else each.kind
        blocks.append(f"// {each.name}, {article} {kind} of {_shown(each.file.name)}\n\n{text_of(each)}")
    return "\n".join(blocks)


def _shown(name: str) -> str:
    from eas_grpc.cli._console import printable

    return printable(name)


def _template(schema: Schema, name: str) -> str:
    from eas_grpc.errors import SchemaError

    element = schema.find(name)
    if element.kind == "method":
        return schema.template(schema.method(element.name).request)
    if element.kind != "message":
        article = "an" if element.kind[0] in "aeio" else "a"
        raise SchemaError(
            f"{element.name} is {article} {element.kind}: a template is of a message or a method"
        )
    return schema.template(schema.message_class(element.name))


def _save(
    schema: Schema, name: str | None, set_file: Path | None, folder: Path | None, *, force: bool
) -> None:
    from eas_grpc.cli._save import save_files, save_set
    from eas_grpc.schema import descriptor_set, protos

    files = None if name is None else schema.needed_by(schema.find(name))
    if set_file is not None:
        save_set(set_file, descriptor_set(schema, files), force=force)
    if folder is not None:
        count = save_files(folder, protos(schema, files), force=force)
        click.echo(f"{count} file{'s'[: count != 1]} below {folder}", err=True)
