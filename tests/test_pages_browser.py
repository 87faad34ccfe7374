"""The pages in a browser: at both sizes and in both schemes, without an error, a foreign request or a barrier."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from playwright.sync_api import Browser, BrowserContext, Page

from browsers import SCHEMES, SIZES, axe_script, browsing, serving_app
from test_web_pages import PATHS, hostile
from unquiet.web.access import Access
from web_backends import ID, STATUS, FakeBackend, app_of

TOKENS = Access(act_tokens={"ops": "act-please"})
SERIOUS = ("serious", "critical")
LEARNING = {**STATUS["coverage"], "not_judged": "2 of 7 days of learning are there", "smallest_detectable": []}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as found:
        yield found


def quiet() -> FakeBackend:
    """Nothing is open, nothing was announced, no evals, no voices, no gap."""
    found = FakeBackend()
    found.documents, found.marked = {}, []
    found.changes = list  # type: ignore[method-assign]
    found.gap = lambda: None  # type: ignore[method-assign]
    found.evals = lambda: {"runs": []}  # type: ignore[method-assign]
    found.status = lambda: {**STATUS, "coverage": LEARNING, "judged": False}  # type: ignore[method-assign]
    return found


def watched(context: BrowserContext, base: str) -> tuple[Page, list[str]]:
    """A page, and what goes wrong on it."""
    page, wrong = context.new_page(), list[str]()
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda sent: None if sent.url.startswith(base) else wrong.append(f"asked for {sent.url}"))
    return page, wrong


@pytest.mark.parametrize("make", [FakeBackend, hostile, quiet])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", SIZES)
def test_every_page_is_whole(make: Any, scheme: Any, size: str, browser: Browser) -> None:
    """No error, nothing from elsewhere, nothing to scroll sideways, no serious barrier by axe-core."""
    width, height = SIZES[size]
    with serving_app(app_of(make())) as base:
        # axe-core is put into the page, which our policy forbids to others.
        options: dict[str, Any] = {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
        context = browser.new_context(**options, timezone_id="Asia/Kolkata", locale="en-GB")
        page, wrong = watched(context, base)
        for path in (path for path in PATHS if make is not quiet or ID not in path):
            answer = page.goto(base + path)
            assert answer is not None
            assert answer.status == 200
            for each in page.locator("details").all():
                each.evaluate("part => { part.open = true; }")
            assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
            page.evaluate(axe_script())
            found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
            told = [
                f"{path} {each['id']}: {node['html'][:160]}"
                for each in found
                if each["impact"] in SERIOUS
                for node in each["nodes"]
            ]
            assert told == []
        assert wrong == []
        context.close()


def test_times_are_in_the_readers_zone_with_utc_at_hand(browser: Browser) -> None:
    with serving_app(app_of(FakeBackend())) as base:
        context = browser.new_context(timezone_id="Asia/Kolkata", locale="en-GB")
        page, wrong = watched(context, base)
        page.goto(f"{base}/incidents/{ID}")
        raised = page.locator('time[datetime="2026-03-10T16:20:12.123000Z"]').first
        assert "21:50 GMT+5:30" in raised.inner_text()
        assert raised.get_attribute("title") == "Tue 10 Mar 16:20 UTC"
        assert page.locator("#zone-name").inner_text() == "times in Asia/Calcutta"
        page.locator("#zone-switch").click()
        assert raised.inner_text() == "Tue 10 Mar 16:20 UTC"
        page.goto(f"{base}/now")
        assert page.locator("#zone-name").inner_text() == "times in UTC"
        assert wrong == []
        context.close()


def test_an_incident_is_handled_by_keyboard_alone(browser: Browser) -> None:
    backend = FakeBackend()
    with serving_app(app_of(backend)) as base:
        context = browser.new_context(viewport={"width": 390, "height": 844})
        page, wrong = watched(context, base)
        page.goto(f"{base}/now")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{base}/incidents/{ID}")
        page.locator("#reason-mute").focus()
        page.keyboard.type("a campaign")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{base}/incidents/{ID}#what-was-done")
        ((handled, action),) = backend.actions
        assert (handled, action.verb, action.reason) == (ID, "mute", "a campaign")
        assert wrong == []
        context.close()


def test_a_link_from_a_chat_leads_to_the_incident_of_who_is_logged_in(browser: Browser) -> None:
    """Strict cookies stay at home when another site leads here; nobody has to type the token again for that."""
    chat = FastAPI()
    with serving_app(app_of(FakeBackend(), TOKENS)) as base, serving_app(chat) as elsewhere:
        link = f"{base.replace('127.0.0.1', 'localhost')}/incidents/{ID}"
        chat.get("/", response_class=HTMLResponse)(lambda: HTMLResponse(f'<a href="{link}">the incident</a>'))
        context = browser.new_context()
        page = context.new_page()
        page.goto(link)
        page.get_by_label("Token").fill("wrong")
        page.keyboard.press("Enter")
        page.get_by_text("That token is not known.").wait_for()
        page.get_by_label("Token").fill("act-please")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="What to do now").wait_for()
        assert page.url == link
        (cookie,) = context.cookies()
        assert (cookie.get("httpOnly"), cookie.get("sameSite")) == (True, "Strict")
        page.goto(elsewhere)
        page.get_by_role("link").click()
        page.get_by_role("heading", name="What to do now").wait_for()
        assert page.url == link
        # A form of another site does nothing.
        page.goto(elsewhere)
        status = page.evaluate(
            "url => fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include', "
            "headers: {'content-type': 'application/x-www-form-urlencoded'}, body: ''}).then(a => a.type, () => 'no')",
            f"{link}/accept",
        )
        assert status in ("opaque", "no")
        page.goto(link)
        assert "Nobody has done anything about it yet." in page.inner_text("#act")
        page.get_by_role("button", name="Log out").click()
        page.get_by_label("Token").wait_for()
        context.close()
