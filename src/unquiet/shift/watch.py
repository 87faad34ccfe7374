"""The open-world detector: has the population of answers changed, whatever it is that they say now?

Every watched feature is a stream in all traffic and in every slice of one condition. Rates are those known when the day
began; the day is learned when it is over. Only the first session of a user within a day counts (sessions of one user are
alike), and only sessions whose answers have text.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from unquiet.shift.cells import Cells
from unquiet.shift.features import Features, Keys
from unquiet.shift.log import Day, Log
from unquiet.shift.rates import Rates, expected, extended
from unquiet.shift.streams import DAY_US, ROWS_AT_ONCE, SWEEP_US, Streams
from unquiet.shift.vocabulary import LEAST_REQUESTS, Vocabulary
from unquiet.stats.runs import spread

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

HELD_US = 2_700_000_000
"""The evidence of a slice must hold for so long: among thousands of features there are runs of luck, and these end."""

NEVER_US = 2**62


@dataclass(frozen=True, slots=True)
class Batch:
    """Sessions in order of the tick in which they closed, as they are counted.

    `tick_us` (n,); session i is a member of the slices `where[starts[i]:starts[i + 1]]` (numbers among the S slices
    of the watch) in the stratum `stratum[i]`; `counted` (n,) is False for sessions that are no evidence of their own.
    """

    tick_us: IntArray
    features: Features
    stratum: IntArray
    starts: IntArray
    where: IntArray
    counted: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rung:
    """A feature that rang in a slice (a number among the S slices): +1 became frequent, -1 became rare."""

    key: int
    slice: int
    direction: int


class ShiftWatch:
    """Streams, vocabulary, cells and log as one value that steps from tick to tick.

    `share` (S,) is each slice's part of the alarm budget, per day, which its features share evenly.
    """

    def __init__(self, share: FloatArray, delta: float) -> None:
        self.vocabulary = Vocabulary()
        self.cells = Cells(len(share))
        self.streams = Streams(share, 0, delta)
        self.log = Log()
        self.hits: Rates = np.zeros((0, 0), np.float32)
        self.pending: list[IntArray] = []
        self.day = -1
        self.swept_us = 0
        self.reached_us = np.full(len(share), NEVER_US)
        self.session_count = 0

    def learn(self, batch: Batch) -> None:
        """Learn from all sessions of the learning period, which ends with them."""
        self.vocabulary.learn(batch.features, batch.counted & batch.features.known)
        size = len(self.vocabulary.keys)
        self.streams = Streams(self.streams.share, size, self.streams.delta)
        self.hits = np.zeros((size, 0), np.float32)
        for low, high in runs_of(batch.tick_us):
            day = (int(batch.tick_us[low]) - 1) // DAY_US
            if day != self.day and self.day >= 0:
                self._end_day(day)
            self.day = day
            self._count(batch, low, high)
        last_us = int(batch.tick_us[-1])
        self._end_day(self.day + 1)
        self.streams.begin(np.arange(size), last_us, 0)
        self.swept_us = last_us

    def step(self, batch: Batch, low: int, high: int) -> list[Rung]:
        """Judge the sessions low to high of a batch, which closed in one tick; the slices that rang."""
        now_us = int(batch.tick_us[low])
        day = (now_us - 1) // DAY_US
        if day != self.day:
            self._end_day(day)
        pairs = self._count(batch, low, high)
        self.streams.tick(self.cells)
        self.streams.add(pairs, self.cells, now_us)
        self._take_up(batch, low, high, now_us)
        if now_us - self.swept_us >= SWEEP_US:
            self.swept_us = now_us
            self.streams.sweep(self.cells, now_us)
        return self._report(now_us)

    def _report(self, now_us: int) -> list[Rung]:
        """The slices whose evidence has reached the budget and held, each with its clearest feature; the clearest first."""
        streams, found = self.streams, list[Rung]()
        self.reached_us = np.where(streams.level >= 1.0, np.minimum(self.reached_us, now_us), NEVER_US)
        held = np.flatnonzero(now_us - self.reached_us >= HELD_US)
        for where in sorted(held.tolist(), key=lambda s: -streams.level[s]):
            streams.look_at_slice(where, self.cells, now_us)
            if streams.level[where] >= 1.0:
                slot, direction = streams.clearest(where)
                found.append(Rung(int(self.vocabulary.keys[slot]), where, direction))
                streams.silence(where)
        return found

    def _count(self, batch: Batch, low: int, high: int) -> IntArray:
        """Count sessions of one tick; the hits that may be bet on, as stream numbers."""
        part = batch.features.part(low, high)
        counted = batch.counted[low:high] & part.known
        sizes = np.where(counted, np.diff(batch.starts[low : high + 1]), 0)
        owner = np.repeat(np.arange(high - low), sizes)
        where = batch.where[spread(batch.starts[low:high], batch.starts[low:high] + sizes)]
        rows = self.cells.rows(where, batch.stratum[low:high][owner])
        owner, rows = owner[rows >= 0], rows[rows >= 0]
        self.cells.add(rows)
        starts = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=high - low))])
        session = np.repeat(np.arange(high - low), np.diff(part.starts))
        self.log.add(
            Day(
                self.session_count,
                part.keys,
                session.astype(np.int32),
                rows.astype(np.int32),
                starts.astype(np.int32),
                part.known,
            )
        )
        self.session_count += high - low
        slots = self.vocabulary.slots(part.keys)
        self.vocabulary.seen_day[slots[slots >= 0]] = self.day
        watched = slots >= 0
        slot, whom = slots[watched], session[watched]
        sizes = np.diff(starts)[whom]
        slot, cell = np.repeat(slot, sizes), rows[spread(starts[whom], starts[whom + 1])]
        self.pending.append(slot * _WIDE + cell)
        return self._bettable(slot, cell)

    def _bettable(self, slot: IntArray, cell: IntArray) -> IntArray:
        known = self.streams.counts
        bets = np.append(known, np.zeros(len(self.cells) - len(known), bool))[cell]
        return slot[bets] * len(self.streams.share) + self.cells.where[cell[bets]]

    def _take_up(self, batch: Batch, low: int, high: int, now_us: int) -> None:
        """Begin to watch the features that different requests have begun to meet, in the light of their own past."""
        part = batch.features.part(low, high)
        counted = np.flatnonzero(batch.counted[low:high] & part.known)
        session = np.repeat(np.arange(high - low), np.diff(part.starts))
        fresh = (self.vocabulary.slots(part.keys) < 0) & np.isin(session, counted)
        keys = self.vocabulary.meet(part.keys[fresh], part.request[session[fresh]], len(counted))
        keys = self._met_often(keys)
        if not len(keys):
            return
        slots = self.vocabulary.admit(keys, self.day, lambda old: self.streams.evidence(old).max(axis=1))
        keys = keys[: len(slots)]
        if not len(keys):
            return
        self.streams.begin(slots, now_us, self.cells.tick)
        self.hits[slots] = self._past(keys)
        self.pending = [each[~np.isin(each // _WIDE, slots)] for each in self.pending]
        index, cell = self.log.find(keys, today=True)
        self.pending.append(slots[index] * _WIDE + cell)
        self.streams.new_features(slots, self._rates(slots), self.cells)

    def _met_often(self, keys: Keys) -> Keys:
        """Those of `keys` (ascending) that enough sessions of this day and the last have: buckets are shared by chance."""
        if not len(keys):
            return keys
        return keys[self.log.lately(keys) >= LEAST_REQUESTS]

    def _past(self, keys: Keys) -> Rates:
        """Hits of `keys` (ascending) before today in every cell, (k, cells).

        Of days that the log has dropped the hits are not known: there the rates of the days that are kept are assumed.
        """
        index, cell = self.log.find(keys, today=False)
        known = self.hits.shape[1]
        hits = np.zeros((len(keys), len(self.cells)), np.float32)
        np.add.at(hits, (index, cell), 1.0)
        if self.log.dropped:
            hits = extended(hits, self.log.sessions(len(self.cells)), self.cells)
        return hits[:, :known]

    def _rates(self, slots: IntArray) -> Rates:
        known = len(self.streams.counts)
        blank = np.zeros((len(slots), len(self.cells) - self.hits.shape[1]), np.float32)
        return expected(np.concatenate([self.hits[slots], blank], axis=1), self.cells)[:, :known]

    def _end_day(self, day: int) -> None:
        """Learn from the day that is over and take the rates of the next."""
        flat = np.concatenate([np.zeros(0, np.int64), *self.pending])
        self.pending = []
        slot, cell = flat // _WIDE, flat % _WIDE
        shape = self.streams.hits.shape
        today = np.bincount(self._bettable(slot, cell), minlength=shape[0] * shape[1]).reshape(shape)
        self.streams.end_day(today, self.cells, day * DAY_US)
        self.cells.settle()
        blank = np.zeros((len(self.hits), len(self.cells) - self.hits.shape[1]), np.float32)
        self.hits = np.concatenate([self.hits, blank], axis=1)
        np.add.at(self.hits.reshape(-1), slot * self.hits.shape[1] + cell, np.float32(1.0))
        blocks = range(0, len(self.hits), ROWS_AT_ONCE)
        rates = [expected(self.hits[at : at + ROWS_AT_ONCE], self.cells) for at in blocks]
        self.streams.new_day(np.concatenate([self.hits[:0], *rates]), self.cells)
        self.vocabulary.turn()
        self.log.turn()
        self.day = day


_WIDE = 1 << 16


def runs_of(values: IntArray) -> list[tuple[int, int]]:
    """Runs of equal values: first place and the one after the last."""
    cuts = np.flatnonzero(np.diff(values)) + 1
    edges = [0, *cuts.tolist(), len(values)]
    return list(pairwise(edges)) if len(values) else []
