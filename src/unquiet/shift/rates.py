"""What each feature's rate is expected to be in each cell, as it was known when the day began."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unquiet.shift.cells import Cells, sums_by_slice
from unquiet.stats.shrinkage import lift, rate_of, shrunk

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Rates = npt.NDArray[np.float32]

SLACK_HITS = 0.5
"""Half a hit more, or less, than a cell has had: what is not known of a rate (Krichevsky and Trofimov 1981)."""

CELL_SESSIONS = 10.0
"""Sessions that a cell must have been learned from before it counts."""

RARE = 1e-5
"""Odds that a feature may have: most are rarer than any named behaviour."""


def expected(hits: Rates, cells: Cells) -> Rates:
    """Expected rates, (k, cells), of k features from their hits in every cell, (k, cells).

    A cell's rate is shrunk toward odds(stratum) odds(slice) / odds(what the slice's mix of strata lets expect): with the
    stratum's rate alone a slice that words things its own way, such as one language, would always look changed.
    """
    rate = _shrunk(hits, cells.sessions, cells)
    return np.where(cells.sessions >= CELL_SESSIONS, rate, 0.0).astype(np.float32)


def extended(hits: Rates, sessions: FloatArray, cells: Cells) -> Rates:
    """Hits (k, cells) of all past sessions, of which only those of `sessions` (cells,) are known.

    The others are given the rates of those that are known, so that what is kept of the past decides the rate, and what is
    not kept does not lower it.
    """
    rest = np.maximum(cells.sessions - sessions, 0.0)
    return (hits + _shrunk(hits, sessions, cells) * rest).astype(np.float32)


def _shrunk(hits: Rates, cell_sessions: FloatArray, cells: Cells) -> Rates:
    order, begins = cells.by_slice()
    sessions = cell_sessions.astype(np.float32)
    root = np.flatnonzero(cells.where == 0)
    overall: Rates = ((hits[:, root].sum(axis=1) + 0.01) / (sessions[root].sum() + 1.0)).astype(np.float32)[:, None]
    place = np.zeros(cells.row_of.shape[1], np.int64)
    place[cells.stratum[root]] = np.arange(len(root))
    stratum = rate_of(hits[:, root], sessions[root], overall)[:, place[cells.stratum]]
    total = sums_by_slice(sessions[None], order, begins)[0]
    inside = rate_of(sums_by_slice(hits, order, begins), total, overall)
    usual = rate_of(sums_by_slice(stratum * sessions, order, begins), total, overall)
    return shrunk(hits, sessions, stratum, lift(inside, usual, RARE)[:, cells.where], RARE)
