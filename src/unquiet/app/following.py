"""Judging turns as they come, so that a restart at any moment changes nothing.

The watermark is the time of the latest turn that has been here for `lateness`: up to it all turns are taken as known, as a
scan takes them at the end of its files. It moves with the turns, never with the clock alone, so a scan of the same turns
says the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.app.journal import Resumed, arrivals_of, moment, remember_live, taken, times
from unquiet.app.replaying import Progress, keep_ageing, keep_push
from unquiet.model.changes import Change
from unquiet.model.counts import TICK_US
from unquiet.pipeline.judging import Judge
from unquiet.pipeline.opening import assembled
from unquiet.pipeline.saving import dump
from unquiet.sessions import ending
from unquiet.store import ARRIVALS, Store

DAY_US = 86_400_000_000
SET_BACK_US = 60_000_000
"""A clock that is behind the last batch by more than this was set back."""
CHECKPOINT_PUSHES = 12
CHECKPOINT_TURNS = 200_000
"""The state is saved after so many pushes or turns: what would have to be judged again after a crash."""

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of new turns: `judged` will be, `late` belong to sessions that were counted without them."""

    judged: int
    late: int


@dataclass(slots=True)
class Follower:
    """The live judgement over a store, which its owner opened. Not for several threads at once.

    `lateness` is how long turns are waited for. `changes` gives the changes announced by now. `take` and `push` belong
    into transactions of the caller; after one failed the follower must be made anew from the store.
    """

    store: Store
    judge: Judge
    lateness: timedelta
    changes: Callable[[], Sequence[Change]]
    watermark_us: int = 0
    batch: int = 0
    waiting: list[pa.Table] = field(default_factory=list[pa.Table])
    pushes_since: int = 0
    turns_since: int = 0
    ahead_us: int = 0

    @classmethod
    def over(
        cls, resumed: Resumed, store: Store, lateness: timedelta, changes: Callable[[], Sequence[Change]]
    ) -> Follower:
        """Go on with what `journal.resume` found."""
        last = resumed.waiting.column("batch")[-1].as_py() if resumed.waiting.num_rows else 0
        waiting = [resumed.waiting] if resumed.waiting.num_rows else []
        return cls(store, resumed.judge, lateness, changes, resumed.watermark_us, max(last, resumed.batch), waiting)

    def take(self, turns: pa.Table, now_us: int) -> Taken:
        """Add turns that are new to the store, schema TURNS; those too late to be judged are only counted."""
        if not turns.num_rows:
            return Taken(0, 0)
        keys = assembled(turns, self.judge.settings.end_marker, whole=False)
        late = self._late(keys)
        if late.any():
            keys = keys.filter(pa.array(~late))
        self.batch = max(self.batch + 1, self._clock_us(now_us))
        if keys.num_rows:
            arrivals = arrivals_of(keys, self.batch)
            self.store.live.add_arrivals(arrivals)
            self.waiting.append(arrivals)
        return Taken(keys.num_rows, int(late.sum()))

    def _clock_us(self, now_us: int) -> int:
        """The present, by a clock that does not run backwards: batches are numbered by it."""
        if now_us + self.ahead_us < self.batch - SET_BACK_US:
            self.ahead_us = self.batch - now_us
        return now_us + self.ahead_us

    def _late(self, keys: pa.Table) -> BoolArray:
        """The turns whose session was counted without them: closed by the last push, and not next to an open turn.

        A turn that ends its session closes it at its own moment, whatever is open after it.
        """
        idle_us = _us(self.judge.assembler.idle)
        at, judged_us = times(keys), self.watermark_us // TICK_US * TICK_US
        ended = ending(keys) & (at <= judged_us)
        late = at + idle_us <= judged_us
        if not late.any():
            return ended
        known = [self.judge.assembler.open_turns, *self.waiting]
        columns = ["session_id", "time"]
        near = pa.concat_tables([table.select(columns) for table in known])
        wanted = keys.filter(pa.array(late)).column("session_id")
        near = near.filter(pc.is_in(near.column("session_id"), value_set=wanted.combine_chunks()))
        open_at: dict[str, list[int]] = {}
        for name, when in zip(near.column("session_id").to_pylist(), times(near).tolist(), strict=True):
            open_at.setdefault(name, []).append(when)
        names = keys.column("session_id").to_pylist()
        for row in np.flatnonzero(late).tolist():
            late[row] = not any(0 <= when - at[row] <= idle_us for when in open_at.get(names[row], ()))
        return late | ended

    def needed_us(self) -> int | None:
        """The time of the first turn that is still to be read, microseconds since 1970; None where nothing was judged or waits.

        While the judgement learns that is its first turn of all: it is learned again after a restart.
        """
        judge = self.judge
        tables = [judge.assembler.open_turns, *self.waiting]
        found = [int(times(table).min()) for table in tables if table.num_rows]
        found += [self.watermark_us] if self.watermark_us else []
        if judge.plan is None and judge.first_us is not None:
            found.append(judge.first_us)
        return min(found, default=None)

    def due(self, now_us: int) -> int | None:
        """The watermark to push to; None while no tick has ended since the last push."""
        lateness_us = _us(self.lateness)
        newest = self._clock_us(now_us) - lateness_us
        ripe = [times(each)[each.column("batch").to_numpy() <= newest] for each in self.waiting]
        known = np.concatenate(ripe) if ripe else np.zeros(0, np.int64)
        known = known[known <= now_us - lateness_us]
        if not len(known):
            return None
        reached = max(int(known.max()), self.watermark_us)
        return reached if reached // TICK_US > self.watermark_us // TICK_US else None

    def push(self, watermark_us: int, progress: Progress | None = None) -> int:
        """Judge the turns that have come up to the watermark, day by day; how many they were."""
        self.store.live.add_push(self.batch, watermark_us)
        turns, self.waiting = taken(self.waiting, self.batch, watermark_us)
        days = times(turns) // DAY_US
        last = self.watermark_us // DAY_US if self.watermark_us else -1
        for day in sorted(set(np.maximum(days, last).tolist())):
            if progress is not None:
                progress(f"judging {moment(day * DAY_US):%d %b %Y}", 0.5)
            if day > last:
                keep_ageing(self.store, self.judge, self.changes(), moment(day * DAY_US))
            part = turns.filter(pa.array(np.maximum(days, last) == day))
            self.watermark_us = max(self.watermark_us, int(times(part).max()))
            keep_push(self.store, self.judge, part, self.watermark_us)
        self.watermark_us = max(self.watermark_us, watermark_us)
        self.pushes_since += 1
        self.turns_since += turns.num_rows
        return turns.num_rows

    def forget(self) -> None:
        """Turns were removed from the store: they are not waited for any more."""
        present = self.store.live.present
        self.waiting = [present(each) for each in self.waiting]
        self.judge.assembler.open_turns = present(self.judge.assembler.open_turns).combine_chunks()

    def checkpoint(self, *, force: bool = False) -> bool:
        """Save the state if enough was judged since the last time; False where nothing was saved.

        While the judgement learns there is no state: the journal goes back to its beginning.
        """
        if not force and self.pushes_since < CHECKPOINT_PUSHES and self.turns_since < CHECKPOINT_TURNS:
            return False
        state = dump(self.judge)
        if state is None:
            return False
        waiting = pa.concat_tables([ARRIVALS.empty_table(), *self.waiting])
        remember_live(self.store, self.judge, state, self.batch, self.watermark_us, waiting)
        self.pushes_since = self.turns_since = 0
        return True


def _us(span: timedelta) -> int:
    return round(span.total_seconds() * 1e6)
