"""Changes as GitHub tells them: deployments with their statuses, and releases, as its REST API and webhooks hold them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from unquiet.model.changes import Change
from unquiet.model.rejections import ReadReport
from unquiet.sources.changes.lines import chained
from unquiet.sources.changes.rows import NoChange, each, fields, moment, rows_of, text
from unquiet.sources.columns import scalar_text
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.json_records import Record

_ELSEWHERE = re.compile(r"stag|dev|test|preview|\bqa\b|sandbox|github-pages", re.IGNORECASE)
_ID = re.compile(r"/deployments/(\d+)")


class GitHubDeployments:
    """Deployments, deployment statuses (also mixed, as in two exports put together) and the webhooks of both.

    What went live counts: a deployment with statuses by its first success, one without any by its creation.
    """

    name = "GitHub deployments and deployment statuses (JSON)"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with an environment and what only these have."""
        plain = glimpse.has("environment", "created_at") and bool(glimpse.keys & {"sha", "deployment_url", "task"})
        hook = glimpse.has("deployment.id") or glimpse.has("deployment_status.state")
        return 0.9 if plain or hook else 0.0

    def read(self, path: Path, report: ReadReport) -> list[Change]:
        """One change a deployment to production, `from` the last one of the same environment."""
        rows = rows_of(path, report)
        statuses = _statuses([row for row, _ in rows])
        deployments = [(_deployment(row), place) for row, place in rows if _deployment(row)]
        known = {scalar_text(row.get("id")) for row, _ in deployments}
        lost = [(row, place) for row, place in rows if not _deployment(row) and _owner(row) not in known]
        found = {scalar_text(row.get("id")): (row, place) for row, place in deployments}
        changes = each(list(found.values()), report, lambda row, _: _deployed(row, statuses))
        for _, place in lost:
            report.reject(place, "a status of a deployment that is not in the file; export both", "unreadable change")
        return chained(changes, lambda change: change.source.rpartition(" ")[0])


class GitHubReleases:
    """Releases."""

    name = "GitHub releases (JSON)"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with a tag and when it was published."""
        hook = glimpse.has("release.tag_name")
        return 0.9 if hook or (glimpse.has("tag_name") and bool(glimpse.keys & {"published_at", "created_at"})) else 0.0

    def read(self, path: Path, report: ReadReport) -> list[Change]:
        """One change a published release."""
        rows = [(fields(row.get("release")) or row, place) for row, place in rows_of(path, report)]
        return chained(each([(dict(row), place) for row, place in rows], report, _released), lambda _: "")


def _deployment(row: Record) -> Record:
    inner = row.get("deployment")
    return inner if isinstance(inner, dict) else {} if "deployment_url" in row or "state" in row else row


def _owner(status: Record) -> str:
    match = _ID.search(text(status.get("deployment_url")) or "")
    return match[1] if match else ""


def _statuses(rows: Sequence[Record]) -> dict[str, list[Record]]:
    """The statuses of each deployment, by its id."""
    found: dict[str, list[Record]] = {}
    for row in rows:
        inner, mine = fields(row.get("deployment_status")), _deployment(row)
        nested = row.get("statuses")
        own = [dict(inner)] if inner else nested if isinstance(nested, list) else [] if mine else [row]
        key = scalar_text(mine.get("id")) if mine else _owner(row)
        found.setdefault(key or "", []).extend(dict(fields(each)) for each in own)
    return found


def _deployed(row: Record, statuses: dict[str, list[Record]]) -> Change:
    key, environment = scalar_text(row.get("id")), text(row.get("environment")) or "production"
    if not key:
        raise ValueError("the deployment has no id")
    if not row.get("production_environment") and _ELSEWHERE.search(environment):
        raise NoChange(f"a deployment to {environment}, not to production")
    at, known = row.get("created_at"), statuses.get(key, [])
    if known:
        live = sorted(str(status.get("created_at")) for status in known if status.get("state") == "success")
        if not live:
            raise NoChange(f"deployment {key} to {environment} never succeeded")
        at = live[0]
    after = text(row.get("ref")) or text(row.get("sha"))
    kind = text(row.get("task")) or "deploy"
    return Change(moment(at), kind, None, after, f"GitHub {environment} {key}", event_id=f"GitHub deployment {key}")


def _released(row: Record, _: str) -> Change:
    tag = text(row.get("tag_name"))
    if tag is None:
        raise ValueError("the release has no tag_name")
    if row.get("draft"):
        raise NoChange(f"the release {tag} is a draft")
    at = moment(row.get("published_at") or row.get("created_at"))
    return Change(at, "release", None, tag, "GitHub release", event_id=f"GitHub release {row.get('id') or tag}")
