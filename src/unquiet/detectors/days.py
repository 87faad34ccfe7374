"""Day-to-day wobble of every stream, mix taken out, and how far the mix itself has moved: both widen the null.

Strata never hold all that decides how requests are answered. What they leave out is taken to have moved no further than what
they hold (Altonji, Elder and Taber 2005, "Selection on observed and unobserved variables"): where the mix alone lets
expect other rates than before, a difference as large again is no proof that behaviour changed.
"""

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

MIX_ERRORS, MOST_MARGIN = 1.0, 1.5


class Days:
    """Daily sums of S slices and E events, and the tolerance they ask for.

    The sums are of sessions, events, expected events and those expected at the rates of the baseline; `past`
    (4, days, S, E) holds whole days, `today` (4, S, E) the running one, `older` (2, S, E) the sessions and the baseline's
    events of all kept days but the last. `widened` (S, E) is what is added to the tolerance of the null. It changes at the
    end of a day only: it is known before the sessions it is used on.
    """

    def __init__(self, slice_count: int, event_count: int) -> None:
        self.past = np.zeros((4, 0, slice_count, event_count), np.float32)
        self.today = np.zeros((4, slice_count, event_count), np.float32)
        self.older = np.zeros((2, slice_count, event_count), np.float32)
        self.day = -1
        self.widened = np.zeros((slice_count, event_count))

    def grow(self, count: int) -> None:
        """Make room for `count` more slices."""
        self.past, self.today = grown(self.past, count, axis=2), grown(self.today, count, axis=1)
        self.older = grown(self.older, count, axis=1)
        self.widened = grown(self.widened, count)

    def is_over(self, tick_us: int) -> bool:
        """Whether a tick belongs to a later day than the running one; midnight belongs to the day it ends."""
        return (tick_us - 1) // DAY_US != self.day

    def turn(self, tick_us: int) -> None:
        """Close the running day if the tick belongs to a later one."""
        day = (tick_us - 1) // DAY_US
        if day == self.day:
            return
        if self.day >= 0:
            self.past = np.concatenate([self.past, self.today[:, None]], axis=1)[:, -DAYS_KEPT:]
            self.older = self.past[[0, 3], :-1].sum(axis=1)
            self.widened = self._widening()
        self.today = np.zeros_like(self.today)
        self.day = day

    def add(self, counts: TickCounts, rate: FloatArray, usual: FloatArray) -> None:
        """Add a tick, given what was expected of its rows, now and at the rates of the baseline, (G, E)."""
        starts = np.flatnonzero(np.concatenate([[True], np.diff(counts.slice) != 0]))
        where = counts.slice[starts]
        for part, values in enumerate((counts.n, counts.x, counts.n * rate, counts.n * usual)):
            self.today[part, where] += np.add.reduceat(values, starts, axis=0)

    def mix_margin(self, where: IntArray) -> FloatArray:
        """Tolerance for the mix of slices (G,) since yesterday, against the days before, (G, E).

        The sessions' strata are known before their behaviour, so today's count too. The log odds that the mix of n
        sessions lets expect err by at most `1 / sqrt(n q (1 - q))`: so much where the strata decide everything.
        """
        n, usual = self.today[[0, 3]][:, where] + self.past[[0, 3], -1:][:, :, where].sum(axis=1)
        then_n, then_usual = self.older[:, where]
        known = (n > 0) & (then_n > 0)
        now, then = (
            np.clip(np.divide(a, b, out=np.full(a.shape, 0.5, np.float32), where=known), 1e-4, 1.0 - 1e-4)
            for a, b in ((usual, n), (then_usual, then_n))
        )
        moved = np.abs(np.log(now / (1.0 - now)) - np.log(then / (1.0 - then)))
        error = 1.0 / np.sqrt(np.maximum(n * then * (1.0 - then), 1e-9))
        return np.expm1(np.clip(moved - MIX_ERRORS * error, 0.0, MOST_MARGIN)).astype(np.float64)

    def _widening(self) -> FloatArray:
        n, x, expected = self.past[:3].astype(np.float64)
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
