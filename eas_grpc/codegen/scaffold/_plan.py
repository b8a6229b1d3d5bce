"""Every file of a new project, as text. Pure: reads its own templates and nothing else.

The templates are real files with a few `@@{names}` in them; what stands in the list below is all that there is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from urllib.parse import quote, unquote, urlsplit

from eas_grpc._version import __version__
from eas_grpc.codegen.scaffold._names import names

__all__ = ["installed_from", "plan_project"]

_FILES = {
    ".dockerignore": "dockerignore",
    ".gitignore": "gitignore",
    "Dockerfile": "dockerfile",
    "Makefile": "makefile",
    "README.md": "readme",
    "protos/@@{package}/v1/greeter.proto": "proto",
    "pyproject.toml": "pyproject",
    "service.json": "service",
    "src/@@{package}/__init__.py": "package",
    "src/@@{package}/client.py": "client",
    "src/@@{package}/py.typed": "typed",
    "src/@@{package}/server.py": "server",
    "tests/test_service.py": "test",
}


class _Text(Template):
    # `$` and `%` mean something in a Makefile, a single `@` in Python.
    delimiter = "@@"


def plan_project(
    name: str, *, package: str | None = None, source: str | None = None, version: str = __version__
) -> Mapping[str, str]:
    """The files of a service project, text by path below its folder; the generated stubs come later.

    `source` is the URL that eas-grpc is installed from on this machine, None for a package index; `version` the
    lowest eas-grpc that the project takes. Raises ConfigError for a name that cannot be used.
    """
    chosen = names(name, package)
    values = {
        "project": chosen.project,
        "service": chosen.service,
        "package": chosen.package,
        "version": version,
        # It stands in a Makefile, and there between quotation marks of the shell: escaped, it means the same.
        "source": quote(source or "", safe="/:%"),
    }
    wanted = _FILES if source is None else {**_FILES, "local.mk": "local"}
    templates = files("eas_grpc.codegen.scaffold") / "templates"
    return {
        _Text(path).substitute(values): _Text((templates / f"{template}.tmpl").read_text("utf-8")).substitute(
            values
        )
        for path, template in wanted.items()
    }


def installed_from(direct_url: str | None, exists: Callable[[Path], bool] = Path.exists) -> str | None:
    """The file URL that an installed package came from; None for an index, another host, or what has gone since.

    `direct_url` is the text of its direct_url.json, which PEP 610 defines.
    """
    url = str(json.loads(direct_url).get("url", "")) if direct_url else ""
    parts = urlsplit(url)
    local = parts.scheme == "file" and exists(Path(unquote(parts.path)))
    return url if local else None
