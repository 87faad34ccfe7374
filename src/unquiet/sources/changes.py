"""Announced changes out of a file: `time`, `kind`, `from`, `to`, as JSON lines, one JSON list, or CSV."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from unquiet.conventions.times import MAX_US, BadTimeError, to_us
from unquiet.model.changes import Change
from unquiet.model.errors import UnreadableSource
from unquiet.model.rejections import ReadReport
from unquiet.sources.columns import scalar_text
from unquiet.sources.glimpse import look_at
from unquiet.sources.json_records import Record
from unquiet.sources.protocol import ReadOptions
from unquiet.sources.span_rows import records

_NEEDED = ("time", "kind")


def read_changes(path: Path, report: ReadReport) -> list[Change]:
    """The changes of a file, in order of their times (equal times: in order of the file).

    Rows without a readable time or a kind are rejected; times without a zone count as UTC. Changes may lie
    in the future.

    Raises:
        UnreadableSource: the file is missing, empty, or has none of the columns.
    """
    if path.is_dir():
        raise UnreadableSource(f"{path}: a folder, but a file of changes is expected. Name the file in it.")
    glimpse = look_at(path)
    allowed = "A file of changes has the columns time, kind, from, to, as JSON lines or CSV."
    if glimpse.shape == "empty":
        raise UnreadableSource(f"{path}: the file is empty. {allowed}")
    if not glimpse.has(*_NEEDED):
        found = ", ".join(sorted(glimpse.keys)[:20]) or "none"
        raise UnreadableSource(f"{path}: no columns time and kind; found: {found}. {allowed}")
    changes: list[Change] = []
    for row, place in records(path, ReadOptions(now_us=0), report):
        report.rows += 1
        try:
            changes.append(_change(row, f"{path}:{place}"))
        except ValueError as error:
            report.reject(f"{path}:{place}", str(error), "unreadable change")
    return sorted(changes, key=lambda change: change.at)


def _change(row: Record, source: str) -> Change:
    kind = scalar_text(row.get("kind"))
    if not kind:
        raise ValueError("the change has no kind; name what changed (model, prompt, tools, release ...)")
    try:
        micros, _ = to_us(row.get("time"))
    except BadTimeError as error:
        raise ValueError(str(error)) from None
    if not 0 <= micros <= MAX_US:
        raise ValueError(f"the time {row.get('time')!r} lies before 1970 or after 9999; check it")
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    return Change(at, kind, scalar_text(row.get("from")) or None, scalar_text(row.get("to")) or None, source)
