"""Sums of count rows that share a key, exact."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from unquiet.store.tables import COUNTS

_KEY = ("tick", "slice", "stratum")


def summed(counts: pa.Table) -> pa.Table:
    """One row a key, sorted by (tick, slice, stratum) with null strata first, n and events added up.

    Lists of a key that differ in length are filled with zeros to the longest of them.
    """
    if not counts.num_rows:
        return counts
    known = counts.append_column("known", counts.column("stratum").is_valid())
    order = ["tick", "slice", "known", "stratum"]
    rows = known.sort_by([(name, "ascending") for name in order]).drop_columns("known").combine_chunks()
    starts = _starts(rows)
    if len(starts) == rows.num_rows:
        return rows
    sizes = np.add.reduceat(rows.column("n").to_numpy(), starts)
    keys = rows.select(list(_KEY)).take(pa.array(starts))
    columns = [*keys.columns, pa.array(sizes, pa.int32()), _summed_lists(rows.column("events"), starts)]
    return pa.Table.from_arrays(columns, schema=COUNTS)


def _starts(rows: pa.Table) -> npt.NDArray[np.intp]:
    """Where each key begins in rows sorted by key."""
    new = np.zeros(rows.num_rows, dtype=np.bool_)
    new[:1] = True
    for name in _KEY:
        codes = rows.column(name).combine_chunks().dictionary_encode(null_encoding="encode").indices
        values = codes.to_numpy(zero_copy_only=False)
        new[1:] |= values[1:] != values[:-1]
    return np.flatnonzero(new)


def _summed_lists(events: pa.ChunkedArray, starts: npt.NDArray[np.intp]) -> pa.ListArray:
    """The element-wise sum of the lists of each group of rows."""
    lists = events.combine_chunks()
    lengths = np.diff(lists.offsets.to_numpy())
    width = int(lengths.max())
    row = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    dense = np.zeros((len(lengths), max(width, 1)), dtype=np.int64)
    dense[row, place] = lists.flatten().to_numpy(zero_copy_only=False)
    sums = np.add.reduceat(dense, starts, axis=0)
    longest = np.maximum.reduceat(lengths, starts)
    kept = np.arange(sums.shape[1]) < longest[:, None]
    offsets = np.concatenate([[0], np.cumsum(longest)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(sums[kept], pa.int32()))
