"""Voices as a table: CSV, or objects of JSON lines, with columns that can be mapped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from unquiet.conventions.times import BadTimeError, to_us
from unquiet.model.errors import UnreadableSource
from unquiet.model.rejections import ReadReport
from unquiet.model.voices import TICKET, VOICES
from unquiet.sources.columns import scalar_text
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.json_records import Record
from unquiet.sources.protocol import ReadOptions, misplaced
from unquiet.sources.span_rows import records

NAMES: Mapping[str, tuple[str, ...]] = {
    "voice_id": ("voice_id", "id", "ticket_id"),
    "time": ("time", "created_at", "created", "date", "timestamp"),
    "kind": ("kind",),
    "text": ("text", "body", "description", "message", "comment"),
    "user_id": ("user_id", "user", "requester_id"),
    "session_id": ("session_id", "conversation_id"),
    "rating": ("rating",),
}
"""For each column of VOICES the names that are understood without a mapping, the first that is there."""


class VoiceTable:
    """A table of voices."""

    name = "table of voices (CSV or JSON lines)"

    def sniff(self, glimpse: Glimpse) -> float:
        """The last resort for text and JSON."""
        return 0.2 if glimpse.shape in ("text", "json") else 0.0

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """One voice a row."""
        rows: list[dict[str, Any]] = []
        for record, place in records(path, options, report):
            report.rows += 1
            try:
                rows.append(_row(record, options))
            except ValueError as error:
                report.reject(f"{path}:{place}", str(error), "unreadable voice")
        if not rows and report.rows:
            raise UnreadableSource(f"{path}: no voice could be read; expected a time and a text in each row.")
        report.turns += len(rows)
        columns = {name: [row.get(name) for row in rows] for name in VOICES.names}
        yield pa.Table.from_arrays([pa.array(columns[f.name], f.type) for f in VOICES], schema=VOICES)


def _row(record: Record, options: ReadOptions) -> dict[str, Any]:
    left = dict(record)
    found = {name: _taken(left, name, options.mapping) for name in NAMES}
    try:
        time_us, _ = to_us(found["time"])
    except BadTimeError as error:
        raise ValueError(str(error)) from None
    wrong = misplaced(time_us, options)
    if wrong:
        raise ValueError(wrong[1])
    text = scalar_text(found["text"])
    key = (
        found["voice_id"]
        or hashlib.blake2b(f"{time_us} {found['user_id']} {text}".encode(), digest_size=12).hexdigest()
    )
    facets = [(name, scalar_text(value)) for name, value in left.items() if scalar_text(value)]
    return {
        "voice_id": str(key),
        "time": time_us,
        "kind": scalar_text(found["kind"]) or TICKET,
        "origin": "table",
        "text": text,
        "user_id": scalar_text(found["user_id"]) or None,
        "session_id": scalar_text(found["session_id"]) or None,
        "rating": None,
        "facets": facets,
    }


def _taken(left: dict[str, Any], name: str, mapping: Mapping[str, str]) -> Any:
    names = (mapping[name],) if name in mapping else NAMES[name]
    for each in names:
        if left.get(each) not in (None, ""):
            return left.pop(each)
    return None
