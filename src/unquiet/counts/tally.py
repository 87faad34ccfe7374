"""Adding up: sessions with their events, slices, strata and weights become the counts of each tick."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from unquiet.model.counts import TICK_US, TickCounts
from unquiet.model.signals import FloatArray

IntArray = npt.NDArray[np.int64]


def tick_of(closed_us: IntArray) -> IntArray:
    """The end of the tick in which a moment lies (microseconds); a moment on the boundary belongs to the tick it ends."""
    return -(-closed_us // TICK_US) * TICK_US


def tally(
    tick_us: IntArray,
    stratum: IntArray,
    weight: IntArray,
    y: FloatArray,
    member_session: IntArray,
    member_slice: IntArray,
    weight_levels: int,
) -> Iterator[TickCounts]:
    """Counts of every tick, in order of time.

    Per session: the end of its tick, its stratum and weight level, its events `y` (sessions, events) as 0, 1 or NaN.
    `member_session`, `member_slice` are parallel: which session is in which slice. Sessions whose weight level is
    `weight_levels` or more are not counted.
    """
    counted = weight[member_session] < weight_levels
    session, where = member_session[counted], member_slice[counted]
    order = np.lexsort((weight[session], stratum[session], where, tick_us[session]))
    session, where = session[order], where[order]
    if not len(session):
        return
    keys = np.stack([tick_us[session], where, stratum[session], weight[session]])
    starts = np.flatnonzero(np.concatenate([[True], (np.diff(keys, axis=1) != 0).any(axis=0)]))
    known = ~np.isnan(y)
    n = np.add.reduceat(known[session].astype(np.float64), starts, axis=0)
    x = np.add.reduceat(np.where(known, y, 0.0)[session], starts, axis=0)
    groups = keys[:, starts]
    cuts = np.flatnonzero(np.concatenate([[True], np.diff(groups[0]) != 0]))
    for low, high in zip(cuts, [*cuts[1:], len(starts)], strict=True):
        rows = slice(low, high)
        tick, where_g, stratum_g, weight_g = groups[:, rows]
        yield TickCounts(int(tick[0]), where_g, stratum_g, weight_g, n[rows], x[rows])
