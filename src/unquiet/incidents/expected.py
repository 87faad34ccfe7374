"""What a session would have done without a change: the rates of its kind before a moment."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unquiet.model.history import Recorded
from unquiet.stats.shrinkage import LOWEST_RATE, lift, rate_of, shrunk

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def expected_rates(recorded: Recorded, rows: IntArray, event: int, before_us: int) -> FloatArray:
    """The rate expected of each of `rows`, the sessions of one slice, from those that began before `before_us`."""
    y, early = recorded.y[:, event], recorded.started_us < before_us
    size = int(recorded.stratum.max(initial=0)) + 1
    root_n, root_x = _by_stratum(recorded.stratum, y, early, size)
    n, x = _by_stratum(recorded.stratum[rows], y[rows], early[rows], size)
    return cell_rates(n, x, root_n, root_x)[recorded.stratum[rows]]


def cell_rates(n: FloatArray, x: FloatArray, root_n: FloatArray, root_x: FloatArray) -> FloatArray:
    """Rates of one slice's strata: sessions n and events x of the slice and of all traffic, by stratum along axis 0."""
    overall = rate_of(root_x.sum(axis=0), root_n.sum(axis=0), 0.01)
    stratum = rate_of(root_x, root_n, overall)
    sessions = n.sum(axis=0)
    inside, usual = rate_of(x.sum(axis=0), sessions, overall), rate_of((n * stratum).sum(axis=0), sessions, overall)
    return shrunk(x, n, stratum, lift(inside, usual))


def cautious(rate: FloatArray, direction: int) -> FloatArray:
    """The rate to compare with when a change in `direction` is looked for: what never happened may happen."""
    return np.maximum(rate, LOWEST_RATE) if direction > 0 else np.minimum(rate, 1.0 - LOWEST_RATE)


def _by_stratum(
    stratum: IntArray, y: npt.NDArray[np.int8], early: BoolArray, size: int
) -> tuple[FloatArray, FloatArray]:
    n = np.bincount(stratum[early & (y >= 0)], minlength=size).astype(np.float64)
    x = np.bincount(stratum[early & (y == 1)], minlength=size).astype(np.float64)
    return n, x
