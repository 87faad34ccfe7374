"""Replay: the folder's turns through the chain in order of time, from where the last judgement stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from unquiet.app.calendar import lone_days, lone_note
from unquiet.app.describing import describe, describe_ageing
from unquiet.app.mixing import describe_mix
from unquiet.app.texts import StoredTexts
from unquiet.model.changes import Change
from unquiet.model.history import LATEST_US
from unquiet.model.settings import Settings
from unquiet.pipeline.judging import Judge
from unquiet.pipeline.saving import dump, load
from unquiet.pipeline.summing import count_names
from unquiet.store import Store

Progress = Callable[[str, float], None]
"""Called with what is being done and how far it is, 0 to 1."""

DAY = timedelta(days=1)
SHORTEST_STEP = timedelta(minutes=10)
STEP_TURNS = 40_000
"""Turns that are judged at once, on average."""

STATE = "judgement"
REACHED = "judgement reached"
ACCEPTED = "accepted incidents"
LIVE = "live judgement"
"""What a service that follows the folder knows of its own judgement; it is none of a scan's."""

BEGINNING = datetime.min.replace(tzinfo=UTC)
TICK = timedelta(microseconds=1)


def replay(store: Store, settings: Settings, progress: Progress, announced: Sequence[Change] = ()) -> Judge:
    """Judge the turns of the folder, a day or less at a time, in order of time, without looking ahead.

    A judgement that was saved goes on with the turns that are later than all it knows. If turns were added before that
    moment, or settings, signals or version have changed, everything is judged anew: the answer never depends on the
    order in which files came. Sessions, counts and the state are kept in the folder.
    """
    texts = StoredTexts(store)
    judge, reached = _resume(store, settings, texts)
    if reached == BEGINNING:
        store.forget_judgement()
        store.put_setting(LIVE, None)
    days = store.turns_per_day()
    days = [each for each in days[lone_days(days, settings) :] if each[0] + DAY > reached]
    for number, (day, count) in enumerate(days):
        progress(f"judging {day:%d %b %Y}", number / len(days))
        if day >= reached:
            # Not in the middle of a day: where a scan ended must not show in what is kept for good.
            keep_ageing(store, judge, announced, day)
        for begin, end in steps(day, count):
            turns = store.turns_between(max(begin, reached), end)
            if turns.num_rows:
                texts.recent = turns
                keep_turns(store, judge, turns, announced)
    accept_again(store, judge, announced)
    progress("judging", 1.0)
    _save(store, judge)
    return judge


def keep_incidents(store: Store, documents: Sequence[dict[str, object]], *, final: bool = False) -> None:
    """Keep incidents in the folder, in place of what was known of them; what is `final` stays so."""
    known = store.final_incidents()
    for document in documents:
        name, status = str(document["id"]), str(document["status"])
        raised = datetime.fromisoformat(str(document["raised_at"]))
        store.upsert_incident(name, document, raised_at=raised, status=status, final=final or name in known)


def keep_ageing(store: Store, judge: Judge, announced: Sequence[Change], day: datetime) -> None:
    """Keep for good the incidents that can be told for the last time before a day is judged."""
    day_us = round(day.timestamp() * 1e6)
    documents = describe_ageing(judge, store, announced, day_us)
    keep_incidents(store, [*documents, *describe_mix(judge, store, announced, ageing_us=day_us)], final=True)


def left_out(store: Store, settings: Settings) -> dict[str, object]:
    """The days that were not judged, where there are any, for the coverage."""
    days = store.turns_per_day()
    lone = lone_days(days, settings)
    return {"left_out": lone_note(days, lone)} if lone else {}


def keep_push(store: Store, judge: Judge, turns: pa.Table, watermark_us: int) -> None:
    """Judge turns up to a watermark, and keep what that brought: sessions and counts."""
    judged = judge.push(turns, watermark_us)
    if judged.visits.num_rows:
        rows = judged.visits.append_column("stratum", pa.nulls(judged.visits.num_rows, pa.string()))
        store.append_sessions(rows)
    for counts in judged.counts:
        store.append_counts(counts)


def keep_turns(store: Store, judge: Judge, turns: pa.Table, announced: Sequence[Change]) -> None:
    """Judge turns in order of time, and keep what that brought; what was accepted meanwhile is accepted at its moment."""
    at_us = turns.column("time").cast(pa.int64()).to_numpy()
    first, last_us = 0, int(at_us[-1])
    for moment_us, _ in accepted_before(store, last_us):
        cut = int(np.searchsorted(at_us, moment_us, side="right"))
        if cut > first:
            keep_push(store, judge, turns.slice(first, cut - first), int(at_us[cut - 1]))
            first = cut
        accept_again(store, judge, announced, moment_us)
    if first < len(at_us):
        keep_push(store, judge, turns.slice(first), last_us)


def accept_for_good(store: Store, judge: Judge, announced: Sequence[Change], incident_id: str, moment_us: int) -> None:
    """Take an incident as the new normal, and remember at which moment of the turns: also a later judgement does it there.

    Incidents of the signals that begin anew are described for the last time: what they are compared with is not known any
    more afterwards. Inside of a transaction.
    """
    last = judge.incidents_beside(incident_id)
    documents = describe(judge, store, announced) if last else []
    keep_incidents(store, [each for each in documents if each["id"] in last], final=True)
    if judge.accept(incident_id):
        known = {name: at for at, name in accepted_before(store, LATEST_US)}
        store.put_setting(ACCEPTED, sorted([at, name] for name, at in ({incident_id: moment_us} | known).items()))


def accept_again(store: Store, judge: Judge, announced: Sequence[Change], moment_us: int = LATEST_US) -> None:
    """Accept what was accepted up to a moment of the turns; what is accepted already stays so."""
    for at_us, incident_id in accepted_before(store, moment_us):
        accept_for_good(store, judge, announced, incident_id, at_us)


def accepted_before(store: Store, moment_us: int) -> list[tuple[int, str]]:
    """The incidents that were accepted up to a moment of the turns, and when."""
    known: list[list[Any]] = store.get_setting(ACCEPTED) or []
    return [(int(at), str(name)) for at, name in known if at <= moment_us]


def _resume(store: Store, settings: Settings, texts: StoredTexts) -> tuple[Judge, datetime]:
    """The judgement to go on with, and the moment from which turns are new to it."""
    reached = store.load_state(REACHED)
    state = store.load_state(STATE)
    if reached is None or state is None:
        return Judge(settings, texts), BEGINNING
    known = orjson.loads(reached)
    moment = datetime.fromisoformat(known["last"])
    judge = load(state, settings, texts) if store.turn_count_until(moment) == known["turns"] else None
    return (judge, moment + TICK) if judge is not None else (Judge(settings, texts), BEGINNING)


def _save(store: Store, judge: Judge) -> None:
    state, extent = dump(judge), store.turn_extent()
    if state is None or extent.last is None or judge.plan is None:
        return
    store.save_state(STATE, state)
    store.save_state(REACHED, orjson.dumps({"turns": extent.count, "last": extent.last.isoformat()}))
    store.put_setting("count_events", count_names(tuple(event.name for event in judge.plan.events)))


def steps(day: datetime, turn_count: int) -> Iterator[tuple[datetime, datetime]]:
    """A day, halved while a part would hold too many turns for one table in memory."""
    parts = 1
    while turn_count > STEP_TURNS * parts and DAY / parts > SHORTEST_STEP:
        parts *= 2
    for part in range(parts):
        yield day + part * DAY / parts, day + (part + 1) * DAY / parts
