"""A request in pieces along the first axis, and the answers to them as one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from eas_grpc.errors import ConfigError
from eas_grpc.inference._errors import not_joined
from eas_grpc.tensors._arrays import Array

__all__ = ["common_rows", "joined", "ranges", "rows_of"]

Range = tuple[int, int]


def common_rows(inputs: Mapping[str, Array]) -> int:
    """The size of the first dimension that all inputs share. Raises ConfigError when there is none, or one row."""
    found: dict[int, str] = {}
    for name, array in inputs.items():
        if array.ndim == 0:
            raise ConfigError(f"it cannot be split: input {name[:100]!r} is a scalar and has no rows")
        found.setdefault(array.shape[0], name)
    if not found:
        raise ConfigError("it cannot be split: it has no inputs")
    if len(found) > 1:
        (one, first), (other, second), *_ = found.items()
        raise ConfigError(
            f"it cannot be split: the first dimension of input {first[:100]!r} is {one},"
            f" that of {second[:100]!r} is {other}"
        )
    (rows,) = found
    if rows < 2:
        raise ConfigError(f"it cannot be split: {'a single row' if rows else 'no row'} is all that it has")
    return rows


def rows_of(inputs: Mapping[str, Array], start: int, stop: int) -> dict[str, Array]:
    """Some rows of every input, as views."""
    return {name: array[start:stop] for name, array in inputs.items()}


def ranges(rows: int, size: Callable[[int, int], int], limit: int) -> list[Range]:
    """All rows as consecutive ranges (start, stop), as few as possible and none larger than `limit` bytes.

    `size` tells the bytes of a range and grows with it. Of equally many ranges, even ones come first: they are
    under way together. Raises ConfigError when one row alone is too large.
    """
    greedy: list[Range] = []
    start, guess = 0, 1
    while start < rows:
        stop = _furthest(start, rows, size, limit, guess)
        greedy.append((start, stop))
        start, guess = stop, stop - start
    even = _even(rows, len(greedy))
    return even if all(size(*each) <= limit for each in even) else greedy


def joined(answers: Sequence[Mapping[str, Array]], rows: Sequence[int], method: str) -> dict[str, Array]:
    """The answers to consecutive pieces of so many rows, joined along the first axis, read-only.

    Raises InferenceError when an answer does not have the rows that were sent, or differs from the others.
    """
    first = answers[0]
    for answer, count in zip(answers, rows, strict=True):
        if answer.keys() != first.keys():
            raise not_joined(f"one has the outputs {sorted(first)}, another {sorted(answer)}", method)
        for name, array in answer.items():
            if array.ndim == 0 or array.shape[0] != count:
                raise not_joined(
                    f"output {name[:100]!r} has shape {list(array.shape)} for {count} rows sent", method
                )
            if array.dtype != first[name].dtype or array.shape[1:] != first[name].shape[1:]:
                raise not_joined(
                    f"output {name[:100]!r} is {_like(first[name])} in one and {_like(array)} in another",
                    method,
                )
    return {name: _stacked([answer[name] for answer in answers]) for name in first}


def _furthest(start: int, rows: int, size: Callable[[int, int], int], limit: int, guess: int) -> int:
    """The end of the longest range from `start` that fits; `guess` is how many rows it may have."""
    if (least := size(start, start + 1)) > limit:
        raise ConfigError(
            f"it cannot be split: row {start} alone makes a request of {least:,} bytes, and {limit:,} are allowed"
        )
    fits, too_many = 1, rows - start + 1
    if fits < guess < too_many and size(start, start + guess) <= limit:
        fits = guess
    step, bounded = 1, False
    while too_many - fits > 1:
        # In growing steps until one is too many, then halving what is left between.
        tried = (fits + too_many) // 2 if bounded else min(fits + step, too_many - 1)
        step *= 2
        if size(start, start + tried) <= limit:
            fits = tried
        else:
            too_many, bounded = tried, True
    return start + fits


def _even(rows: int, count: int) -> list[Range]:
    least, larger = divmod(rows, count)
    bounds = [0]
    for position in range(count):
        bounds.append(bounds[-1] + least + (position < larger))
    return list(pairwise(bounds))


def _stacked(arrays: Sequence[Array]) -> Array:
    whole = np.concatenate(arrays)
    whole.flags.writeable = False
    return whole


def _like(array: Array) -> str:
    return f"{array.dtype.name} of shape {list(array.shape)}"
