"""Other people's programs in Go, each built once from the module in `go/`, whose go.sum pins what is built."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reliability.score import Skip

__all__ = ["PACKAGES", "tool"]

HERE = Path(__file__).parent
MODULE = HERE / "go"
BUILD = HERE / ".build"

PACKAGES = {
    "interop_client": "google.golang.org/grpc/interop/client",
    "h2spec": "github.com/summerwind/h2spec/cmd/h2spec",
    "connectconformance": "connectrpc.com/conformance/cmd/connectconformance",
}
_FETCH_SECONDS, _BUILD_SECONDS = 300, 600


def tool(name: str) -> Path:
    """The program of that name, ready to run; Skip with the reason where it cannot be built."""
    package = PACKAGES[name]
    built = BUILD / name
    with _locked():
        if built.exists() and built.stat().st_mtime > (MODULE / "go.sum").stat().st_mtime:
            return built
        go = shutil.which("go")
        if go is None:
            raise Skip(f"no `go` on the PATH to build {package} with")
        # Apart from the build, so that a missing module is told from one that does not compile.
        fetched = _run(go, "list", "-deps", package, seconds=_FETCH_SECONDS)
        if fetched.returncode:
            raise Skip(f"`go` cannot get the modules of {package}: {_last_line(fetched.stderr)}")
        done = _run(go, "build", "-buildvcs=false", "-o", str(built), package, seconds=_BUILD_SECONDS)
        if done.returncode:
            raise Skip(f"{package} does not build: {_last_line(done.stderr)}")
        built.touch()
    return built


@contextmanager
def _locked() -> Iterator[None]:
    """Alone among all processes of this checkout."""
    BUILD.mkdir(exist_ok=True)
    ignore = BUILD / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    with (BUILD / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _run(*command: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """In the module, with the user's own environment: proxies and registries are theirs to choose."""
    try:
        return subprocess.run(
            command, cwd=MODULE, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise Skip(f"`{' '.join(command[:2])}` took more than {seconds} s") from None


def _last_line(text: str) -> str:
    """Without the address of a proxy or registry: it says more of a machine than of the fault."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].split("https://")[0].strip() if lines else "no reason given"
