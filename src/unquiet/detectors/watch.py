"""The watch: all streams, their base rates and their evidence, as one value that steps from tick to tick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unquiet.detectors.days import Days
from unquiet.detectors.frozen import SHARE, Frozen, rises
from unquiet.detectors.rates import Rates, grown, safe_range
from unquiet.detectors.shifts import halves
from unquiet.model.counts import TickCounts
from unquiet.stats.edetector import BET_COUNT, BetTables, advance, total

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

DAY_US = 86_400_000_000
CELL_SESSIONS = 20.0
"""Sessions that a cell must have seen before it bets."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A stream reached its threshold at `tick_us`, or a slice did and the stream holds most of its evidence.

    `slice` and `event` index the lattice and the events; `direction` is "up" or "down"; `reference` tells which base
    rate the evidence is against: "learning" (self-updating) or "frozen" (the accepted baseline).
    """

    tick_us: int
    slice: int
    event: int
    direction: str
    reference: str


class Watch:
    """Detector state for S slices and E events.

    `restarts` (S, E, J) is the evidence in budget units; `seen_us` (S,) the last tick of each slice. `share` (S,) is
    each stream's part of the alarm budget, per day: an alarm is raised where the evidence of a stream reaches 1, or with
    `together` that of a slice's streams, added up. (A mean of e-detectors is an e-detector whatever their dependence, so
    the sum keeps the slice's budget, and events that move together reach it sooner than one alone.) `shifts` (k, 3) are
    the events that tell where a number's distribution lies (see `halves`); each is one more stream of every slice, so
    that the second axis of `restarts` has E + k places. `weight` (E + k,), of mean 1, shares a slice's budget among them.
    """

    def __init__(
        self,
        share: FloatArray,
        event_count: int,
        tables: BetTables,
        delta: float,
        shifts: Sequence[tuple[int, int, int]] = (),
        weight: FloatArray | None = None,
        *,
        together: bool = False,
    ) -> None:
        self.together = together
        self.weight = np.ones(event_count + len(shifts)) if weight is None else weight
        self.share = share * (1.0 - SHARE)
        self.frozen_share = share * SHARE
        self.frozen: Frozen | None = None
        self.tables = tables
        self.delta = delta
        self.shifts = np.array(shifts, np.int64).reshape(-1, 3)
        size = len(share)
        self.rates = Rates(size, event_count)
        self.days = Days(size, event_count)
        self.restarts = np.zeros((size, event_count + len(self.shifts), BET_COUNT))
        self.seen_us = np.zeros(size, np.int64)

    def learn(self, counts: TickCounts) -> None:
        """Add a tick to the base rates without judging it."""
        self.rates.learn(counts)
        self.seen_us[counts.slice] = counts.tick_us

    def look_back(self, counts: TickCounts) -> None:
        """Measure the day-to-day wobble of a tick that has been learned already."""
        self.days.turn(counts.tick_us)
        rows = self.rates.rows(counts.slice, counts.stratum)
        rate = self.rates.expected(rows, counts.slice, counts.stratum)
        self.days.add(counts, rate, rate)

    def freeze(self) -> None:
        """Accept what was learned so far as the baseline of the frozen reference."""
        self.seen_us[:] = self.seen_us.max(initial=0)
        where, stratum = self.rates.cells()
        rate = self.rates.expected(np.arange(len(where)), where, stratum)
        self.frozen = Frozen(where, rate, self.rates.sessions.copy(), self.frozen_share)

    def usual(self, event: int, otherwise: FloatArray) -> FloatArray:
        """The rate of an event in whole slices (S,) as the baseline had it: what went wrong since is not in it.

        `otherwise` (S,) stands for slices that the baseline did not know.
        """
        return otherwise if self.frozen is None else self.frozen.overall(event, self.rates.sessions, otherwise)

    def grow(self, share: FloatArray, tick_us: int) -> None:
        """Take on more slices, from a moment on: `share` are those of all slices, the known ones first."""
        count = len(share) - len(self.share)
        self.share = share * (1.0 - SHARE)
        self.restarts = grown(self.restarts, count)
        self.seen_us = np.append(self.seen_us, np.full(count, tick_us))
        self.rates.grow(count)
        self.days.grow(count)
        if self.frozen is not None:
            self.frozen.grow(count)

    def step(self, counts: TickCounts) -> list[Alarm]:
        """Judge a tick against what was known before it, then learn from it."""
        past = self._turn(counts.tick_us)
        rows = self.rates.rows(counts.slice, counts.stratum)
        rate = self.rates.expected(rows, counts.slice, counts.stratum)
        self.days.add(counts, rate, self._usual(rows, rate))
        starts = np.flatnonzero(np.concatenate([[True], np.diff(counts.slice) != 0]))
        where = counts.slice[starts]
        evidence = np.add.reduceat(self._evidence(rate, rows, counts), starts, axis=0)
        days = (counts.tick_us - self.seen_us[where]) / DAY_US
        mass = (self.share[where] * days)[:, None] * self.weight
        shape = evidence.shape
        moved = advance(self.restarts[where].reshape(-1, BET_COUNT), mass.reshape(-1), evidence.reshape(-1, BET_COUNT))
        level = total(moved).reshape(shape[:2])
        moved = moved.reshape(shape)
        rang, heard = self._rung(level)
        alarms = [self._alarm(counts.tick_us, where, moved, i, e) for i, e in rang]
        moved[heard] = 0.0
        self.restarts[where] = moved
        if self.frozen is not None:
            self.frozen.add(rows, counts)
        self.learn(counts)
        return [*past, *alarms]

    def _usual(self, rows: IntArray, rate: FloatArray) -> FloatArray:
        """The rates of the baseline in cells that it knew, `rate` in others, (G, E)."""
        if self.frozen is None:
            return rate
        known = (rows < len(self.frozen.rate))[:, None]
        return np.where(known, self.frozen.rate[np.minimum(rows, len(self.frozen.rate) - 1)], rate)

    def _rung(self, level: FloatArray) -> tuple[list[tuple[int, int]], npt.NDArray[np.bool_]]:
        """Which streams ring, given the evidence of all (G, E + k), and which begin anew: an alarm takes 1 or more of it."""
        if not self.together:
            crossed = level >= 1.0
            return [(int(i), int(e)) for i, e in np.argwhere(crossed)], crossed
        reached = level.sum(axis=1) >= 1.0
        return [(i, int(level[i].argmax())) for i in np.flatnonzero(reached).tolist()], np.repeat(
            reached[:, None], level.shape[1], axis=1
        )

    def _turn(self, tick_us: int) -> list[Alarm]:
        """Settle what is settled once a day, if the tick begins a day; what rings then rings at this tick."""
        before = self.days.day
        if not self.days.is_over(tick_us):
            return []
        widened = self.days.widened + self.days.mix_margin(np.arange(len(self.share)))
        self.days.turn(tick_us)
        if self.frozen is None:
            return []
        crossed = self.frozen.settle(self.days.day - before, self.delta, widened, self.tables, self.weight)
        names = {1: "up", -1: "down"}
        return [Alarm(tick_us, where, event, names[direction], "frozen") for where, event, direction in crossed]

    def _alarm(self, tick_us: int, where: IntArray, moved: FloatArray, i: int, e: int) -> Alarm:
        up = rises(moved[i, e]) > 0
        events = self.rates.events.shape[1]
        e = e if e < events else int(self.shifts[e - events, 1])
        return Alarm(tick_us, int(where[i]), int(e), "up" if up else "down", "learning")

    def _evidence(self, rate: FloatArray, rows: IntArray, counts: TickCounts) -> FloatArray:
        """Log evidence of the rows of a tick, shape (G, E + k, J)."""
        bets = self.rates.sessions[rows] >= CELL_SESSIONS
        n, x = np.where(bets, counts.n, 0.0), np.where(bets, counts.x, 0.0)
        where, place = np.unique(counts.slice, return_inverse=True)
        delta = self.delta + (self.days.widened[where] + self.days.mix_margin(where))[place]
        own = self._bets(rate, delta, counts.weight, n, x)
        middle = self.shifts[:, 1]
        moved = own[:, middle].copy()
        for part in halves(rate, n, x, self.shifts):
            moved += self._bets(part.rate, delta[:, middle], counts.weight, part.n, part.x)
        return np.concatenate([own, moved], axis=1)

    def _bets(self, rate: FloatArray, delta: FloatArray, weight: IntArray, n: FloatArray, x: FloatArray) -> FloatArray:
        """Log evidence, shape (G, k, J), of k events of each row; all inputs but `weight` (G,) are (G, k)."""
        low, high = safe_range(rate, delta)
        flat = self.tables.log_evidence(
            self.tables.up_level(high).reshape(-1),
            self.tables.down_level(low).reshape(-1),
            np.repeat(weight, rate.shape[1]),
            n.reshape(-1),
            x.reshape(-1),
        )
        return flat.reshape(*rate.shape, BET_COUNT).astype(np.float64, copy=False)
