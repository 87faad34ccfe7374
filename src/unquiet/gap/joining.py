"""Voices to sessions: by the session's id, else by the user, else by what is said, where that can be told from chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.voices import SESSION, UNJOINED, USER

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Vectors = npt.NDArray[np.float32]

DAY_US = 86_400_000_000
USER_US = 14 * DAY_US
"""How long after a session a voice of its user may still be about it."""

LIKE_US = 7 * DAY_US
"""How long before a voice the request may lie that it is joined to by what it says."""

MOST_WRONG = 0.1
"""Share of the joins by similarity that may be chance."""

_VOICES, _REQUESTS = 512, 4096


def join_by_ids(voices: pa.Table, turns: pa.Table, within_us: int = USER_US) -> tuple[pa.Array, pa.Array]:
    """How each voice is joined (session, user or none), and to which session (null where to none).

    A voice that names a session which there is belongs to it; else one that names a user belongs to the session of the user's
    last turn before it, not longer than `within_us` ago.

    Args:
        voices: columns time, user_id, session_id.
        turns: columns time, user_id, session_id, in any order.
        within_us: microseconds.
    """
    named = voices.column("session_id").combine_chunks()
    known = turns.column("session_id").combine_chunks()
    direct = pc.fill_null(pc.is_in(named, value_set=known), fill_value=False)
    rows = _last_turns(voices, turns, within_us)
    theirs = known.take(pa.array(np.maximum(rows, 0))) if len(known) else pa.nulls(len(rows), pa.string())
    by_user = pa.array(rows >= 0)
    how = pc.if_else(direct, SESSION, pc.if_else(by_user, USER, UNJOINED))
    session = pc.if_else(direct, named, pc.if_else(by_user, theirs, pa.scalar(None, pa.string())))
    return how.cast(pa.string()), session.cast(pa.string())


def _last_turns(voices: pa.Table, turns: pa.Table, within_us: int) -> IntArray:
    """For each voice the row of the last turn of its user before it, -1 where there is none that recent."""
    users = turns.column("user_id").combine_chunks().dictionary_encode()
    mine = _codes(pc.index_in(voices.column("user_id").combine_chunks(), value_set=users.dictionary))
    mine = np.where(voices.column("user_id").is_null().to_numpy(zero_copy_only=False), -1, mine)
    if not len(turns) or not len(voices):
        return np.full(len(voices), -1, np.int64)
    at, said = micros(turns.column("time")), micros(voices.column("time"))
    order = np.argsort(at, kind="stable")
    size = len(at) + 1
    # One number for a user and a place in time: a voice stands behind all turns that began before it.
    keys = _codes(users.indices)[order] * size + np.arange(len(at))
    by_user = np.argsort(keys, kind="stable")
    wanted = mine * size + np.searchsorted(at[order], said, side="right")
    place = np.searchsorted(keys[by_user], wanted) - 1
    rows = order[by_user[np.maximum(place, 0)]]
    fits = (mine >= 0) & (place >= 0) & (_codes(users.indices)[rows] == mine) & (said - at[rows] <= within_us)
    return np.where(fits, rows, -1)


def _codes(indices: pa.Array) -> IntArray:
    return pc.fill_null(indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)


def micros(times: pa.Array | pa.ChunkedArray) -> IntArray:
    """Moments as microseconds since 1970."""
    return (
        times.cast(pa.int64()).to_numpy(zero_copy_only=False)
        if isinstance(times, pa.Array)
        else times.cast(pa.int64()).to_numpy()
    )


@dataclass(frozen=True, slots=True)
class Windows:
    """For each voice a stretch of time, open at its beginning and closed at its end, in which requests are looked for."""

    low_us: IntArray
    high_us: IntArray


class Likeness:
    """The request that reads most like each voice, in the window before it and, to know what chance does, elsewhere.

    The other window is as long and lies where the request of a voice cannot be: after it, or, near the end of the record,
    before the first window. What is reached there is reached by chance (the target-decoy estimate of false matches: Elias and
    Gygi 2007, "Target-decoy search strategy"; here the decoys are other times).
    """

    def __init__(
        self, vectors: Vectors, said_us: IntArray, start_us: int, end_us: int, within_us: int = LIKE_US
    ) -> None:
        """Voices as unit vectors (n, d) and when they were said (n,); the record runs from `start_us` to `end_us`."""
        self._vectors = vectors
        size = len(said_us)
        length = np.clip(said_us - start_us, 0, within_us)
        after = said_us + length <= end_us
        before = (said_us - within_us - length >= start_us) & ~after
        self._target = Windows(said_us - length, said_us)
        self._decoy = Windows(
            np.where(after, said_us, said_us - within_us - length),
            np.where(after, said_us + length, said_us - within_us),
        )
        self.comparable: BoolArray = (after | before) & (length > 0) & (np.abs(vectors).max(axis=1, initial=0.0) > 0)
        self.best: FloatArray = np.full(size, -np.inf)
        self.chance: FloatArray = np.full(size, -np.inf)
        self.row: IntArray = np.full(size, -1, np.int64)
        self._seen = 0

    def wants(self, low_us: int, high_us: int) -> bool:
        """Whether requests of this stretch can be in a window of a voice."""
        return any(
            bool(((each.low_us < high_us) & (each.high_us >= low_us) & self.comparable).any())
            for each in (self._target, self._decoy)
        )

    def add(self, vectors: Vectors, at_us: IntArray) -> None:
        """Compare with requests (m, d) that came at `at_us` (m,), ascending. Rows are numbered through over all calls."""
        for start in range(0, len(vectors), _REQUESTS):
            block = slice(start, start + _REQUESTS)
            self._compare(vectors[block], at_us[block], self._seen + start)
        self._seen += len(vectors)

    def threshold(self) -> float | None:
        """The lowest similarity from which on at most MOST_WRONG of the joins are chance; None where there is no such one."""
        mine = np.sort(self.best[self.comparable])[::-1]
        other = np.sort(self.chance[self.comparable])
        reached = np.arange(1, len(mine) + 1)
        wrong = 1 + len(other) - np.searchsorted(other, mine, side="left")
        fits = np.flatnonzero((wrong <= MOST_WRONG * reached) & (mine > 0))
        return float(mine[fits[-1]]) if len(fits) else None

    def _compare(self, vectors: Vectors, at_us: IntArray, first: int) -> None:
        low, high = int(at_us[0]), int(at_us[-1])
        near = [(each.low_us < high) & (each.high_us >= low) & self.comparable for each in (self._target, self._decoy)]
        rows = np.flatnonzero(near[0] | near[1])
        for start in range(0, len(rows), _VOICES):
            part = rows[start : start + _VOICES]
            alike = self._vectors[part] @ vectors.T
            mine, theirs = (part[each[part]] for each in near)
            if len(mine):
                value, place = _best(alike[near[0][part]], at_us, self._target, mine)
                better = value > self.best[mine]
                self.best[mine[better]], self.row[mine[better]] = value[better], first + place[better]
            if len(theirs):
                value, _ = _best(alike[near[1][part]], at_us, self._decoy, theirs)
                self.chance[theirs] = np.maximum(self.chance[theirs], value)


def _best(alike: Vectors, at_us: IntArray, windows: Windows, voices: IntArray) -> tuple[FloatArray, IntArray]:
    """The highest similarity of each voice within its window, and at which request; of equal ones the last."""
    low, high = windows.low_us[voices, None], windows.high_us[voices, None]
    if (low >= at_us[0]).any() or (high < at_us[-1]).any():
        alike = np.where((at_us > low) & (at_us <= high), alike, -np.inf)
    place = alike.shape[1] - 1 - alike[:, ::-1].argmax(axis=1)
    return alike[np.arange(len(alike)), place].astype(np.float64), place.astype(np.int64)
