"""Changes as a table: `time`, `kind`, `from`, `to`, `scope`, as JSON lines, one JSON list, or CSV."""

from __future__ import annotations

from pathlib import Path

from unquiet.model.changes import Change
from unquiet.model.rejections import ReadReport
from unquiet.sources.changes.rows import each, moment, rows_of, scope_of
from unquiet.sources.columns import scalar_text
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.json_records import Record


class ChangeTable:
    """A table of changes."""

    name = "a table with the columns time, kind, from, to (and scope), as JSON lines or CSV"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with a time and a kind."""
        return 0.8 if glimpse.has("time", "kind") else 0.0

    def read(self, path: Path, report: ReadReport) -> list[Change]:
        """One change a row."""
        return each(rows_of(path, report), report, _change)


def _change(row: Record, source: str) -> Change:
    kind = scalar_text(row.get("kind"))
    if not kind:
        raise ValueError("the change has no kind; name what changed (model, prompt, tools, release ...)")
    at = moment(row.get("time"))
    before, after = (scalar_text(row.get(name)) or None for name in ("from", "to"))
    return Change(at, kind, before, after, source, scope_of(row.get("scope")), scalar_text(row.get("id")) or None)
