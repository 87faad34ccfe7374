"""The pages of a running service: what it does not know yet it says, and nothing is shown without a token."""

from __future__ import annotations

from pathlib import Path

import httpx

from serve_worlds import READY_S, Service, serving, until

KEY = "s" * 40
PATHS = ("/now", "/status", "/changes")


def page(service: Service, path: str, **headers: str) -> httpx.Response:
    return httpx.get(service.url(path), headers={"Accept": "text/html", **headers}, timeout=60, trust_env=False)


def test_a_service_without_traffic_knows_nothing_and_says_so(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        until(lambda: page(service, "/now.json").json()["looked"][0]["name"] != "folder", READY_S)
        told = page(service, "/now.json").json()
        assert (told["state"], told["gap"], told["incidents"]) == ("unknown", None, [])
        assert {each["name"] for each in told["well"]} >= {"service", "doors", "not drained", "conditions"}
        assert len(page(service, "/status.json").json()["conditions"]) > 10
        for path in PATHS:
            assert page(service, path).status_code == 200


def test_with_a_token_nothing_is_shown_without_it(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"oncall {KEY}\n")
    (tmp_path / "tokens").chmod(0o600)
    service = Service(tmp_path, environ={"UNQUIET_SERVICE_READ_TOKENS_FILE": str(tmp_path / "tokens")})
    try:
        service.launch()
        until(lambda: service.answers("/healthz"), READY_S)
        for path in PATHS:
            answer = page(service, path)
            assert (answer.status_code, "conditions" in answer.text) == (401, False), path
        assert page(service, "/status", Authorization=f"Bearer {KEY}").status_code == 200
    finally:
        service.kill()
