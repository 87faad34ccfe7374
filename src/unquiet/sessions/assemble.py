"""Cutting a flow of turns into sessions that are over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.turns import empty_turns
from unquiet.stats.runs import spread

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=24)
KEYS = ("turn_id", "session_id", "turn_index", "time")
"""What a turn must have to be assembled: its texts may stay where they are until its session is over."""

ENDS = "ends"
"""The column that marks turns with which a session is over, where there is one."""

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClosedSessions:
    """Turns of sessions that are over, session after session.

    Session i owns the rows `starts[i]:starts[i + 1]` of `turns`; `closed_us` is the moment (microseconds since
    1970) from which it counts. Sessions are in order of `closed_us`, ties by session id and start. `turns` has the
    columns that were pushed.
    """

    turns: pa.Table
    starts: IntArray
    closed_us: IntArray

    def __len__(self) -> int:
        return len(self.closed_us)

    def parts(self, turn_count: int) -> Iterator[ClosedSessions]:
        """The same sessions in parts of about so many turns, at least one session each; none where there is no session."""
        first = 0
        while first < len(self):
            last = max(first + 1, int(np.searchsorted(self.starts, self.starts[first] + turn_count, side="right")) - 1)
            low, high = int(self.starts[first]), int(self.starts[last])
            starts = self.starts[first : last + 1] - low
            yield ClosedSessions(self.turns.slice(low, high - low), starts, self.closed_us[first:last])
            first = last


@dataclass(slots=True)
class Assembler:
    """Collects turns and gives back the sessions that have ended.

    A session ends when `idle` has passed since its last turn, or after `longest` since its first, or with a turn whose
    column `ends` is true; turns that come later under the same id open a new visit. What is given back depends only on the
    turns and on the watermark, not on how the turns were cut into batches. Turns need the columns KEYS.
    """

    idle: timedelta = IDLE
    longest: timedelta = LONGEST
    open_turns: pa.Table = field(default_factory=empty_turns)

    @property
    def open_count(self) -> int:
        """Sessions with turns that are not over yet."""
        return len(pc.unique(self.open_turns.column("session_id")))

    def push(self, turns: pa.Table, watermark_us: int) -> ClosedSessions:
        """Take new turns; give back the sessions that are over at `watermark_us` (all turns up to it are known)."""
        known = pa.concat_tables([self.open_turns, turns]) if turns.num_rows else self.open_turns
        if not known.num_rows:
            return ClosedSessions(known, np.zeros(1, np.int64), np.zeros(0, np.int64))
        known = known.sort_by(
            [("session_id", "ascending"), ("time", "ascending"), ("turn_index", "ascending"), ("turn_id", "ascending")]
        )
        first_rows, last_rows, at = self._visits(known)
        closed_us = at[last_rows] + np.where(ending(known)[last_rows], 0, _us(self.idle))
        over = closed_us <= watermark_us
        order = np.lexsort((at[first_rows[over]], closed_us[over]))
        firsts, lasts = first_rows[over][order], last_rows[over][order]
        rows, starts = spread(firsts, lasts + 1), np.concatenate([[0], np.cumsum(lasts - firsts + 1)]).astype(np.int64)
        still_open = spread(first_rows[~over], last_rows[~over] + 1)
        self.open_turns = known.take(pa.array(still_open)).combine_chunks()
        return ClosedSessions(known.take(pa.array(rows)), starts, closed_us[over][order])

    def _visits(self, known: pa.Table) -> tuple[IntArray, IntArray, IntArray]:
        """First row, last row of every visit, and the time of every row in microseconds."""
        at = known.column("time").cast(pa.int64()).to_numpy()
        codes = known.column("session_id").combine_chunks().dictionary_encode().indices.to_numpy()
        new = np.ones(len(at), bool)
        new[1:] = (codes[1:] != codes[:-1]) | (np.diff(at) > _us(self.idle)) | ending(known)[:-1]
        firsts = np.flatnonzero(new)
        lasts = np.append(firsts[1:], len(at)) - 1
        for first, last in zip(firsts, lasts, strict=True):
            if at[last] - at[first] >= _us(self.longest):
                new[self._cuts(at, int(first), int(last))] = True
        firsts = np.flatnonzero(new)
        return firsts, np.append(firsts[1:], len(at)) - 1, at

    def _cuts(self, at: IntArray, first: int, last: int) -> list[int]:
        """Where a visit that is too long begins anew: at the first turn that is `longest` or more after its first."""
        cuts: list[int] = []
        while True:
            first += int(np.searchsorted(at[first : last + 1], at[first] + _us(self.longest)))
            if first > last:
                return cuts
            cuts.append(first)


def ending(turns: pa.Table) -> npt.NDArray[np.bool_]:
    """Whether each turn ends its session by itself, (n,): its column ENDS, where there is one."""
    if ENDS not in turns.column_names:
        return np.zeros(turns.num_rows, bool)
    return turns.column(ENDS).combine_chunks().to_numpy(zero_copy_only=False)


def _us(span: timedelta) -> int:
    return round(span.total_seconds() * 1_000_000)
