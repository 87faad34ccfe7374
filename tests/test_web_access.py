"""Who may call the service: tokens, cookies, hosts, sites, sizes. Taken from the app's routes, so that none is forgotten."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from unquiet.web import guard
from unquiet.web.access import COOKIE_S, Access
from unquiet.web.guard import MOST_BODY_BYTES, SAFE
from web_backends import FORM, ID, NOW_US, ORIGIN, FakeBackend, app_of, client_of, place, takes_forms

TOKENS = Access(read_tokens={"grafana": "read-me"}, act_tokens={"ops": "act-please"})
READ, ACT = {"Authorization": "Bearer read-me"}, {"Authorization": "Bearer act-please"}
JSON = {"Content-Type": "application/json"}
ROUTES = sorted((m, r.path) for r in app_of(FakeBackend()).routes for m in r.methods)
ACTING = [(method, path) for method, path in ROUTES if method not in SAFE]


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def closed(backend: FakeBackend) -> TestClient:
    """With tokens."""
    return client_of(backend, TOKENS)


@pytest.fixture
def unlocked(backend: FakeBackend) -> TestClient:
    """Without tokens."""
    return client_of(backend)


def routed(client: TestClient) -> Iterator[tuple[str, str]]:
    """Every route, and some that are none."""
    yield from ROUTES
    yield from [("GET", "/"), ("GET", "/healthz/x"), ("POST", "/healthz"), ("GET", "/login"), ("GET", "/docs")]


def test_nothing_is_readable_without_a_token(closed: TestClient, backend: FakeBackend) -> None:
    open_to_all = {("GET", "/healthz"), ("POST", "/healthz"), ("POST", "/login"), ("POST", "/login/page")}
    open_to_all.add(("GET", "/static/{mark}/{name}"))
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic cmVhZC1tZQ=="},
        {"Authorization": "read-me"},
    ):
        for method, path in routed(closed):
            if (method, path) not in open_to_all:
                answer = closed.request(method, place(path), headers={**ORIGIN, **JSON, **headers})
                assert answer.status_code == 401, (method, path)
                assert answer.headers["www-authenticate"] == 'Bearer realm="unquiet"'
                assert method == "HEAD" or answer.json()["detail"].endswith(
                    "a bearer token of the configuration is needed"
                )
    assert backend.actions == backend.marked == backend.forgotten == []


def test_health_without_a_token_has_no_detail(closed: TestClient, backend: FakeBackend) -> None:
    assert closed.get("/healthz").json() == {"status": "ok"}
    backend.failing("store-failing", detail="disk secret-path is gone")
    answer = closed.get("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"status": "failing"})
    known = closed.get("/healthz", headers=READ).json()
    assert known["reasons"] == ["store-failing: disk secret-path is gone"]
    assert len(known["conditions"]) == len(backend.found)


def test_a_token_reads_and_only_an_acting_one_acts(closed: TestClient, backend: FakeBackend) -> None:
    for method, path in ROUTES:
        if method == "GET":
            assert closed.get(place(path), headers=READ).status_code == 200, path
            assert closed.get(place(path), headers=ACT).status_code == 200, path
    for _, path in ACTING:
        if path not in ("/login/page", "/logout"):
            refused = closed.post(place(path), json={}, headers=READ)
            assert refused.status_code == (422 if path == "/login" else 403), path
    assert closed.post(f"/api/v1/incidents/{ID}/acknowledge", json={"who": "Ada"}, headers=ACT).status_code == 200
    assert backend.actions[0][1].who == "Ada (ops)"
    assert closed.post("/api/v1/changes", json={"kind": "prompt"}, headers=ACT).json()["changes"][0]["source"] == "ops"


def test_read_tokens_act_where_there_are_no_others(backend: FakeBackend) -> None:
    client = client_of(backend, Access(read_tokens={"all": "read-me"}))
    assert client.post("/api/v1/forget", json={"user": "u"}, headers=READ).status_code == 200
    assert backend.forgotten == [("u", None)]


def test_login_gives_a_cookie_for_pages(closed: TestClient, backend: FakeBackend) -> None:
    answer = closed.post("/login", json={"token": "act-please"}, headers=ORIGIN)
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"]
    assert "act-please" not in cookie
    assert {"HttpOnly", "SameSite=strict", "Path=/", f"Max-Age={COOKIE_S}"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert closed.get("/api/v1/status").status_code == 200
    # The cookie is sent by the browser whoever asks: what changes something needs the same origin as well.
    assert closed.post("/api/v1/forget", json={"user": "u"}).status_code == 403
    assert closed.post("/api/v1/forget", json={"user": "u"}, headers={"Origin": "https://evil.test"}).status_code == 403
    assert backend.forgotten == []
    assert closed.post("/api/v1/forget", json={"user": "u"}, headers=ORIGIN).status_code == 200


def test_login_is_refused(closed: TestClient, unlocked: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        wrong = closed.post("/login", json={"token": "s3cret-guess"}, headers=ORIGIN)
        flawed = closed.post("/login", json={"token": "s3cret-guess" * 400, "x": 1}, headers=ORIGIN)
        foreign = closed.post("/login", json={"token": "act-please"}, headers={"Origin": "https://evil.test"})
    assert [wrong.status_code, flawed.status_code, foreign.status_code] == [401, 422, 403]
    assert "set-cookie" not in wrong.headers | foreign.headers
    assert "s3cret-guess" not in wrong.text + flawed.text + caplog.text
    assert unlocked.post("/login", json={"token": "x"}, headers=ORIGIN).status_code == 409


def test_cookies_end_and_cannot_be_made() -> None:
    ops = TOKENS.by_token("act-please")
    assert ops is not None
    value = TOKENS.cookie_for(ops, NOW_US)
    reader = TOKENS.by_cookie(value, NOW_US + (COOKIE_S - 1) * 1_000_000)
    assert reader is not None
    assert (reader.name, reader.may_act, reader.bearer) == ("ops", True, False)
    assert TOKENS.by_cookie(value, NOW_US + COOKIE_S * 1_000_000) is None
    name, until, seal = value.split(".")
    grafana = TOKENS.by_token("read-me")
    assert grafana is not None
    theirs = TOKENS.cookie_for(grafana, NOW_US).split(".")
    for forged in (
        f"{name}.{int(until) + 1}.{seal}",
        f"{name}.{until}.{theirs[2]}",
        f"{name}.{until}.",
        f"{name}.{until}",
        f"{name}.²{until}.{seal}",
        f"!!.{until}.{seal}",
        f"//8=.{until}.{seal}",
        "",
    ):
        assert TOKENS.by_cookie(forged, NOW_US) is None
    changed = Access(act_tokens={"ops": "another"})
    assert changed.by_cookie(value, NOW_US) is None


def test_under_tls_the_cookie_is_secure(backend: FakeBackend) -> None:
    access = Access(read_tokens={"a": "read-me"}, hosts=("Watch.Example.test",), tls=True)
    client = TestClient(app_of(backend, access), base_url="https://watch.example.test")
    answer = client.post("/login", json={"token": "read-me"}, headers={"Origin": "https://watch.example.test"})
    assert answer.headers["set-cookie"].startswith("__Host-unquiet=")
    assert "Secure" in answer.headers["set-cookie"]
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_tokens_are_in_no_text() -> None:
    assert "read-me" not in repr(TOKENS) + str(TOKENS)
    assert TOKENS.by_token("") is None
    assert TOKENS.by_token("read-m\ud800e") is None


SITES = [
    ({}, 403),
    ({"Origin": "http://127.0.0.1:4319"}, 200),
    ({"Origin": "http://127.0.0.1:4319", "Sec-Fetch-Site": "same-origin"}, 200),
    ({"Sec-Fetch-Site": "same-origin"}, 200),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Sec-Fetch-Site": "none"}, 403),
    ({"Origin": "http://127.0.0.1:4319", "Sec-Fetch-Site": "cross-site"}, 403),
    ({"Origin": "http://127.0.0.1:9999"}, 403),
    ({"Origin": "http://localhost:4319"}, 403),
    ({"Origin": "https://evil.test"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "file://127.0.0.1:4319"}, 403),
    ({"Origin": "http://[::1"}, 403),
    # Without tokens a bearer proves nothing.
    ({"Authorization": "Bearer anything"}, 403),
]


@pytest.mark.parametrize(("headers", "status"), SITES)
def test_other_sites_cannot_act(
    headers: dict[str, str], status: int, unlocked: TestClient, backend: FakeBackend
) -> None:
    answer = unlocked.post("/api/v1/forget", json={"user": "u"}, headers=headers)
    assert answer.status_code == status
    assert bool(backend.forgotten) == (status == 200)


def test_no_acting_route_forgets_the_checks(unlocked: TestClient, backend: FakeBackend) -> None:
    assert len(ACTING) >= 9
    for method, path in ACTING:
        assert unlocked.request(method, place(path), json={}).status_code == 403, path
        assert unlocked.request(method, place(path), content=b"", headers=FORM).status_code == 403, path
        other = "application/json" if takes_forms(path) else FORM["Content-Type"]
        for kind in ("text/plain", other, "multipart/form-data; boundary=x", "application/jsonp"):
            answer = unlocked.request(method, place(path), content=b"{}", headers={**ORIGIN, "Content-Type": kind})
            assert answer.status_code == 415, (path, kind)
        assert unlocked.request(method, place(path), content=b"{}", headers=ORIGIN).status_code == 415
    assert backend.actions == backend.marked == backend.forgotten == []


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:4319", 200),
        ("localhost", 200),
        ("LOCALHOST.:80", 200),
        ("[::1]:4319", 200),
        ("watch.internal:4319", 200),
        ("evil.test", 400),
        ("127.0.0.1.evil.test", 400),
        ("localhost:4319@evil.test", 400),
        ("watch.internal.evil.test:4319", 400),
        ("", 400),
    ],
)
def test_hosts_are_known_by_name(host: str, status: int, backend: FakeBackend) -> None:
    client = client_of(backend, Access(hosts=("watch.internal",)))
    for path in ("/healthz", "/api/v1/status", "/metrics"):
        assert client.get(path, headers={"Host": host}).status_code == status


def test_every_answer_has_the_headers(closed: TestClient, backend: FakeBackend) -> None:
    answers = [closed.get(path, headers=READ) for path in ("/healthz", "/metrics", "/api/v1/status", "/nope")]
    answers += [closed.get("/api/v1/status"), closed.get("/healthz", headers={"Host": "evil.test"})]
    for answer in answers:
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; frame-ancestors 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers


def test_a_bug_is_a_problem_with_the_headers_and_without_its_text(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> dict[str, object]:
        raise KeyError("inner secret")

    monkeypatch.setattr(backend, "status", broken)
    answer = client_of(backend, raise_server_exceptions=False).get("/api/v1/status")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "inner secret" not in answer.text


def test_sizes_are_bounded(unlocked: TestClient, backend: FakeBackend) -> None:
    post = {**ORIGIN, **JSON}
    fits = b'{"kind": "x"' + b" " * (MOST_BODY_BYTES - 13) + b"}"
    assert unlocked.post("/api/v1/changes", content=fits, headers=post).status_code == 201
    assert unlocked.post("/api/v1/changes", content=fits + b" ", headers=post).status_code == 413
    chunked = unlocked.post("/api/v1/changes", content=iter([fits, b" "]), headers=post)
    assert chunked.status_code == 413
    assert "got a body of more than 65536 bytes" in chunked.json()["detail"]
    for length in ("-1", "x", "9" * 40, "²"):
        answer = unlocked.post(
            "/api/v1/changes", content=iter([b"{}"]), headers={**post, "Content-Length": length.encode()}
        )
        assert answer.status_code in (400, 413), length
    assert unlocked.get("/api/v1/status", headers={"X": "y" * 17_000}).status_code == 431
    assert unlocked.get("/api/v1/status", headers={f"X-{i}": "" for i in range(101)}).status_code == 431
    assert unlocked.get("/api/v1/incidents?status=" + "x" * 5000).status_code == 414
    assert len(backend.marked) == 1


def spoken(access: Access, scope: dict[str, object], messages: list[dict[str, object]]) -> list[dict[str, object]]:
    """What the application says to one connection that brings these messages and then nothing more."""
    told: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        if messages:
            return messages.pop(0)
        await asyncio.sleep(3600)
        raise AssertionError

    async def send(message: dict[str, object]) -> None:
        told.append(message)

    asyncio.run(app_of(FakeBackend(), access)(scope, receive, send))
    return told


def posting() -> dict[str, object]:
    headers = [
        (b"host", b"localhost"),
        (b"authorization", b"Bearer act-please"),
        (b"content-type", b"application/json"),
    ]
    common = {"type": "http", "scheme": "http", "http_version": "1.1", "query_string": b"", "root_path": ""}
    return {**common, "method": "POST", "path": "/api/v1/changes", "raw_path": b"/api/v1/changes", "headers": headers}


def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BODY_S", 0.01)
    told = spoken(TOKENS, posting(), [{"type": "http.request", "body": b"{", "more_body": True}])
    assert told[0]["status"] == 408


def test_a_client_that_goes_away_is_not_answered() -> None:
    begun = {"type": "http.request", "body": b"{", "more_body": True}
    assert spoken(TOKENS, posting(), [begun, {"type": "http.disconnect"}]) == []


def test_websockets_are_closed() -> None:
    scope = {"type": "websocket", "path": "/healthz", "headers": [(b"host", b"localhost")], "query_string": b""}
    assert spoken(TOKENS, scope, []) == [{"type": "websocket.close", "code": 1008}]
