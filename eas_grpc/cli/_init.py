"""`eas-grpc init`: a service project to start from."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from eas_grpc.cli._protos import plugins_bin_option, protoc_python_option

__all__ = ["init"]

_NO_TOOLS = (
    "the tools that generate are not installed here, so nothing was written: pip install 'eas-grpc[codegen]', or name"
    " an environment that has them with --protoc-python"
)


@click.command()
@click.argument("name")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where to make it (default: NAME).",
)
@click.option("--package", metavar="MODULE", help="What to import it as (default: NAME, with underscores).")
@protoc_python_option
@plugins_bin_option
def init(
    name: str, folder: Path | None, package: str | None, protoc_python: str | None, plugins_bin: str | None
) -> None:
    """Make a project for a gRPC service named NAME.

    Its tests pass at once. It follows the vendor's demo: a .proto, its stubs, a server, a client, tests, and what deploys to EAS. The folder
    has to be empty, or not there yet.
    """
    from importlib.util import find_spec

    from eas_grpc.codegen import configured, generate
    from eas_grpc.codegen.scaffold import installed_from, plan_project, write_project
    from eas_grpc.errors import SchemaError

    files = plan_project(name, package=package, source=installed_from(_direct_url()))
    if protoc_python is None and find_spec("grpc_tools") is None:
        raise SchemaError(_NO_TOOLS)

    def stubs(root: Path) -> None:
        generate(configured(root / "pyproject.toml", protoc_python=protoc_python, plugins_bin=plugins_bin))

    root = Path(name) if folder is None else folder
    written = write_project(root, files, finish=stubs)
    click.echo(f"{root}: {len(written)} files written")
    if str(root) == ".":
        click.echo("next: make test")
    else:
        # The shell would take a folder that starts with a dash for an option.
        place = f"./{root}" if str(root).startswith("-") else str(root)
        click.echo(f"next: cd {shlex.quote(place)} && make test")


def _direct_url() -> str | None:
    """How this eas-grpc was installed, where its installer says so."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        return distribution("eas-grpc").read_text("direct_url.json")
    except PackageNotFoundError:
        return None
