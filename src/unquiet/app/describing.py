"""Incidents as documents: everything that the contract promises and a person needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from unquiet import intents
from unquiet.app.content import content_notes, evidence_note, unread_pairs
from unquiet.app.learning import not_judged
from unquiet.app.phrasing import ANSWERS, event_phrase, measure_phrase
from unquiet.app.provider import provider_change
from unquiet.app.saying import Names, feature_event, new_and_gone, other_event, plain_name
from unquiet.app.seeing import alarm_shares, languages, signals_without_input, smallest_changes
from unquiet.app.suspecting import Known, known_changes, suspects
from unquiet.app.unnaming import without
from unquiet.counts import Event
from unquiet.incidents import (
    ACCEPTED,
    Exposure,
    Part,
    Streams,
    by_day,
    contrast,
    exposure,
    further_parts,
    members,
    new_behaviour,
    recovered_at,
    showing,
    title,
)
from unquiet.model.changes import Change
from unquiet.model.history import FORGOTTEN, WINDOW_US, Recorded
from unquiet.model.incidents import Incident
from unquiet.model.signals import SignalInfo
from unquiet.pipeline.judging import Judge
from unquiet.pipeline.plan import Plan
from unquiet.store import Store

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

LEAST_SHOWN = 0.2
"""A behaviour does not tell whom an incident reached if it shows in less than this share of the excess."""

AGE_DAYS = 10
DAY_US = 86_400_000_000

MOST_PAIRS = 10
MOVED_EVENTS = 12
MOVED_SCORE = 8.0
POOL = 2000
AFFECTED = 0.5
CLEAR_SCORE, CLEAR_SHARE = 12.0, 0.25
"""A behaviour tells whom an incident reached if it has so many nats, and this share of those of the clearest one."""


def describe(judge: Judge, store: Store, announced: Sequence[Change]) -> list[dict[str, object]]:
    """All incidents of a judgement, in the order in which they were raised."""
    if not judge.incidents:
        return []
    recorded = judge.history.upto(2**62)
    changes = known_changes(judge, announced)
    final = store.final_incidents()
    return [
        _since(final[incident.id], incident)
        if incident.id in final
        else without(_document(judge, store, recorded, incident, changes), [FORGOTTEN])
        for incident in judge.incidents
    ]


def describe_ageing(judge: Judge, store: Store, announced: Sequence[Change], day_us: int) -> list[dict[str, object]]:
    """The incidents that age on the day that begins at `day_us`, as they can be told for the last time."""
    ageing = [incident for incident in judge.incidents if ages(incident, day_us)]
    if not ageing:
        return []
    final = store.final_incidents()
    recorded = judge.history.upto(2**62)
    changes = known_changes(judge, announced)
    left = [incident for incident in ageing if incident.id not in final]
    return [without(_document(judge, store, recorded, incident, changes), [FORGOTTEN]) for incident in left]


def _since(document: dict[str, object], incident: Incident) -> dict[str, object]:
    """The last document of an incident, with what became of it since."""
    # What joined an incident is not asked of it any more once it is accepted.
    told = {**document, **(standing_fields(incident) if incident.status != ACCEPTED else {})}
    if incident.status != "open":
        told |= {"status": incident.status, "resolved_at": iso(incident.resolved_us) if incident.resolved_us else None}
    return told


def ages(incident: Incident, day_us: int) -> bool:
    """Whether on a day the window of recorded sessions holds too little of the time before the onset."""
    return incident.onset.at_us < day_us - WINDOW_US + AGE_DAYS * DAY_US


def _document(judge: Judge, store: Store, recorded: Recorded, incident: Incident, changes: Known) -> dict[str, object]:
    plan, streams = judge.plan, judge.streams
    if plan is None or streams is None:
        raise ValueError("an incident without a plan")
    event_index = streams.events.index(incident.event)
    part = Part(streams.slices.index(incident.slice), event_index, 1 if incident.direction == "up" else -1, 0.0)
    parts = further_parts(recorded, incident.onset.at_us, streams.slices, part, streams.signal_of)
    inside, own = members(recorded, parts), members(recorded, parts[:1])
    over_us = recovered_at(recorded, np.flatnonzero(own), event_index, incident.onset.at_us, incident.onset.latest_us)
    exposed = exposure(recorded, own, event_index, incident.onset.at_us, over_us)
    moved, directions, telling = _moved(recorded, incident, part, streams)
    chance = new_behaviour(recorded, inside, incident.onset.at_us, moved)
    shows = showing(recorded, moved, directions, telling)
    if (shows & (chance >= AFFECTED)).sum() < LEAST_SHOWN * abs(exposed.excess):
        shows = showing(recorded, moved, directions, np.zeros(len(moved), bool))
    claimed = np.flatnonzero((chance >= AFFECTED) & shows & (recorded.started_us < (over_us or 2**62)))
    pairs = _pairs(store, recorded, np.flatnonzero(own), claimed, chance, incident)
    answers, names = new_and_gone(judge, store, recorded, incident, np.flatnonzero(own), over_us)
    event, info = _event(judge, plan, store, recorded, incident, event_index, np.flatnonzero(own), names)
    return {
        "id": incident.id,
        "title": _title(info, event, incident, exposed),
        "status": "resolved" if over_us else incident.status,
        "signal": event.signal,
        **standing_fields(incident),
        "also_in": [streams.slices[p.slice].as_dict() for p in parts[1:]],
        "resolved_at": iso(over_us) if over_us else None,
        "told_at": iso(int(recorded.tick_us[-1])),
        **exposure_fields(exposed),
        "by_day": by_day(recorded, own, event_index, incident.onset.at_us),
        "moved": list(dict.fromkeys(plain_name(streams.events[e]) for e in moved)),
        "answers": answers,
        "suspects": suspects(store, recorded, incident.slice, incident.onset, changes, claimed, over_us),
        "provider_change": provider_change(store, recorded, incident, part.slice, streams, changes.changes, over_us),
        "evidence": {
            "before": [b for b, _ in pairs],
            "after": [a for _, a in pairs],
            "note": evidence_note(store, pairs),
        },
        "session_ids": list(dict.fromkeys(recorded.session_id[claimed].tolist())),
    }


def _event(
    judge: Judge,
    plan: Plan,
    store: Store,
    recorded: Recorded,
    incident: Incident,
    place: int,
    rows: npt.NDArray[np.int64],
    names: Names,
) -> tuple[Event, SignalInfo]:
    """The event that an incident counts, number `place` of all, and its signal; `rows` are the sessions of its slice.

    `names` are the texts of features of answers, as `new_and_gone` gives them.
    """
    if place >= len(plan.events):
        return feature_event(judge, store, recorded, incident.event, names), ANSWERS
    event = plan.events[place]
    if event.test == "other":
        event = other_event(plan.events, store, recorded, incident, rows, place)
    return event, next(info for info in judge.infos if info.name == event.signal)


def _title(info: SignalInfo, event: Event, incident: Incident, exposed: Exposure) -> str:
    phrase, measure = (told(info, event, incident.direction) for told in (event_phrase, measure_phrase))
    return title(phrase, incident.slice, incident.onset, exposed, measure)


def standing_fields(incident: Incident) -> dict[str, object]:
    """What was said when the incident was raised, and which streams joined it since."""
    onset = incident.onset
    return {
        "event": incident.event,
        "direction": incident.direction,
        "slice": incident.slice.as_dict(),
        "onset": {"at": iso(onset.at_us), "earliest": iso(onset.earliest_us), "latest": iso(onset.latest_us)},
        "raised_at": iso(incident.raised_us),
        "also_moved": sorted({f"{plain_name(s.event)} {s.direction} ({s.slice.name})" for s in incident.siblings})[:30],
    }


def exposure_fields(exposed: Exposure) -> dict[str, object]:
    """Rates before and after, and whom the change reached."""
    low, high = sorted((abs(exposed.low), abs(exposed.high)))
    if exposed.low < 0 < exposed.high:
        low = 0.0
    return {
        "before": {"rate": exposed.before_rate, "n": exposed.before_n, "rate_mix_adjusted": exposed.expected_rate},
        "after": {"rate": exposed.after_rate, "n": exposed.after_n},
        "excess_sessions": {"estimate": abs(exposed.excess), "low": low, "high": high},
        "users_reached": round(exposed.users),
    }


def _moved(
    recorded: Recorded, incident: Incident, part: Part, streams: Streams
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], BoolArray]:
    """The events that moved in the incident's slice, its own first, their directions, and which of them are telling.

    Telling are behaviours that appeared and are among the clearest.
    """
    found = contrast(recorded, incident.onset.at_us, len(streams.slices))
    score = found.score[part.slice]
    order = [int(e) for e in np.argsort(-score) if score[e] >= MOVED_SCORE][:MOVED_EVENTS]
    events = np.array(list(dict.fromkeys([part.event, *order])), np.int64)
    directions = found.direction[part.slice, events].astype(np.int64)
    directions[0] = part.direction
    clear = (score[events] >= max(CLEAR_SCORE, CLEAR_SHARE * score[events].max())) & (directions > 0)
    return events, directions, streams.named[events] & clear


def _pairs(
    store: Store,
    recorded: Recorded,
    rows: npt.NDArray[np.int64],
    claimed: npt.NDArray[np.int64],
    chance: FloatArray,
    incident: Incident,
) -> list[tuple[str, str]]:
    """Up to ten sessions after the onset, each with the session before it whose request is nearest.

    The nearest come first; of those about as near the ones of fewest turns, which are read at a glance.
    """
    before = rows[recorded.started_us[rows] < incident.onset.earliest_us][-POOL:]
    after = claimed[np.argsort(-chance[claimed], kind="stable")][: 4 * MOST_PAIRS]
    if not len(before) or not len(after):
        return []
    pool_ids, after_ids = recorded.session_id[before].tolist(), recorded.session_id[after].tolist()
    texts, turns = first_inputs(store, [*pool_ids, *after_ids])
    if not any(texts.values()):
        return unread_pairs(recorded, before, after, MOST_PAIRS)
    pool = intents.embed([texts.get(i, "") for i in pool_ids])
    index, similarity = intents.nearest(intents.embed([texts.get(i, "") for i in after_ids]), pool)
    chosen: list[tuple[str, str]] = []
    used: set[str] = set()
    length = np.array([turns.get(i, 0) for i in after_ids])
    for k in np.lexsort((-similarity, length, -np.round(similarity, 1))):
        pair = (pool_ids[index[k]], after_ids[k])
        if pair[0] not in used and pair[1] not in used:
            used.update(pair)
            chosen.append(pair)
    return chosen[:MOST_PAIRS]


def first_inputs(store: Store, session_ids: list[str]) -> tuple[dict[str, str], Counter[str]]:
    """The first request of each session, an empty text where there is none, and how many turns each has."""
    table = store.turns_of_sessions(session_ids, columns=["session_id", "time", "input"])
    first: dict[str, str] = {}
    for session_id, text in zip(table.column("session_id").to_pylist(), table.column("input").to_pylist(), strict=True):
        first.setdefault(session_id, text or "")
    return first, Counter(table.column("session_id").to_pylist())


def coverage(judge: Judge, store: Store) -> dict[str, object]:
    """What was not looked at, and why."""
    notes: dict[str, object] = {
        "learning_days": judge.settings.learn / timedelta(days=1),
        "open_sessions": judge.assembler.open_count,
        "measurement_failures": dict(judge.failures),
        "rejected_rows": {source.path: dict(source.rejected) for source in store.files.all() if source.rejected},
        "budget_per_30_days": judge.settings.budget,
        "streams": watched_streams(judge),
        "languages": languages(store),
        **content_notes(judge),
    }
    if judge.plan is None:
        notes["not_judged"] = not_judged(judge, store)
        return notes
    if judge.plan.shared_users:
        names = ", ".join(sorted(judge.plan.shared_users)[:5])
        notes["shared_users"] = f"user ids that cannot be one person's are taken as unknown: {names}"
    notes["strata"] = list(judge.plan.strata.facets)
    notes["facets"] = {role.facet: f"{role.role}: {role.reason}" for role in judge.plan.roles}
    depth = [len(where.conditions) for where in judge.plan.lattice.slices]
    notes["slices"] = {"singles": depth.count(1), "pairs": depth.count(2)}
    notes["signals_without_input"] = signals_without_input(judge)
    return notes | smallest_changes(judge) | alarm_shares(judge)


def watched_streams(judge: Judge) -> int:
    """How many streams are under test; 0 while nothing is judged."""
    if judge.watch is None or judge.words is None:
        return 0
    return judge.watch.restarts.shape[0] * judge.watch.restarts.shape[1] + judge.words.stream_count


def iso(us: int) -> str:
    """A moment as ISO 8601 in UTC, with microseconds where there are any."""
    text = datetime.fromtimestamp(us / 1e6, UTC).isoformat()
    return text.replace("+00:00", "Z")
