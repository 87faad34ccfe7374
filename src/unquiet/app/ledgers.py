"""What changed, as a list: announced changes and first sights in order of time, and how routine each kind is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unquiet.app.marks import Row, change_of, known_changes, row_of
from unquiet.conventions.times import to_iso
from unquiet.incidents import merged, micros
from unquiet.model.changes import SEEN, Change
from unquiet.pipeline.judging import Judge
from unquiet.store import Store

SCHEMA = "unquiet.changes/1"
LEDGER = "ledger"
DAY_US = 86_400_000_000


def keep_sightings(store: Store, judge: Judge) -> None:
    """Keep what the ledger of a judgement holds, for who asks later."""
    begin, end = judge.span_us
    kept = {
        "begin_us": begin,
        "end_us": end,
        "changes": [row_of(change) for change in judge.ledger.changes()],
        "sightings": [
            {
                "facet": each.facet,
                "value": each.value,
                "first": to_iso(each.first_us).replace("+00:00", "Z"),
                "last": to_iso(each.last_us).replace("+00:00", "Z"),
                "sessions": each.sessions,
            }
            for each in judge.ledger.sightings()
        ],
    }
    store.put_setting(LEDGER, kept)


def listed(store: Store, more: Sequence[Change] = ()) -> dict[str, Any]:
    """The document of schema `unquiet.changes/1`; `more` are announced changes that the folder does not hold."""
    ledger: dict[str, Any] = store.get_setting(LEDGER) or {}
    announced = [*known_changes(store), *more]
    changes = merged([*announced, *(change_of(row) for row in ledger.get("changes", []))])
    return {
        "schema": SCHEMA,
        "changes": [_row(change) for change in changes],
        "kinds": _kinds(changes, ledger.get("begin_us"), ledger.get("end_us")),
        "sightings": ledger.get("sightings", []),
    }


def _row(change: Change) -> Row:
    at = to_iso(micros(change)).replace("+00:00", "Z")
    return {**row_of(change), "at": at, "announced": change.source != SEEN}


def _kinds(changes: Sequence[Change], begin_us: int | None, end_us: int | None) -> list[dict[str, object]]:
    """How often each kind changed in the time that is known, the rarest first; without traffic that time is not known."""
    moments = [change.at.timestamp() * 1e6 for change in changes]
    span_us = None if begin_us is None or end_us is None else max([end_us, *moments]) - min([begin_us, *moments])
    days = None if span_us is None else max(round(span_us / DAY_US, 1), 1.0)
    counts: dict[str, int] = {}
    for change in changes:
        counts[change.kind] = counts.get(change.kind, 0) + 1
    order = sorted(counts.items(), key=lambda item: (item[1], item[0]))
    return [{"kind": kind, "changes": count, "days": days} for kind, count in order]
