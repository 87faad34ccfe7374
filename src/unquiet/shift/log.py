"""What was met and when: the features of past sessions, so that a newcomer's own past is known when it is taken up."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from unquiet.stats.runs import spread

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint32]

MOST_ENTRIES = 12_000_000
"""Entries (a session has a feature) that are kept, 8 bytes each; the oldest days go first."""


@dataclass(slots=True)
class Day:
    """A day's entries, ascending by key, and the cells of its sessions.

    `keys` and `session` (entries,) are parallel; sessions are numbered from `first` in the order they were counted.
    Session `first + i` is in the cells `cells[starts[i]:starts[i + 1]]`; none where it does not count.
    `known` tells whether its answers have text.
    """

    first: int
    keys: Keys
    session: npt.NDArray[np.int32]
    cells: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int32]
    known: npt.NDArray[np.bool_]


@dataclass(slots=True)
class Log:
    """The days that are kept, and the pieces of the running one; `dropped` tells whether older ones are gone."""

    days: list[Day] = field(default_factory=list[Day])
    open: list[Day] = field(default_factory=list[Day])
    dropped: bool = False

    def sessions(self, cell_count: int) -> FloatArray:
        """Sessions that count in each cell, of the days that are kept and over, (cells,)."""
        kept = [np.bincount(day.cells, minlength=cell_count) for day in self.days]
        return np.sum([np.zeros(cell_count), *kept], axis=0)

    def add(self, tick: Day) -> None:
        """Add the sessions of a tick (its keys in any order): pieces of the day are joined once they are as large as the last."""
        self.open.append(_joined([tick]))
        while len(self.open) > 1 and len(self.open[-1].keys) >= len(self.open[-2].keys):
            self.open[-2:] = [_joined(self.open[-2:])]

    def turn(self) -> None:
        """Close the running day."""
        if self.open:
            self.days.append(_joined(self.open))
            self.open = []
        while len(self.days) > 1 and sum(len(day.keys) for day in self.days) > MOST_ENTRIES:
            self.days.pop(0)
            self.dropped = True

    def find(self, keys: Keys, *, today: bool) -> tuple[IntArray, IntArray]:
        """Entries of `keys` (ascending), of the running day or of those before it: index into `keys`, and their cell."""
        index: list[IntArray] = []
        cells: list[IntArray] = []
        for day in self.open if today else self.days:
            which, session = _entries(day, keys)
            low, high = day.starts[session].astype(np.int64), day.starts[session + 1].astype(np.int64)
            index.append(np.repeat(which, high - low))
            cells.append(day.cells[spread(low, high)].astype(np.int64))
        none = np.zeros(0, np.int64)
        return np.concatenate([none, *index]), np.concatenate([none, *cells])

    def lately(self, keys: Keys) -> IntArray:
        """How many sessions of the running day and the last one that was closed have each of `keys` (ascending), (k,)."""
        count = np.zeros(len(keys), np.int64)
        for day in (*self.days[-1:], *self.open):
            low, high = _range_of(day, keys)
            count += high - low
        return count

    def answers(self, key: int, first: int, count: int) -> npt.NDArray[np.int8]:
        """Whether sessions `first` to `first + count` have a key: 1, 0, or -1 where it is not known, (count,)."""
        out = np.full(count, -1, np.int8)
        wanted = np.array([key], np.uint32)
        for day in (*self.days, *self.open):
            at = day.first - first + np.arange(len(day.known))
            inside = (at >= 0) & (at < count) & day.known
            out[at[inside]] = 0
            met = day.first - first + _entries(day, wanted)[1]
            met = met[(met >= 0) & (met < count)]
            out[met[out[met] == 0]] = 1
        return out


def _range_of(day: Day, keys: Keys) -> tuple[IntArray, IntArray]:
    low, high = (np.searchsorted(day.keys, keys, side=side) for side in ("left", "right"))
    return low, high


def _entries(day: Day, keys: Keys) -> tuple[IntArray, IntArray]:
    """Entries of a day that have one of `keys`: which, and the session's place in the day."""
    low, high = _range_of(day, keys)
    return np.repeat(np.arange(len(keys)), high - low), day.session[spread(low, high)].astype(np.int64)


def _joined(ticks: list[Day]) -> Day:
    """Successive pieces as one, sorted."""
    first = ticks[0].first
    # One number a pair sorts in a tenth of the time that the order of one column takes.
    pairs = np.sort(np.concatenate([_packed(tick.keys, tick.session + (tick.first - first)) for tick in ticks]))
    sizes = np.concatenate([np.diff(tick.starts) for tick in ticks])
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    return Day(
        first,
        (pairs >> np.uint64(32)).astype(np.uint32),
        (pairs & np.uint64(0xFFFFFFFF)).astype(np.int32),
        np.concatenate([tick.cells for tick in ticks]),
        starts,
        np.concatenate([tick.known for tick in ticks]),
    )


def _packed(keys: Keys, session: npt.NDArray[np.integer]) -> npt.NDArray[np.uint64]:
    return (keys.astype(np.uint64) << np.uint64(32)) | session.astype(np.uint64)
