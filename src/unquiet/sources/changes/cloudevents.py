"""Changes as CloudEvents 1.0 (specification: cloudevents/spec), CDEvents (cdevents/spec) among them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unquiet.model.changes import Change
from unquiet.model.rejections import ReadReport
from unquiet.sources.changes.rows import NoChange, each, fields, moment, rows_of, scope_of, text
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.json_records import Record

_CDEVENT = re.compile(r"dev\.cdevents\.(?P<subject>[a-z]+)\.(?P<what>[a-z]+)(?:\.|$)")
_IN_SERVICE = {
    ("service", "deployed"),
    ("service", "upgraded"),
    ("service", "rolledback"),
    ("service", "removed"),
    ("environment", "created"),
    ("environment", "modified"),
    ("environment", "deleted"),
}
"""The events of CDEvents that change what runs; those of pipelines, tests and artifacts do not."""


class CloudEvents:
    """CloudEvents: structured events one a line, one alone, or a batch."""

    name = "CloudEvents 1.0 (JSON)"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with the version of the specification and a type."""
        return 0.95 if glimpse.has("specversion", "type") else 0.0

    def read(self, path: Path, report: ReadReport) -> list[Change]:
        """One change an event."""
        return each(rows_of(path, report), report, lambda row, _: event_change(row, None))


def event_change(event: Record, now_us: int | None) -> Change:
    """The change of a structured event; `now_us` is the present for events that came just now, None where they are old.

    Out of `data` come `kind`, `from`, `to` or `version`, `scope`; a CDEvent tells the artifact that came.

    Raises:
        NoChange: an event of CDEvents that changes nothing that runs. ValueError: what is needed is missing.
    """
    kind, source, key = (text(event.get(name)) for name in ("type", "source", "id"))
    if kind is None or source is None or key is None:
        raise ValueError("the event has no type, source or id; a CloudEvent needs all three")
    data = fields(event.get("data"))
    at = event.get("time")
    after = text(event.get("subject"))
    if isinstance(data.get("context"), dict) and isinstance(data.get("subject"), dict):
        kind, after = _of_cdevent(data)
        at = at or fields(data["context"]).get("timestamp")
        data = fields(data.get("customData"))
    return Change(
        moment(at, now_us),
        text(data.get("kind")) or kind,
        text(data.get("from")),
        text(data.get("to")) or text(data.get("version")) or after,
        source,
        scope_of(data.get("scope")),
        f"{source} {key}",
    )


def _of_cdevent(data: Mapping[str, Any]) -> tuple[str, str | None]:
    """Kind and version of a CDEvent."""
    said = text(fields(data["context"]).get("type")) or ""
    match = _CDEVENT.match(said)
    if match is None or (match["subject"], match["what"]) not in _IN_SERVICE:
        raise NoChange(f"an event of type {said or 'none'} changes nothing that runs")
    subject = fields(data["subject"])
    artifact = text(fields(subject.get("content")).get("artifactId"))
    if artifact is not None:
        # A package URL: pkg:oci/name@version?qualifiers
        name, _, version = artifact.partition("?")[0].partition("@")
        return match["subject"], version or name
    return match["subject"], match["what"] if match["what"] == "removed" else text(subject.get("id"))
