"""A whole run as plain data: where to, which method, with what, how much. Another process can be given it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eas_grpc.calls import CallShape
from eas_grpc.endpoint import Endpoint
from eas_grpc.load._plan import Plan
from eas_grpc.load._requests import Requests

__all__ = ["Job"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What `run` does. Retries are off unless `retry`: what is measured is what the service did.

    `words` are further arguments of `eas_grpc.aio.connect`. Its `credentials` no other process can be given: `files`, which
    can, are PEM files with the certificates to trust, our own certificate, and its key.
    """

    endpoint: Endpoint
    method: str
    shape: CallShape
    requests: Requests
    plan: Plan
    metadata: tuple[tuple[str, str | bytes], ...] = field(default=(), repr=False)
    words: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Path | None, Path | None, Path | None] | None = None
    retry: bool = False
