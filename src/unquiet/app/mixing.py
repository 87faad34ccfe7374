"""Incidents of the mix as documents: what users ask for that they did not ask for before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unquiet.app.content import evidence_note
from unquiet.app.describing import ages, exposure_fields, first_inputs, iso, standing_fields
from unquiet.app.suspecting import Known, known_changes, suspects
from unquiet.app.unnaming import without
from unquiet.incidents import Exposure, by_day, exposure, recovered_at
from unquiet.incidents.wording import percent, span
from unquiet.intents import label_cells
from unquiet.model.changes import Change
from unquiet.model.history import FORGOTTEN, Recorded
from unquiet.model.incidents import Incident, Onset
from unquiet.pipeline.judging import Judge
from unquiet.pipeline.mix import SIGNAL, Mix
from unquiet.store import Store

IntArray = npt.NDArray[np.int64]

EXAMPLES = 10
READ, COMPARED = 300, 600
"""Sessions whose requests are read to name the kinds of an incident, and ordinary ones that they are compared with."""

MOST_NAMED = 3


def describe_mix(
    judge: Judge, store: Store, announced: Sequence[Change], *, ageing_us: int | None = None
) -> list[dict[str, object]]:
    """The incidents of the mix, in the order in which they were raised.

    With `ageing_us` only those that age on the day that begins then and are not kept as final yet.
    """
    mix = judge.mix
    if mix is None:
        return []
    chosen = [place for place, each in enumerate(mix.incidents) if ageing_us is None or ages(each, ageing_us)]
    if not chosen:
        return []
    recorded, final = mix.settled(), store.final_incidents()
    changes = known_changes(judge, announced)
    documents: list[dict[str, object]] = []
    for place in chosen:
        kept = final.get(mix.incidents[place].id)
        if kept is None or ageing_us is None:
            documents.append(kept or without(_document(mix, store, recorded, place, changes), [FORGOTTEN]))
    return documents


def _document(mix: Mix, store: Store, recorded: Recorded, place: int, changes: Known) -> dict[str, object]:
    incident, event, rows = mix.incidents[place], place + 1, np.arange(len(recorded))
    onset = incident.onset
    over_us = recovered_at(recorded, rows, event, onset.at_us, onset.latest_us)
    exposed = exposure(recorded, np.ones(len(recorded), bool), event, onset.at_us, over_us)
    asked = np.flatnonzero((recorded.y[:, event] == 1) & (recorded.started_us >= onset.earliest_us))
    kinds = _kinds(mix, store, recorded, place, asked)
    sessions = list(dict.fromkeys(recorded.session_id[asked].tolist()))
    return {
        "id": incident.id,
        "title": mix_title([str(kind["label"]) for kind in kinds], exposed, onset),
        "status": "resolved" if over_us else "open",
        "signal": SIGNAL,
        **standing_fields(incident),
        "kinds": kinds,
        "also_in": [],
        "resolved_at": iso(over_us) if over_us else None,
        "told_at": iso(int(recorded.tick_us[-1])),
        **exposure_fields(exposed),
        "by_day": by_day(recorded, np.ones(len(recorded), bool), event, onset.at_us),
        "moved": [incident.event],
        "suspects": suspects(store, recorded, incident.slice, onset, changes, asked, over_us),
        "provider_change": None,
        "evidence": {"before": [], "after": sessions[:EXAMPLES], "note": evidence_note(store, [sessions[:EXAMPLES]])},
        "session_ids": sessions,
    }


def mix_title(labels: Sequence[str], exposed: Exposure, onset: Onset) -> str:
    """`users ask for something new ("esim / roaming"): 0 % -> 6 % of sessions since Mon 19 Jan 06:16 (...), about 90 sessions`.

    Of more than MOST_NAMED kinds the first are named.
    """
    named = ", ".join(f'"{label}"' for label in labels[:MOST_NAMED])
    more = f" and {len(labels) - MOST_NAMED} more" if len(labels) > MOST_NAMED else ""
    rates = f"{percent(exposed.before_rate)} -> {percent(exposed.after_rate)} of sessions"
    count = round(abs(exposed.excess))
    sessions = "session" if count == 1 else "sessions"
    return f"users ask for something new ({named}{more}): {rates} since {span(onset)}, about {count} {sessions}"


def _kinds(mix: Mix, store: Store, recorded: Recorded, place: int, asked: IntArray) -> list[dict[str, object]]:
    """Number, label, sessions and examples of each kind of an incident, the largest first."""
    first = mix.history.appended - len(recorded)
    inside = set((asked + first).tolist())
    rows: dict[int, list[int]] = {kind: [] for kind in mix.kinds_of[place]}
    for each in mix.waiting:
        mine = [mix.novelty.kind_of[key] for key in each.keys if key in mix.novelty.kind_of]
        if each.number in inside and mine and min(mine) in rows:
            rows[min(mine)].append(each.number - first)
    order = sorted(rows, key=lambda kind: (-len(rows[kind]), kind))
    labels = _labels(mix, store, recorded, mix.incidents[place], [rows[kind] for kind in order], order)
    return [
        {"id": kind, "label": label, "sessions": len(rows[kind]), "examples": _ids(recorded, rows[kind][:3])}
        for kind, label in zip(order, labels, strict=True)
    ]


def _labels(
    mix: Mix, store: Store, recorded: Recorded, incident: Incident, rows: Sequence[Sequence[int]], kinds: Sequence[int]
) -> list[str]:
    """What tells each kind: the name that the traffic has for it, or the words that its requests have and others do not."""
    keys = {kind: [key for key, own in mix.novelty.kind_of.items() if own == kind] for kind in kinds}
    if mix.facet is not None:
        return [", ".join(keys[kind][:MOST_NAMED]) for kind in kinds]
    others = np.flatnonzero((recorded.y[:, 0] == 0) & (recorded.started_us < incident.onset.earliest_us))[-COMPARED:]
    groups = [*(_ids(recorded, own[:READ]) for own in rows), _ids(recorded, others.tolist())]
    texts, _ = first_inputs(store, [each for group in groups for each in group])
    cells = np.repeat(np.arange(len(groups)), [len(group) for group in groups]).astype(np.int32)
    named = label_cells([texts.get(each) for group in groups for each in group], cells, len(kinds))
    plain = [" / ".join(sorted(keys[kind], key=lambda key: (" " in key, key))[:MOST_NAMED]) for kind in kinds]
    return [plain[i] if label.startswith("cell ") else label for i, label in enumerate(named)]


def _ids(recorded: Recorded, rows: Sequence[int]) -> list[str]:
    return recorded.session_id[np.array(rows, np.int64)].tolist()
