"""Changes as PagerDuty change events: the body of its enqueue call (Events API v2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unquiet.model.changes import Change
from unquiet.model.rejections import ReadReport
from unquiet.sources.changes.rows import each, fields, moment, rows_of, scope_of, text
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.json_records import Record


class PagerDutyChanges:
    """PagerDuty change events, one a line or a list."""

    name = "PagerDuty change events (JSON)"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with the summary of a payload."""
        return 0.9 if glimpse.has("payload.summary") else 0.0

    def read(self, path: Path, report: ReadReport) -> list[Change]:
        """One change an event."""
        return each(rows_of(path, report), report, lambda row, _: pagerduty_change(row, None))


def pagerduty_change(event: Record, now_us: int | None) -> Change:
    """The change of an event; `now_us` as in `event_change`. Its routing key is a secret of somebody: it is not read.

    Out of `custom_details` come `kind`, `from`, `to` or `version`, `scope`; else it is a release named by its summary.

    Raises:
        ValueError: what is needed is missing.
    """
    payload = fields(event.get("payload"))
    summary = text(payload.get("summary"))
    if summary is None:
        raise ValueError("the event has no payload.summary; a PagerDuty change event needs one")
    said = fields(payload.get("custom_details"))
    after = text(said.get("to")) or text(said.get("version")) or summary
    source = text(payload.get("source")) or "PagerDuty change event"
    link = _link(event.get("links"))
    return Change(
        moment(payload.get("timestamp"), now_us),
        text(said.get("kind")) or "release",
        text(said.get("from")),
        after,
        f"{source} ({link})" if link else source,
        scope_of(said.get("scope")),
    )


def _link(links: Any) -> str | None:
    """The first address, without what may be a secret in its query."""
    found = [text(fields(link).get("href")) for link in links] if isinstance(links, list) else []
    return next((each.partition("?")[0] for each in found if each and each.startswith(("https://", "http://"))), None)
