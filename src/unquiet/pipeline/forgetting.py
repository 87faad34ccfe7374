"""Forgetting people in a judgement: their names and words go, what was counted stays.

Counts, rates, thresholds and the hashed features of answers belong to nobody. What names somebody is in few places: the ids of
recorded sessions, the users of the last day, the turns of open sessions, words that few have asked with, and facet values
that nobody else has.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.counts import Event
from unquiet.intents import IntentModel
from unquiet.model.history import FORGOTTEN, History, Recorded
from unquiet.model.incidents import Incident
from unquiet.model.slices import NOBODY, FacetRole, Slice
from unquiet.pipeline.judging import Judge
from unquiet.pipeline.measuring import Measured
from unquiet.pipeline.mix import Mix
from unquiet.pipeline.plan import NO_CONTENT, REQUEST, Plan

BoolArray = npt.NDArray[np.bool_]
DAY_US = 86_400_000_000
ONE_VALUE = "only one value in the baseline"
TOLD = 60
"""The role of a facet tells so many characters of its only value."""

BETWEEN = " | "
"""What stands between the values in the name of a stratum."""

LEAST_REQUESTS = 3
"""Kinds of request with fewer members are named by the words of one person."""


@dataclass(frozen=True, slots=True)
class _Gone:
    """Whom to forget: ids of sessions and users as they were stored, and facet values that only these had."""

    sessions: frozenset[str]
    users: frozenset[str]
    values: frozenset[tuple[str, str]]

    def has(self, facet: str, value: str) -> bool:
        return value in self.sessions or value in self.users or (facet, value) in self.values


def forget(
    judge: Judge,
    session_ids: Collection[str],
    user_ids: Collection[str],
    values: Collection[tuple[str, str]] = (),
) -> None:
    """Remove whatever names the given sessions and users from a judgement; all counts stay.

    `values` are facet values (facet, value) that nobody else has. Turns of open sessions go, too: these have not been
    counted, as have sessions that wait for the end of the learning period.
    """
    gone = _Gone(frozenset(session_ids), frozenset(user_ids), frozenset(values))
    _forget_waiting(judge, gone)
    judge.assembler.open_turns = judge.assembler.open_turns.filter(_others(judge.assembler.open_turns, gone))
    judge.crowd.times = {user: times for user, times in judge.crowd.times.items() if user not in gone.users}
    if judge.mix is not None:
        _forget_words(judge.mix, judge.history, gone)
        judge.mix.history.chunks = [_nameless(chunk, gone) for chunk in judge.mix.history.chunks]
    judge.history.chunks = [_nameless(chunk, gone) for chunk in judge.history.chunks]
    if judge.plan is not None:
        judge.plan = _forget_values(judge.plan, gone)
    judge.incidents = tuple(_told_without(incident, gone) for incident in judge.incidents)
    for facet, first in judge.ledger.first_us.items():
        for value in [value for value in first if gone.has(facet, value)]:
            judge.ledger.forget(facet, value)


def _others(table: pa.Table, gone: _Gone) -> pa.Array:
    """The rows that are of somebody else."""
    sessions, users = (pa.array(sorted(ids), pa.string()) for ids in (gone.sessions, gone.users))
    theirs = pc.is_in(table.column("session_id"), sessions)
    if "user_id" in table.column_names:
        theirs = pc.or_(theirs, pc.is_in(table.column("user_id"), users))
    return pc.invert(theirs).combine_chunks()


def _forget_waiting(judge: Judge, gone: _Gone) -> None:
    """Take sessions out of the learning period, as if they had not been there: they will not be when it is done again."""
    kept: list[Measured] = []
    for measured in judge.waiting:
        stay = _others(measured.visits, gone).to_numpy(zero_copy_only=False)
        judge.session_count -= int((~stay).sum())
        judge.turn_count -= int(pc.sum(measured.visits.column("turn_count").filter(pa.array(~stay))).as_py() or 0)
        edges = np.flatnonzero(np.diff(stay.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
        parts = [measured.part(low, high) for low, high in edges.tolist()]
        kept += [replace(Measured.joined(parts), failures=measured.failures)] if parts else []
    judge.waiting = kept


def _nameless(chunk: Recorded, gone: _Gone) -> Recorded:
    """The same sessions, without the names of some."""
    theirs = _theirs(chunk, gone)
    if not theirs.any():
        return chunk
    names = {name: getattr(chunk, name).copy() for name in ("session_id", "visit_id", "user")}
    names["session_id"][theirs] = FORGOTTEN
    names["visit_id"][theirs] = FORGOTTEN
    names["user"][theirs] = None
    return replace(chunk, **names)


def _theirs(chunk: Recorded, gone: _Gone) -> BoolArray:
    return np.fromiter(
        (s in gone.sessions or u in gone.users for s, u in zip(chunk.session_id, chunk.user, strict=True)),
        np.bool_,
        len(chunk),
    )


def _forget_words(mix: Mix, history: History, gone: _Gone) -> None:
    """Take back the words that somebody asked with; a word that nobody else has asked with goes.

    Who asked is kept as a mark of the user, or of the session where no user is known. Of a user who is not forgotten it is
    the words of the days of the forgotten sessions.
    """
    whole = {_mark(each) for each in (*gone.sessions, *gone.users)}
    days: set[tuple[int, int]] = set()
    for chunk in history.chunks:
        for row in np.flatnonzero(_theirs(chunk, gone)).tolist():
            if chunk.user[row] is not None:
                days.add((int((chunk.tick_us[row] - 1) // DAY_US), _mark(chunk.user[row])))
    kept = {
        key: [each for each in met if each[1] not in whole and (each[0], each[1]) not in days]
        for key, met in mix.novelty.met.items()
    }
    mix.novelty.met = {key: met for key, met in kept.items() if met}


def _mark(who: str) -> int:
    return zlib.crc32(who.encode())


def _forget_values(plan: Plan, gone: _Gone) -> Plan:
    """The plan without facet values that name somebody, and without names of kinds of request made of one person's words."""
    requests, renamed = _plain_labels(plan.requests)

    def left(facet: str, values: Iterable[str]) -> list[str]:
        kept = (value for value in values if not gone.has(facet, value))
        return [renamed.get(value, value) if facet == REQUEST else value for value in kept]

    for facet, counts in plan.newcomers.counts.items():
        plan.newcomers.counts[facet] = {value: counts[value] for value in left(facet, counts) if value in counts}
    decided = frozenset((facet, value) for facet, each in plan.lattice.decided for value in left(facet, [each]))
    slices = tuple(_slice(where, gone) for where in plan.lattice.slices)
    rare = tuple(frozenset(left(*pair)) for pair in zip(plan.strata.facets, plan.strata.rare, strict=True))
    names, events = _forget_strata(
        plan, {value for _, value in gone.values} | gone.sessions | gone.users | renamed.keys()
    )
    return replace(
        plan,
        roles=tuple(_role(role, gone) for role in plan.roles),
        lattice=replace(plan.lattice, decided=decided, slices=slices),
        strata=replace(plan.strata, rare=rare),
        strata_names=names,
        events=events,
        requests=requests,
        shared_users=plan.shared_users - gone.users,
    )


