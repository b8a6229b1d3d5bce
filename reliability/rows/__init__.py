"""The rows, a module for each group; importing this enters them all in `score.ROWS`."""

from reliability.rows import (
    agreement,
    behind_proxy,
    conformance,
    deadlines,
    endurance,
    floods,
    fuzzing,
    interop,
    limits,
    network,
    processes,
    secrets,
    storms,
)

__all__ = [
    "agreement",
    "behind_proxy",
    "conformance",
    "deadlines",
    "endurance",
    "floods",
    "fuzzing",
    "interop",
    "limits",
    "network",
    "processes",
    "secrets",
    "storms",
]
