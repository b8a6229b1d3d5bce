"""What servers say about themselves, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ServerMetadata", "VersionStatus"]


@dataclass(frozen=True)
class ServerMetadata:
    """What an Open Inference server is, and which extensions of the protocol it has."""

    name: str
    version: str
    extensions: tuple[str, ...]


@dataclass(frozen=True)
class VersionStatus:
    """How far TensorFlow Serving is with a version of a model.

    `state` is UNKNOWN, START, LOADING, AVAILABLE, UNLOADING or END; `error` says why it failed to load, if it did.
    """

    version: str
    state: str
    error: str
