"""Changes that somebody announced: in files of deploy markers, and by `unquiet mark` or the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from unquiet.model.changes import Change
from unquiet.model.rejections import ReadReport
from unquiet.sources.changes import read_changes
from unquiet.store import Store

MARKS = "marks"
MOST_MARKS = 10_000

READ = "changes of files"
"""What the last scan read from files of changes."""

Row = dict[str, Any]


def mark(store: Store, changes: Sequence[Change]) -> int:
    """Remember changes durably, in one transaction; how many were not known. Of very many the oldest are dropped.

    A change is known by the id that its sender gave it, or by what it says, whoever said it.
    """
    known: list[Row] = store.get_setting(MARKS) or []
    ids = {row["id"] for row in known if row.get("id")}
    said = {_said(change_of(row)) for row in known}
    new: list[Row] = []
    for change in changes:
        if change.event_id in ids or _said(change) in said:
            continue
        said.add(_said(change))
        ids |= {change.event_id} if change.event_id else set()
        new.append(row_of(change))
    if new:
        store.put_setting(MARKS, sorted([*known, *new], key=lambda each: each["at"])[-MOST_MARKS:])
    return len(new)


def marks(store: Store) -> list[Change]:
    """The changes that were marked, in order of time."""
    return [change_of(row) for row in store.get_setting(MARKS) or []]


def announced(store: Store, files: Sequence[Path], report: ReadReport | None = None) -> list[Change]:
    """All announced changes, in order of time; rows of files that cannot be read are counted in `report`.

    Raises:
        UnreadableSource: a file cannot be read at all.
    """
    said = ReadReport() if report is None else report
    found = [*marks(store), *(change for path in files for change in read_changes(path, said))]
    return once(found)


def keep_read(store: Store, changes: Sequence[Change]) -> None:
    """Remember what the files of a scan announced, in place of what those of the last one did."""
    store.put_setting(READ, [row_of(change) for change in changes][-MOST_MARKS:])


def known_changes(store: Store) -> list[Change]:
    """What was marked, and what the files of the last scan announced, in order of time."""
    return once([*marks(store), *(change_of(row) for row in store.get_setting(READ) or [])])


def once(changes: Sequence[Change]) -> list[Change]:
    """Changes in order of time, those that say the same only once."""
    found: dict[tuple[object, ...], Change] = {}
    for change in changes:
        found.setdefault(_said(change), change)
    return sorted(found.values(), key=lambda change: change.at)


def row_of(change: Change) -> Row:
    """A change as it is kept."""
    row: Row = {
        "at": change.at.astimezone(UTC).isoformat(),
        "kind": change.kind,
        "from": change.before,
        "to": change.after,
        "source": change.source,
    }
    if change.scope:
        row["scope"] = dict(change.scope)
    if change.event_id:
        row["id"] = change.event_id
    return row


def change_of(row: Row) -> Change:
    """A change as it was kept."""
    scope = tuple(sorted((row.get("scope") or {}).items()))
    at = datetime.fromisoformat(row["at"])
    return Change(at, row["kind"], row["from"], row["to"], row["source"], scope, row.get("id"))


def _said(change: Change) -> tuple[object, ...]:
    return change.at, change.kind, change.before, change.after, change.scope
