"""The streams: every watched feature in every slice, each looked at when there is something to see.

A stream is a feature in a slice. Its sessions form runs (see `bets`): a run ends when more hits have come than chance would
bring, when so many were expected that their absence says something, or, at the end of a day, as soon as anything
happened in it. So a stream costs only when it is touched.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from unquiet.shift import bets
from unquiet.shift.cells import TICKS_A_DAY, Cells, sums_by_slice
from unquiet.shift.rates import CELL_SESSIONS, SLACK_HITS, Rates
from unquiet.stats.shrinkage import PRIOR_SESSIONS

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

DAY_US = 86_400_000_000
HITS_TO_LOOK, TIMES_TO_LOOK = 0.5, 2.0
"""A run ends at so many hits above so many times those expected."""

EXPECTED_TO_LOOK = 2.0
"""A run ends at a sweep when so many hits were expected."""

SWEEP_US = 10_800_000_000
MARGIN_PER_WOBBLE, WOBBLE_ERRORS, LEAST_EXPECTED = 3.5, 3.0, 1.0

ALIKE = 10.0
"""Features that come and go together as one, when chance is taken off what the features of a slice wobble in common."""

FIRST_MASS_DAYS = 1.0
"""A stream begins as if it had been waiting for so long: so is its first run a restart too."""

RUN = ("n", "hits", "expected", "slack", "mass", "begun_us", "since")

ROWS_AT_ONCE = 512
_AT_ONCE = 50_000


class Streams:
    """State of F features and S slices.

    `share` (S,) is a slice's part of the budget, per day, which its features share by `weight` (F,). `restarts` (F, S, J)
    is the evidence and `level` (S,) what a slice has of it, `mass` (F, S) the days that had passed when the running run
    began, `begun_us` (F, S) when it began. The run's sums: `hits` (F, S), and `n`, `expected` and `slack` (F, S) of the days
    before this one; this day's follow from the cells, from tick `since` (F, S) on.

    `today` and `slack_today` (TICKS_A_DAY + 1, S) are the day's running sums of the sessions that count, `rates` (F, cells)
    what is expected today, `usual` (F, S) the same of whole slices. `over`, `largest`, `compared`, `information` and the
    `past` (F, S) measure the wobble from day to day, `pooled` (4, S) the first four of all features of a slice.
    """

    def __init__(self, share: FloatArray, features: int, delta: float) -> None:
        shape = (features, len(share))
        self.share = share
        self.weight = np.full(features, 1.0 / max(features, 1))
        self.delta = delta
        self.level = np.zeros(len(share))
        self.restarts = np.zeros((*shape, bets.BET_COUNT), np.float32)
        self.mass = np.zeros(shape, np.float32)
        self.begun_us = np.zeros(shape, np.int64)
        self.hits = np.zeros(shape, np.float32)
        self.n = np.zeros(shape, np.float32)
        self.slack = np.zeros(shape, np.float32)
        self.expected = np.zeros(shape, np.float32)
        self.since = np.zeros(shape, np.int16)
        self.over, self.largest, self.compared, self.information = (np.zeros(shape, np.float32) for _ in range(4))
        self.past_ratio, self.past_expected = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self.pooled = np.zeros((4, len(share)))
        self.rates: Rates = np.zeros((features, 0), np.float32)
        self.usual = np.zeros(shape, np.float32)
        self.today, self.slack_today = (np.zeros((TICKS_A_DAY + 1, len(share)), np.float32) for _ in range(2))
        self.cells_of = np.zeros((len(share), 0), np.int64)
        self.counts = np.zeros(0, bool)

    def begin(self, slots: IntArray, now_us: int, tick: int) -> None:
        """Watch other features in these slots from now on; the evidence of those before is given up."""
        self.level -= self.evidence(slots).sum(axis=0)
        for values in (self.restarts, self.hits, self.n, self.slack, self.expected):
            values[slots] = 0.0
        self.mass[slots] = FIRST_MASS_DAYS
        self.begun_us[slots] = now_us
        self.since[slots] = tick

    def new_day(self, rates: Rates, cells: Cells) -> None:
        """Take the rates that are expected today."""
        self.rates = rates
        order, begins = cells.by_slice()
        widest = int(np.diff(begins).max(initial=0))
        self.cells_of = np.full((len(self.share), widest), -1, np.int64)
        for where, (low, high) in enumerate(pairwise(begins)):
            self.cells_of[where, : high - low] = order[low:high]
        self.counts = cells.sessions >= CELL_SESSIONS
        weight = np.where(self.counts, cells.sessions, 0.0)
        size = np.zeros(len(self.share))
        np.add.at(size, cells.where, weight)
        self.usual = (self._by_slice(rates, weight, cells) / np.maximum(size, 1.0)).astype(np.float32)

    def new_features(self, slots: IntArray, rates: Rates, cells: Cells) -> None:
        """Take the rates (k, cells) that are expected today of features that were taken up in the day."""
        for values in (self.over, self.largest, self.compared, self.information, self.past_expected):
            values[slots] = 0.0
        self.rates[slots] = rates
        weight = np.where(self.counts, cells.sessions[: len(self.counts)], 0.0)
        size = np.bincount(cells.where[: len(weight)], weights=weight, minlength=len(self.share))
        self.usual[slots] = self._by_slice(rates, weight, cells) / np.maximum(size, 1.0)

    def tick(self, cells: Cells) -> None:
        """Take note of the sessions of a tick, which the cells have counted."""
        known = np.where(self.counts, cells.now[: len(self.counts)], 0.0)
        where, size = cells.where[: len(known)], (cells.sessions[: len(known)] + PRIOR_SESSIONS) / SLACK_HITS
        self.today[cells.tick] = np.bincount(where, weights=known, minlength=len(self.share))
        self.slack_today[cells.tick] = np.bincount(where, weights=known / size, minlength=len(self.share))

    def add(self, pairs: IntArray, cells: Cells, now_us: int) -> None:
        """Count hits, one entry each as slot * S + slice."""
        touched, hits = np.unique(pairs, return_counts=True)
        flat = self.hits.reshape(-1)
        flat[touched] += hits
        chance = self.usual.reshape(-1)[touched] * self._sessions(touched, cells)
        self.look(touched[flat[touched] >= HITS_TO_LOOK + TIMES_TO_LOOK * chance], cells, now_us)

    def sweep(self, cells: Cells, now_us: int) -> None:
        """Look at the streams of which much was expected."""
        n = self.n + self.today[cells.tick] - np.take_along_axis(self.today, self.since.astype(np.int64), axis=0)
        self.look(np.flatnonzero((self.usual * n >= EXPECTED_TO_LOOK).reshape(-1)), cells, now_us)

    def end_day(self, hits: IntArray, cells: Cells, now_us: int) -> None:
        """Close the day, whose hits in cells that count are `hits` (F, S), before the cells do.

        Streams in which anything happened are looked at; of the others the sums are kept.
        """
        whole = self._by_slice(self.rates, cells.now[: self.rates.shape[1]], cells)
        self._wobble(hits.astype(np.float64), whole)
        self.look(np.flatnonzero(((self.expected + whole >= 0.5) | (self.hits >= 1.0)).reshape(-1)), cells, now_us)
        self.expected += np.where(self.since == 0, whole, 0.0).astype(np.float32)
        since = self.since.astype(np.int64)
        late = np.flatnonzero((since.reshape(-1) > 0) & (since.reshape(-1) < cells.tick))
        self.expected.reshape(-1)[late] += self._expected_since(late, cells)
        self.n += self.today[cells.tick] - np.take_along_axis(self.today, since, axis=0)
        self.slack += self.slack_today[cells.tick] - np.take_along_axis(self.slack_today, since, axis=0)
        self.since[:] = 0
        self.today[:], self.slack_today[:] = 0.0, 0.0
        self.level = np.einsum("fsj,f,j->s", self.restarts, self.weight, bets.WEIGHTS)

    def look(self, which: IntArray, cells: Cells, now_us: int) -> None:
        """End the runs of some streams and bet on them."""
        for at in range(0, len(which), _AT_ONCE):
            self._look(which[at : at + _AT_ONCE], cells, now_us)

    def look_at_slice(self, where: int, cells: Cells, now_us: int) -> None:
        """Look at the streams that make up a slice's evidence: their last sessions may speak against it."""
        share = bets.total(self.restarts[:, where]) * self.weight
        slots = np.flatnonzero(share >= 0.001 * self.level[where])
        self.look(slots * len(self.share) + where, cells, now_us)

    def evidence(self, slots: IntArray) -> FloatArray:
        """What features have of the evidence of each slice, (k, S)."""
        return np.einsum("fsj,j->fs", self.restarts[slots].astype(np.float64), bets.WEIGHTS) * self.weight[slots, None]

    def clearest(self, where: int) -> tuple[int, int]:
        """The feature with most of a slice's evidence, and whether it rose (+1) or fell (-1)."""
        slot = int((bets.total(self.restarts[:, where]) * self.weight).argmax())
        return slot, 1 if bets.rises(self.restarts[slot, where][None])[0] else -1

    def silence(self, where: int) -> None:
        """Begin anew with a slice that was heard."""
        self.restarts[:, where] = 0.0
        self.level[where] = 0.0

    def _look(self, which: IntArray, cells: Cells, now_us: int) -> None:
        which = which[self._sessions(which, cells) > 0]
        flat = {name: getattr(self, name).reshape(-1) for name in RUN}
        slot, where = which // len(self.share), which % len(self.share)
        found = bets.reward(flat["hits"][which].astype(np.float64)) - self._penalty(which, cells)
        restarts = self.restarts.reshape(-1, bets.BET_COUNT)
        before = bets.total(restarts[which])
        restarts[which] = bets.advance(restarts[which], flat["mass"][which] * self.share[where], found)
        gain = (bets.total(restarts[which]) - before) * self.weight[slot]
        self.level += np.bincount(where, weights=gain, minlength=len(self.share))
        flat["mass"][which] = (now_us - flat["begun_us"][which]) / DAY_US
        flat["begun_us"][which] = now_us
        for name in ("n", "hits", "expected", "slack"):
            flat[name][which] = 0.0
        flat["since"][which] = cells.tick

    def _penalty(self, which: IntArray, cells: Cells) -> FloatArray:
        """What the sessions of runs cost the bets on them, (P, J): those of today cell by cell, earlier ones in sum."""
        tolerance = self._tolerance(which)
        n, expected, slack = (v.reshape(-1)[which].astype(np.float64) for v in (self.n, self.expected, self.slack))
        past = np.flatnonzero(n > 0)
        out = np.zeros((len(which), bets.BET_COUNT))
        out[past] = bets.penalty(n[past], expected[past], slack[past], tolerance[past])
        today, mine = self._cells_since(which, cells)
        pair, place = np.nonzero(today)
        if len(pair):
            count, cell = today[pair, place], mine[pair, place]
            chance = count * self.rates[(which // len(self.share))[pair], cell]
            unsure = SLACK_HITS * count / (cells.sessions[cell] + PRIOR_SESSIONS).astype(np.float32)
            each = bets.penalty(count, chance, unsure, tolerance[pair].astype(np.float32))
            starts = np.flatnonzero(np.diff(pair, prepend=-1) != 0)
            out[pair[starts]] += np.add.reduceat(each, starts, axis=0)
        return out

    def _cells_since(self, which: IntArray, cells: Cells) -> tuple[Rates, IntArray]:
        """Sessions of today in each cell of streams' slices since their runs began, and the cells, (P, most cells)."""
        mine = self.cells_of[which % len(self.share)]
        since = self.since.reshape(-1)[which].astype(np.int64)
        n = cells.now[mine] - cells.today[since[:, None], mine]
        return np.where((mine >= 0) & self.counts[mine], n, 0.0).astype(np.float32), mine

    def _sessions(self, which: IntArray, cells: Cells) -> FloatArray:
        """Sessions of the runs of streams so far, (P,)."""
        return self.n.reshape(-1)[which] + self._since(self.today, which, cells)

    def _since(self, sums: Rates, which: IntArray, cells: Cells) -> FloatArray:
        """What running sums of slices, (ticks, S), have gained since the runs of streams began or the day did, (P,)."""
        where, since = which % len(self.share), self.since.reshape(-1)[which]
        return (sums[cells.tick, where] - sums[since, where]).astype(np.float64)

    def _tolerance(self, which: IntArray) -> FloatArray:
        slot, where = which // len(self.share), which % len(self.share)
        own, whole = self._wobble_of(slot, where), self._wobble_of(slot, np.zeros_like(where))
        return self.delta + MARGIN_PER_WOBBLE * np.maximum(np.maximum(own, whole), self._pooled_wobble()[where])

    def _wobble(self, hits: FloatArray, expected: FloatArray) -> None:
        """Compare the day with the one before it (von Neumann 1941): a lasting step enters one difference only."""
        ratio = np.divide(hits, expected, out=np.ones_like(hits), where=expected > 0)
        both = (expected >= LEAST_EXPECTED) & (self.past_expected >= LEAST_EXPECTED)
        noise = 1.0 / np.maximum(expected, LEAST_EXPECTED) + 1.0 / np.maximum(self.past_expected, LEAST_EXPECTED)
        over = np.where(both, (ratio - self.past_ratio) ** 2 / noise - 1.0, 0.0)
        self.over += over
        self.largest = np.maximum(self.largest, over).astype(np.float32)
        self.compared += both
        information = np.where(both, 1.0 / noise, 0.0)
        self.information += information
        day = np.stack([over.sum(axis=0), over.sum(axis=0), both.sum(axis=0), information.sum(axis=0)])
        self.pooled = np.where(np.arange(4)[:, None] == 1, np.maximum(self.pooled, day), self.pooled + day)
        self.past_ratio, self.past_expected = ratio.astype(np.float32), expected.astype(np.float32)

    def _wobble_of(self, slot: IntArray, where: IntArray) -> FloatArray:
        """Standard deviation of the log rate from day to day, beyond chance; the greatest step is left out."""
        parts = (self.over, self.largest, self.compared, self.information)
        over, largest, count, information = (part[slot, where].astype(np.float64) for part in parts)
        return _beyond_chance(over, largest, count, information * (1.0 - 1.0 / np.maximum(count, 2.0)), 1.0)

    def _pooled_wobble(self) -> FloatArray:
        """The same of all features of each slice, (S,): one alone says little of its wobble, together they say it soon."""
        over, largest, count, information = self.pooled
        return _beyond_chance(over, largest, count, information, ALIKE)

    def _expected_since(self, which: IntArray, cells: Cells) -> FloatArray:
        """Hits expected today of streams since their runs began, (P,)."""
        n, mine = self._cells_since(which, cells)
        return (self.rates[(which // len(self.share))[:, None], mine] * n).sum(axis=1, dtype=np.float64)

    def _by_slice(self, values: Rates, weight: npt.NDArray[np.floating], cells: Cells) -> FloatArray:
        """Sums over the cells of each slice of values (k, cells) times weight (cells,): (k, S), in blocks of little memory."""
        order, begins = _ordered(cells.where[: values.shape[1]], len(self.share))
        out = np.zeros((len(values), len(self.share)))
        for at in range(0, len(values), ROWS_AT_ONCE):
            block = (values[at : at + ROWS_AT_ONCE] * weight).astype(np.float64)
            out[at : at + ROWS_AT_ONCE] = sums_by_slice(block, order, begins)
        return out


def _ordered(where: IntArray, slice_count: int) -> tuple[IntArray, IntArray]:
    order = np.argsort(where, kind="stable")
    return order, np.searchsorted(where[order], np.arange(slice_count + 1))


def _beyond_chance(
    over: FloatArray, largest: FloatArray, count: FloatArray, information: FloatArray, alike: float
) -> FloatArray:
    """Deviation from the sum of `z^2 - 1` over `count` steps, whose variance is 3 each, `alike` of them at a time."""
    excess = over - largest - WOBBLE_ERRORS * np.sqrt(3.0 * alike * count)
    return np.sqrt(np.maximum(excess, 0.0) / np.maximum(2.0 * information, 1e-9))
