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


def mark(store: Store, change: Change) -> bool:
    """Remember a change durably; False where it is known already. Of very many the oldest are dropped."""
    known: list[dict[str, Any]] = store.get_setting(MARKS) or []
    row: dict[str, Any] = {
        "at": change.at.astimezone(UTC).isoformat(),
        "kind": change.kind,
        "from": change.before,
        "to": change.after,
        "source": change.source,
    }
    if any({**each, "source": None} == {**row, "source": None} for each in known):
        return False
    store.put_setting(MARKS, sorted([*known, row], key=lambda each: each["at"])[-MOST_MARKS:])
    return True


def marks(store: Store) -> list[Change]:
    """The changes that were marked, in order of time."""
    return [
        Change(datetime.fromisoformat(row["at"]), row["kind"], row["from"], row["to"], row["source"])
        for row in store.get_setting(MARKS) or []
    ]


def announced(store: Store, files: Sequence[Path], report: ReadReport | None = None) -> list[Change]:
    """All announced changes, in order of time; rows of files that cannot be read are counted in `report`.

    Raises:
        UnreadableSource: a file cannot be read at all.
    """
    said = ReadReport() if report is None else report
    found = [*marks(store), *(change for path in files for change in read_changes(path, said))]
    return sorted(found, key=lambda change: change.at)
