"""Regression cases from an incident: what is recorded of it, and of the time before, becomes a suite of assertions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa

from unquiet import intents, signals
from unquiet.model.errors import UnquietError
from unquiet.model.turns import TURNS
from unquiet.pipeline.measuring import measure_turn_table
from unquiet.privacy import Redactor
from unquiet.privacy.patterns import NAMES
from unquiet.regression import Answers, Suite, Told, build
from unquiet.store import Store

SCHEMA = "unquiet.export-evals/1"
BEFORE = timedelta(days=28)
MOST_BEFORE, MOST_AFTER = 1500, 500
"""Sessions that are read: the latest before the onset, and those of the incident, evenly over its time."""

MOST_TURNS = 4000
LEAST_NAME = 3
"""An id of so few characters is not looked for in texts: it would be found in every second word."""

ASKED_OF_ANSWERS = ({"output"}, {"input", "output"})
"""What a signal may need so that an exported case can ask for it: of tools only the names are known there."""

TOLD_OTHERWISE = frozenset({"code_fence", "has_list", "has_heading", "empty"})
"""Signals that an assertion tells without unquiet."""


def suite_of(store: Store, document: Mapping[str, Any], count: int) -> Suite:
    """Up to `count` regression cases of an incident, given as its document.

    Raises:
        UnquietError: it is a change of what is asked, or nothing tells its answers from those before.
    """
    incident = str(document["id"])
    if "kinds" in document:
        raise UnquietError(
            f"{incident} is a change of what users ask: no answers to hold against earlier ones. Its new requests are what an "
            "eval suite lacks: see `unquiet incident " + incident + "`."
        )
    onset = datetime.fromisoformat(document["onset"]["earliest"])
    after_ids = _spread(list(document["session_ids"]), MOST_AFTER)
    before_ids = [each for each in _before(store, document, onset) if each not in set(after_ids)]
    if not before_ids or not after_ids:
        raise UnquietError(
            f"{incident}: {len(before_ids)} sessions before its onset and {len(after_ids)} of it are in the folder; cases need "
            "both. Where turns were removed by age, the export must be made before that."
        )
    number = {session: place for place, session in enumerate([*before_ids, *after_ids])}
    before, after = (_answers(store, ids, number) for ids in (before_ids, after_ids))
    infos = {each.info.name: each.info for each in signals.TURN_SIGNALS}
    phrases = {name: infos[name].phrase_up for name in before.signals}
    told = Told(incident, str(document["title"]), str(document["onset"]["at"]))
    return build(told, before, after, phrases, _cleaner(store, after_ids), count)


def summary(suite: Suite, form: str, files: Sequence[str]) -> dict[str, object]:
    """What was exported, schema `unquiet.export-evals/1`."""
    share = {"before": suite.before, "after": suite.after}
    return {
        "schema": SCHEMA,
        "incident": suite.incident,
        "format": form,
        "files": list(files),
        "needs_unquiet": suite.needs_unquiet,
        "held_out": {name: {"failed": each.count, "sessions": each.n} for name, each in share.items()},
        "assertions": [
            {
                "said": rule.said,
                "kind": rule.assertion["kind"],
                "needs_unquiet": rule.needs_unquiet,
                "before": {"failed": rule.before.count, "sessions": rule.before.n},
                "after": {"failed": rule.after.count, "sessions": rule.after.n},
            }
            for rule in suite.rules
        ],
        "cases": [
            {
                "id": case.id,
                "turns": len(case.requests),
                "assertions": [each["said"] for each in case.assertions],
                "before": {"passed": case.before.count, "answers": case.before.n},
                "after": {"failed": case.after.count, "answers": case.after.n},
                "similarity": round(case.similarity, 4),
                "sources": {side: [list(place) for place in places] for side, places in case.sources.items()},
            }
            for case in suite.cases
        ],
    }


def _before(store: Store, document: Mapping[str, Any], onset: datetime) -> list[str]:
    """The sessions of the incident's slices that began before its onset, the latest of them, in order of time."""
    found: dict[str, datetime] = {}
    for where in (document["slice"], *document.get("also_in", ())):
        table = store.sessions_between(onset - BEFORE, onset, columns=["session_id", "started"], where=where)
        found |= zip(table.column("session_id").to_pylist(), table.column("started").to_pylist(), strict=True)
    return sorted(found, key=lambda each: (found[each], each))[-MOST_BEFORE:]


def _spread(ids: list[str], most: int) -> list[str]:
    return (
        [ids[place] for place in np.unique(np.linspace(0, len(ids) - 1, min(most, len(ids))).astype(int))]
        if ids
        else []
    )


def _answers(store: Store, session_ids: Sequence[str], number: Mapping[str, int]) -> Answers:
    """The turns of sessions that have text, with the requests before each of them in its session."""
    order = [(name, "ascending") for name in ("session_id", "time", "turn_index", "turn_id")]
    turns = store.turns_of_sessions(session_ids).sort_by(order).slice(0, MOST_TURNS)
    rows = turns.select(["session_id", "input", "output", "tool_calls"]).to_pylist()
    requests: list[tuple[str, ...]] = []
    kept: list[int] = []
    places: list[tuple[str, int]] = []
    for session, group in groupby(enumerate(rows), lambda each: each[1]["session_id"]):
        asked: tuple[str, ...] = ()
        for place, (row, turn) in enumerate(group):
            if turn["input"]:
                asked = (*asked, turn["input"])
                if turn["output"] is not None:
                    kept.append(row)
                    requests.append(asked)
                    places.append((session, place))
    calls = [rows[row]["tool_calls"] for row in kept]
    return Answers(
        requests,
        [rows[row]["output"] for row in kept],
        [None if each is None else [call["name"] or "" for call in each] for each in calls],
        places,
        np.array([number[session] for session, _ in places], np.int64),
        intents.embed(["\n".join(reversed(asked)) for asked in requests]),
        _signals(turns.take(pa.array(kept, pa.int64()))),
    )


def _signals(turns: pa.Table) -> dict[str, np.ndarray]:
    """Readings, by name, of the signals that can be asked of a request and an answer alone."""
    infos = [each.info for each in signals.TURN_SIGNALS if each.info.kind in ("flag", "score")]
    wanted = [i.name for i in infos if set(i.needs) in ASKED_OF_ANSWERS and i.name not in TOLD_OTHERWISE]
    # Measured without what an exported case does not know either.
    alone = turns.select(["turn_id", "session_id", "turn_index", "time", "input", "output"])
    blank = {f.name: pa.nulls(len(turns), f.type) for f in TURNS if f.name not in alone.column_names}
    whole = (
        pa.table({**dict(zip(alone.column_names, alone.columns, strict=True)), **blank}).select(TURNS.names).cast(TURNS)
    )
    measured = measure_turn_table(whole)
    return {name: np.array(measured.column(name).to_pylist(), np.float64) for name in wanted}


def _cleaner(store: Store, session_ids: Sequence[str]) -> Any:
    """Redacts a text of a session: what the patterns of privacy find, and the ids of the session and its user."""
    known = store.turns_of_sessions(session_ids, columns=["session_id", "user_id"])
    user = dict(zip(known.column("session_id").to_pylist(), known.column("user_id").to_pylist(), strict=True))
    redact = Redactor(NAMES)

    def clean(text: str, session: str) -> str:
        for name, place in ((user.get(session), "[user]"), (session, "[session]")):
            if name and len(name) >= LEAST_NAME:
                text = text.replace(name, place)
        return redact(text)

    return clean
