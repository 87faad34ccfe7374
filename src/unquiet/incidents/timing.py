"""When a change began: the sessions of one slice and event, in order of their start, against their expected rates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unquiet.model.history import Recorded
from unquiet.model.incidents import Onset
from unquiet.stats.onset import change_time

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

DAY_US = 86_400_000_000


def expected_rates(recorded: Recorded, rows: IntArray, event: int, before_us: int) -> FloatArray:
    """The rate expected of each session of `rows`, from the sessions of its stratum in the slice before `before_us`."""
    y, stratum = recorded.y[rows, event], recorded.stratum[rows]
    use = (recorded.started_us[rows] < before_us) & (y >= 0)
    hit = use & (y == 1)
    overall = (hit.sum() + 0.5) / (use.sum() + 1.0)
    size = int(stratum.max(initial=0)) + 1
    n, x = np.bincount(stratum[use], minlength=size), np.bincount(stratum[hit], minlength=size)
    return np.clip((x + 8.0 * overall) / (n + 8.0), 0.001, 0.999)[stratum]


def onset_of(recorded: Recorded, rows: IntArray, event: int, direction: int, before_us: int, until_us: int) -> Onset:
    """The onset in the sessions `rows` of one slice, somewhere between their first and `until_us`.

    `direction` is +1 for a rise and -1 for a fall; the rates of before are those before `before_us`.
    """
    rows = rows[np.argsort(recorded.started_us[rows], kind="stable")]
    rate = expected_rates(recorded, rows, event, before_us)
    known = recorded.y[rows, event] >= 0
    at, rate = recorded.started_us[rows][known], rate[known]
    hit = (recorded.y[rows, event][known] == 1).astype(np.float64)
    first = int(at[0])
    edges = np.append(at, max(until_us, int(at[-1]) + 1)).astype(np.float64)
    learned = float(hit[at < before_us].sum())
    found = change_time((edges - first) / DAY_US, np.ones(len(at)), hit, rate, direction, (learned + 1.0) ** -0.5)
    return Onset(*(first + round(days * DAY_US) for days in (found.at, found.earliest, found.latest)))


RATIOS = np.exp(np.concatenate([-np.geomspace(0.2, 4.5, 8)[::-1], np.geomspace(0.2, 5.5, 10)]))


def quick_onset(recorded: Recorded, rows: IntArray, event: int, direction: int, until_us: int) -> Onset:
    """A first idea of the onset, cheap enough for every stream that crosses: a step, its interval too narrow for a ramp."""
    rows = rows[np.argsort(recorded.started_us[rows], kind="stable")]
    rows = rows[recorded.y[rows, event] >= 0]
    at, hit = recorded.started_us[rows], recorded.y[rows, event] == 1
    ratios = RATIOS[RATIOS > 1] if direction > 0 else RATIOS[RATIOS < 1]
    edges = np.append(at, max(until_us, int(at[-1]) + 1)).astype(np.float64)
    before_us = until_us - (until_us - int(at[0])) // 4
    mass = np.ones(len(at))
    for _ in range(2):
        rate = expected_rates(recorded, rows, event, before_us)
        gain = hit[:, None] * np.log(ratios) - np.log1p((ratios - 1.0) * rate[:, None])
        total = np.cumsum(gain[::-1], axis=0)[::-1]
        mass = np.exp(total - total.max()).mean(axis=1) * np.maximum(np.diff(edges), 1.0)
        before_us = int(at[int(np.searchsorted(np.cumsum(mass), mass.sum() / 2.0))])
    below = np.concatenate([[0.0], np.cumsum(mass / mass.sum())])
    low, middle, high = (round(float(v)) for v in np.interp([0.01, 0.5, 0.99], below, edges))
    return Onset(middle, low, high)
