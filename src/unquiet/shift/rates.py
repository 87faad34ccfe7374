"""What each feature's rate is expected to be in each cell, as it was known when the day began."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unquiet.shift.cells import Cells

IntArray = npt.NDArray[np.int64]
Rates = npt.NDArray[np.float32]

PRIOR_SESSIONS = 8.0
"""How many sessions the rate expected from slice and stratum weighs against a cell's own counts."""

SLACK_HITS = 0.5
"""Half a hit more, or less, than a cell has had: what is not known of a rate (Krichevsky and Trofimov 1981)."""

CELL_SESSIONS = 10.0
"""Sessions that a cell must have been learned from before it counts."""

_SAFE = 1e-5


def expected(hits: Rates, cells: Cells) -> Rates:
    """Expected rates, (k, cells), of k features from their hits in every cell, (k, cells).

    A cell's rate is shrunk toward odds(stratum) odds(slice) / odds(what the slice's mix of strata lets expect): with the
    stratum's rate alone a slice that words things its own way, such as one language, would always look changed.
    """
    order, begins = cells.by_slice()
    sessions = cells.sessions
    root = np.flatnonzero(cells.where == 0)
    overall = (hits[:, root].sum(axis=1) + 0.01) / (sessions[root].sum() + 1.0)
    place = np.full(cells.row_of.shape[1], 0, np.int64)
    place[cells.stratum[root]] = np.arange(len(root))
    by_stratum = (hits[:, root] + overall[:, None]) / (sessions[root] + 1.0)
    stratum = by_stratum[:, place[cells.stratum]]
    total = _by_slice(sessions[order][None], begins)[0]
    inside = (_by_slice(hits[:, order], begins) + overall[:, None]) / (total + 1.0)
    usual = (_by_slice((stratum * sessions)[:, order], begins) + overall[:, None]) / (total + 1.0)
    odds = _odds(stratum) * (_odds(inside) / _odds(usual))[:, cells.where]
    prior = odds / (1.0 + odds)
    rate = (hits + PRIOR_SESSIONS * prior) / (sessions + PRIOR_SESSIONS)
    return np.where(sessions >= CELL_SESSIONS, rate, 0.0).astype(np.float32)


def _by_slice(values: npt.NDArray[np.floating], begins: IntArray) -> npt.NDArray[np.float64]:
    """Sums (k, S) of values (k, cells) whose cells are in order of their slice."""
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1, dtype=np.float64)], axis=1)
    return sums[:, begins[1:]] - sums[:, begins[:-1]]


def _odds(rate: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    safe = np.clip(rate, _SAFE, 1.0 - _SAFE)
    return safe / (1.0 - safe)
