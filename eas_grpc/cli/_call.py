"""`eas-grpc call`: one call of any shape to any method, without generated code."""

from __future__ import annotations

from pathlib import Path

import click

from eas_grpc.cli._completion import complete_methods
from eas_grpc.cli._schema_source import Source, schema_options
from eas_grpc.cli._target import Target, target_options

__all__ = ["call"]


@click.command()
@click.argument("method", metavar="SERVICE/METHOD", shell_complete=complete_methods)
@click.option(
    "-d",
    "--data",
    multiple=True,
    metavar="JSON",
    help="The request; @FILE reads a file, - standard input. Several values, or -d several times, for a stream.",
)
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="FIELD=@PATH",
    help="Put a file into a field of bytes or text, e.g. image=@cat.jpg; repeatable.",
)
@click.option(
    "--tensor",
    "tensors",
    multiple=True,
    metavar="NAME=@PATH",
    help="An array from an .npy file; @x.npz brings all of its arrays; repeatable.",
)
@click.option("--model", default="", metavar="NAME", help="The model that a tensor service is to run.")
@click.option(
    "--save-tensors",
    type=click.Path(path_type=Path),
    metavar="DIR|FILE.npz",
    help="Write the answer's arrays there, and leave their elements out of what is printed.",
)
@click.option(
    "--save-bytes",
    multiple=True,
    metavar="FIELD=PATH",
    help="Write a field of the answer into a file, as it is; those of a stream one after the other.",
)
@click.option("--template", is_flag=True, help="Print a request with every field, and call nothing.")
@click.option(
    "--dry-run", is_flag=True, help="Print what would be sent, also as grpcurl and buf curl; send nothing."
)
@click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="The answer's messages alone, or one object with headers, trailers, status and timings.",
)
@click.option("--emit-defaults", is_flag=True, help="Show fields that have their default value, too.")
@click.option("-v", "--verbose", is_flag=True, help="Headers, trailers and timings on stderr.")
@schema_options
@target_options
def call(
    method: str,
    *,
    data: tuple[str, ...],
    files: tuple[str, ...],
    tensors: tuple[str, ...],
    model: str,
    save_tensors: Path | None,
    save_bytes: tuple[str, ...],
    template: bool,
    dry_run: bool,
    output: str,
    emit_defaults: bool,
    verbose: bool,
    target: Target,
    source: Source,
) -> None:
    """Call a method, of any shape, with JSON, files or tensors.

    SERVICE/METHOD is `package.Service/Method`, or the end of it if only one fits. The answer is printed as JSON.

    Exits 0 for OK and 64 + the gRPC status for any other; Ctrl-C cancels the call and exits 130.
    """
    from eas_grpc.cli._call_input import attachment
    from eas_grpc.cli._call_run import Wish, make_call, print_plan, print_template
    from eas_grpc.schema._payload import read

    if template and dry_run:
        raise click.UsageError("--template and --dry-run exclude each other")
    wish = Wish(
        method=method,
        data=data,
        attachments=read(
            [attachment("--file", each) for each in files],
            [attachment("--tensor", each) for each in tensors],
            model,
        ),
        save_tensors=save_tensors,
        save_bytes=tuple(_saved_field(each) for each in save_bytes),
        as_json=output == "json",
        verbose=verbose,
        emit_defaults=emit_defaults,
    )
    if template:
        print_template(wish, target, source)
    elif dry_run:
        print_plan(wish, target, source)
    else:
        make_call(wish, target, source)


def _saved_field(text: str) -> tuple[str, Path]:
    name, sign, path = text.partition("=")
    if not sign or not name or not path:
        raise click.UsageError(f"--save-bytes {text!r}: write FIELD=PATH")
    return name, Path(path)
