"""Write the trees that `scripts/test-portable` imports everywhere. Run with the project's own environment.

Below the folder named as the only argument: `portable` (package `shop.gen`), `flat` (portable, no package),
`stock` (protoc's own output, the reference), and `two-portable` and `two-stock`, each with the packages
`one.gen` and `two.gen` made from two `helloworld.proto` that disagree.
"""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

from eas_grpc.codegen import Job, Options, Runtime, Toolchain, generate, protos_below

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PYTHON = str(ROOT / ".venv-codegen/bin/python")
TOOLCHAIN = Toolchain.installed(PYTHON, str(ROOT / ".venv-codegen-plugins/bin"))


def tree(protos: Path, root: Path, package: str, runtime: Runtime) -> None:
    """As a user generates it: with types, both colours and servicers."""
    generate(
        Job(
            protos=protos_below(protos),
            includes=(protos,),
            out=root.joinpath(*package.split(".")) if package else root,
            options=Options(package=package, runtime=runtime),
            toolchain=TOOLCHAIN,
        )
    )


def compile_stock(include: Path, root: Path) -> None:
    """By protoc alone, from the sources, as everybody does."""
    names = protos_below(include)
    services = [name for name in names if "\nservice " in (include / name).read_text()]
    protoc = (PYTHON, "-m", "grpc_tools.protoc", f"-I{include}")
    subprocess.run([*protoc, f"--python_out={root}", *names], check=True)
    subprocess.run([*protoc, f"--grpc_python_out={root}", *services], check=True)


def embedded_bytes(path: Path) -> bytes:
    """The descriptor inside a generated module."""
    constants = [
        node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)
    ]
    return max((value for value in constants if isinstance(value, bytes)), key=len)


def main() -> None:
    out = Path(sys.argv[1])
    protos = HERE / "protos"
    shutil.copytree(protos / "acme", out / "protos/acme")
    tree(out / "protos", out / "portable", "shop.gen", Runtime.PORTABLE)
    tree(out / "protos", out / "flat", "", Runtime.PORTABLE)
    (out / "stock").mkdir()
    compile_stock(out / "protos", out / "stock")
    for path in (out / "stock").rglob("*_pb2.py"):
        relative = path.relative_to(out / "stock")
        assert embedded_bytes(path) == embedded_bytes(out / "flat" / relative), relative
    for name in ("one", "two"):
        tree(protos / name, out / "two-portable", f"{name}.gen", Runtime.PORTABLE)
        tree(protos / name, out / "two-stock", f"{name}.gen", Runtime.CURRENT)


if __name__ == "__main__":
    main()
