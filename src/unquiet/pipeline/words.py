"""The open-world detector beside the named streams: which slices it watches, and what becomes of what rings."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from unquiet.model.history import History
from unquiet.model.settings import Settings
from unquiet.pipeline.plan import WORDS_SHARE
from unquiet.shift import Batch, Features, Rung, ShiftWatch
from unquiet.slices import Lattice

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Answers = npt.NDArray[np.int8]

SIGNAL = "answers"
"""Name of the signal whose events are features of answers."""

UNSPENT = 6.0
"""The bound on false alarms is loose: less than a sixth of it is spent in simulation (`tests/test_guarantee_shift.py`). So the
bound is this many times the budget, and what is spent stays within it."""

MOST_SLICES = 100
TOLERANCE = 0.10
"""Relative change of the odds of a feature that is no reason to wake anybody."""


@dataclass(slots=True)
class Words:
    """`slices` (S,) are the watched slices as numbers of the lattice; `keys` the features that have opened incidents.

    These are events of their own from then on, after those of the named signals.
    """

    slices: IntArray
    watch: ShiftWatch
    keys: list[int] = field(default_factory=list[int])

    @classmethod
    def begin(cls, lattice: Lattice, member_slice: IntArray, settings: Settings) -> Words:
        """Watch all traffic and the largest slices of one condition, given the memberships of the learning period.

        A slice's part of the budget grows with the root of its traffic: the large ones reach more people and their
        evidence comes sooner.
        """
        slices = watched_slices(lattice, member_slice)
        budget = settings.budget_per_day * WORDS_SHARE * UNSPENT
        size = np.bincount(member_slice, minlength=len(lattice.slices))[slices].astype(np.float64)
        share = budget * np.sqrt(size) / np.sqrt(size).sum()
        return cls(slices, ShiftWatch(share, TOLERANCE))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the events of `keys`."""
        return tuple(event_name(key) for key in self.keys)

    @property
    def stream_count(self) -> int:
        """Streams under test: every watched feature in every watched slice."""
        return int(self.watch.vocabulary.used.sum()) * len(self.slices)

    def batch(
        self,
        tick_us: IntArray,
        features: Features,
        stratum: IntArray,
        counted: npt.NDArray[np.bool_],
        session: IntArray,
        where: IntArray,
    ) -> Batch:
        """Sessions as the watch counts them, given the memberships (session, lattice slice) in any order."""
        number = np.full(max(int(where.max(initial=0)), int(self.slices.max(initial=0))) + 1, -1, np.int64)
        number[self.slices] = np.arange(len(self.slices))
        mine = number[where] >= 0
        session, where = session[mine], number[where[mine]]
        order = np.lexsort((where, session))
        starts = np.concatenate([[0], np.cumsum(np.bincount(session, minlength=len(tick_us)))])
        return Batch(tick_us, features, stratum, starts, where[order], counted)

    def answers(self, features: Features) -> Answers:
        """Answers of sessions to the events of `keys`, (n, keys)."""
        columns = [features.answers(key) for key in self.keys]
        return np.stack(columns, axis=1) if columns else np.zeros((len(features), 0), np.int8)

    def place(self, rung: Rung, history: History, later: Features) -> int:
        """The number of a feature among `keys`; a new one gets its answers of all sessions of the history.

        `later` are the features of the sessions that the history has and the watch has not counted yet.
        """
        if rung.key not in self.keys:
            first = history.first
            past = self.watch.log.answers(rung.key, first, self.watch.session_count - first)
            history.with_event(np.concatenate([past, later.answers(rung.key)]))
            self.keys.append(rung.key)
        return self.keys.index(rung.key)

    def drop_last(self, history: History) -> None:
        """Forget the feature that came last: what it says belongs to a known incident."""
        history.without_last_event()
        self.keys.pop()


def watched_slices(lattice: Lattice, member_slice: IntArray) -> IntArray:
    """All traffic and the largest slices of one condition that were planned."""
    single = np.flatnonzero(lattice.single[: lattice.planned_count])
    size = np.bincount(member_slice, minlength=len(lattice.slices))[single]
    return np.sort(single[np.lexsort((single, -size))][:MOST_SLICES])


def event_name(key: int) -> str:
    """`answers:0a1b2c3d`."""
    return f"{SIGNAL}:{key:08x}"
