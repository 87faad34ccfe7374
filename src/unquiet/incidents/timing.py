"""When a change began: the sessions of one slice and event, in order of their start, against their expected rates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unquiet.incidents.expected import cautious, expected_rates
from unquiet.model.history import Recorded
from unquiet.model.incidents import Onset
from unquiet.stats.onset import change_time

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

DAY_US = 86_400_000_000
BASELINE_US = 5 * DAY_US


def onset_of(recorded: Recorded, rows: IntArray, event: int, direction: int, before_us: int, until_us: int) -> Onset:
    """The onset in the sessions `rows` of one slice, somewhere between their first and `until_us`.

    `direction` is +1 for a rise and -1 for a fall; the rates of before are those before `before_us`.
    """
    rows = rows[np.argsort(recorded.started_us[rows], kind="stable")]
    rate = cautious(expected_rates(recorded, rows, event, before_us), direction)
    known = (recorded.y[rows, event] >= 0) & (recorded.started_us[rows] >= _floor_us(recorded, before_us))
    at, rate = recorded.started_us[rows][known], rate[known]
    hit = (recorded.y[rows, event][known] == 1).astype(np.float64)
    first = int(at[0])
    edges = np.append(at, max(until_us, int(at[-1]) + 1)).astype(np.float64)
    learned = float((recorded.y[rows, event][recorded.started_us[rows] < before_us] == 1).sum())
    found = change_time((edges - first) / DAY_US, np.ones(len(at)), hit, rate, direction, (learned + 1.0) ** -0.5)
    return Onset(*(first + round(days * DAY_US) for days in (found.at, found.earliest, found.latest)))


def _floor_us(recorded: Recorded, before_us: int) -> int:
    """The earliest moment at which a change can be told: enough must be known of the time before it."""
    return min(int(recorded.started_us.min()) + BASELINE_US, before_us)


RATIOS = np.exp(np.concatenate([-np.geomspace(0.2, 4.5, 8)[::-1], np.geomspace(0.2, 5.5, 10)]))


def quick_onset(recorded: Recorded, rows: IntArray, event: int, direction: int, until_us: int) -> Onset:
    """A first idea of the onset, cheap enough for every stream that crosses: a step, its interval too narrow for a ramp.

    It lies BASELINE_US or more after the first session known: what is compared with must be known.
    """
    rows = rows[np.argsort(recorded.started_us[rows], kind="stable")]
    rows = rows[recorded.y[rows, event] >= 0]
    at, hit = recorded.started_us[rows], recorded.y[rows, event] == 1
    ratios = RATIOS[RATIOS > 1] if direction > 0 else RATIOS[RATIOS < 1]
    edges = np.append(at, max(until_us, int(at[-1]) + 1)).astype(np.float64)
    before_us = until_us - (until_us - int(at[0])) // 4
    floor_us = _floor_us(recorded, before_us)
    mass = np.ones(len(at))
    for _ in range(2):
        rate = cautious(expected_rates(recorded, rows, event, before_us), direction)
        gain = hit[:, None] * np.log(ratios) - np.log1p((ratios - 1.0) * rate[:, None])
        total = np.cumsum(gain[::-1], axis=0)[::-1]
        mass = np.exp(total - total.max()).mean(axis=1) * np.maximum(np.diff(edges), 1.0) * (at >= floor_us)
        before_us = int(at[int(np.searchsorted(np.cumsum(mass), mass.sum() / 2.0))])
    below = np.concatenate([[0.0], np.cumsum(mass / mass.sum())])
    low, middle, high = (round(float(v)) for v in np.interp([0.01, 0.5, 0.99], below, edges))
    return Onset(middle, low, high)
