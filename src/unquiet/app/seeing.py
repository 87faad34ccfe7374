"""What cannot be seen, said: the smallest change that would be found per slice, and the languages nothing can read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from unquiet.detectors import Watch
from unquiet.model.history import WINDOW_US, Recorded
from unquiet.model.sessions import CATEGORY_PREFIX
from unquiet.pipeline.judging import DAY_US, Judge
from unquiet.signals.language import UNDETERMINED
from unquiet.signals.lexicon import lexicon
from unquiet.stats.detectable import smallest_detectable
from unquiet.stats.shrinkage import LOWEST_RATE
from unquiet.store import Store

FloatArray = npt.NDArray[np.float64]

REFERENCE = "refusal>=0.5"
"""The event for which every slice's smallest visible change is said."""

YES = 0.5
"""The level from which a score says yes."""

RARE_RATE = 0.02
"""A rare event as most are: for which it is said of all traffic, and of slices in which the reference is not measured."""

LEAST_APPLIES = 0.5
"""Share of a slice's sessions that the reference must apply to: less than that says little of the slice."""

DAYS = (1, 7, 28)
RECENT_DAYS = 14
LANGUAGE = "language"
MOST_LANGUAGES = 5


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one event in S slices, each (S,).

    Baseline sessions, their rate, the tolerance of the null, and the sessions a day to which the event applies.
    """

    sessions: FloatArray
    rate: FloatArray
    delta: FloatArray
    per_day: FloatArray


def smallest_changes(judge: Judge) -> dict[str, object]:
    """The smallest rates that are seen within 1, 7 and 28 days, per slice, those with most sessions first.

    Of the reference event, or of a rare one (`event` None) in slices where refusals are not measured: no answers are
    there, or they are in languages that have no wording families. Empty before anything is judged.
    """
    plan, watch = judge.plan, judge.watch
    if plan is None or watch is None:
        return {}
    delta, recorded = judge.settings.delta, judge.history.upto(2**62)
    rare = _rare(watch, recorded, delta)
    names = [event.name for event in plan.events]
    seen = [_seen(watch.share, rare)]
    applies = np.zeros(len(watch.share), bool)
    if REFERENCE in names:
        known = _event(watch, recorded, delta, names.index(REFERENCE))
        seen.append(_seen(watch.share, known))
        applies = (known.sessions > 0) & (known.per_day >= LEAST_APPLIES * rare.per_day)
    rows: list[dict[str, object]] = []
    for i, where in enumerate(plan.lattice.slices):
        event = {"event": REFERENCE if applies[i] else None}
        rows.append({"slice": where.as_dict(), **event, "sessions_per_day": round(float(rare.per_day[i]), 2)})
        rows[i] |= seen[int(applies[i])][i]
    return {"smallest_detectable": rows, "smallest_detectable_of_rare": {**rows[0], "event": None, **seen[0][0]}}


def _event(watch: Watch, recorded: Recorded, delta: float, index: int) -> Known:
    rates, widened = watch.rates, watch.days.widened[:, index]
    sessions, events = rates.slice_sessions[:, index], rates.slice_events[:, index]
    overall = (events[0] + 0.01) / (sessions[0] + 1.0)
    rate = np.clip(watch.usual(index, (events + overall) / (sessions + 1.0)), LOWEST_RATE, 1.0 - LOWEST_RATE)
    return Known(sessions, rate, delta + widened, _per_day(recorded, recorded.y[:, index] >= 0, len(sessions)))


def _rare(watch: Watch, recorded: Recorded, delta: float) -> Known:
    sessions = watch.rates.slice_sessions.max(axis=1)
    size = len(sessions)
    per_day = _per_day(recorded, np.ones(len(recorded), bool), size)
    return Known(sessions, np.full(size, RARE_RATE), np.full(size, delta), per_day)


def _per_day(recorded: Recorded, counts: npt.NDArray[np.bool_], slice_count: int) -> FloatArray:
    """Those of the sessions (n,) that count, per day and slice (S,), in the last two weeks of the record or less."""
    last = int(recorded.started_us.max())
    first = max(int(recorded.started_us.min()), last - RECENT_DAYS * DAY_US)
    recent = counts & (recorded.started_us >= first)
    member = recorded.member_slice[recent[recorded.member_session]]
    return np.bincount(member, minlength=slice_count) / max((last - first) / DAY_US, 1.0 / 24.0)


def _seen(share: FloatArray, known: Known) -> list[dict[str, object]]:
    """Usual rate and smallest visible rates of each slice; None where no rate is seen in that time by any method."""
    least = [smallest_detectable(known.sessions, known.rate, known.per_day, n, share, known.delta) for n in DAYS]
    return [
        {
            "rate": round(float(rate), 5),
            **{f"days_{n}": _rounded(column[i]) for n, column in zip(DAYS, least, strict=True)},
        }
        for i, rate in enumerate(known.rate)
    ]


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 5)


def alarm_shares(judge: Judge) -> dict[str, object]:
    """What part of the alarm budget a named stream has: that of its slice's mean stream, times the weight of its event.

    `slices` are by name in false alarms a day, `signals` the weights of the events that say yes or no of a session. Empty
    before anything is judged.
    """
    plan, watch = judge.plan, judge.watch
    if plan is None or watch is None:
        return {}
    own = [
        i for i, event in enumerate(plan.events) if event.test == "flag" or (event.test, event.level) == ("level", YES)
    ]
    return {
        "alarm_shares": {
            "slices": {where.name: float(watch.share[i]) for i, where in enumerate(plan.lattice.slices)},
            "signals": {plan.events[i].signal: round(float(watch.weight[i]), 6) for i in own},
        }
    }


def signals_without_input(judge: Judge) -> list[str]:
    """The signals that could raise an alarm but never applied to a session, or to too few."""
    if judge.plan is None or judge.watch is None:
        return []
    counted = judge.watch.rates.slice_sessions[0] > 0
    applied = {event.signal for event, seen in zip(judge.plan.events, counted, strict=True) if seen}
    return [info.name for info in judge.infos if info.alarms and info.name not in applied]


def languages(store: Store) -> dict[str, object] | None:
    """Of the sessions with answers, the share with none in a language that the wording families read.

    Counted over the stored sessions of the last 42 days; answers whose language cannot be told are read. `largest` are the
    languages without families that are met most, with their share. None where there is no answer.
    """
    sessions, label = _languages_seen(store)
    if not len(sessions):
        return None
    readable = np.isin(label, [*lexicon().versions, UNDETERMINED])
    every, covered = np.unique(sessions), np.unique(sessions[readable])
    names, counts = np.unique(label[~readable], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_LANGUAGES]
    return {
        "sessions": len(every),
        "without_wording_families": round(1.0 - len(covered) / len(every), 5),
        "largest": {str(names[i]): round(int(counts[i]) / len(every), 5) for i in order},
        "with_wording_families": sorted(lexicon().versions),
    }


def _languages_seen(store: Store) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.str_]]:
    """Session and language of every answer's language, parallel: what was measured, whenever it was first met."""
    last, column = store.turn_extent().last, CATEGORY_PREFIX + LANGUAGE
    if last is None or column not in store.session_columns():
        return np.zeros(0, np.int64), np.zeros(0, "<U8")
    moment = timedelta(microseconds=1)
    known = store.sessions_between(last - timedelta(microseconds=WINDOW_US), last + moment, columns=[column])
    lists = known.column(column).combine_chunks()
    label = np.array(pc.list_flatten(lists).to_pylist(), dtype="<U8")
    return pc.list_parent_indices(lists).to_numpy().astype(np.int64), label
