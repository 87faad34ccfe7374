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
from unquiet.store import ARRIVALS, Store

DAY_US = 86_400_000_000
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
        self.batch = max(self.batch + 1, now_us)
        if keys.num_rows:
            arrivals = arrivals_of(keys, self.batch)
            self.store.live.add_arrivals(arrivals)
            self.waiting.append(arrivals)
        return Taken(keys.num_rows, int(late.sum()))

    def _late(self, keys: pa.Table) -> BoolArray:
        """The turns whose session was counted without them: closed by the last push, and not next to an open turn."""
        idle_us = _us(self.judge.assembler.idle)
        at = times(keys)
        late = at + idle_us <= self.watermark_us // TICK_US * TICK_US
        if not late.any():
            return late
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
        return late

    def due(self, now_us: int) -> int | None:
        """The watermark to push to; None while no tick has ended since the last push."""
        bound = now_us - _us(self.lateness)
        ripe = [times(each)[each.column("batch").to_numpy() <= bound] for each in self.waiting]
        known = np.concatenate(ripe) if ripe else np.zeros(0, np.int64)
        known = known[known <= bound]
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
        remember_live(self.store, self.judge, state, self.batch, self.watermark_us)
        self.store.live.restart_journal(pa.concat_tables([ARRIVALS.empty_table(), *self.waiting]))
        self.pushes_since = self.turns_since = 0
        return True


def _us(span: timedelta) -> int:
    return round(span.total_seconds() * 1e6)
