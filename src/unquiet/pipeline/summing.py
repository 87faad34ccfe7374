"""Additive counts for the store: per tick and slice of at most one condition; pairs follow from the sessions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from unquiet.model.slices import Slice
from unquiet.stats.runs import run_sums

IntArray = npt.NDArray[np.int64]
Answers = npt.NDArray[np.int8]


def count_names(events: tuple[str, ...]) -> list[str]:
    """What the places of the `events` lists of the counts mean: each event, then the sessions it does not apply to."""
    return [*events, *(f"{name} (does not apply)" for name in events)]


def counted(ticks: IntArray, y: Answers, session: IntArray, where: IntArray, slices: tuple[Slice, ...]) -> pa.Table:
    """Counts of sessions whose tick ends at `ticks` (n,) and whose answers are `y` (n, E).

    `session` and `where` are parallel: which session is in which slice. Columns: tick, slice (its name), stratum (null),
    n, events (list of 2 E: see `count_names`).
    """
    order = np.lexsort((where, ticks[session]))
    session, where = session[order], where[order]
    new = np.ones(len(session), bool)
    new[1:] = (np.diff(where) != 0) | (np.diff(ticks[session]) != 0)
    starts = np.flatnonzero(new)
    applies, happened = run_sums(y, session, starts)
    n = np.diff(np.append(starts, len(session)))
    values = np.concatenate([happened, n[:, None] - applies], axis=1).astype(np.int32)
    offsets = np.arange(len(starts) + 1, dtype=np.int32) * values.shape[1]
    names = pa.array([each.name for each in slices], pa.string())
    return pa.table(
        {
            "tick": pa.array(ticks[session[starts]], pa.timestamp("us", tz="UTC")),
            "slice": names.take(pa.array(where[starts])),
            "stratum": pa.nulls(len(starts), pa.string()),
            "n": pa.array(n, pa.int32()),
            "events": pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.reshape(-1))),
        }
    )
