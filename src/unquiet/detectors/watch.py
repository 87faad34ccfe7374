"""The watch: all streams, their base rates and their evidence, as one value that steps from tick to tick."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unquiet.model.counts import TickCounts
from unquiet.stats.edetector import BET_COUNT, BET_WEIGHTS, UP_COUNT, BetTables, advance, null_range, total

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

DAY_US = 86_400_000_000
PRIOR_SESSIONS = 8.0
"""How many sessions the rate expected from slice and stratum weighs against a cell's own counts."""

CELL_SESSIONS = 20.0
"""Sessions that a cell must have seen before it bets."""

LOWEST_RATE = 0.001


@dataclass(frozen=True, slots=True)
class Alarm:
    """One stream crossed its threshold at `tick_us`.

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

    Cells are (slice, stratum) pairs that have been met; `events` and `sessions` (cells, E) are their counts so far.
    `restarts` (S, E, J) is the evidence in budget units; `seen_us` (S,) the last tick of each slice. `share` (S,) is
    each stream's part of the alarm budget, per day: an alarm is raised where the evidence reaches 1.
    """

    def __init__(self, share: FloatArray, event_count: int, tables: BetTables, delta: float) -> None:
        self.share = share
        self.tables = tables
        self.delta = delta
        size = len(share)
        self.row_of = np.full((size, 0), -1, np.int64)
        self.events = np.zeros((0, event_count))
        self.sessions = np.zeros((0, event_count))
        self.slice_events = np.zeros((size, event_count))
        self.slice_sessions = np.zeros((size, event_count))
        self.restarts = np.zeros((size, event_count, BET_COUNT))
        self.seen_us = np.zeros(size, np.int64)

    def learn(self, counts: TickCounts) -> None:
        """Add a tick to the base rates without judging it."""
        self._rows(counts.slice, counts.stratum)
        cell = np.concatenate([[True], (np.diff(counts.slice) != 0) | (np.diff(counts.stratum) != 0)])
        starts = np.flatnonzero(cell)
        x, n = np.add.reduceat(counts.x, starts, axis=0), np.add.reduceat(counts.n, starts, axis=0)
        where = counts.slice[starts]
        rows = self.row_of[where, counts.stratum[starts]]
        self.events[rows] += x
        self.sessions[rows] += n
        firsts = np.flatnonzero(np.concatenate([[True], np.diff(where) != 0]))
        self.slice_events[where[firsts]] += np.add.reduceat(x, firsts, axis=0)
        self.slice_sessions[where[firsts]] += np.add.reduceat(n, firsts, axis=0)
        self.seen_us[where[firsts]] = counts.tick_us

    def step(self, counts: TickCounts) -> list[Alarm]:
        """Judge a tick against what was known before it, then learn from it."""
        rows = self._rows(counts.slice, counts.stratum)
        rate = self._rates(rows, counts)
        starts = np.flatnonzero(np.concatenate([[True], np.diff(counts.slice) != 0]))
        where = counts.slice[starts]
        evidence = self._evidence(rate, rows, counts, starts)
        days = (counts.tick_us - self.seen_us[where]) / DAY_US
        mass = np.repeat((self.share[where] * days)[:, None], rate.shape[1], axis=1)
        shape = evidence.shape
        moved = advance(self.restarts[where].reshape(-1, BET_COUNT), mass.reshape(-1), evidence.reshape(-1, BET_COUNT))
        crossed = (total(moved) >= 1.0).reshape(shape[:2])
        moved = moved.reshape(shape)
        alarms = [self._alarm(counts.tick_us, where, moved, i, e) for i, e in np.argwhere(crossed)]
        moved[crossed] = 0.0
        self.restarts[where] = moved
        self.learn(counts)
        return alarms

    def _alarm(self, tick_us: int, where: IntArray, moved: FloatArray, i: int, e: int) -> Alarm:
        parts = moved[i, e] * BET_WEIGHTS
        up = bool(parts[:UP_COUNT].sum() >= parts[UP_COUNT:].sum())
        return Alarm(tick_us, int(where[i]), int(e), "up" if up else "down", "learning")

    def _rates(self, rows: IntArray, counts: TickCounts) -> FloatArray:
        """Expected rate of each cell and event: its own counts, and what slice and stratum let expect.

        The prior multiplies the odds of the stratum with the odds ratio of the slice to all traffic.
        """
        root = self.row_of[0, counts.stratum]
        overall = _rate(self.slice_events[0], self.slice_sessions[0], 0.01)
        stratum = _rate(self.events[root], self.sessions[root], overall)
        inside = _rate(self.slice_events[counts.slice], self.slice_sessions[counts.slice], overall)
        odds = _odds(stratum) * _odds(inside) / _odds(overall)
        prior = odds / (1.0 + odds)
        rate = (self.events[rows] + PRIOR_SESSIONS * prior) / (self.sessions[rows] + PRIOR_SESSIONS)
        return np.clip(rate, LOWEST_RATE, 1.0 - LOWEST_RATE)

    def _evidence(self, rate: FloatArray, rows: IntArray, counts: TickCounts, starts: IntArray) -> FloatArray:
        """Log evidence of the slices in this tick, shape (slices in the tick, E, J)."""
        low, high = null_range(rate, self.delta)
        bets = self.sessions[rows] >= CELL_SESSIONS
        n, x = np.where(bets, counts.n, 0.0), np.where(bets, counts.x, 0.0)
        weight = np.repeat(counts.weight[:, None], rate.shape[1], axis=1)
        flat = self.tables.log_evidence(
            self.tables.up_level(high).reshape(-1),
            self.tables.down_level(low).reshape(-1),
            weight.reshape(-1),
            n.reshape(-1),
            x.reshape(-1),
        )
        return np.add.reduceat(flat.reshape(*rate.shape, BET_COUNT), starts, axis=0)

    def _rows(self, where: IntArray, stratum: IntArray) -> IntArray:
        """The row of each cell; cells met for the first time get one (and so does their stratum on all traffic)."""
        wide = int(stratum.max(initial=-1)) + 1
        if wide > self.row_of.shape[1]:
            grown = np.full((len(self.share), wide), -1, np.int64)
            grown[:, : self.row_of.shape[1]] = self.row_of
            self.row_of = grown
        flat = self.row_of.reshape(-1)
        keys = np.concatenate([where * self.row_of.shape[1] + stratum, stratum])
        missing = flat[keys] < 0
        if missing.any():
            new = np.unique(keys[missing])
            first = len(self.events)
            flat[new] = np.arange(first, first + len(new))
            blank = np.zeros((len(new), self.events.shape[1]))
            self.events = np.concatenate([self.events, blank])
            self.sessions = np.concatenate([self.sessions, blank])
        return self.row_of[where, stratum]


def _rate(events: FloatArray, sessions: FloatArray, prior: FloatArray | float) -> FloatArray:
    return (events + prior) / (sessions + 1.0)


def _odds(rate: FloatArray) -> FloatArray:
    safe = np.clip(rate, 1e-4, 1.0 - 1e-4)
    return safe / (1.0 - safe)
