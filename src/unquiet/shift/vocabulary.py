"""Which features are watched: those that answers to different requests share, learned first, newcomers later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from unquiet.shift.features import Features

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint32]
Marks = npt.NDArray[np.uint64]
IntArray32 = npt.NDArray[np.int32]

MOST_FEATURES = 6_000
MOST_LEARNED = 4_500
LEAST_ROOM = 500
"""Slots for newcomers: a third of what was learned, at least so many."""

LEAST_REQUESTS = 5
"""Different requests that must have met a feature."""

RISEN = 3.0
"""A feature that was known and not watched is taken up when it has become this many times as frequent, at least, and..."""

RISEN_ERRORS = 3.0
"""... by this many standard errors, counted in square roots (Anscombe 1948): of the many rare ones some are always lucky."""

TRIAL_DAYS = 2
"""Days that a newcomer is watched before its slot may go to another."""

_BUCKETS = 2**20
_KEY_BITS, _PART_BITS = 32, 4
_PARTS = 2**_PART_BITS
"""The learning period is gone through in so many parts of its keys: all at once would take several times its memory."""


@dataclass(slots=True)
class Vocabulary:
    """The watched features by slot, and a sketch of all others.

    `keys` (slots,) with `used` tell which slot watches which key, of at most MOST_FEATURES; `seen_day` when it was met
    last, `taken_day` when it was taken up. `asked` (2, buckets) holds, today and yesterday, one bit of sixteen a request
    that met a key of the bucket;
    `recent` (2, buckets) and `usual` (buckets,) count sessions, `usual_sessions` those of the learning period. `refused`
    counts newcomers for which no slot was free.
    """

    keys: Keys = field(default_factory=lambda: np.zeros(0, np.uint32))
    used: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    learned: int = 0
    seen_day: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    taken_day: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    asked: npt.NDArray[np.uint16] = field(default_factory=lambda: np.zeros((2, _BUCKETS), np.uint16))
    recent: Keys = field(default_factory=lambda: np.zeros((2, _BUCKETS), np.uint32))
    usual: Keys = field(default_factory=lambda: np.zeros(_BUCKETS, np.uint32))
    recent_sessions: IntArray = field(default_factory=lambda: np.zeros(2, np.int64))
    usual_sessions: int = 0
    refused: int = 0
    _order: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))

    def slots(self, keys: Keys) -> IntArray:
        """The slot that watches each key, -1 where none does."""
        if not len(self._order):
            return np.full(len(keys), -1, np.int64)
        ordered = self.keys[self._order]
        place = np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)
        return np.where(ordered[place] == keys, self._order[place], -1)

    def learn(self, features: Features, counted: npt.NDArray[np.bool_]) -> None:
        """Choose from the learning period: the most frequent of those that enough different requests met.

        Of features that the same sessions have only one is taken: they say the same. What is usual is what the sessions
        that are `counted` have, as it is later.
        """
        sizes = np.diff(features.starts)
        owner = np.repeat(np.arange(len(features), dtype=np.int32), sizes)
        marks = np.random.default_rng(0).integers(0, 2**64, len(features), dtype=np.uint64)
        parts = [_shared(features, owner, marks, part) for part in range(_PARTS)]
        keys, count, same = (np.concatenate(column) for column in zip(*parts, strict=True))
        _, first = np.unique(same, return_index=True)
        good = np.sort(first)
        chosen = good[np.argsort(-count[good], kind="stable")][:MOST_LEARNED]
        self.learned = len(chosen)
        size = self.learned + min(max(self.learned // 3, LEAST_ROOM), MOST_FEATURES - self.learned)
        self.keys, self.used = np.zeros(size, np.uint32), np.zeros(size, bool)
        self.seen_day, self.taken_day = np.zeros(size, np.int64), np.zeros(size, np.int64)
        self.keys[: len(chosen)] = keys[chosen]
        self.used[: len(chosen)] = True
        self.usual = np.bincount(_bucket(features.keys[counted[owner]]), minlength=_BUCKETS).astype(np.uint32)
        self.usual_sessions = int(counted.sum())
        self.index()

    def index(self) -> None:
        """Make the look-up of keys anew."""
        taken = np.flatnonzero(self.used)
        self._order = taken[np.argsort(self.keys[taken], kind="stable")]

    def meet(self, keys: Keys, request: Marks, session_count: int) -> Keys:
        """Take note of unwatched features of a tick (one entry a session that has one): those to watch from now on."""
        bucket = _bucket(keys)
        np.bitwise_or.at(self.asked[0], bucket, _bit(request))
        np.add.at(self.recent[0], bucket, np.uint32(1))
        self.recent_sessions[0] += session_count
        both = self.asked[0][bucket] | self.asked[1][bucket]
        enough = np.bitwise_count(both) >= LEAST_REQUESTS
        if not enough.any():
            return np.zeros(0, np.uint32)
        there = bucket[enough]
        lately, sessions = self.recent[:, there].astype(np.float64).sum(axis=0), max(int(self.recent_sessions.sum()), 1)
        usual = self.usual[there] * (sessions / max(self.usual_sessions, 1))
        risen = (lately >= RISEN * usual) & (2.0 * (np.sqrt(lately) - np.sqrt(usual)) >= RISEN_ERRORS)
        return np.unique(keys[enough][risen])

    def admit(self, keys: Keys, day: int, evidence: Callable[[IntArray], FloatArray]) -> IntArray:
        """Slots for new keys: free ones, then those of newcomers whose trial is over and that have least `evidence`.

        Fewer than there are keys if none is left; the rest is counted as `refused`.
        """
        free = np.flatnonzero(~self.used)
        if len(free) < len(keys):
            old = np.arange(self.learned, len(self.keys))
            old = old[self.used[old] & (self.taken_day[old] <= day - TRIAL_DAYS)]
            order = np.lexsort((self.seen_day[old], evidence(old)))
            free = np.append(free, old[order])
        slots = free[: len(keys)]
        self.refused += len(keys) - len(slots)
        self.keys[slots] = keys[: len(slots)]
        self.used[slots] = True
        self.seen_day[slots], self.taken_day[slots] = day, day
        if len(slots):
            self.index()
        return slots

    def turn(self) -> None:
        """A new day: today becomes yesterday."""
        self.asked = np.stack([np.zeros(_BUCKETS, np.uint16), self.asked[0]])
        self.recent = np.stack([np.zeros(_BUCKETS, np.uint32), self.recent[0]])
        self.recent_sessions = np.array([0, self.recent_sessions[0]], np.int64)


def _shared(features: Features, owner: IntArray32, marks: Marks, part: int) -> tuple[Keys, IntArray, Marks]:
    """Of one part of all keys those that enough requests met: the keys, how many sessions have each, and a mark of these.

    `owner` is the session of each entry, `marks` are random. Keys that the same sessions have get the same mark, but for a
    chance of 2^-64.
    """
    mine = np.flatnonzero(features.keys >> np.uint32(_KEY_BITS - _PART_BITS) == part)
    keys, inverse, count = np.unique(features.keys[mine], return_inverse=True, return_counts=True)
    bits = np.zeros(len(keys), np.uint16)
    np.bitwise_or.at(bits, inverse, _bit(features.request)[owner[mine]])
    good = np.bitwise_count(bits) >= LEAST_REQUESTS
    same = np.zeros(len(keys), np.uint64)
    kept = good[inverse]
    np.add.at(same, inverse[kept], marks[owner[mine[kept]]])
    return keys[good], count[good], same[good]


def _bucket(keys: Keys) -> IntArray:
    return (keys & np.uint32(_BUCKETS - 1)).astype(np.int64)


def _bit(request: Marks) -> npt.NDArray[np.uint16]:
    return (np.uint16(1) << (request & np.uint64(15)).astype(np.uint16)).astype(np.uint16)
