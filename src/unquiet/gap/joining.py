"""Voices to sessions: by the session's id, else by the user, else by what is said, where that can be told from chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Vectors = npt.NDArray[np.float32]

DAY_US = 86_400_000_000
USER_US = 14 * DAY_US
"""How long after a session a voice of its user may still be about it."""

MOST_TURNS = 64
"""Turns of a user, the last ones, among which a voice may choose."""

LIKE_US = 7 * DAY_US
"""How long before a voice the request may lie that it is joined to by what it says."""

MOST_WRONG = 0.1
"""Share of the joins by similarity that may be chance."""

_VOICES, _REQUESTS = 512, 4096


@dataclass(frozen=True, slots=True)
class Candidates:
    """Whom voices may belong to by their ids.

    `named` (n,) tells which voices name a session that is there. The others have candidates where their users had turns
    before: `voice` and `row` (k,) are pairs of a voice and a turn, by voice and then by time.
    """

    named: BoolArray
    voice: IntArray
    row: IntArray


def candidates(voices: pa.Table, turns: pa.Table, within_us: int = USER_US, most: int = MOST_TURNS) -> Candidates:
    """The sessions that voices name, and the last `most` turns of their users in the time `within_us` before each voice.

    `voices` and `turns` have the columns time, user_id and session_id; turns are in order of time.
    """
    known = turns.column("session_id").combine_chunks()
    named = pc.fill_null(pc.is_in(voices.column("session_id").combine_chunks(), value_set=known), fill_value=False)
    direct = named.to_numpy(zero_copy_only=False)
    users = turns.column("user_id").combine_chunks().dictionary_encode()
    asked = voices.column("user_id").combine_chunks()
    mine = _codes(pc.index_in(asked, value_set=users.dictionary))
    usable = (mine >= 0) & ~direct & asked.is_valid().to_numpy(zero_copy_only=False)
    at, said = micros(turns.column("time")), micros(voices.column("time"))
    size = len(at) + 1
    # One number for a user and a place in time: a voice stands behind all turns that began before it.
    keys = _codes(users.indices) * size + np.arange(len(at))
    by_user = np.argsort(keys, kind="stable")
    low, high = (
        np.searchsorted(keys[by_user], mine * size + np.searchsorted(at, moment, side="right"))
        for moment in (said - within_us, said)
    )
    low = np.maximum(low, high - most)
    count = np.where(usable, high - low, 0)
    voice = np.repeat(np.arange(len(said)), count)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(low, count)
    return Candidates(direct, voice, by_user[place])


class Chosen:
    """Which of its user's sessions each voice is about: the one with the request most like it, of equal ones the last.

    How much that says shows beside a sample of all requests: a voice about something else is as much like the request of its
    user as like any.
    """

    def __init__(self, vectors: Vectors, pairs: Candidates, sample: IntArray) -> None:
        """Voices as unit vectors (n, d), their candidates, and the rows of the sample, ascending and different."""
        self._vectors, self._pairs, self._sample = vectors, pairs, sample
        self._alike = np.full(len(pairs.voice), -np.inf)
        self._requests: Vectors = np.zeros((len(sample), vectors.shape[1]), np.float32)

    def rows(self, first: int, last: int) -> IntArray:
        """The turns of `first` to before `last` whose requests are needed, ascending."""
        needed = np.unique(np.concatenate([self._pairs.row, self._sample]))
        return needed[(needed >= first) & (needed < last)]

    def add(self, rows: IntArray, vectors: Vectors) -> None:
        """Tell requests (m, d) of turns (m,), ascending; those that are not needed too."""
        if not len(rows):
            return
        for wanted, take in ((self._pairs.row, self._compare), (self._sample, self._keep)):
            place = np.minimum(np.searchsorted(rows, wanted), len(rows) - 1)
            here = np.flatnonzero(rows[place] == wanted)
            take(here, vectors[place[here]])

    def chosen(self) -> IntArray:
        """The place of the pair that was chosen for each voice, -1 where it has none."""
        order = np.lexsort((self._pairs.row, self._alike, self._pairs.voice))
        result = np.full(len(self._vectors), -1, np.int64)
        result[self._pairs.voice[order]] = order
        return result

    def similarity(self, chosen: IntArray) -> FloatArray:
        """The similarity of each voice to its chosen request, NaN where it has none or there is no text."""
        alike = self._alike[np.maximum(chosen, 0)] if len(self._alike) else np.zeros(len(chosen))
        told = (chosen >= 0) & (np.abs(self._vectors).max(axis=1, initial=0.0) > 0) & (alike != 0.0)
        return np.where(told, alike, np.nan)

    def rank(self, similarity: FloatArray) -> FloatArray:
        """The share of the sample that is less like each voice than `similarity`, NaN where that is."""
        result = np.full(len(similarity), np.nan)
        for start in range(0, len(similarity), _VOICES):
            part = np.flatnonzero(~np.isnan(similarity[start : start + _VOICES])) + start
            if len(part) and len(self._requests):
                result[part] = (self._vectors[part] @ self._requests.T < similarity[part, None]).mean(axis=1)
        return result

    def _compare(self, pairs: IntArray, vectors: Vectors) -> None:
        self._alike[pairs] = (self._vectors[self._pairs.voice[pairs]] * vectors).sum(axis=1)

    def _keep(self, places: IntArray, vectors: Vectors) -> None:
        self._requests[places] = vectors


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
    before the first window. What is reached there is reached by chance.
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

    def wants(self, low_us: int, high_us: int) -> bool:
        """Whether requests of this stretch can be in a window of a voice."""
        return any(
            bool(((each.low_us < high_us) & (each.high_us >= low_us) & self.comparable).any())
            for each in (self._target, self._decoy)
        )

    def add(self, vectors: Vectors, at_us: IntArray, first: int) -> None:
        """Compare with the requests (m, d) of the turns from `first` on, which came at `at_us` (m,), ascending."""
        for start in range(0, len(vectors), _REQUESTS):
            block = slice(start, start + _REQUESTS)
            self._compare(vectors[block], at_us[block], first + start)

    def joined(self) -> BoolArray:
        """Which voices are joined to the request of their `row`: so many that at most MOST_WRONG of them are by chance.

        A voice counts by how much more like a request of its own window it is than any of the other. Of voices that belong
        nowhere as many are on either side of 0 (Barber and Candes 2015, "Controlling the false discovery rate via knockoffs").
        """
        margin = np.where(self.comparable & (self.best > 0), self.best - np.maximum(self.chance, 0.0), 0.0)
        tried = np.unique(margin[margin > 0])
        mine, other = (np.sort(each) for each in (margin, -margin))
        above = len(margin) - np.searchsorted(mine, tried, side="left")
        wrong = 1 + len(margin) - np.searchsorted(other, tried, side="left")
        fits = tried[wrong <= MOST_WRONG * above]
        return margin >= fits[0] if len(fits) else np.zeros(len(margin), bool)

    def _compare(self, vectors: Vectors, at_us: IntArray, first: int) -> None:
        """Requests of one stretch with the voices that have some of it in a window."""
        columns = np.ascontiguousarray(vectors.T)
        for windows, best, row in ((self._target, self.best, self.row), (self._decoy, self.chance, None)):
            near = (windows.low_us < at_us[-1]) & (windows.high_us >= at_us[0]) & self.comparable
            voices = np.flatnonzero(near)
            for start in range(0, len(voices), _VOICES):
                part = voices[start : start + _VOICES]
                alike = self._vectors[part] @ columns
                _leave_out(alike, at_us, windows, part)
                place = alike.argmax(axis=1)
                value = alike[np.arange(len(part)), place]
                better = value > best[part]
                best[part[better]] = value[better]
                if row is not None:
                    row[part[better]] = first + place[better]


def _leave_out(alike: Vectors, at_us: IntArray, windows: Windows, voices: IntArray) -> None:
    """Take the requests out of the rows of voices in whose window they are not; most windows hold the whole stretch."""
    low, high = windows.low_us[voices], windows.high_us[voices]
    edge = np.flatnonzero((low >= at_us[0]) | (high < at_us[-1]))
    alike[edge] = np.where((at_us > low[edge, None]) & (at_us <= high[edge, None]), alike[edge], -np.inf)
