"""How the C library keeps the memory of large buffers, for the whole process. Knows no numpy and no grpc."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from eas_grpc.errors import ConfigError

if TYPE_CHECKING:
    import ctypes

_MIB = 1024 * 1024

# What mallopt(3) can carry: it takes an int.
_LARGEST_INT = 2**31 - 1

# Names and numbers of <malloc.h>.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_M_ARENA_MAX = -8


def keep_large_buffers(limit: int = 512 * _MIB) -> bool:
    """Makes large messages cheaper: the C library keeps the memory of buffers for the next ones; whether it could.

    It holds for the whole process and outranks the MALLOC_... variables; call it at program start, before there
    are threads. Calling it again only changes the limit. `limit` is in bytes, 1 MiB to 2 GiB - 1: as soon as more
    than that lies free at the end of the heap, all of it goes back to the system. Free memory below something
    that still lives stays, so a process keeps at most what it once used at the same time. Threads share one heap,
    which code in C++ or Rust that allocates in many threads at once may feel.

    False where there is nothing to set: musl, macOS, Windows, another allocator such as jemalloc. Raises
    ConfigError for a limit that cannot work. Source: mallopt(3), glibc 2.36; figures: docs/performance.md.
    """
    if not isinstance(limit, int) or not _MIB <= limit <= _LARGEST_INT:
        raise ConfigError(
            f"limit must be a whole number of bytes from {_MIB} to {_LARGEST_INT}, not {limit!r}"
        )
    libc = _glibc()
    if libc is None:
        return False
    settings = (
        (_M_TRIM_THRESHOLD, limit),
        # One heap: those of further threads are cut into 64 MiB, too little for large buffers, and each keeps
        # up to `limit` of its own.
        (_M_ARENA_MAX, 1),
        # No buffer of its own mapping. M_MMAP_THRESHOLD would say it more gently, but ends at 32 MiB.
        (_M_MMAP_MAX, 0),
    )
    return all(libc.mallopt(name, value) == 1 for name, value in settings)


def _glibc() -> ctypes.CDLL | None:
    """The loaded C library, if it is glibc and the memory of this process comes from it."""
    if sys.platform != "linux":
        return None
    try:
        import ctypes  # some builds of Python have none

        process = ctypes.CDLL(None)
        if not hasattr(process, "gnu_get_libc_version"):
            return None
        libc = ctypes.CDLL("libc.so.6", mode=os.RTLD_NOLOAD)
        # With jemalloc and its kind, which are loaded in front of glibc, glibc's settings would go nowhere.
        ours, used = (ctypes.cast(each.malloc, ctypes.c_void_p).value for each in (libc, process))
        return libc if ours == used and hasattr(libc, "mallopt") else None
    except (ImportError, OSError, AttributeError):
        return None
