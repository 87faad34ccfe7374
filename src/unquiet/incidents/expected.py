"""What a session would have done without a change: the rates of its kind before a moment."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unquiet.model.history import Recorded

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

PRIOR_SESSIONS = 8.0
"""How many sessions the rate that stratum and slice let expect weighs against a cell's own counts."""

LOWEST_RATE = 0.001
"""No rate is known to be lower than this when a rise is looked for, nor higher than its complement when a fall is."""

TINY = 1e-9


def expected_rates(recorded: Recorded, rows: IntArray, event: int, before_us: int) -> FloatArray:
    """The rate expected of each of `rows`, the sessions of one slice, from those that began before `before_us`."""
    y, early = recorded.y[:, event], recorded.started_us < before_us
    size = int(recorded.stratum.max(initial=0)) + 1
    root_n, root_x = _by_stratum(recorded.stratum, y, early, size)
    n, x = _by_stratum(recorded.stratum[rows], y[rows], early[rows], size)
    return cell_rates(n, x, root_n, root_x)[recorded.stratum[rows]]


def cell_rates(n: FloatArray, x: FloatArray, root_n: FloatArray, root_x: FloatArray) -> FloatArray:
    """Rates of one slice's strata: sessions n and events x of the slice and of all traffic, by stratum along axis 0.

    A cell's own rate is shrunk toward the odds of its stratum times the odds ratio of the slice to all traffic.
    """
    overall = (root_x.sum(axis=0) + 0.01) / (root_n.sum(axis=0) + 1.0)
    stratum = (root_x + overall) / (root_n + 1.0)
    usual = (n * stratum).sum(axis=0)
    inside = (x.sum(axis=0) + overall) / (n.sum(axis=0) + 1.0)
    standard = (usual + overall) / (n.sum(axis=0) + 1.0)
    odds = odds_of(stratum) * odds_of(inside) / odds_of(standard)
    prior = odds / (1.0 + odds)
    return np.clip((x + PRIOR_SESSIONS * prior) / (n + PRIOR_SESSIONS), TINY, 1.0 - TINY)


def cautious(rate: FloatArray, direction: int) -> FloatArray:
    """The rate to compare with when a change in `direction` is looked for: what never happened may happen."""
    return np.maximum(rate, LOWEST_RATE) if direction > 0 else np.minimum(rate, 1.0 - LOWEST_RATE)


def odds_of(rate: FloatArray) -> FloatArray:
    """Odds, kept between 1e-4 and 1e4."""
    safe = np.clip(rate, 1e-4, 1.0 - 1e-4)
    return safe / (1.0 - safe)


def _by_stratum(
    stratum: IntArray, y: npt.NDArray[np.int8], early: BoolArray, size: int
) -> tuple[FloatArray, FloatArray]:
    n = np.bincount(stratum[early & (y >= 0)], minlength=size).astype(np.float64)
    x = np.bincount(stratum[early & (y == 1)], minlength=size).astype(np.float64)
    return n, x