def _forget_strata(plan: Plan, values: Collection[str]) -> tuple[dict[str, int], tuple[Event, ...]]:
    """Strata whose names have one of the values get others and keep their numbers; no event has a threshold for them."""

    def told(name: str, number: int) -> str:
        bare = BETWEEN + NO_CONTENT if name.endswith(BETWEEN + NO_CONTENT) else ""
        parts = name.removesuffix(bare).split(BETWEEN)
        return f"(forgotten {number}){bare}" if any(part in values for part in parts) else name

    names = {told(name, number): number for name, number in plan.strata_names.items()}
    events = tuple(
        replace(event, by_stratum=tuple(pair for pair in event.by_stratum if told(pair[0], 0) == pair[0]))
        for event in plan.events
    )
    return names, events


def _role(role: FacetRole, gone: _Gone) -> FacetRole:
    """The role of a facet, whose reason may tell its only value."""
    own = [value for facet, value in gone.values if facet == role.facet]
    told = (f": {value[:TOLD]}" for value in (*own, *gone.sessions, *gone.users))
    return replace(role, reason=ONE_VALUE) if any(text in role.reason for text in told) else role


def _slice(where: Slice, gone: _Gone) -> Slice:
    """A slice whose facet has somebody's id as its value gets another name; it stays, for it is counted."""
    ids = gone.sessions | gone.users
    return Slice(tuple((facet, NOBODY if value in ids else value) for facet, value in where.conditions))


def _told_without(incident: Incident, gone: _Gone) -> Incident:
    siblings = tuple(replace(each, slice=_slice(each.slice, gone)) for each in incident.siblings)
    return replace(incident, slice=_slice(incident.slice, gone), siblings=siblings)


def _plain_labels(model: IntentModel) -> tuple[IntentModel, dict[str, str]]:
    """The kinds of request with numbers for names where one person's words may have given the name; old names to new ones."""
    small = np.flatnonzero(model.sizes < LEAST_REQUESTS).tolist()
    labels = list(model.labels)
    renamed: dict[str, str] = {}
    for cell in small:
        renamed[f"{labels[cell]} ({cell})"] = f"cell {cell} ({cell})"
        labels[cell] = f"cell {cell}"
    return replace(model, labels=tuple(labels)), renamed
