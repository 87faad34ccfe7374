"""Every sink: what it sends keeps its receiver's rules, once, and texts of others do no harm."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from alert_receivers import (
    HOSTILE,
    RTL,
    T0,
    Alertmanager,
    CloudEvents,
    GitHub,
    PagerDuty,
    Receiver,
    Slack,
    listening,
    notice,
    slack_texts,
)
from unquiet.alerts import make_sink
from unquiet.alerts.alertmanager import TEST_S
from unquiet.model.alerts import AlertSink, DeliveryError, Notice

SECRETS = {"env:URL": "", "env:KEY": "key-of-32-letters", "env:TOKEN": "gh-token"}


def sink_for(receiver: Receiver, **more: Any) -> AlertSink:
    options: dict[str, Any] = {
        Slack: {"url": {"env": "URL"}},
        PagerDuty: {"routing_key": {"env": "KEY"}, "url": f"{receiver.url}/v2/enqueue"},
        Alertmanager: {"url": receiver.url},
        GitHub: {"token": {"env": "TOKEN"}, "repository": "acme/agent", "url": receiver.url},
        CloudEvents: {"url": f"{receiver.url}/hook", "secret": {"env": "KEY"}},
    }[type(receiver)]
    kind = "webhook" if isinstance(receiver, CloudEvents) else type(receiver).__name__.lower()
    secrets = SECRETS | {"env:URL": f"{receiver.url}/services/T0/B0/xyz-secret-path"}
    return make_sink(kind, "mine", options | {"timeout_s": 2} | more, secrets.__getitem__)


RECEIVERS: dict[str, Callable[[], Receiver]] = {
    "slack": Slack,
    "pagerduty": PagerDuty,
    "alertmanager": lambda: Alertmanager(lambda: T0 + 1),
    "github": GitHub,
    "webhook": CloudEvents,
}


@pytest.mark.parametrize("make", RECEIVERS.values(), ids=RECEIVERS)
def test_hostile_texts_keep_the_receivers_rules(make: Callable[[], Receiver]) -> None:
    with listening(make()) as receiver:
        sink = sink_for(receiver)
        for i, text in enumerate(HOSTILE):
            labels = {"signal": text, "slice": text, text: "x", "": "y"}
            for phase in ("opened", "updated", "resolved"):
                sink.send(notice(phase, name=f"N{i}", title=text or "-", lines=(text,) * 60, labels=labels))
        sink.send(notice("test", url="javascript:alert(1)"))
        assert receiver.problems == []
        bodies = b"".join(request.body for request in receiver.requests).decode()
        assert "javascript:" not in bodies
        assert not re.search("[\u202a-\u202e\u2066-\u2069]|\\\\u202e", bodies)
        assert max(len(request.body) for request in receiver.requests) < 80_000


@pytest.mark.parametrize("make", RECEIVERS.values(), ids=RECEIVERS)
def test_no_secret_is_in_what_a_failure_says(make: Callable[[], Receiver]) -> None:
    class Echo(Receiver):
        def accept(self, request: Any) -> Any:
            return 400, f"{request.headers} {request.path} {request.body!r}".encode()

    with listening(make()) as receiver, listening(Echo()) as echo:
        receiver.url = echo.url
        sink = sink_for(receiver)
        with pytest.raises(DeliveryError) as caught:
            sink.send(notice())
        told = f"{caught.value} {caught.value!r} {sink!r} {caught.value.__cause__}"
        assert not re.search("xyz-secret|key-of-32|gh-token", told)
        assert caught.value.permanent
        assert "400 Bad Request" in told


def test_slack_says_which_incident_and_escapes() -> None:
    with listening(Slack()) as slack:
        sink = sink_for(slack)
        sink.send(notice("updated", lines=("<!channel> <https://evil.example|x> @here *b*",)))
        (message,) = slack.messages
        assert message["blocks"][0]["text"]["text"].startswith("Update: refuses refund requests")
        assert "incident A" in json.dumps(message)
        link = message["blocks"][-1]["elements"][0]["text"]
        assert link == "<https://unquiet.example/incidents/A?a=1&amp;b=2|Open incident A> · error"
        marked = [text["text"] for text in slack_texts(message) if text["type"] == "mrkdwn"] + [message["text"]]
        assert [re.sub(r"<https://unquiet\.example[^>]*>", "", text) for text in marked if "<" in text] == [" · error"]
    hostile = notice(name="<!here>", title=HOSTILE[0], url=None)
    with listening(Slack()) as slack:
        sink_for(slack).send(hostile)
        (message,) = slack.messages
        marked = [text["text"] for text in slack_texts(message) if text["type"] == "mrkdwn"] + [message["text"]]
        assert not any("<" in text or re.search("@[a-z]", text) for text in marked)


def test_slack_takes_nothing_but_ok_for_delivered() -> None:
    class Page(Slack):
        def accept(self, request: Any) -> Any:
            return 200, b"<html>Sign in to the wifi</html>"

    with listening(Page()) as page:
        sink = make_sink("slack", "s", {"url": {"env": "U"}}, lambda _: page.url + "/services/x")
        with pytest.raises(DeliveryError, match="Sign in to the wifi") as caught:
            sink.send(notice())
        assert caught.value.permanent


def test_pagerduty_opens_and_resolves_once() -> None:
    with listening(PagerDuty()) as pager:
        sink = sink_for(pager)
        for phase in ("opened", "opened", "updated", "resolved", "resolved", "test"):
            sink.send(notice(phase, name="T" if phase == "test" else "A"))
        assert pager.log == [(what, f"incident/{who}") for who in "AT" for what in ("opened", "resolved")]
        first = pager.requests[0].json
        assert first["payload"]["timestamp"] == "2026-03-10T13:40:00.000Z"
        assert first["links"][0]["href"] == "https://unquiet.example/incidents/A?a=1&b=2"
        long = notice(name="k" * 400, title="ü" * 2000, document={"session_ids": ["x" * 20] * 30_000})
        sink.send(long)
        assert len(pager.requests[-1].json["payload"]["summary"]) == 1024
        sink.send(notice("resolved", name="k" * 400))
        assert pager.problems == []
        assert pager.open == {}


def test_pagerduty_wants_to_be_told_that_it_succeeded() -> None:
    class Odd(PagerDuty):
        def accept(self, request: Any) -> Any:
            return 200, {"status": "maintenance"}

    with listening(Odd()) as odd:
        sink = make_sink("pagerduty", "p", {"routing_key": {"env": "K"}, "url": odd.url}, lambda _: "k" * 32)
        with pytest.raises(DeliveryError) as caught:
            sink.send(notice())
        assert not caught.value.permanent


def test_alertmanager_knows_the_alert_in_every_phase() -> None:
    now = T0 + 60_000_000
    with listening(Alertmanager(lambda: now)) as manager:
        sink = sink_for(manager, user="u", password={"env": "KEY"})
        sink.send(notice())
        assert len(manager.firing()) == 1
        sink.send(notice("updated", title="another title", lines=("x",)))
        sink.send(notice("resolved", at_us=now))
        assert manager.log == [("opened", "incident/A"), ("resolved", "incident/A")]
        assert manager.requests[0].headers["authorization"] == "Basic dTprZXktb2YtMzItbGV0dGVycw=="
        assert manager.requests[0].path == "/api/v2/alerts"
        sink.send(notice("test", at_us=now, name="T"))
        now += TEST_S * 1_000_000 + 1
        assert manager.firing() == []


def test_webhook_is_a_signed_cloud_event() -> None:
    with listening(CloudEvents()) as hook:
        sink = sink_for(hook, source="https://unquiet.example")
        for phase in ("opened", "updated", "resolved", "test"):
            sink.send(notice(phase))
        sink.send(notice("opened", key="condition/disk-nearly-full", id="c"))
        assert [event["type"] for event in hook.events] == [
            "dev.unquiet.incident.opened",
            "dev.unquiet.incident.updated",
            "dev.unquiet.incident.resolved",
            "dev.unquiet.test",
            "dev.unquiet.condition.opened",
        ]
        for request in hook.requests:
            digest = hmac.new(b"key-of-32-letters", request.body, hashlib.sha256).hexdigest()
            assert request.headers["x-unquiet-signature-256"] == f"sha256={digest}"
        assert hook.events[0]["data"]["incident"]["id"] == "A"
        assert hook.events[0]["subject"] == "incident/A"
        assert hook.problems == []


def test_github_keeps_one_issue_through_lost_replies() -> None:
    with listening(GitHub()) as github:
        sink = sink_for(github)
        other = {
            "number": 1,
            "state": "open",
            "title": "theirs",
            "body": "> quoted <!-- unquiet key x -->",
            "labels": [],
        }
        github.issues.append(other)

        def persist(what: Notice, *moods: str) -> None:
            github.mood[:] = moods
            for _ in range(5):
                try:
                    sink.send(what)
                except DeliveryError as error:
                    assert not error.permanent  # noqa: PT017 - the loop goes on
                else:
                    return
            pytest.fail("never delivered")

        persist(notice(), "away", "ok", "reset", "ok")
        persist(notice("updated", at_us=T0 + 1), "ok", "ok", "reset")
        persist(notice("resolved", at_us=T0 + 2), "ok", "ok", "reset", "ok", "ok", "reset")
        assert [issue["number"] for issue in github.issues] == [1, 2]
        assert github.issues[1]["labels"] == ["unquiet"]
        assert github.issues[1]["state"] == "closed"
        assert [re.findall("Update|Resolved", c["body"]) for c in github.comments[2]] == [["Update"], ["Resolved"]]
        persist(notice("updated", at_us=T0 + 3))
        assert github.changes[-1] == ("open", 2)
        assert github.problems == []


def test_github_condition_that_opens_again_gets_a_new_issue() -> None:
    with listening(GitHub()) as github:
        sink = sink_for(github, labels=[])
        for at_us in (T0, T0 + 10):
            for phase, repeats in (("opened", 2), ("resolved", 2)):
                for _ in range(repeats):
                    sink.send(notice(phase, key="condition/c", id=f"{phase}{at_us}", at_us=at_us))
        assert [issue["state"] for issue in github.issues] == ["closed", "closed"]
        assert {number: len(comments) for number, comments in github.comments.items()} == {1: 1, 2: 1}


def test_github_finds_an_issue_behind_pages_of_others() -> None:
    with listening(GitHub()) as github:
        sink = sink_for(github)
        sink.send(notice())
        github.issues += [
            {"number": n, "state": "open", "title": "x", "body": None, "pull_request": {}} for n in range(2, 252)
        ]
        sink.send(notice())
        assert len(github.issues) == 251


def test_github_text_is_quoted_as_code() -> None:
    with listening(GitHub()) as github:
        for i, text in enumerate(HOSTILE):
            sink_for(github).send(notice(name=f"N{i}", title=text or "-", lines=(text,), url=None))
        for issue in github.issues:
            head, *rest = issue["body"].splitlines()
            fence = re.fullmatch(r"(`{3,})text", head)
            assert fence
            closing = rest.index(fence[1])
            assert not any(line.startswith(fence[1]) for line in rest[:closing])
            assert [
                line for line in rest[closing + 1 :] if line and not line.startswith(("<!-- unquiet ", "`incident N"))
            ] == []
            assert not re.search("@[A-Za-z]", issue["title"])


def test_right_to_left_letters_stay() -> None:
    with listening(CloudEvents()) as hook:
        sink_for(hook).send(notice(title=RTL))
        assert hook.events[0]["data"]["title"] == "gnp.exe \u0627\u0644\u062d\u0645\u062f x"
