"""What the API answers, and what it hands on to the service."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from unquiet.model.errors import StoreError, UnreadableSource
from unquiet.selfwatch import READY
from unquiet.web.backend import Action
from web_backends import DOCUMENT, ID, NOW_US, ORIGIN, FakeBackend, client_of

AT = datetime.fromtimestamp(NOW_US / 1e6, UTC)


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def client(backend: FakeBackend) -> TestClient:
    made = client_of(backend)
    made.headers.update(ORIGIN)
    return made


def test_incidents_are_whole(client: TestClient) -> None:
    assert client.get(f"/api/v1/incidents/{ID}").json() == DOCUMENT
    assert [each["id"] for each in client.get("/api/v1/incidents").json()["incidents"]] == [ID, "20260312-aa0001"]
    assert [each["id"] for each in client.get("/api/v1/incidents?status=open").json()["incidents"]] == [ID]
    assert client.get("/api/v1/incidents?status=muted").json() == {"incidents": []}


def test_an_incident_of_the_mix_and_fields_to_come_pass(client: TestClient, backend: FakeBackend) -> None:
    document = {
        **DOCUMENT,
        "kinds": [{"id": 1, "label": "esim / roaming", "sessions": 90, "examples": ["a"]}],
        "signal": "mix",
        "muted": {"until": "2027-01-01T00:00:00Z"},
        "by_day": [{"day": "2026-03-02", "n": 0, "rate": None, "expected": None}],
    }
    document.pop("answers")
    backend.documents[ID] = document
    assert client.get(f"/api/v1/incidents/{ID}").json() == document


@pytest.mark.parametrize("verb", ["acknowledge", "unacknowledge", "accept", "unmute"])
def test_actions_are_handed_on(verb: Any, client: TestClient, backend: FakeBackend) -> None:
    answer = client.post(f"/api/v1/incidents/{ID}/{verb}", json={"who": "Ada", "note": "known"})
    assert answer.status_code == 200
    assert answer.json()["handled_by"] == "Ada"
    client.post(f"/api/v1/incidents/{ID}/{verb}", json={})
    assert backend.actions == [(ID, Action(verb, "Ada", "known")), (ID, Action(verb, "local"))]


def test_a_report_of_evals_is_handed_on_as_it_is(client: TestClient, backend: FakeBackend) -> None:
    path, content = "/api/v1/evals?name=nightly.xml", b"<testsuite/>" + b" " * (1 << 20)
    for kind in ("application/xml", "application/octet-stream", "application/json"):
        answer = client.post(path, content=content, headers={"content-type": kind})
        assert (answer.status_code, answer.json()["added"]) == (201, 60)
    assert backend.reports == [("nightly.xml", content)] * 3
    assert client.get("/api/v1/evals").json() == backend.evals()
    assert client.post(path, content=b"x", headers={"content-type": "text/plain"}).status_code == 415
    large = client.post(path, content=bytes((16 << 20) + 1), headers={"content-type": "application/xml"})
    assert (large.status_code, "16777216 are allowed" in large.json()["detail"]) == (413, True)
    foreign = {"content-type": "application/xml", "origin": "http://elsewhere.example"}
    assert client.post(path, content=content, headers=foreign).status_code == 403
    assert len(backend.reports) == 3


def test_a_report_that_cannot_be_read_is_answered_with_422(client: TestClient, backend: FakeBackend) -> None:
    def refuse(name: str, content: bytes) -> Any:
        del content
        raise UnreadableSource(f"{name}: the XML is damaged. Write the report again.")

    backend.add_evals = refuse  # type: ignore[method-assign]
    answer = client.post("/api/v1/evals", content=b"<", headers={"content-type": "application/xml"})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "report: the XML is damaged. Write the report again"


def test_mute_needs_an_end_and_a_reason(client: TestClient, backend: FakeBackend) -> None:
    path = f"/api/v1/incidents/{ID}/mute"
    answer = client.post(path, json={"until": "2026-04-01T02:00:00+02:00", "reason": "a known campaign"})
    assert answer.status_code == 200
    april = round(datetime(2026, 4, 1, tzinfo=UTC).timestamp() * 1e6)
    assert backend.actions == [(ID, Action("mute", "local", None, april, "a known campaign"))]
    past = client.post(path, json={"until": "2026-03-01T00:00:00Z", "reason": "x"})
    assert past.status_code == 409
    assert "got the end 2026-03-01T00:00:00Z, which has passed" in past.json()["detail"]
    for body in (
        {},
        {"until": "2027-01-01T00:00:00Z"},
        {"until": "2027-01-01T00:00:00", "reason": "x"},
        {"until": 1, "reason": "x"},
    ):
        assert client.post(path, json=body).status_code == 422
    assert len(backend.actions) == 1


def test_errors_say_what_was_got_what_is_allowed_and_what_to_do(client: TestClient) -> None:
    unknown = client.get("/api/v1/incidents/nope")
    assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")
    assert unknown.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "got the incident 'nope', which does not exist",
        "next": "GET /api/v1/incidents lists the ids that there are.",
        "errors": [],
    }
    assert client.post("/api/v1/incidents/nope/accept", json={}).status_code == 404
    resolved = client.post("/api/v1/incidents/20260312-aa0001/acknowledge", json={})
    assert (resolved.status_code, resolved.json()["title"]) == (409, "Conflict")
    assert client.get("/api/v1/incidents?stauts=open").status_code == 422
    wrong = client.get("/api/v1/incidents?status=closed").json()["errors"]
    assert wrong[0]["where"] == "query.status"
    assert wrong[0]["got"] == "'closed'"
    assert "'acknowledged'" in wrong[0]["allowed"]
    missing = client.get("/api/v2/incidents")
    assert (missing.status_code, missing.json()["next"]) == (404, "The paths are in /api/openapi.json.")


def test_what_the_service_cannot_do_is_503(
    client: TestClient, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> dict[str, object]:
        raise StoreError("No space left while reading. Free some space.")

    monkeypatch.setattr(backend, "status", full)
    answer = client.get("/api/v1/status")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert answer.json()["detail"] == "No space left while reading. Free some space."


EVENT = {"specversion": "1.0", "id": "7", "source": "/ci/deploys", "type": "dev.cdevents.service.deployed.0.2.0"}
MARKS: list[tuple[object, tuple[str, str | None, str | None, str, str]]] = [
    ({"kind": "prompt", "from": "v11", "to": "v12"}, ("prompt", "v11", "v12", "2026-03-14T14:53:20Z", "local")),
    (
        {"kind": "model", "at": "2026-03-10T14:07:00+01:00", "source": "gitlab"},
        ("model", None, None, "2026-03-10T13:07:00Z", "gitlab"),
    ),
    (
        {**EVENT, "subject": "billing-agent", "time": "2026-03-10T14:07:00Z"},
        (EVENT["type"], None, "billing-agent", "2026-03-10T14:07:00Z", "/ci/deploys"),
    ),
    (
        {**EVENT, "datacontenttype": "application/json", "data": {"kind": "prompt", "from": "a", "to": "b", "n": 3}},
        ("prompt", "a", "b", "2026-03-14T14:53:20Z", "/ci/deploys"),
    ),
    ({**EVENT, "data": {"version": "5.3"}}, (EVENT["type"], None, "5.3", "2026-03-14T14:53:20Z", "/ci/deploys")),
    (
        {
            "routing_key": "s3cret",
            "payload": {"summary": "Deployed 5.3", "source": "ci", "timestamp": "2026-03-10T14:07:00Z"},
        },
        ("release", None, "Deployed 5.3", "2026-03-10T14:07:00Z", "ci"),
    ),
    (
        {"payload": {"summary": "x", "custom_details": {"kind": "prompt", "from": "1", "to": "2"}}, "links": []},
        ("prompt", "1", "2", "2026-03-14T14:53:20Z", "PagerDuty change event"),
    ),
]


@pytest.mark.parametrize(("body", "expected"), MARKS)
def test_deploy_markers(body: object, expected: tuple[str, ...], client: TestClient, backend: FakeBackend) -> None:
    answer = client.post("/api/v1/changes", json=body)
    assert answer.status_code == 201
    assert "s3cret" not in answer.text
    (told,) = answer.json()["changes"]
    assert (told["kind"], told["from"], told["to"], told["at"], told["source"]) == expected
    (change,) = backend.marked
    assert (change.kind, change.before, change.after, change.source) == (*expected[:3], expected[4])
    assert change.at == datetime.fromisoformat(expected[3])
    assert told in client.get("/api/v1/changes").json()["changes"]


def test_cloudevents_in_every_mode(client: TestClient, backend: FakeBackend) -> None:
    structured = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
    assert client.post("/api/v1/changes", content=json.dumps(EVENT), headers=structured).status_code == 201
    batch = {"Content-Type": "application/cloudevents-batch+json"}
    assert client.post("/api/v1/changes", content=json.dumps([EVENT, EVENT]), headers=batch).status_code == 201
    binary = {f"ce-{name}": value for name, value in EVENT.items()} | {"ce-subject": "K%C3%B6ln"}
    assert client.post("/api/v1/changes", json={"kind": "prompt"}, headers=binary).status_code == 201
    assert [(c.kind, c.after) for c in backend.marked[3:]] == [("prompt", "Köln")]
    bad = {**binary, "Content-Type": "application/json", "ce-specversion": "2"}
    assert (
        client.post("/api/v1/changes", content=b"{", headers=binary | {"Content-Type": "application/json"}).status_code
        == 422
    )
    assert client.post("/api/v1/changes", content=b"{}", headers=bad).status_code == 422
    assert len(backend.marked) == 4


def test_pagerduty_senders_find_their_address(client: TestClient, backend: FakeBackend) -> None:
    body = {"routing_key": "s3cret", "payload": {"summary": "Deployed 5.3", "custom_details": {"scope": "tenant=a"}}}
    answer = client.post("/v2/change/enqueue", json=body)
    assert (answer.status_code, answer.json()) == (202, {"status": "success", "message": "Change event processed"})
    assert [(c.after, c.scope) for c in backend.marked] == [("Deployed 5.3", (("tenant", "a"),))]
    assert client.post("/v2/change/enqueue", json={"kind": "x"}).status_code == 422


def test_ids_and_scopes_are_kept_and_events_of_pipelines_announce_nothing(
    client: TestClient, backend: FakeBackend
) -> None:
    told = client.post("/api/v1/changes", json={"kind": "x", "to": "2", "id": "a1", "scope": {"tenant": "a"}}).json()
    assert told["changes"][0]["scope"] == {"tenant": "a"}
    assert client.post("/api/v1/changes", json=EVENT).status_code == 201
    assert [change.event_id for change in backend.marked] == ["a1", "/ci/deploys 7"]
    data = {"context": {"type": "dev.cdevents.testcaserun.finished.0.2.0"}, "subject": {"id": "t"}}
    answer = client.post("/api/v1/changes", json={**EVENT, "data": data})
    assert (answer.status_code, answer.json()["changes"]) == (201, [])
    bad = client.post("/api/v1/changes", json={**EVENT, "data": {"scope": "harbor"}})
    assert bad.status_code == 422
    assert len(backend.marked) == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": ""},
        {"kind": "x", "form": "typo"},
        {"kind": "x", "at": "yesterday"},
        {"kind": "x", "at": "1969-12-31T23:59:59Z"},
        {"kind": "x", "at": 1_700_000_000},
        {"specversion": "0.3", "id": "1", "source": "/", "type": "t"},
        {"specversion": "1.0", "id": "1", "type": "t"},
        {"payload": "text"},
        [],
        [{"kind": "x"}],
        "text",
        None,
    ],
)
def test_announcements_that_say_nothing_are_refused(body: object, client: TestClient, backend: FakeBackend) -> None:
    answer = client.post("/api/v1/changes", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert backend.marked == []


def test_secrets_in_flawed_bodies_are_not_told_back(client: TestClient) -> None:
    answer = client.post("/api/v1/changes", json={"kind": "x", "routing_key": "s3cret", "other": "plain"})
    assert {each["where"]: each["got"] for each in answer.json()["errors"]} == {
        "body.change.routing_key": "",
        "body.change.other": "'plain'",
    }
    assert "s3cret" not in answer.text


def test_voices_are_checked(client: TestClient, backend: FakeBackend) -> None:
    good = {"voice_id": "t1", "time": "2026-03-10T10:00:00Z", "text": "It refused."}
    for wrong in ({"text": None}, {"time": "now"}, {"rating": 3}, {"kind": "poem"}, {"more": 1}, {"voice_id": ""}):
        assert client.post("/api/v1/voices", json={"voices": [{**good, **wrong}]}).status_code == 422
    assert backend.said == []
    answer = client.post("/api/v1/voices", json={"voices": [good]})
    assert (answer.status_code, answer.json()) == (201, {"added": 1, "known": 0})
    ((rows, more),) = backend.said
    assert (rows[0]["time"], rows[0]["kind"], more) == (1_773_136_800_000_000, "ticket", False)
    assert client.get("/api/v1/voices").json()["voices"] == 0


def test_forget_needs_somebody(client: TestClient, backend: FakeBackend) -> None:
    assert client.post("/api/v1/forget", json={}).status_code == 422
    assert client.post("/api/v1/forget", json={"user": None}).status_code == 422
    assert client.post("/api/v1/forget", json={"user": "u", "all": True}).status_code == 422
    assert backend.forgotten == []
    assert client.post("/api/v1/forget", json={"session": "s1"}).json() == {"deleted": {"turns": 3, "sessions": 1}}
    client.post("/api/v1/forget", json={"user": "u", "session": "s"})
    assert backend.forgotten == [(None, "s1"), ("u", "s")]


def test_the_rest_is_told_as_it_is(client: TestClient, backend: FakeBackend) -> None:
    assert client.get("/api/v1/status").json() == backend.status()
    assert client.get("/api/v1/alerts").json() == {"alerts": backend.alert_log()}
    assert client.post("/api/v1/alerts/test", json={}).json() == {"results": backend.alerts_test()}
    backend.failing("clock-skew", detail="app is 5 min ahead")
    told = {each["name"]: each for each in client.get("/api/v1/conditions").json()["conditions"]}
    assert told["clock-skew"] == {
        "name": "clock-skew",
        "state": "failing",
        "severity": "warning",
        "detail": "app is 5 min ahead",
        "todo": "restart",
        "since": "2026-03-14T14:53:20Z",
    }


def test_health_fails_for_what_is_critical(client: TestClient, backend: FakeBackend) -> None:
    assert client.get("/healthz").status_code == 200
    backend.failing("clock-skew")
    assert client.get("/healthz").status_code == 200
    backend.failing("detection-stalled", state="unknown")
    assert client.get("/healthz").status_code == 200
    backend.failing("detection-stalled")
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["detection-stalled: it hangs"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_stale_or_unknown_heartbeat_fails(path: str, client: TestClient, backend: FakeBackend) -> None:
    backend.beat_us = NOW_US - 61_000_000
    answer = client.get(path)
    assert (answer.status_code, answer.json()["reasons"]) == (503, ["the service's loop went round last 61 s ago"])
    backend.beat_us = None
    assert client.get(path).status_code == 503


@pytest.mark.parametrize("name", READY)
@pytest.mark.parametrize("state", ["failing", "unknown"])
def test_unknown_is_not_ready(name: str, state: str, client: TestClient, backend: FakeBackend) -> None:
    assert client.get("/readyz").status_code == 200
    backend.failing(name, state=state)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["reasons"]) == (503, [f"{name}: it hangs"])
    backend.found = [each for each in backend.found if each.name != name]
    assert client.get("/readyz").json()["reasons"] == [f"{name}: unknown"]


@pytest.mark.parametrize(("lag", "status"), [(None, 503), (61.0, 503), (59.0, 200)])
def test_a_drain_behind_is_not_ready(lag: float | None, status: int, client: TestClient, backend: FakeBackend) -> None:
    from dataclasses import replace

    backend.figures = replace(backend.figures, drain_lag_s=lag)
    assert client.get("/readyz").status_code == status
    assert client.get("/healthz").status_code == 200
