"""How much memory uploads may hold: one of them, and all at once. Pure, but for a lock."""

from __future__ import annotations

import threading

from eas_grpc.errors import ConfigError, WireError
from eas_grpc.serving._models._refusals import Refused
from eas_grpc.tensors._wire import Buffer
from eas_grpc.tensors.upload import Assembly, DamagedUpload

__all__ = ["Budget", "Upload"]

# How many uploads of the largest size there is memory for at once.
_LARGEST_AT_ONCE = 4


class Budget:
    """What is left for uploads; shared by all calls."""

    def __init__(self, largest: int) -> None:
        if isinstance(largest, bool) or not isinstance(largest, int) or largest < 1:
            raise ConfigError(f"max_upload_bytes={largest!r} must be a whole number of bytes, 1 or more")
        self._largest = largest
        self._left = largest * _LARGEST_AT_ONCE
        self._lock = threading.Lock()

    def admit(self, size: int) -> None:
        """Raises Refused when no upload may be so large."""
        if size > self._largest:
            raise Refused(
                "RESOURCE_EXHAUSTED",
                f"the upload has {size} bytes, and this server takes {self._largest}: send smaller batches, or"
                " raise serving.Models(max_upload_bytes=...)",
            )

    def take(self, size: int) -> None:
        """Sets this much aside. Raises Refused when other uploads have it."""
        with self._lock:
            if size <= self._left:
                self._left -= size
                return
        raise Refused(
            "RESOURCE_EXHAUSTED",
            "other uploads hold the memory that this server has for them: try again later",
        )

    def give_back(self, size: int) -> None:
        """Undoes `take`."""
        with self._lock:
            self._left += size


class Upload:
    """One upload, from its first piece to the end of its call; usable in `with`."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._held = 0
        self._assembly = Assembly(budget.admit)

    def __enter__(self) -> Upload:
        """Nothing is held before the first piece."""
        return self

    def __exit__(self, *_: object) -> None:
        """Gives the memory back."""
        held, self._held = self._held, 0
        self._budget.give_back(held)

    def add(self, chunk: Buffer) -> None:
        """Takes one piece. Raises Refused."""
        try:
            self._assembly.add(chunk)
        except WireError as error:
            raise _refusal(error) from None
        # What has come counts, not what was announced: who announces much and sends nothing keeps nobody out.
        more = self._assembly.filled - self._held
        self._budget.take(more)
        self._held += more

    def message(self) -> memoryview:
        """The whole request. Raises Refused."""
        try:
            return self._assembly.message()
        except WireError as error:
            raise _refusal(error) from None


def _refusal(error: WireError) -> Refused:
    return Refused("DATA_LOSS" if isinstance(error, DamagedUpload) else "INVALID_ARGUMENT", str(error))
