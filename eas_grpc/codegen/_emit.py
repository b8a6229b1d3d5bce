"""Run the generators side by side, edit what they write, and import it as a proof.

The shell around `_plan`, `_stock` and `portable`: starts processes in a temporary folder, and decides nothing.
"""

from __future__ import annotations

import ast
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from eas_grpc.codegen._manifest import MANIFEST, is_inside
from eas_grpc.codegen._names import stem
from eas_grpc.codegen._plan import Client, Options, Plan, ProtocRun, Runtime
from eas_grpc.codegen._stock import comments_escaped, finished, pooled, without_definitions
from eas_grpc.codegen._tools import Protoc, Toolchain, prove
from eas_grpc.codegen.portable import POOL, message_module, pool_module, service_module
from eas_grpc.errors import SchemaError

__all__ = ["emit"]

_GRPC = "_pb2_grpc.py"
_UTF8 = 0x800  # a flag of an entry in a zip archive (APPNOTE 4.4.4, bit 11)


def emit(
    files: FileDescriptorSet,
    planned: Plan,
    options: Options,
    toolchain: Toolchain,
    *,
    prover: str,
    shown: Callable[[str], str],
) -> dict[str, bytes]:
    """Every finished file by path relative to the output root; `files` have the names that they have in the package.

    The modules are imported by the interpreter `prover`.
    Raises SchemaError for whatever a generator reports, and for output that cannot be compiled or imported.
    """
    with tempfile.TemporaryDirectory(prefix="eas-grpc-") as temporary, ExitStack() as running:
        cwd, descriptors, for_stock = (Path(temporary, name) for name in ("cwd", "descriptors", "for-stock"))
        cwd.mkdir()
        descriptors.write_bytes(files.SerializeToString())
        for_stock.write_bytes(comments_escaped(files).SerializeToString())
        runs: list[tuple[ProtocRun, Path, Protoc]] = []
        for step in planned.runs:
            # protoc fills an archive if the name ends like one: one file in place of thousands.
            out = Path(temporary, f"{'-'.join(step.generators)}.zip")
            source = for_stock if "grpc_python" in step.generators else descriptors
            arguments = step.arguments(descriptors=str(source), out=str(out), programs=toolchain.plugins)
            runs.append((step, out, running.enter_context(Protoc(toolchain, arguments, cwd=cwd))))
        made = _written_here(files, planned, options)
        for step, out, protoc in runs:
            if not step.is_for_types:
                protoc.finish(shown)
                _add(made, _unpacked(out, options.prefix), step, planned, options)
        python = {path: text.decode() for path, text in made.items() if path.endswith(".py")}
        _complete(planned, made, ".py")
        # The plugins for types are slow: they are still at work while the modules are imported.
        prove(prover, {options.prefix + path: text for path, text in python.items()}, cwd=cwd)
        for step, out, protoc in runs:
            if step.is_for_types:
                protoc.finish(shown)
                _add(made, _unpacked(out, options.prefix), step, planned, options)
    _complete(planned, made, ".pyi")
    _parse_stubs(made)
    made.update(dict.fromkeys(planned.markers, b""))
    return dict(sorted(made.items()))


def _add(
    made: dict[str, bytes], found: Mapping[str, bytes], step: ProtocRun, planned: Plan, options: Options
) -> None:
    if set(step.generators) & set(options.plugins):
        bad = sorted(path for path in found if not is_inside(path))
        if bad:
            raise SchemaError(
                f"a plugin ({', '.join(step.generators)}) wants to write {bad[0]!r}, outside the output"
            )
        taken = sorted(set(found) & {*made, *planned.modules, *planned.markers, MANIFEST})
        if taken:
            raise SchemaError(
                f"the plugin {', '.join(step.generators)} and another generator both write {taken[0]}; "
                "nothing was written"
            )
        made.update(found)
        return
    # grpc_python writes an empty module for a file without a service, which nobody planned.
    for path in planned.modules:
        if path in found:
            made[path] = _edited(path, found[path].decode(), planned, options).encode()


def _edited(path: str, text: str, planned: Plan, options: Options) -> str:
    if names := planned.left_out.get(path):
        text = without_definitions(text, names)
    if path.endswith("_pb2.py") and options.package:
        text = pooled(text, options.package, path)
    return finished(text, stub=path.endswith(".pyi"))


def _written_here(files: FileDescriptorSet, planned: Plan, options: Options) -> dict[str, bytes]:
    """The modules that no program of others writes: all of the portable ones, and the one that knows the pool."""
    portable = options.runtime is Runtime.PORTABLE
    made: dict[str, str] = {}
    own = [file for file in files.file if file.name in planned.protos]
    if options.package:
        made[f"{POOL}.py"] = pool_module(own, portable=portable)
    modules = {file.name: stem(file.name).replace("/", ".") + "_pb2" for file in files.file}
    for file in own if portable else ():
        source = file.name.removeprefix(options.prefix)
        made[f"{stem(source)}_pb2.py"] = message_module(
            file, modules=modules, pool=options.package or None, source=source
        )
        if file.service and options.services:
            made[f"{stem(source)}_pb2_grpc.py"] = service_module(
                file,
                files=files.file,
                modules=modules,
                client=options.client is not Client.NONE,
                servicer=options.servicer,
                source=source,
            )
    return {path: finished(text).encode() for path, text in made.items()}


def _complete(planned: Plan, made: Mapping[str, bytes], ending: str) -> None:
    lost = [module for module in planned.modules if module.endswith(ending) and module not in made]
    if lost:
        raise SchemaError(f"protoc reported success but did not write {', '.join(lost)}; nothing was written")


def _parse_stubs(made: Mapping[str, bytes]) -> None:
    for path, text in made.items():
        if path.endswith(".pyi"):
            try:
                ast.parse(text, path)
            except SyntaxError as error:
                raise SchemaError(
                    f"the stub {path} is not valid Python ({error}); nothing was written"
                ) from error


def _unpacked(archive: Path, prefix: str) -> dict[str, bytes]:
    if not archive.is_file():
        return {}
    with zipfile.ZipFile(archive) as opened:
        return {_path(entry).removeprefix(prefix): opened.read(entry) for entry in opened.infolist()}


def _path(entry: zipfile.ZipInfo) -> str:
    # protoc writes names in UTF-8 and does not set the flag that says so.
    name = entry.filename if entry.flag_bits & _UTF8 else entry.filename.encode("cp437").decode()
    # Of all generators grpc_python alone keeps a dot in a file's name, where nobody could import it.
    return stem(name.removesuffix(_GRPC)) + _GRPC if name.endswith(_GRPC) else name
