"""The journal of a live judgement: how it goes on after a restart exactly where it was.

Three beginnings: a saved state and the pushes since; a scan that came to its end in the folder; or neither, and all turns of
the folder are judged as if they came in now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from unquiet.app.calendar import lone_days
from unquiet.app.replaying import LIVE, REACHED, STATE, Progress, accept_again, keep_ageing, keep_turns, steps
from unquiet.app.texts import StoredTexts
from unquiet.model.changes import Change
from unquiet.model.settings import Settings
from unquiet.pipeline.judging import Judge
from unquiet.pipeline.opening import assembled
from unquiet.pipeline.saving import dump, load, mark
from unquiet.pipeline.summing import count_names
from unquiet.sessions import ENDS
from unquiet.store import ARRIVALS, Store

DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Resumed:
    """A judgement to go on with: its watermark, the last batch it knows, and the arrivals it has not judged."""

    judge: Judge
    watermark_us: int
    batch: int
    waiting: pa.Table


def resume(store: Store, settings: Settings, progress: Progress, announced: Sequence[Change]) -> Resumed:
    """The judgement of the folder up to now; turns that a judgement does not know yet are judged first."""
    texts = StoredTexts(store)
    known = store.get_setting(LIVE)
    if isinstance(known, dict) and known["mark"] == mark(settings, Judge(settings).infos):
        judge = _begun(store, settings, texts, saved=known["saved"])
        if judge is not None:
            arrivals, pushes = store.live.arrivals(), store.live.pushes()
            waiting = redo(judge, arrivals, pushes, known["watermark_us"], progress)
            reached = max([known["watermark_us"], *(watermark for _, watermark in pushes)])
            batch = max([known["batch"], *arrivals.column("batch").to_pylist()])
            return Resumed(judge, reached, batch, waiting)
    scanned = _scanned(store, settings, texts)
    return scanned if scanned is not None else _judged_anew(store, Judge(settings, texts), texts, progress, announced)


def _begun(store: Store, settings: Settings, texts: StoredTexts, *, saved: bool) -> Judge | None:
    """The judgement at the beginning of the journal: as it was saved, or one that knows nothing; None where it is lost."""
    if not saved:
        return Judge(settings, texts)
    state = store.load_state(STATE)
    return None if state is None else load(state, settings, texts)


def _scanned(store: Store, settings: Settings, texts: StoredTexts) -> Resumed | None:
    """What the last scan of the folder came to; None where none did, or turns came since that it does not know."""
    reached, state = store.load_state(REACHED), store.load_state(STATE)
    if reached is None or state is None:
        return None
    said, extent = orjson.loads(reached), store.turn_extent()
    judge = load(state, settings, texts) if said["turns"] == extent.count else None
    if judge is None or extent.last is None:
        return None
    last_us = round(extent.last.timestamp() * 1e6)
    remember_live(store, judge, state, 0, last_us, ARRIVALS.empty_table())
    return Resumed(judge, last_us, 0, ARRIVALS.empty_table())


def _judged_anew(
    store: Store, judge: Judge, texts: StoredTexts, progress: Progress, announced: Sequence[Change]
) -> Resumed:
    """Judge all turns of the folder as if they came in now, as one batch with the number 0."""
    settings, reached = judge.settings, 0
    days = store.turns_per_day()
    days = days[lone_days(days, settings) :]
    with store.transaction():
        store.forget_judgement()
        store.live.restart_journal(ARRIVALS.empty_table())
        store.put_setting(LIVE, _said(judge, saved=False, batch=0, watermark_us=0))
        for number, (day, count) in enumerate(days):
            progress(f"judging {day:%d %b %Y}", number / len(days))
            keep_ageing(store, judge, announced, day)
            for begin, end in steps(day, count):
                turns = store.turns_between(begin, end)
                if turns.num_rows:
                    texts.recent = turns
                    reached = int(times(turns)[-1])
                    store.live.add_arrivals(arrivals_of(assembled(turns, settings.end_marker, whole=False), 0))
                    store.live.add_push(0, reached)
                    keep_turns(store, judge, turns, announced)
        accept_again(store, judge, announced)
        state = dump(judge)
        if state is not None:
            # Else a next start would judge all of it again, out of a journal as long as the history.
            remember_live(store, judge, state, 0, reached, ARRIVALS.empty_table())
    texts.forget_recent()
    return Resumed(judge, reached, 0, ARRIVALS.empty_table())


def remember_live(store: Store, judge: Judge, state: bytes, batch: int, watermark_us: int, waiting: pa.Table) -> None:
    """Save a state, and begin the journal anew with the arrivals that it has not judged: both or neither.

    A state beside the journal of the one before it would be judged twice.
    """
    with store.transaction():
        store.live.restart_journal(waiting)
        store.save_state(STATE, state)
        store.forget_state(REACHED)
        store.put_setting(LIVE, _said(judge, saved=True, batch=batch, watermark_us=watermark_us))
        if judge.plan is not None:
            store.put_setting("count_events", count_names(tuple(event.name for event in judge.plan.events)))


def _said(judge: Judge, *, saved: bool, batch: int, watermark_us: int) -> dict[str, object]:
    own = mark(judge.settings, judge.infos)
    return {"mark": own, "saved": saved, "batch": batch, "watermark_us": watermark_us}


def redo(
    judge: Judge, arrivals: pa.Table, pushes: Sequence[tuple[int, int]], reached: int, progress: Progress
) -> pa.Table:
    """Judge again what was judged since the state was saved, up to `reached`; the arrivals that are left.

    Nothing is kept of it: that was done the first time.
    """
    waiting = [arrivals] if arrivals.num_rows else []
    for number, (batch, watermark_us) in enumerate(pushes):
        progress("judging again what came since the last saved state", number / len(pushes))
        turns, waiting = taken(waiting, batch, watermark_us)
        days = np.maximum(times(turns) // DAY_US, reached // DAY_US)
        for day in sorted(set(days.tolist())):
            part = turns.filter(pa.array(days == day))
            reached = max(reached, int(times(part).max()))
            judge.push(part, reached)
        reached = max(reached, watermark_us)
    return pa.concat_tables([ARRIVALS.empty_table(), *waiting])


def taken(waiting: Sequence[pa.Table], batch: int, watermark_us: int) -> tuple[pa.Table, list[pa.Table]]:
    """The arrivals of batches up to `batch` with times up to the watermark, in order of time, and the others."""
    every = pa.concat_tables([ARRIVALS.empty_table(), *waiting])
    inside = (every.column("batch").to_numpy() <= batch) & (times(every) <= watermark_us)
    now, left = every.filter(pa.array(inside)), every.filter(pa.array(~inside))
    return now.sort_by([("time", "ascending"), ("turn_id", "ascending")]), [left] if left.num_rows else []


def arrivals_of(keys: pa.Table, batch: int) -> pa.Table:
    """Keys of turns, as `pipeline.opening.assembled` gives them, as arrivals of a batch."""
    rows = keys.append_column("batch", pa.array(np.full(keys.num_rows, batch, np.int64)))
    if ENDS not in keys.column_names:
        rows = rows.append_column(ENDS, pa.array(np.zeros(keys.num_rows, bool)))
    return rows.select(ARRIVALS.names).cast(ARRIVALS)


def times(turns: pa.Table) -> npt.NDArray[np.int64]:
    """The times of turns, microseconds since 1970."""
    return turns.column("time").cast(pa.int64()).to_numpy()


def moment(us: int) -> datetime:
    """Microseconds since 1970 as a moment in UTC."""
    return datetime.fromtimestamp(us / 1e6, UTC)
