"""Whom it reached: rates before and after, and the sessions and users beyond what was to be expected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unquiet.incidents.expected import expected_rates
from unquiet.model.history import Recorded
from unquiet.stats.intervals import excess as beyond_expected

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Exposure:
    """Rates in the slice and what lies beyond them.

    `expected_rate` is the rate that the mix of requests after the onset would have had before it; `excess` is observed
    minus expected sessions (positive for a rise), `low` and `high` its 95 % interval; `users` counts the users with an
    event since the onset beyond expectation, in proportion.
    """

    before_rate: float
    before_n: int
    expected_rate: float
    after_rate: float
    after_n: int
    excess: float
    low: float
    high: float
    users: float


def exposure(recorded: Recorded, inside: BoolArray, event: int, onset_us: int, until_us: int | None = None) -> Exposure:
    """Compare the sessions of the slice (`inside`, shape (n,)) before the onset with those from it to `until_us`."""
    rows = np.flatnonzero(inside & (recorded.y[:, event] >= 0))
    rate = expected_rates(recorded, rows, event, onset_us)
    y, at = recorded.y[rows, event] == 1, recorded.started_us[rows]
    before = at < onset_us
    after = ~before & (at < until_us if until_us is not None else True)
    n0, n1 = int(before.sum()), int(after.sum())
    observed, expected = float(y[after].sum()), float(rate[after].sum())
    p1, q1 = observed / max(n1, 1), expected / max(n1, 1)
    stratum = recorded.stratum[rows]
    cells, cell = np.unique(stratum, return_inverse=True)
    size = len(cells)
    n_after, n_before = np.bincount(cell[after], minlength=size), np.bincount(cell[before], minlength=size)
    cell_rate = np.zeros(size)
    cell_rate[cell] = rate
    excess, low, high = beyond_expected(observed, n_after.astype(float), cell_rate, n_before.astype(float))
    users = len({u for u in recorded.user[rows[after & (y if excess > 0 else ~y)]] if u is not None})
    touched = observed if excess > 0 else n1 - observed
    share = min(abs(excess) / touched, 1.0) if touched else 0.0
    return Exposure(
        float(y[before].mean()) if n0 else float("nan"),
        n0,
        q1,
        p1,
        n1,
        excess,
        low,
        high,
        users * share,
    )
