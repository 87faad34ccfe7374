"""Suspects of an incident, with what the traffic shows of them: which of the affected sessions a change touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.conventions.times import to_iso
from unquiet.incidents import Overlap, Routine, Suspect, merged, micros, near_changes, rank_suspects
from unquiet.model.changes import Change
from unquiet.model.history import FORGOTTEN, LATEST_US, Recorded
from unquiet.model.incidents import Onset
from unquiet.model.slices import Slice
from unquiet.pipeline.judging import Judge
from unquiet.store import Store

IntArray = npt.NDArray[np.int64]

MOST_SESSIONS = 400
"""Sessions that are looked at, of the affected and of the others each."""

MOST_MEASURED = 10
"""Changes near an onset that are measured, those nearest to it."""

OWN = ("model", "served_model")
"""Columns of the turn table that are facets of a session."""


@dataclass(frozen=True, slots=True)
class Known:
    """All changes known by now, each once, in order of time; how routine they are; and the facets that show each version."""

    changes: Sequence[Change]
    routine: Routine
    facets_of: Mapping[str, Sequence[str]]


def known_changes(judge: Judge, announced: Sequence[Change]) -> Known:
    """What was announced, and what a judgement has seen by itself."""
    changes = merged([*announced, *judge.ledger.changes()])
    begin_us, end_us = judge.span_us
    routine = Routine.of(changes, begin_us or 0, end_us or 0)
    facets: dict[str, list[str]] = {}
    for facet, values in sorted(judge.ledger.first_us.items()):
        for value in values:
            facets.setdefault(value, []).append(facet)
    return Known(changes, routine, facets)


def suspects(
    store: Store,
    recorded: Recorded,
    where: Slice,
    onset: Onset,
    known: Known,
    affected: IntArray,
    over_us: int | None,
) -> list[dict[str, object]]:
    """The suspects of an incident as documents, the most telling first.

    `affected` are the numbers of the recorded sessions that it claims; `over_us` is when it was over, None while it is not.
    """
    near = near_changes(known.changes, onset)
    nearest = sorted(near, key=lambda change: abs(micros(change) - onset.at_us))[:MOST_MEASURED]
    overlaps: dict[Change, Overlap] = {}
    for change in nearest:
        marks = _marks(change, known)
        if marks:
            rows = _rows(recorded, change, onset, known.changes, affected, over_us)
            overlap = _overlap(store, [recorded.session_id[each].tolist() for each in rows], marks)
            overlaps.update({change: overlap} if overlap is not None else {})
    return [_fields(each) for each in rank_suspects(near, onset, where, known.routine, overlaps)]


def _fields(suspect: Suspect) -> dict[str, object]:
    change, overlap = suspect.change, suspect.overlap
    fields: dict[str, object] = {
        "kind": change.kind,
        "from": change.before,
        "to": change.after,
        "at": to_iso(micros(change)).replace("+00:00", "Z"),
        "source": change.source,
        "likely": suspect.likely,
        "score": suspect.score,
        "chance": suspect.chance,
        "why": list(suspect.why),
        "carried": None,
    }
    if overlap is not None:
        fields["carried"] = {
            "affected": {"rate": overlap.share, "n": overlap.n},
            "others": {"rate": overlap.other_share if overlap.other_n else None, "n": overlap.other_n},
        }
    return fields | ({"scope": dict(change.scope)} if change.scope else {})


def _marks(change: Change, known: Known) -> dict[str, str]:
    """What sessions that a change touched carry: the facets of its scope, and the version that came with it."""
    marks = dict(change.scope)
    facets = known.facets_of.get(change.after or "", ())
    kind = change.kind.lower()
    named = [facet for facet in facets if kind in facet.lower() or facet.lower() in kind]
    chosen = change.kind if change.kind in facets else named[0] if named else facets[0] if len(facets) == 1 else None
    if chosen is not None and change.after is not None:
        marks[chosen] = change.after
    return marks


def _rows(
    recorded: Recorded,
    change: Change,
    onset: Onset,
    changes: Sequence[Change],
    affected: IntArray,
    over_us: int | None,
) -> tuple[IntArray, IntArray]:
    """The affected sessions and the others, since the change and the onset, up to the next change of its kind; evenly picked."""
    begin_us = max(micros(change), onset.at_us)
    later = [micros(each) for each in changes if each.kind == change.kind and micros(each) > micros(change)]
    until_us = min([*later, over_us or LATEST_US])
    inside = (recorded.started_us >= begin_us) & (recorded.started_us < until_us) & (recorded.session_id != FORGOTTEN)
    claimed = np.zeros(len(recorded), bool)
    claimed[affected] = True
    return _picked(np.flatnonzero(inside & claimed)), _picked(np.flatnonzero(inside & ~claimed))


def _picked(rows: IntArray) -> IntArray:
    if len(rows) <= MOST_SESSIONS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, MOST_SESSIONS).astype(np.int64)]


def _overlap(store: Store, groups: Sequence[Sequence[str]], marks: Mapping[str, str]) -> Overlap | None:
    """How many sessions of each group carry all marks, of those that say; None where none says."""
    (n, x), (other_n, other_x) = (_carrying(store, ids, marks) for ids in groups)
    return Overlap(n, x, other_n, other_x) if n else None


def _carrying(store: Store, session_ids: Sequence[str], marks: Mapping[str, str]) -> tuple[int, int]:
    """Of sessions those that say all facets, and those of them that have the given values in any turn."""
    if not session_ids:
        return 0, 0
    turns = store.turns_of_sessions(list(session_ids), columns=["session_id", *OWN, "facets"])
    says = carries = pa.array(np.ones(turns.num_rows, bool))
    for facet, value in marks.items():
        found = turns.column(facet) if facet in OWN else pc.map_lookup(turns.column("facets"), facet, "last")
        says = pc.and_(says, pc.is_valid(found))
        carries = pc.and_(carries, pc.fill_null(pc.equal(found, value), False))
    sessions = turns.column("session_id")
    return pc.count_distinct(sessions.filter(says)).as_py(), pc.count_distinct(sessions.filter(carries)).as_py()
