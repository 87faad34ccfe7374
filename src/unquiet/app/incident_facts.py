"""All that is known of one incident, and the gap: kept while nothing that they follow from changed."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from unquiet.app.gapping import Drawn, gap_document
from unquiet.app.green import why_green
from unquiet.app.reporting import gather, shown_sessions
from unquiet.app.voiced import with_voices
from unquiet.report import Facts
from unquiet.store import Store

Document = Mapping[str, Any]

MOST_KEPT = 200


def green_causes(store: Store, document: Document) -> Document | None:
    """The causes, or what is not known of them; None where no evals are at hand."""
    if not store.evals.count():
        return None
    found = why_green(store, document)
    told = found["causes"] or found["unknown"]
    causes = [{"cause": each["cause"], "says": each["said"], "evidence": each.get("evidence", {})} for each in told]
    return {"causes": causes}


class KeptFacts:
    """Facts of incidents, and the gap: what takes long is kept until the incident, the evals or the turns beside it change.

    `option` is how commands find the folder.
    """

    def __init__(self, option: str = "") -> None:
        self._option = option
        self._lock = threading.Lock()
        self._known: dict[str, tuple[object, Facts]] = {}
        self._gap: tuple[object, Document] | None = None
        self._drawn: Drawn = {}

    def of(self, store: Store, document: Document) -> Facts:
        """The facts of an incident; `document` says what people did about it."""
        mark = _mark(store, document)
        with self._lock:
            kept = self._known.get(str(document["id"]))
        facts = kept[1] if kept is not None and kept[0] == mark else self._gathered(store, document, mark)
        return replace(
            facts,
            document=document,
            turns=store.turns_of_sessions(shown_sessions(document)).to_pylist(),
            voices=with_voices(store, document).get("voices"),
            voice_count=store.voices.count(),
        )

    def gap(self, store: Store, documents: Sequence[Document]) -> Document | None:
        """The gap over the last 28 days, schema `unquiet.gap/1`; None where there are no turns."""
        count = store.turn_extent().count
        if not count:
            return None
        mark = count, store.evals.count(), [(each["id"], each["told_at"], each["resolved_at"]) for each in documents]
        kept = self._gap
        if kept is None or kept[0] != mark:
            kept = mark, gap_document(store, documents, drawn=self._drawn)
            self._gap = kept
        return kept[1]

    def _gathered(self, store: Store, document: Document, mark: object) -> Facts:
        coverage = store.get_setting("coverage") or {}
        green = green_causes(store, document)
        facts = gather(store, document, (), coverage, why_green=green, option=self._option, drawn=self._drawn)
        with self._lock:
            while len(self._known) >= MOST_KEPT:
                del self._known[next(iter(self._known))]
            self._known[str(document["id"])] = (mark, facts)
        return facts


def _mark(store: Store, document: Document) -> object:
    """What the slow part follows from. Turns that were forgotten are fewer turns."""
    told = document.get("told_at") or document["raised_at"]
    count = store.turn_count_until(datetime.fromisoformat(told))
    return told, document.get("resolved_at"), count, store.evals.count()
