"""Where the modules of this tree keep their descriptors: in protobuf's default pool, if they can.

The default pool is one namespace for the whole process, so a second `helloworld.proto` with the same
package and message names is refused there. If any top-level name of this tree already belongs to another
file when the tree is first imported, or is one that Google's common protos or gRPC's health and reflection bring,
the whole tree lives in a pool of its own. Wire format and method names are the same in both. There

- fields of imported types from outside the tree (`google.protobuf.Timestamp`) have classes of their own:
  fill them in place (`m.at.FromDatetime(...)`, `m.at.MergeFromString(...)`), not with a message of the
  public class;
- custom options of this tree are unknown fields, and looking a type up by name (`Any` in JSON, server
  reflection) needs `DESCRIPTOR.pool`;
- a tree that imports from this one and lives in the default pool cannot have this one's files there: its import
  raises ImportError. If it is private, too, it has a copy, with classes of its own as above;
- modules by protoc itself (`--runtime current`) need protobuf's C implementation, and a nested message must
  be pickled inside of a top-level one: protobuf looks its class up in the default pool.

The other way round there is no help: a module that is not from such a tree and defines one of these names
fails if it is imported after this tree. Import it first. Nor is there help for a module without such a tree that
imports from a private one, and for two files whose extensions have different names and one number: the second is
refused by protobuf, as no tree looks at numbers.
"""

from __future__ import annotations

import sys
import threading

from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf import descriptor_pool as _descriptor_pool
from google.protobuf.descriptor import FileDescriptor

# Every top-level name that the tree defines, and the file that defines it.
SYMBOLS: dict[str, str] = {}  # filled in by eas-grpc


# Packages that installed modules define, which may be imported at any time, and would be refused then.
_OTHERS = (
    "google.api.",
    "google.longrunning.",
    "google.rpc.",
    "google.type.",
    "grpc.health.",
    "grpc.reflection.",
)


def _is_taken(symbols: dict[str, str]) -> bool:
    if any(symbol.startswith(_OTHERS) for symbol in symbols):
        return True
    # Other trees count from the moment they are imported: their files come into the pool one by one.
    for name, module in sys.modules.copy().items():
        if name.endswith("._eas_grpc_pool") and name != __name__:
            claimed = getattr(module, "CLAIMED", {})
            if any(claimed.get(symbol, file) != file for symbol, file in symbols.items()):
                return True
    default = _descriptor_pool.Default()
    for symbol, file in symbols.items():
        try:
            if default.FindFileContainingSymbol(symbol).name != file:
                return True
        except KeyError:
            continue
    return False


# Claimed first and asked second: of two trees that are imported at the same time, at least one gives way.
CLAIMED: dict[str, str] = SYMBOLS
_private: _descriptor_pool.DescriptorPool | None = None
if _is_taken(SYMBOLS):
    _private = _descriptor_pool.DescriptorPool()
    CLAIMED = {}
_lock = threading.RLock()


def add(serialized_file: bytes) -> FileDescriptor:
    """Put a file into the tree's pool; the modules of the files that it imports are imported already."""
    default = _descriptor_pool.Default()
    pool = default if _private is None else _private
    # protobuf in pure Python would keep two descriptors of a file that two threads copy at once.
    with _lock:
        for name in _descriptor_pb2.FileDescriptorProto.FromString(serialized_file).dependency:
            # Also for a name beyond ASCII, which no pool finds though it is there: adding the file will tell.
            if not _find(pool, name):
                owner, theirs = _private_owner(name)
                if theirs and _private is None:
                    # A copy would need a pool of our own, and other files of this tree may be in the default one.
                    raise ImportError(_HIDDEN.format(__name__.rpartition(".")[0], name, owner))
                file = _find(default, name) or theirs
                if file:
                    add(file.serialized_pb)
        return pool.AddSerializedFile(serialized_file)


_HIDDEN = (
    "the generated tree {0} imports {1}, which the tree {2} keeps in a pool of its own, because another module "
    "took its names: import {2} before that module, or generate {0} and {2} in one run"
)


def _find(pool: _descriptor_pool.DescriptorPool, name: str) -> FileDescriptor | None:
    try:
        return pool.FindFileByName(name)
    except KeyError:
        return None


def _private_owner(name: str) -> tuple[str, FileDescriptor | None]:
    """The package of the private tree that a file belongs to, and the file there; it lies below that package."""
    for module_name, module in sys.modules.copy().items():
        tree, dot, rest = module_name.rpartition("._eas_grpc_pool")
        pool = getattr(module, "_private", None)
        if dot and not rest and pool is not None and name.startswith(tree.replace(".", "/") + "/"):
            file = _find(pool, name)
            if file:
                return tree, file
    return "", None
