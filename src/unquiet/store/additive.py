"""Sums of count rows that share a key, exact."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from unquiet.store.tables import COUNTS

_KEY = ("tick", "slice", "stratum")

ROWS_AT_ONCE = 65_536
"""The lists are added as a dense matrix; so many rows of it bound the memory."""


def in_order(counts: pa.Table) -> pa.Table:
    """The rows by (tick, slice, stratum), null strata first."""
    known = counts.append_column("known", counts.column("stratum").is_valid())
    order = ["tick", "slice", "known", "stratum"]
    return known.sort_by([(name, "ascending") for name in order]).drop_columns("known")


def summed(counts: pa.Table) -> pa.Table:
    """One row a key, n and events added up; rows of a key must follow each other, and stay in their order.

    Lists of a key that differ in length are filled with zeros to the longest of them.
    """
    starts = _starts(counts)
    if len(starts) == counts.num_rows:
        return counts
    ends = np.append(starts[1:], counts.num_rows)
    pieces: list[pa.Table] = []
    first = 0
    while first < len(starts):
        # Whole keys up to the bound, at least one.
        last = max(first + 1, int(np.searchsorted(ends, starts[first] + ROWS_AT_ONCE, side="right")))
        rows = counts.slice(starts[first], ends[last - 1] - starts[first])
        pieces.append(_summed_piece(rows, starts[first:last] - starts[first]))
        first = last
    return pa.concat_tables(pieces)


def _starts(rows: pa.Table) -> npt.NDArray[np.intp]:
    """Where each key begins."""
    new = np.zeros(rows.num_rows, dtype=np.bool_)
    new[:1] = True
    for name in _KEY:
        codes = rows.column(name).combine_chunks().dictionary_encode(null_encoding="encode").indices
        values = codes.to_numpy(zero_copy_only=False)
        new[1:] |= values[1:] != values[:-1]
    return np.flatnonzero(new)


def _summed_piece(rows: pa.Table, starts: npt.NDArray[np.intp]) -> pa.Table:
    """The sums of groups of rows that begin at `starts`."""
    sizes = np.add.reduceat(rows.column("n").to_numpy(), starts)
    keys = rows.select(list(_KEY)).take(pa.array(starts))
    events = _summed_lists(rows.column("events").combine_chunks(), starts)
    return pa.Table.from_arrays([*keys.columns, pa.array(sizes, pa.int32()), events], schema=COUNTS)


def _summed_lists(lists: pa.ListArray, starts: npt.NDArray[np.intp]) -> pa.ListArray:
    """The element-wise sum of the lists of each group."""
    lengths = np.diff(lists.offsets.to_numpy())
    row = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    dense = np.zeros((len(lengths), max(int(lengths.max()), 1)), dtype=np.int64)
    dense[row, place] = lists.flatten().to_numpy(zero_copy_only=False)
    sums = np.add.reduceat(dense, starts, axis=0)
    longest = np.maximum.reduceat(lengths, starts)
    kept = np.arange(sums.shape[1]) < longest[:, None]
    offsets = np.concatenate([[0], np.cumsum(longest)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(sums[kept], pa.int32()))
