"""Sums over runs of rows: how often each event applied and happened, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Answers = npt.NDArray[np.int8]

BLOCK_ROWS = 65_536
BLOCK_EVENTS = 16
_HALF = 32
_PACKED: IntArray = np.array([1, 1 + (1 << _HALF), 0], np.int64)
"""An answer 0, 1 or -1 as one number, so that one sum adds both counts; sums below 2^31 each."""


def run_sums(y: Answers, rows: IntArray, starts: IntArray) -> tuple[FloatArray, FloatArray]:
    """(n, x): to how many of the i-th run of `rows` each event applies, and in how many it happened; shape (runs, E).

    `y` (sessions, E) holds 1, 0 or -1 (does not apply); run i begins at `starts[i]`.
    """
    ends = np.append(starts, len(rows))
    members = csr_array((np.ones(len(rows), np.int64), rows, ends), shape=(len(starts), len(y)))
    out = np.empty((len(starts), y.shape[1]), np.int64)
    for first in range(0, y.shape[1], BLOCK_EVENTS):
        out[:, first : first + BLOCK_EVENTS] = members @ _PACKED[y[:, first : first + BLOCK_EVENTS]]
    return (out & ((1 << _HALF) - 1)).astype(np.float64), (out >> _HALF).astype(np.float64)


def blocks(starts: IntArray, end: int) -> Iterator[tuple[slice, int, int]]:
    """Whole runs of about `BLOCK_ROWS` rows together, at least one: which runs, first row, row after the last."""
    ends = np.append(starts[1:], end)
    first = 0
    while first < len(starts):
        after = max(first + 1, int(np.searchsorted(ends, starts[first] + BLOCK_ROWS, side="right")))
        yield slice(first, after), int(starts[first]), int(ends[after - 1])
        first = after


def spread(low: IntArray, high: IntArray) -> IntArray:
    """All places of the ranges [low, high), range after range."""
    sizes = high - low
    ends = np.cumsum(sizes)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(low - ends + sizes, sizes)


def distinct(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The distinct values, ascending. By sorting: `np.unique` makes a hash table, which takes fifty times as long."""
    ordered = np.sort(values)
    new = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return ordered[new]
