"""The pages: HTML and JSON say the same, texts of others stay texts, and quiet is said only where it is known."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from fastapi.testclient import TestClient

from test_report import HOSTILE, Page, document, make_folder, turn_rows
from unquiet.model.errors import UnquietError
from unquiet.report import Facts
from unquiet.store import Store
from unquiet.web.access import COOKIE_S, Access
from unquiet.web.app import make_pages
from unquiet.web.backend import Action
from unquiet.web.folder import FolderShown
from unquiet.web.headers import SECURITY
from unquiet.web.pages.forms import login_of
from unquiet.web.pages.marking import NOT_CAPTURED, phrases_of, pieces, tools_of
from unquiet.web.pages.rendering import POLICY
from web_backends import DOCUMENT, FORM, GAP, ID, NOW_US, ORIGIN, STATUS, FakeBackend, client_of

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
TOKENS = Access(read_tokens={"grafana": "read-me"}, act_tokens={"ops": "act-please"})
PATHS = ("/now", "/changes", "/status", f"/incidents/{ID}")
UNSAID = {
    "schema",
    "path",
    "verb",
    "mark",
    "points",
    "verdict",
    "kind",
    "days",
    "marks",
    "made_at",
    "latest",
    "told_at",
}
"""Fields that a page draws or links instead of writing them down."""


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def client(backend: FakeBackend) -> TestClient:
    made = client_of(backend)
    made.headers.update(BROWSER)
    return made


def hostile() -> FakeBackend:
    """Names and texts of others, all of them meant to do harm."""
    found = FakeBackend()
    long = HOSTILE + "\n" + "y" * 100_000 + HOSTILE
    found.documents = {
        ID: {
            **DOCUMENT,
            "title": f"says {HOSTILE}: 2 % -> 61 % since Wed 11 Mar 12:00 (11:00-13:00 UTC), about 96 sessions",
            "slice": {HOSTILE: HOSTILE},
            "also_in": [{"x": HOSTILE}],
            "also_moved": [HOSTILE],
            "kinds": [{"id": 1, "label": HOSTILE, "sessions": 3, "examples": []}],
            "suspects": [
                {"kind": HOSTILE, "from": HOSTILE, "to": HOSTILE, "at": "2026-03-10T14:07:00Z", "source": HOSTILE}
            ],
            "answers": [{**DOCUMENT["answers"][0], "text": HOSTILE, "said": f'says "{HOSTILE}"'}],
            "handled": [
                {"verb": "mute", "who": HOSTILE, "at": "2026-03-11T00:00:00Z", "note": HOSTILE, "reason": HOSTILE}
            ],
            "mute": {"until": "2026-04-01T00:00:00Z", "reason": HOSTILE, "who": HOSTILE},
            "evidence": {"before": ["b8611721d2"], "after": [HOSTILE], "note": HOSTILE},
        }
    }
    turn = {"time": "2026-03-11T14:34:00+00:00", "input": HOSTILE, "output": long}
    turns = [
        {**turn, "session_id": name, "tool_calls": [{"name": HOSTILE, "error": HOSTILE}]}
        for name in ("b8611721d2", HOSTILE)
    ]
    causes = [{"cause": HOSTILE, "says": HOSTILE, "evidence": {HOSTILE: [HOSTILE]}}]
    voice = {"at": "2026-03-12T00:00:00Z", "joined_by": "user", "text": HOSTILE, "rating": None}
    voices = {
        "count": 1,
        "first_at": voice["at"],
        "alarm_at": None,
        "days_won": {"first_voice": 1.5},
        "examples": [voice],
    }

    def facts(incident_id: str) -> Facts | None:
        told = found.documents.get(incident_id)
        return told and Facts(told, turns, why_green={"causes": causes}, voices=voices)

    found.facts = facts  # type: ignore[method-assign]
    found.failing("clock-skew", detail=HOSTILE)
    return found


def read(text: str) -> str:
    """What a page shows."""
    body = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", text)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def squeezed(text: str) -> str:
    """Without blanks, and without the backticks that pages draw as code."""
    return re.sub(r"[\s`]+", "", text)


def leaves(value: Any, name: str = "") -> Iterator[str]:
    """Every text of a document that its page has to say."""
    if name in UNSAID:
        return
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each, name)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("make", [FakeBackend, hostile])
def test_a_page_and_its_twin_say_the_same(path: str, make: Any) -> None:
    client = client_of(make(), headers=BROWSER)
    page, twin = client.get(path), client.get(f"{path}.json")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    told = twin.json()
    shown, moments = squeezed(read(page.text)), {v for n, v in Page(page.text).attributes if n == "datetime"}
    said = list(leaves(told))
    assert len(said) > 5
    for each in said:
        if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", each):
            assert each in moments, each
        else:
            assert squeezed(each) in shown, each
    for each in (part for name in ("before", "after") for part in [told.get(name)] if part):
        assert f"{100 * each['low']:.0f} to {100 * each['high']:.0f}) of {each['n']} sessions" in read(page.text)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("make", [FakeBackend, hostile])
def test_twins_keep_their_documented_schema(path: str, make: Any, root: Path) -> None:
    client = client_of(make())
    api = client.get("/api/openapi.json").json()
    operation = api["paths"][f"{path.replace(ID, '{incident_id}')}.json"]["get"]
    schema = {**operation["responses"]["200"]["content"]["application/json"]["schema"], "components": api["components"]}
    told = client.get(f"{path}.json").json()
    assert [str(each) for each in jsonschema_rs.Draft202012Validator(schema).iter_errors(told)] == []
    assert not jsonschema_rs.Draft202012Validator(schema).is_valid({**told, "more": 1})
    assert f"## `{told['schema']}`" in (root / "docs" / "reference" / "pages.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [*PATHS, "/nope", f"/incidents/{HOSTILE[:40]}"])
def test_hostile_texts_stay_texts(path: str) -> None:
    answer = client_of(hostile(), headers=BROWSER).get(path)
    page = Page(answer.text)
    assert page.tags.count("script") == 1
    assert not {"img", "iframe", "object", "embed", "base", "audio", "video", "use", "style"} & set(page.tags)
    for name, value in page.attributes:
        assert name != "style"
        assert not name.startswith("on")
        if name in ("src", "href", "action"):
            assert re.match(r"[/#](?!/)", value or ""), value
    assert not re.search("[\u0000-\u0008\u000b-\u001f\u202a-\u202e\u2066-\u2069]", answer.text)
    assert len(answer.text) < 120_000
    assert answer.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    if path == PATHS[-1]:
        assert "characters not shown" in answer.text
        assert "{{ 7*7 }} {% raw %}" in answer.text


def test_what_pages_load_is_ours_and_may_be_kept(client: TestClient) -> None:
    attributes = Page(client.get("/now").text).attributes
    loaded = {value for name, value in attributes if name in ("src", "href") and value and value.startswith("/static/")}
    assert len(loaded) == 4
    for each in loaded:
        answer = client.get(each)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert client.get("/static/x/nope.css").status_code == 404
    assert client.get("/static/x/..%2Fpage.html").status_code == 404


def now(backend: FakeBackend) -> dict[str, Any]:
    return client_of(backend).get("/now.json").json()


def test_different_is_ordered_by_people_reached(backend: FakeBackend) -> None:
    backend.documents["b"] = {**DOCUMENT, "id": "b", "users_reached": 500}
    backend.documents["c"] = {**DOCUMENT, "id": "c", "users_reached": 501, "status": "muted"}
    told = now(backend)
    assert told["state"] == "different"
    assert [each["id"] for each in told["incidents"]] == ["c", "b", ID]
    assert [each["id"] for each in told["over"]] == ["20260312-aa0001"]
    assert told["headline"] == "Something is different: 2 incidents open, 1 incident known and looked after or muted."


def test_quiet_is_said_with_the_evidence_that_it_looked(backend: FakeBackend) -> None:
    del backend.documents[ID]
    told = now(backend)
    assert told["state"] == "quiet"
    assert told["headline"] == "Nothing is different in the traffic up to Sun 15 Mar 23:59 UTC."
    looked = {each["name"]: each["text"] for each in told["looked"]}
    assert looked["watched"].startswith("21040 streams in all traffic, 24 facet values and 205 pairs")
    assert looked["would be seen"] == "smallest visible change of refusals in all traffic: 7.6 % -> 9.3 % within 7 days"
    assert told["gap"]["unseen"] == GAP["unseen"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"judged": None, "coverage": "unknown: no scan"}, "Not known: nothing was judged yet."),
        ({"judged": False, "coverage": {**STATUS["coverage"], "not_judged": "2 of 7 days"}}, "Not known: 2 of 7 days."),
        ({"service_died": True}, "Not known: unquiet itself is not well, so it may have missed something."),
    ],
)
def test_unknown_is_never_quiet(changes: dict[str, Any], said: str, backend: FakeBackend) -> None:
    del backend.documents[ID]
    backend.status = lambda: {**STATUS, **changes}  # type: ignore[method-assign]
    told = now(backend)
    assert (told["state"], told["headline"]) == ("unknown", said)
    assert told["next"]


def test_actions_are_handed_on_and_lead_back(client: TestClient, backend: FakeBackend) -> None:
    form = {**FORM, **ORIGIN}
    path = f"/incidents/{ID}"
    said = client.post(f"{path}/acknowledge", content="who=Ada&note=known", headers=form, follow_redirects=False)
    assert (said.status_code, said.headers["location"]) == (303, f"{path}#what-was-done")
    client.post(f"{path}/accept", headers=form)
    client.post(f"{path}/mute", content="time=4h&reason=a+campaign", headers=form)
    until = NOW_US + 4 * 3_600_000_000
    assert [action for _, action in backend.actions] == [
        Action("acknowledge", "Ada", "known"),
        Action("accept", "local"),
        Action("mute", "local", None, until, "a campaign"),
    ]
    for body in ("time=5h", "what=x", "note=a&note=b", "note=%FF", "&".join(f"a{i}=1" for i in range(11))):
        assert client.post(f"{path}/mute", content=body, headers=form).status_code == 422
    assert client.post("/incidents/nope/accept", headers=form).status_code == 404
    over = client.post("/incidents/20260312-aa0001/acknowledge", headers=form)
    assert (over.status_code, "<h1>Conflict</h1>" in over.text) == (409, True)
    assert client.post(f"{path}/accept", headers=FORM).status_code == 403
    assert len(backend.actions) == 3


def test_the_report_is_a_file(client: TestClient) -> None:
    for ending, start in (("html", "<!doctype html>"), ("md", "# The agent turns requests down")):
        answer = client.get(f"/incidents/{ID}/report.{ending}")
        assert answer.text.startswith(start)
        assert answer.headers["content-disposition"] == f'attachment; filename="{ID}.{ending}"'
    assert client.get(f"/incidents/{ID}/report.pdf").status_code == 422


def test_without_a_token_a_browser_gets_the_form_and_nothing_else(backend: FakeBackend) -> None:
    closed = client_of(backend, TOKENS, headers=BROWSER)
    answer = closed.get(f"/incidents/{ID}?a=1")
    assert answer.status_code == 401
    assert ("value", f"/incidents/{ID}?a=1") in Page(answer.text).attributes
    assert "refund" not in answer.text
    assert "http-equiv" not in answer.text
    from_a_chat = closed.get(f"/incidents/{ID}", headers={"Sec-Fetch-Site": "cross-site"})
    assert '<meta http-equiv="refresh" content="0">' in from_a_chat.text
    assert closed.get(f"/incidents/{ID}.json").headers["content-type"] == "application/problem+json"
    wrong = closed.post("/login/page", content="token=s3cret&goal=/now", headers={**FORM, **ORIGIN})
    assert (wrong.status_code, "set-cookie" in wrong.headers, "s3cret" in wrong.text) == (401, False, False)
    given = closed.post(
        "/login/page", content=f"token=read-me&goal=/incidents/{ID}", headers={**FORM, **ORIGIN}, follow_redirects=False
    )
    assert (given.status_code, given.headers["location"]) == (303, f"/incidents/{ID}")
    parts = given.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=strict", "Path=/", f"Max-Age={COOKIE_S}"} <= set(parts)
    page = closed.get(f"/incidents/{ID}").text
    assert "Your token may only read" in page
    assert "<form" not in page.replace('<form method="post" action="/logout">', "")
    closed.post("/logout", headers={**FORM, **ORIGIN})
    assert closed.get("/now").status_code == 401


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        ("/now", "/now"),
        ("%2Fincidents%2Fa%3Fb%3D1", "/incidents/a?b=1"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/%5Cevil.example", "/"),
        ("/a%0D%0ASet-Cookie:x", "/"),
        ("", "/"),
    ],
)
def test_a_login_leads_on_to_a_path_of_ours(goal: str, expected: str) -> None:
    assert login_of(f"token=x&goal={goal}".encode()).goal == expected


def test_after_a_form_without_a_login_one_gets_to_its_page(backend: FakeBackend) -> None:
    closed = client_of(backend, TOKENS, headers=BROWSER)
    told = closed.post(f"/incidents/{ID}/acknowledge", content="by=me&note=x", headers={**FORM, **ORIGIN})
    assert ("value", f"/incidents/{ID}") in Page(told.text).attributes


def test_what_cannot_be_read_now_is_not_known_and_the_rest_is_shown(backend: FakeBackend) -> None:
    def busy(*_: object) -> Any:
        raise UnquietError("the folder is not open yet: starting.")

    for name in ("gap", "evals", "voices"):
        setattr(backend, name, busy)
    told = now(backend)
    assert (told["gap"], told["gap_note"]) == (None, "Not known: the folder is not open yet: starting.")
    assert told["incidents"]
    page = client_of(backend).get("/status.json").json()
    assert page["folder"][-1] == {
        "name": "evals, voices",
        "text": "not known: the folder is not open yet: starting.",
        "warn": True,
    }
    assert page["voices"] == []


def test_a_page_of_an_error_has_the_headers_of_all(backend: FakeBackend) -> None:
    def broken(*_: object) -> Any:
        raise RuntimeError("a bug")

    backend.status = broken  # type: ignore[method-assign]
    client = client_of(backend, headers=BROWSER, raise_server_exceptions=False)
    told = client.get("/status")
    assert told.status_code == 500
    assert {name.lower() for name, _ in SECURITY} <= set(told.headers)


def answer(text: str, change: str, what: str = "phrase") -> dict[str, Any]:
    return {"text": text, "change": change, "what": what}


def test_new_and_gone_phrases_are_marked_where_they_stand() -> None:
    answers = [answer("leider nicht", "new"), answer("in 0 werktagen", "less"), answer("a -> b", "new", "tool step")]
    new, gone = phrases_of(answers, "new"), phrases_of(answers, "gone")
    found = pieces("Das geht Leider\n nicht, leider nichts.", new, "new")
    assert [(each.text, each.mark) for each in found] == [
        ("Das geht ", ""),
        ("Leider\n nicht", "new"),
        (", ", ""),
        ("leider nicht", "new"),
        ("s.", ""),
    ]
    assert [each.text for each in pieces("Betrag in 3,5 Werktagen.", gone, "gone") if each.mark] == ["in 3,5 Werktagen"]
    assert phrases_of([answer("ab", "new")], "new") is None
    assert (tools_of(answers, "new"), tools_of(answers, "gone")) == ({"b"}, frozenset())
    assert pieces(None, new, "new")[0].text == NOT_CAPTURED
    long = pieces("x" * 5000 + " leider nicht", new, "new")
    assert [each.mark for each in long] == ["", "cut", "", "new"]


@pytest.fixture
def shown(tmp_path: Path) -> tuple[Path, TestClient]:
    folder = make_folder(tmp_path / "db", document(), turn_rows())
    with Store.open(folder, create=False) as store:
        store.put_setting("coverage", STATUS["coverage"])
        store.put_setting("scanned_turns", store.turn_extent().count)
    now_us = round(datetime(2026, 3, 16, tzinfo=UTC).timestamp() * 1e6)
    app = make_pages(FolderShown(folder, lambda: now_us, lambda: False), Access(), lambda: now_us)
    return folder, TestClient(app, base_url="http://127.0.0.1:8322", headers={"Origin": "http://127.0.0.1:8322"})


def test_a_folder_without_a_service_has_the_same_pages(shown: tuple[Path, TestClient]) -> None:
    folder, client = shown
    told = client.get("/now.json").json()
    assert told["well"][0]["text"].startswith("No service runs over this folder")
    assert [each["id"] for each in told["incidents"]] == ["20260311-abcdef"]
    assert told["gap"]["last"] == "2026-03-15"
    assert client.get("/status.json").json()["conditions"] == []
    assert client.get("/changes.json").json()["changes"] == []
    incident = client.get("/incidents/20260311-abcdef.json").json()
    (pair,) = incident["pairs"]
    assert pair["before"]["turns"][0]["asked"] == [{"text": "Where is my money?", "mark": ""}]
    assert pair["since"]["turns"][0]["called"] == [{"name": "refund_order", "failed": True, "mark": ""}]
    assert {panel["title"]: panel["verdict"] for panel in incident["panels"]}["turns"] == "flat"
    assert client.get("/incidents/nope").status_code == 404
    # Others get at the folder between two looks.
    with Store.open(folder, create=False) as store:
        assert store.turn_extent().count


def test_deeds_on_a_folder_last_and_accepting_needs_a_service(shown: tuple[Path, TestClient]) -> None:
    folder, client = shown
    path = "/incidents/20260311-abcdef"
    acts = {each["verb"]: each["possible"] for each in client.get(f"{path}.json").json()["actions"]}
    assert acts == {"unacknowledge": True, "mute": True, "accept": False}
    client.post(f"{path}/mute", content="reason=known&time=1d", headers=FORM)
    assert client.post(f"{path}/accept", headers=FORM).status_code == 409
    told = client.get(f"{path}.json").json()
    assert (told["status"], told["muted_until"], told["mute_reason"]) == ("muted", "2026-03-17T00:00:00Z", "known")
    with Store.open(folder, create=False) as store:
        assert json.dumps(store.get_setting("handling")).count("known") == 2


def test_texts_of_forgotten_sessions_are_gone_at_once(shown: tuple[Path, TestClient]) -> None:
    folder, client = shown
    path = "/incidents/20260311-abcdef.json"
    assert "Where is my money?" in client.get(path).text
    with Store.open(folder, create=False) as store:
        store.removal.remove(store.removal.find({"a1", "b1"}, ()))
    assert "Where is my money?" not in client.get(path).text
