"""Adding up: sessions with their events, slices, strata and weights become the counts of each tick."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from unquiet.model.counts import TICK_US, TickCounts
from unquiet.stats.runs import Answers, blocks, run_sums

IntArray = npt.NDArray[np.int64]


def tick_of(closed_us: IntArray) -> IntArray:
    """The end of the tick in which a moment lies (microseconds); a moment on the boundary belongs to the tick it ends."""
    return -(-closed_us // TICK_US) * TICK_US


def tally(
    tick_us: IntArray,
    stratum: IntArray,
    weight: IntArray,
    y: Answers,
    member_session: IntArray,
    member_slice: IntArray,
    weight_levels: int,
) -> Iterator[TickCounts]:
    """Counts of every tick, in order of time.

    Per session: the end of its tick, its stratum and weight level, its events `y` (sessions, events) as 0, 1 or -1 (does
    not apply).
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
    groups = keys[:, starts]
    cuts = np.flatnonzero(np.concatenate([[True], np.diff(groups[0]) != 0]))
    highs = np.append(cuts[1:], len(starts))
    for ticks, low_row, high_row in blocks(starts[cuts], len(session)):
        inside = slice(cuts[ticks.start], highs[ticks.stop - 1])
        n, x = run_sums(y, session[low_row:high_row], starts[inside] - low_row)
        for low, high in zip(cuts[ticks], highs[ticks], strict=True):
            tick, where_g, stratum_g, weight_g = groups[:, low:high]
            rows = slice(low - inside.start, high - inside.start)
            yield TickCounts(int(tick[0]), where_g, stratum_g, weight_g, n[rows], x[rows])
