"""Day-to-day wobble of every stream: what its daily counts say beyond chance, mix taken out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unquiet.detectors.rates import grown
from unquiet.model.counts import TickCounts
from unquiet.stats.wobble import MARGIN_PER_WOBBLE, common_margin, common_wobble, day_wobble

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

DAY_US = 86_400_000_000
DAYS_KEPT = 28
OWN_ERRORS, SHARED_ERRORS, COMMON_ERRORS = 3.0, 2.0, 3.0
"""Standard errors that a wobble must exceed to be believed: that of one slice, that of all traffic, which every slice
then shares, and the one that slices have in common, each on its own days."""


class Days:
    """Daily sums of sessions, events and expected events of S slices and E events, and the tolerance they ask for.

    `past` (3, days, S, E) holds whole days, `today` (3, S, E) the running one; `widened` (S, E) is what is added to
    the tolerance of the null. It changes at the end of a day only: it is known before the sessions it is used on.
    """

    def __init__(self, slice_count: int, event_count: int) -> None:
        self.past = np.zeros((3, 0, slice_count, event_count), np.float32)
        self.today = np.zeros((3, slice_count, event_count), np.float32)
        self.day = -1
        self.widened = np.zeros((slice_count, event_count))

    def grow(self, count: int) -> None:
        """Make room for `count` more slices."""
        self.past, self.today = grown(self.past, count, axis=2), grown(self.today, count, axis=1)
        self.widened = grown(self.widened, count)

    def turn(self, tick_us: int) -> bool:
        """Close the running day if the tick belongs to a later one, and say so; midnight belongs to the day it ends."""
        day = (tick_us - 1) // DAY_US
        if day == self.day:
            return False
        if self.day >= 0:
            self.past = np.concatenate([self.past, self.today[:, None]], axis=1)[:, -DAYS_KEPT:]
            self.widened = self._widening()
        self.today = np.zeros_like(self.today)
        self.day = day
        return True

    def add(self, counts: TickCounts, rate: FloatArray) -> None:
        """Add a tick, given what was expected of its rows, (G, E)."""
        starts = np.flatnonzero(np.concatenate([[True], np.diff(counts.slice) != 0]))
        where = counts.slice[starts]
        for part, values in enumerate((counts.n, counts.x, counts.n * rate)):
            self.today[part, where] += np.add.reduceat(values, starts, axis=0)

    def _widening(self) -> FloatArray:
        n, x, expected = self.past.astype(np.float64)
        total = n.sum(axis=0)
        mean = np.divide(x.sum(axis=0), total, out=np.zeros_like(total), where=total > 0)
        adjusted = np.clip(n * mean + x - expected, 0.0, n)
        shape = total.shape
        flat = n.reshape(len(n), -1), adjusted.reshape(len(n), -1)
        own = day_wobble(*flat, errors=OWN_ERRORS).reshape(shape)
        shared = day_wobble(n[:, 0], adjusted[:, 0], errors=SHARED_ERRORS)
        common = common_wobble(n, adjusted, errors=COMMON_ERRORS)
        information = total * mean * (1.0 - mean) / len(n)
        return np.maximum(MARGIN_PER_WOBBLE * np.maximum(own, shared), common_margin(common, information))
