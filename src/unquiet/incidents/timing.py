"""When a change began: the sessions of one slice and event, in order of their start, against their expected rates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unquiet.model.history import Recorded
from unquiet.model.incidents import Onset

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def expected_rates(recorded: Recorded, rows: IntArray, event: int, before_us: int) -> FloatArray:
    """The rate expected of each session of `rows`, from the sessions of its stratum in the slice before `before_us`."""
    y, stratum = recorded.y[rows, event], recorded.stratum[rows]
    use = (recorded.started_us[rows] < before_us) & (y >= 0)
    hit = use & (y == 1)
    overall = (hit.sum() + 0.5) / (use.sum() + 1.0)
    size = int(stratum.max(initial=0)) + 1
    n, x = np.bincount(stratum[use], minlength=size), np.bincount(stratum[hit], minlength=size)
    return np.clip((x + 8.0 * overall) / (n + 8.0), 0.001, 0.999)[stratum]


RATIOS = np.exp(np.concatenate([-np.geomspace(0.2, 4.5, 10)[::-1], np.geomspace(0.2, 5.5, 12)]))
MASS = 0.95


def change_time(at_us: IntArray, y: npt.NDArray[np.int8], rate: FloatArray, direction: int, until_us: int) -> Onset:
    """The posterior of the moment from which the odds of an event are another multiple of the expected ones.

    `at_us` (n,) ascending, `y` (n,) 1, 0 or -1 (ignored), `rate` (n,) the expected rates. The change may lie anywhere
    between the first session and `until_us`, every moment alike; the odds ratio is unknown, in the given direction.
    Returns the posterior median and the interval that holds 95 % of the mass.
    """
    known = y >= 0
    at, hit, rate = at_us[known], y[known] == 1, rate[known]
    ratios = RATIOS[RATIOS > 1] if direction > 0 else RATIOS[RATIOS < 1]
    gain = hit[:, None] * np.log(ratios) - np.log1p((ratios - 1.0) * rate[:, None])
    # total[i]: evidence if the change came after session i - 1 and not after session i
    total = np.concatenate([np.cumsum(gain[::-1], axis=0)[::-1], np.zeros((1, len(ratios)))])
    top = total.max()
    weight = np.exp(total - top).mean(axis=1)
    edges = np.concatenate([at[:1], at, [max(until_us, int(at[-1]) + 1)]]).astype(np.float64)
    mass = weight * np.maximum(np.diff(edges), 1.0)
    mass /= mass.sum()
    below = np.concatenate([[0.0], np.cumsum(mass)])

    def quantile(p: float) -> int:
        return round(float(np.interp(p, below, edges)))

    tail = (1.0 - MASS) / 2.0
    return Onset(quantile(0.5), quantile(tail), quantile(1.0 - tail))


def onset_of(recorded: Recorded, rows: IntArray, event: int, direction: int, before_us: int, until_us: int) -> Onset:
    """The onset in the sessions `rows` of one slice; rates are those before `before_us`."""
    rows = rows[np.argsort(recorded.started_us[rows], kind="stable")]
    rate = expected_rates(recorded, rows, event, before_us)
    return change_time(recorded.started_us[rows], recorded.y[rows, event], rate, direction, until_us)
