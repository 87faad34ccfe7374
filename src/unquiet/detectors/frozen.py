"""The frozen reference: the accepted baseline, against which a slow ramp cannot hide.

A base rate that learns on absorbs half of a change that creeps. So every stream has a second account against the rates
of the baseline as they were when it ended, with its own share of the budget. Frozen rates never get better, so the null
is widened by what the baseline leaves uncertain: `MARGIN_ERRORS` standard errors of the log odds of each cell. The account
is settled once a day, on the first session of each user within a day: these are independent, and a ramp can wait.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unquiet.detectors.rates import grown, safe_range
from unquiet.model.counts import TickCounts
from unquiet.stats.edetector import BET_COUNT, BET_WEIGHTS, UP_COUNT, BetTables, advance, total

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MARGIN_ERRORS = 2.5
SHARE = 0.05
"""Part of a stream's budget that is spent on the frozen reference; the learning one has the rest."""

LEAST_SESSIONS = 40.0
"""Sessions of the baseline that a cell needs."""


class Frozen:
    """State of the frozen reference of S slices and E events.

    The baseline knew `len(slice_of)` cells; `rate` and `margin` (rows, E) are their frozen rates and the tolerance beside
    `delta`. `n` and `x` are the counts of the running day, `restarts` (S, E, J) the evidence in budget units.
    """

    def __init__(self, slice_of: IntArray, rate: FloatArray, sessions: FloatArray, share: FloatArray) -> None:
        self.slice_of = slice_of
        self.rate = rate
        self.bets = sessions >= LEAST_SESSIONS
        error = 1.0 / np.sqrt(np.maximum(sessions * rate * (1.0 - rate), 1e-9))
        self.margin = np.expm1(np.minimum(MARGIN_ERRORS * error, 5.0))
        self.share = share
        self.n = np.zeros_like(rate)
        self.x = np.zeros_like(rate)
        self.restarts = np.zeros((len(share), rate.shape[1], BET_COUNT))

    def overall(self, event: int, sessions: FloatArray, otherwise: FloatArray) -> FloatArray:
        """The frozen rate of an event in whole slices (S,), their cells mixed like `sessions` (rows or more, E).

        `otherwise` (S,) stands for slices that the baseline did not know.
        """
        n, size = sessions[: len(self.rate), event], len(otherwise)
        total_n = np.bincount(self.slice_of, n, minlength=size)
        expected = np.bincount(self.slice_of, n * self.rate[:, event], minlength=size)
        return np.where(total_n > 0, expected / np.maximum(total_n, 1e-9), otherwise)

    def grow(self, count: int) -> None:
        """Make room for `count` more slices, which the baseline did not know."""
        self.share, self.restarts = grown(self.share, count), grown(self.restarts, count)

    def add(self, rows: IntArray, counts: TickCounts) -> None:
        """Add a tick; cells that the baseline did not know do not count."""
        use = (rows < len(self.rate)) & (counts.weight == 0)
        np.add.at(self.n, rows[use], counts.n[use])
        np.add.at(self.x, rows[use], counts.x[use])

    def settle(
        self, days: float, delta: float, widened: FloatArray, tables: BetTables, weight: FloatArray
    ) -> list[tuple[int, int, int]]:
        """Close the account of `days` days: the streams that cross as (slice, event, direction), +1 up and -1 down.

        `weight` (E or more,) says how the events share a slice's budget.
        """
        restarts, mass = self.restarts, (self.share * days)[:, None] * weight[: self.rate.shape[1]]
        evidence = self._evidence(delta, widened, tables)
        moved = advance(restarts.reshape(-1, BET_COUNT), mass.reshape(-1), evidence.reshape(-1, BET_COUNT)).reshape(
            restarts.shape
        )
        crossed = total(moved) >= 1.0
        self.n[:] = 0.0
        self.x[:] = 0.0
        alarms = [(int(s), int(e), rises(moved[s, e])) for s, e in np.argwhere(crossed)]
        moved[crossed] = 0.0
        self.restarts = moved
        return alarms

    def _evidence(self, delta: float, widened: FloatArray, tables: BetTables) -> FloatArray:
        out = np.zeros(self.restarts.shape)
        busy = np.flatnonzero(self.n.any(axis=1))
        n, x = (np.where(self.bets, part, 0.0)[busy].reshape(-1) for part in (self.n, self.x))
        low, high = safe_range(self.rate[busy], delta + self.margin[busy] + widened[self.slice_of[busy]])
        levels = tables.up_level(high).reshape(-1), tables.down_level(low).reshape(-1), np.zeros(len(n), np.int64)
        flat = tables.log_evidence(*levels, n, x).reshape(len(busy), self.rate.shape[1], BET_COUNT)
        np.add.at(out, self.slice_of[busy], flat)
        return out


def rises(restarts: FloatArray) -> int:
    """+1 where the upward bets hold more of the evidence (J,), else -1."""
    parts = restarts * BET_WEIGHTS
    return 1 if parts[:UP_COUNT].sum() >= parts[UP_COUNT:].sum() else -1
