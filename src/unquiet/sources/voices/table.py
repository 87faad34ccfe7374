"""Voices as a table: CSV, Parquet, or objects of JSON lines, with columns that can be mapped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from unquiet.model.errors import UnreadableSource
from unquiet.model.rejections import ReadReport
from unquiet.model.voices import RATING, TICKET, VOICES
from unquiet.sources.columns import json_text, scalar_text
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.json_records import Record
from unquiet.sources.protocol import ReadOptions
from unquiet.sources.span_rows import records
from unquiet.sources.voices.rows import Gathering, Said, text_or_none

NAMES: Mapping[str, tuple[str, ...]] = {
    "voice_id": ("voice_id", "id", "ticket_id", "post_id"),
    "time": ("time", "created_at", "created", "opened_at", "date", "timestamp"),
    "kind": ("kind",),
    "text": ("text", "body", "description", "message", "comment", "content"),
    "user_id": ("user_id", "user", "requester_id", "customer_id", "author"),
    "session_id": ("session_id", "conversation_id"),
    "rating": ("rating", "score", "stars", "csat", "thumbs", "feedback"),
}
"""For each column of VOICES the names that are understood without a mapping, the first that is there."""


class VoiceTable:
    """A table of voices; a row with a rating and no text is a rating."""

    name = "table of voices (CSV, Parquet, JSON lines)"

    def sniff(self, glimpse: Glimpse) -> float:
        """The last resort for text, JSON and Parquet."""
        return 0.2 if glimpse.shape in ("text", "json", "parquet") else 0.0

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """One voice a row.

        Raises:
            UnreadableSource: no column of times, or none of texts or ratings, or a mapped one is not there.
        """
        voices = Gathering("table", path, options, report)
        seen: dict[str, None] = {}
        for record, place in records(path, options, report):
            seen.update(dict.fromkeys(record))
            voices.add(place, lambda record=record: _said(record, options.mapping))
        _check(path, seen, options.mapping)
        yield from voices.tables()


def _check(path: Path, seen: Mapping[str, None], mapping: Mapping[str, str]) -> None:
    """See that the columns are there; a file without rows has none and is told elsewhere."""
    if not seen:
        return
    there = ", ".join(list(seen)[:20])
    for name, column in mapping.items():
        if column not in seen:
            raise UnreadableSource(f"{path}: --map {name}={column} names a column that is not there; it has {there}")
    named = {name: [mapping[name]] if name in mapping else NAMES[name] for name in NAMES}
    lacking = [name for name in ("time",) if not any(each in seen for each in named[name])]
    if not any(each in seen for name in ("text", "rating") for each in named[name]):
        lacking.append("text")
    if lacking:
        asked = " ".join(f"--map {name}=COLUMN" for name in lacking)
        raise UnreadableSource(
            f"{path}: no column {' and no column '.join(lacking)}; it has {there}. Say which it is with {asked}. What is "
            f"understood: {', '.join(VOICES.names)}."
        )


def _said(record: Record, mapping: Mapping[str, str]) -> Said:
    left = dict(record)
    found = {name: _taken(left, name, mapping) for name in NAMES}
    text = found["text"]
    told = text if text is None or isinstance(text, str) else scalar_text(text) or json_text(text)
    rated = found["rating"] is not None and not told
    return Said(
        time=found["time"],
        key=found["voice_id"],
        kind=text_or_none(found["kind"]) or (RATING if rated else TICKET),
        text=told,
        user=text_or_none(found["user_id"]),
        session=text_or_none(found["session_id"]),
        rating=found["rating"],
        facets=left,
    )


def _taken(left: dict[str, Any], name: str, mapping: Mapping[str, str]) -> Any:
    for each in (mapping[name],) if name in mapping else NAMES[name]:
        if left.get(each) not in (None, ""):
            return left.pop(each)
    return None
