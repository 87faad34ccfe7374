"""The demo's story live, its two weeks in two minutes: one opening and one resolution at every receiver, whatever dies."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from alert_receivers import Alertmanager, CloudEvents, GitHub, PagerDuty, Receiver, Slack, listening
from serve_stories import LEARN_DAYS, Tale, chunks, deliver, tell, write_spans
from serve_worlds import PLAIN, Service, serving, until
from test_alerts_email import Mailbox
from test_alerts_email import serving as receiving_mail
from unquiet.app.scanning import scan
from unquiet.model.settings import Settings

SECRETS = {"PAGER": "k" * 32, "GITHUB": "gh-token", "HOOK": "key-of-32-letters"}
SAME = ("id", "signal", "direction", "slice", "onset", "raised_at", "resolved_at", "before", "after", "suspects")


class Receivers:
    """A stub of every vendor, and a mail server."""

    def __init__(self) -> None:
        self.slack, self.pager, self.github, self.hook = Slack(), PagerDuty(), GitHub(), CloudEvents()
        self.manager = Alertmanager(lambda: time.time_ns() // 1000)
        self.mail = Mailbox()

    @property
    def stubs(self) -> tuple[Receiver, ...]:
        return self.slack, self.pager, self.github, self.hook, self.manager

    @contextlib.contextmanager
    def open(self) -> Iterator[str]:
        """All of them listening; the sections of the configuration that name them."""
        with contextlib.ExitStack() as stack:
            for stub in self.stubs:
                stack.enter_context(listening(stub))
            port = stack.enter_context(receiving_mail(self.mail))
            yield self._sections(port)

    def _sections(self, mail_port: int) -> str:
        kinds = {
            "slack": 'url = { env = "SLACK" }',
            "pagerduty": f'url = "{self.pager.url}/v2/enqueue"\nrouting_key = {{ env = "PAGER" }}',
            "github": f'url = "{self.github.url}"\nrepository = "acme/agent"\ntoken = {{ env = "GITHUB" }}',
            "webhook": f'url = "{self.hook.url}/hook"\nsecret = {{ env = "HOOK" }}',
            "alertmanager": f'url = "{self.manager.url}"\nrepeat_s = 10',
            "email": f'host = "127.0.0.1"\nport = {mail_port}\nsecurity = "none"\nfrom = "u@example.com"\nto = ["o@example.com"]',
        }
        # Story time is long ago: that the clocks differ is told as a warning.
        tables = [f'[alerts.{kind}]\nkind = "{kind}"\nmin_severity = "error"\n{more}\n' for kind, more in kinds.items()]
        return "".join(tables)

    def fail(self, times: int) -> None:
        """The next requests of every receiver end without an answer, or with one that means: later."""
        for stub in self.stubs:
            stub.mood[:] = ["away", (503, {})] * (times // 2)
        self.mail.mood[:] = ["451 later"] * times

    def tried(self) -> bool:
        """Whether every receiver was asked at least once since it began to fail, and failed."""
        return all(stub.requests for stub in self.stubs)

    def heard(self, incident_id: str) -> dict[str, list[str]]:
        """By receiver, the phases of an incident that it was told of."""
        key = f"incident/{incident_id}"
        slack = [str(each["blocks"][0]["text"]["text"]) for each in self.slack.messages if incident_id in str(each)]
        issues = [each for each in self.github.issues if incident_id in each["body"]]
        mails = [mail.get_body(("plain",)) for mail in self.mail.mails if mail["X-Unquiet-Key"] == key]
        return {
            "slack": [phase_of(text) for text in slack],
            "pagerduty": [what for what, of in self.pager.log if of == key],
            "github": ["opened" for _ in issues] + ["resolved" for each in issues if each["state"] == "closed"],
            "webhook": [each["type"].rpartition(".")[2] for each in self.hook.events if each["subject"] == key],
            "alertmanager": [what for what, of in self.manager.log if of == key],
            "email": [phase_of(mail.get_content()) for mail in mails if mail is not None],
        }


def phase_of(text: str) -> str:
    """The phase by the first word of a message."""
    return {"Opened": "opened", "Update": "updated", "Resolved": "resolved"}[text.partition(":")[0]]


def until_told(receivers: Receivers, incident_id: str, *phases: str) -> None:
    """Wait until every receiver heard of these phases, once each; updates may come in between."""

    def all_told() -> bool:
        return all([each for each in said if each != "updated"] == list(phases) for said in heard().values())

    def heard() -> dict[str, list[str]]:
        return receivers.heard(incident_id)

    try:
        until(all_told, 120)
    except AssertionError:
        pytest.fail(f"expected {phases} at every receiver, got {heard()}")


def page_of(service: Service, incident_id: str) -> dict[str, Any]:
    """What the page of an incident says, at the address that alerts link to."""
    answer = httpx.get(service.url(f"/incidents/{incident_id}.json"), timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.json()


def acknowledge_on_its_page(service: Service, incident_id: str) -> None:
    """The evidence is that of the incident, and a deed is done as its form does it."""

    def as_told() -> dict[str, Any] | None:
        # Evidence may be chosen anew between the two questions.
        evidence, said = service.get(f"incidents/{incident_id}")["evidence"], page_of(service, incident_id)
        return said if said["pairs"][0]["before"]["session"] == evidence["before"][0] else None

    told = until(as_told)
    assert told is not None
    assert all(side["turns"] for pair in told["pairs"] for side in (pair["before"], pair["since"]))
    assert {panel["verdict"] for panel in told["panels"]} <= {"flat", "fired", "unknown"}
    headers = {"Origin": service.url(""), "Content-Type": "application/x-www-form-urlencoded"}
    form = service.url(f"/incidents/{incident_id}/acknowledge")
    assert httpx.post(form, content="who=Ada&note=mine", headers=headers, trust_env=False).status_code == 303


def judged_until(service: Service, moment: datetime) -> bool:
    said = service.metric("unquiet_last_tick_timestamp_seconds")
    return said is not None and said >= moment.timestamp()


def scanned(tale: Tale, folder: Path) -> dict[str, Any]:
    path = write_spans(folder / "spans.binpb", tale.rows)
    settings = Settings(learn=timedelta(days=LEARN_DAYS))
    return scan(
        [str(path)],
        folder / "scanned",
        settings,
        mapping={},
        changes=[tale.deploys],
        progress=lambda _what, _share: None,
    ).document


def test_two_weeks_live(tmp_path: Path) -> None:
    tale = tell(tmp_path)
    receivers = Receivers()
    parts = list(chunks(tale.rows, 6))
    times = [datetime.fromisoformat(part[0]["time"]) for part in parts]
    detection = (
        f'[detection]\nlateness = "2s"\ntrace_quiet = "1s"\nlearn_days = {LEARN_DAYS}\nchanges = ["{tale.deploys}"]\n'
    )
    with receivers.open() as sinks:
        environ = {**SECRETS, "SLACK": f"{receivers.slack.url}/services/T0/B0/x"}
        with serving(tmp_path, PLAIN + detection + sinks, environ=environ) as service:
            for part, at in zip(parts, times, strict=True):
                if at < tale.over:
                    deliver(service, part)
                if at.day != (at - timedelta(hours=6)).day and at.day == 4:
                    service.kill()
                    service.start()
            receivers.fail(2)
            found = until(lambda: service.get("incidents")["incidents"], 120)
            assert [each["status"] for each in found] == ["open"]
            incident_id = found[0]["id"]
            until(receivers.tried, 60)
            acknowledge_on_its_page(service, incident_id)
            service.kill()
            service.start()
            assert page_of(service, incident_id)["deeds"][0]["who"] == "Ada"
            until_told(receivers, incident_id, "opened")
            receivers.fail(2)
            for part, at in zip(parts, times, strict=True):
                if at >= tale.over:
                    deliver(service, part)
            last = datetime.fromisoformat(tale.rows[-1]["time"])
            until(lambda: judged_until(service, last), 120)
            # An open incident is looked at every ten minutes, and when the service starts.
            service.kill()
            service.start()
            until(lambda: service.get(f"incidents/{incident_id}")["status"] == "resolved", 120)
            until_told(receivers, incident_id, "opened", "resolved")
            live = service.get("incidents")["incidents"]
            counts = service.counts()
            assert [stub.problems for stub in receivers.stubs] == [[]] * 5
            assert service.stop() == 0
    assert counts["turns"] == len(tale.rows)
    assert counts.get("late turns", 0) == 0
    expected = scanned(tale, tmp_path)["incidents"]
    assert [{name: each[name] for name in SAME} for each in live] == [
        {name: each[name] for name in SAME} for each in expected
    ]
