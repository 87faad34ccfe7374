"""Every format of changes: what is understood of it, and what is rejected and counted."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from unquiet.model.changes import Change
from unquiet.model.errors import UnreadableSource
from unquiet.model.rejections import ReadReport
from unquiet.sources.changes import read_changes, tags_of

EVENT = {
    "specversion": "1.0",
    "id": "7",
    "source": "/ci",
    "type": "com.example.release",
    "time": "2026-03-10T14:07:00Z",
}
CDEVENT = {
    **EVENT,
    "type": "dev.cdevents.service.deployed.0.2.0",
    "data": {
        "context": {"type": "dev.cdevents.service.deployed.0.2.0", "timestamp": "2026-03-10T15:00:00Z"},
        "subject": {
            "id": "agent",
            "content": {"environment": {"id": "prod"}, "artifactId": "pkg:oci/agent@sha256:ab12?tag=3"},
        },
        "customData": {"scope": {"tenant": "harbor"}},
    },
}
PIPELINE = {**EVENT, "data": {"context": {"type": "dev.cdevents.pipelinerun.started.0.2.0"}, "subject": {"id": "run"}}}
PAGERDUTY = {
    "routing_key": "s3cret",
    "payload": {
        "summary": "Build 12 deployed",
        "timestamp": "2026-03-10T14:07:00Z",
        "source": "ci",
        "custom_details": {"kind": "prompt", "from": "p1", "to": "p2", "scope": "tenant=harbor, locale=de-DE"},
    },
    "links": [{"href": "https://ci.example/12?token=s3cret", "text": "run"}],
}
STAGING = {"id": 3, "sha": "c", "ref": "v3", "environment": "staging", "created_at": "2026-03-10T10:00:00Z"}


def deployment(number: int, day: int, **more: Any) -> dict[str, Any]:
    at = f"2026-03-{day:02}T10:00:00Z"
    return {"id": number, "ref": f"v{number}", "sha": "a", "environment": "production", "created_at": at, **more}


def status(number: int, day: int, state: str) -> dict[str, Any]:
    url = f"https://api.github.example/repos/o/r/deployments/{number}"
    at = f"2026-03-{day:02}T11:00:00Z"
    return {"id": 900 + number, "state": state, "deployment_url": url, "environment": "production", "created_at": at}


def read(folder: Path, content: object) -> tuple[list[Change], ReadReport]:
    path = folder / "changes"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    report = ReadReport()
    return read_changes(path, report), report


def said(changes: list[Change]) -> list[tuple[str, str | None, str | None]]:
    return [(change.kind, change.before, change.after) for change in changes]


def test_a_table_may_say_where(tmp_path: Path) -> None:
    row = {"time": "2026-03-10", "kind": "prompt", "to": "p2", "id": "x1"}
    (change,), _ = read(tmp_path, {**row, "scope": {"tenant": "harbor"}})
    assert (change.scope, change.event_id) == ((("tenant", "harbor"),), "x1")
    (change,), _ = read(tmp_path, 'time,kind,to,scope\n2026-03-10,prompt,p2,"locale=de-DE, tenant=harbor"\n')
    assert change.scope == (("locale", "de-DE"), ("tenant", "harbor"))
    none, report = read(tmp_path, "time,kind,to,scope\n2026-03-10,prompt,p2,harbor\n")
    assert (none, report.rejected) == ([], {"unreadable change": 1})


def test_cloudevents(tmp_path: Path) -> None:
    plain = {**EVENT, "data": {"kind": "prompt", "from": "p1", "to": "p2"}}
    undated = {name: value for name, value in EVENT.items() if name != "time"}
    nameless = {**EVENT, "id": None}
    changes, report = read(tmp_path, [plain, {**EVENT, "subject": "v9"}, CDEVENT, PIPELINE, undated, nameless])
    assert said(changes) == [
        ("prompt", "p1", "p2"),
        ("com.example.release", None, "v9"),
        ("service", None, "sha256:ab12"),
    ]
    assert changes[2].scope == (("tenant", "harbor"),)
    assert changes[0].event_id == "/ci 7"
    assert (report.rows, report.rejected) == (6, {"not a change": 1, "unreadable change": 2})
    assert said(read(tmp_path, "\n".join(map(json.dumps, [plain, EVENT])))[0])[0] == ("prompt", "p1", "p2")


def test_pagerduty_change_events(tmp_path: Path) -> None:
    undated = {"payload": {"summary": "x"}}
    (change,), report = read(tmp_path, [PAGERDUTY, undated, {"payload": {"summary": ""}}])
    assert said([change]) == [("prompt", "p1", "p2")]
    assert change.source == "ci (https://ci.example/12)"
    assert change.scope == (("locale", "de-DE"), ("tenant", "harbor"))
    assert report.rejected == {"unreadable change": 2}


def test_github_deployments_count_when_they_are_live(tmp_path: Path) -> None:
    rows = [
        deployment(2, 11),
        deployment(1, 10),
        deployment(4, 13),
        STAGING,
        status(2, 12, "success"),
        status(2, 11, "in_progress"),
        status(4, 13, "failure"),
        status(77, 13, "success"),
    ]
    changes, report = read(tmp_path, rows)
    assert said(changes) == [("deploy", None, "v1"), ("deploy", "v1", "v2")]
    assert changes[1].at == datetime.fromisoformat("2026-03-12T11:00:00Z")
    assert report.rejected == {"not a change": 2, "unreadable change": 1}


def test_github_webhooks(tmp_path: Path) -> None:
    hook = {"action": "created", "deployment": deployment(2, 11), "deployment_status": status(2, 12, "success")}
    (change,), report = read(tmp_path, hook)
    assert (change.after, change.at) == ("v2", datetime.fromisoformat("2026-03-12T11:00:00Z"))
    assert not report.rejected


def test_github_releases(tmp_path: Path) -> None:
    rows = [
        {"id": 2, "tag_name": "v2", "draft": False, "published_at": "2026-03-12T11:00:00Z", "created_at": "2026-03-01"},
        {"id": 1, "tag_name": "v1", "draft": False, "published_at": "2026-03-10T11:00:00Z"},
        {"id": 3, "tag_name": "v3", "draft": True, "published_at": None, "created_at": "2026-03-13"},
    ]
    changes, report = read(tmp_path, rows)
    assert said(changes) == [("release", None, "v1"), ("release", "v1", "v2")]
    assert report.rejected == {"not a change": 1}


TAGS = (
    "2026-03-01T10:00:00+01:00\tv1.0\n"
    "2026-03-02T10:00:00+01:00\tagent/v7\n"
    "2026-03-03T10:00:00+01:00\tv1.1\n"
    "soon\tv1.2\n"
    "2026-03-04T10:00:00+01:00\tagent/v8\n"
)


def test_git_tags_of_a_file_follow_those_of_the_same_component(tmp_path: Path) -> None:
    changes, report = read(tmp_path, TAGS)
    assert said(changes) == [
        ("release", None, "v1.0"),
        ("release", None, "agent/v7"),
        ("release", "v1.0", "v1.1"),
        ("release", "agent/v7", "agent/v8"),
    ]
    assert (report.rows, report.rejected) == (5, {"unreadable change": 1})


def test_git_tags_of_a_repository(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        who = ("-c", "user.name=n", "-c", "user.email=n@example.com", "-c", "commit.gpgsign=false")
        subprocess.run(["git", "-C", str(tmp_path), *who, *words], check=True, capture_output=True)

    git("init")
    git("commit", "--allow-empty", "-m", "one")
    git("tag", "v1")
    git("tag", "-a", "v2", "-m", "two")
    report = ReadReport()
    assert {change.after for change in tags_of(tmp_path, report)} == {"v1", "v2"}
    assert report.rows == 2
    with pytest.raises(UnreadableSource, match="found no repository"):
        tags_of(tmp_path / "nowhere", ReadReport())


@pytest.mark.parametrize("content", ["{}", "[]", '{"specversion": 1}', "v1\nv2\n"])
def test_other_files_are_refused_with_what_can_be_read(tmp_path: Path, content: str) -> None:
    with pytest.raises(UnreadableSource, match=r"CloudEvents .*; PagerDuty .*; GitHub deployments .*; Git tags"):
        read(tmp_path, content)
