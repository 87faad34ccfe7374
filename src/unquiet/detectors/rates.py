"""Base rates: what each cell (slice x stratum) is expected to do, learned from what it did."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from unquiet.model.counts import TickCounts
from unquiet.stats.edetector import null_range
from unquiet.stats.shrinkage import LOWEST_RATE, lift, rate_of, shrunk

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Rates:
    """Counts of the cells that have been met, for S slices and E events.

    `row_of` (S, strata) is the row of each cell, -1 where it was not met; `events` and `sessions` (rows, E) are its
    counts; `slice_events` and `slice_sessions` (S, E) those of whole slices, `slice_usual` the events that their mix of
    strata let expect. Slice 0 is all traffic.
    """

    def __init__(self, slice_count: int, event_count: int) -> None:
        self.row_of = np.full((slice_count, 0), -1, np.int64)
        self.events = np.zeros((0, event_count))
        self.sessions = np.zeros((0, event_count))
        self.slice_events = np.zeros((slice_count, event_count))
        self.slice_sessions = np.zeros((slice_count, event_count))
        self.slice_usual = np.zeros((slice_count, event_count))

    def learn(self, counts: TickCounts) -> None:
        """Add a tick; what is expected of it must have been asked for before."""
        cell = np.concatenate([[True], (np.diff(counts.slice) != 0) | (np.diff(counts.stratum) != 0)])
        starts = np.flatnonzero(cell)
        x, n = np.add.reduceat(counts.x, starts, axis=0), np.add.reduceat(counts.n, starts, axis=0)
        where = counts.slice[starts]
        rows = self.rows(where, counts.stratum[starts])
        self.events[rows] += x
        self.sessions[rows] += n
        firsts = np.flatnonzero(np.concatenate([[True], np.diff(where) != 0]))
        self.slice_events[where[firsts]] += np.add.reduceat(x, firsts, axis=0)
        self.slice_sessions[where[firsts]] += np.add.reduceat(n, firsts, axis=0)
        usual = n * self.stratum_rates(counts.stratum[starts])
        self.slice_usual[where[firsts]] += np.add.reduceat(usual, firsts, axis=0)

    def expected(self, rows: IntArray, where: IntArray, stratum: IntArray) -> FloatArray:
        """Expected rate of each cell and event, (G, E): the cell's own, shrunk toward what it belongs to.

        `rows` are the cells' rows, `where` and `stratum` their slices and strata, all (G,).
        """
        usually = self.stratum_rates(stratum)
        overall = rate_of(self.slice_events[0], self.slice_sessions[0], 0.01)
        inside = rate_of(self.slice_events[where], self.slice_sessions[where], overall)
        usual = rate_of(self.slice_usual[where], self.slice_sessions[where], overall)
        return shrunk(self.events[rows], self.sessions[rows], usually, lift(inside, usual))

    def stratum_rates(self, stratum: IntArray) -> FloatArray:
        """The rates of strata on all traffic, (G, E)."""
        root = self.row_of[0, stratum]
        overall = rate_of(self.slice_events[0], self.slice_sessions[0], 0.01)
        return rate_of(self.events[root], self.sessions[root], overall)

    def rows(self, where: IntArray, stratum: IntArray) -> IntArray:
        """The row of each cell; cells met for the first time get one (and so does their stratum on all traffic)."""
        self._widen(int(stratum.max(initial=-1)) + 1)
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

    def grow(self, count: int) -> None:
        """Make room for `count` more slices."""
        self.row_of = grown(self.row_of, count, -1)
        self.slice_events, self.slice_sessions = grown(self.slice_events, count), grown(self.slice_sessions, count)
        self.slice_usual = grown(self.slice_usual, count)

    def cells(self) -> tuple[IntArray, IntArray]:
        """Slice and stratum of every row."""
        where, stratum = np.nonzero(self.row_of >= 0)
        order = np.argsort(self.row_of[where, stratum])
        return where[order], stratum[order]

    def _widen(self, strata: int) -> None:
        if strata > self.row_of.shape[1]:
            grown = np.full((len(self.row_of), strata), -1, np.int64)
            grown[:, : self.row_of.shape[1]] = self.row_of
            self.row_of = grown


def safe_range(rate: FloatArray, delta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The null range of learned rates, any shape: what never happened yet may happen, and is no news if it does not."""
    low, _ = null_range(np.minimum(rate, 1.0 - LOWEST_RATE), delta)
    _, high = null_range(np.maximum(rate, LOWEST_RATE), delta)
    return low, high


T = TypeVar("T", bound=np.generic)


def grown(values: npt.NDArray[T], count: int, fill: int = 0, axis: int = 0) -> npt.NDArray[T]:
    """The array with `count` more places along an axis, filled with `fill`."""
    shape = list(values.shape)
    shape[axis] = count
    return np.concatenate([values, np.full(shape, fill, values.dtype)], axis=axis)
