"""The changes door: deploy markers, events and exports of other tools become changes.

A format is one class of the protocol `ChangeFormat` in a file of its own, and a line in `CHANGE_FORMATS`.
"""

from __future__ import annotations

from pathlib import Path

from unquiet.model.changes import Change
from unquiet.model.errors import UnreadableSource
from unquiet.model.rejections import ReadReport
from unquiet.sources.changes.cloudevents import CloudEvents, event_change
from unquiet.sources.changes.git_tags import GitTags, tags_of
from unquiet.sources.changes.github import GitHubDeployments, GitHubReleases
from unquiet.sources.changes.pagerduty import PagerDutyChanges, pagerduty_change
from unquiet.sources.changes.rows import ChangeFormat, NoChange, moment, scope_of
from unquiet.sources.changes.table import ChangeTable
from unquiet.sources.glimpse import look_at

__all__ = [
    "CHANGE_FORMATS",
    "NoChange",
    "event_change",
    "moment",
    "pagerduty_change",
    "read_changes",
    "scope_of",
    "tags_of",
]

CHANGE_FORMATS: tuple[ChangeFormat, ...] = (
    ChangeTable(),
    CloudEvents(),
    PagerDutyChanges(),
    GitHubDeployments(),
    GitHubReleases(),
    GitTags(),
)
"""The formats; where two are equally sure, the first reads the file."""


def read_changes(path: Path, report: ReadReport) -> list[Change]:
    """The changes of a file, in order of their times (equal times: in order of the file).

    Rows without a readable time or a kind are rejected; times without a zone count as UTC. Changes may lie
    in the future.

    Raises:
        UnreadableSource: the file is missing, empty, or of none of the formats.
    """
    if path.is_dir():
        raise UnreadableSource(f"{path}: a folder, but a file of changes is expected. Name the file in it.")
    glimpse = look_at(path)
    allowed = f"A file of changes is {'; '.join(each.name for each in CHANGE_FORMATS)}."
    if glimpse.shape == "empty":
        raise UnreadableSource(f"{path}: the file is empty. {allowed}")
    scores = [each.sniff(glimpse) for each in CHANGE_FORMATS]
    best = max(range(len(scores)), key=scores.__getitem__)
    if scores[best] <= 0:
        found = ", ".join(sorted(glimpse.keys)[:20]) or "none"
        raise UnreadableSource(f"{path}: no columns time and kind; found: {found}. {allowed}")
    return sorted(CHANGE_FORMATS[best].read(path, report), key=lambda change: change.at)
