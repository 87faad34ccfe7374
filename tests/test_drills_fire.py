"""A drill of the alerts reaches real receivers once, is marked in each of them, and is no incident of anybody's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from alert_receivers import T0, Alertmanager, CloudEvents, GitHub, PagerDuty, Slack, listening
from test_alerts_email import Mailbox, serving
from unquiet.cli.commands import unquiet
from unquiet.drills import PRESETS
from unquiet.service.firing import MARK
from unquiet.store import Store

TOML = """
[service]
folder = "data"
[alerts.hook]
kind = "webhook"
url = "{hook}"
[alerts.mail]
kind = "email"
host = "127.0.0.1"
port = {port}
security = "none"
from = "unquiet@example.com"
to = ["a@example.com"]
"""


@pytest.fixture
def hook() -> Iterator[CloudEvents]:
    with listening(CloudEvents()) as receiver:
        yield receiver


@pytest.fixture
def box() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    with serving(mailbox) as port:
        mailbox.refuse["port"] = str(port)
        yield mailbox


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: CloudEvents, box: Mailbox) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "unquiet.toml").write_text(TOML.format(hook=hook.url, port=box.refuse.pop("port")))
    with Store.open(tmp_path / "data"):
        pass


def fire(*arguments: str) -> Result:
    return CliRunner().invoke(unquiet, ("drill", "--fire", *arguments))


def test_webhook_and_mail_have_it_once_and_marked(tmp_path: Path, hook: CloudEvents, box: Mailbox) -> None:
    result = fire("--preset", "D14")
    assert result.exit_code == 0, result.output
    assert re.fullmatch(r"hook: accepted in \d+\.\d s\nmail: accepted in \d+\.\d s\n", result.stdout)
    (event,) = hook.events
    assert (len(hook.requests), hook.problems) == (1, [])
    assert event["type"] == "dev.unquiet.test"
    assert MARK in event["data"]["title"]
    assert event["data"]["labels"]["drill"] == "D14"
    assert event["data"]["drill"] == {
        "drill": True,
        "preset": "D14",
        "title": next(each.title for each in PRESETS if each.name == "D14"),
        "failure": "refusal",
    }
    (mail,) = box.mails
    assert mail["Subject"].strip().startswith(f"[unquiet] Test: {MARK}")
    plain = mail.get_body(("plain",))
    assert plain is not None
    assert "Nothing has to be done." in plain.get_content()


def test_it_is_no_incident(tmp_path: Path, hook: CloudEvents) -> None:
    assert fire().exit_code == 0
    assert len(hook.events) == 1
    with Store.open(tmp_path / "data") as store:
        assert store.incidents() == []
        assert store.outbox.told() == {}
        assert store.outbox.pending() == {}
        assert store.nights.count() == 0


def test_a_receiver_that_does_not_take_it_is_told_and_not_asked_again(hook: CloudEvents, box: Mailbox) -> None:
    hook.mood[:] = [(500, {})]
    result = fire()
    assert result.exit_code == 2
    assert "500" in result.stdout
    assert (len(hook.requests), len(box.mails)) == (1, 1)


def test_a_receiver_that_takes_no_incident_is_left_alone(tmp_path: Path, hook: CloudEvents, box: Mailbox) -> None:
    path = tmp_path / "unquiet.toml"
    path.write_text(path.read_text().replace('kind = "email"', 'kind = "email"\nmin_severity = "critical"'))
    result = fire()
    assert result.exit_code == 0
    assert "mail: not sent: no incident goes there, it takes critical only" in result.stdout
    assert (len(hook.events), len(box.mails)) == (1, 0)


def test_it_fails_where_no_receiver_takes_an_incident(tmp_path: Path, hook: CloudEvents, box: Mailbox) -> None:
    path = tmp_path / "unquiet.toml"
    text = path.read_text()
    for kind in ("email", "webhook"):
        text = text.replace(f'kind = "{kind}"', f'kind = "{kind}"\nmin_severity = "critical"')
    path.write_text(text)
    result = fire()
    assert result.exit_code == 2
    assert "nobody would hear of an incident: it is " in result.stdout
    assert (hook.events, box.mails) == ([], [])


def test_receivers_that_keep_alerts_open_end_it_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_us = T0
    with (
        listening(Slack()) as slack,
        listening(PagerDuty()) as pager,
        listening(GitHub()) as github,
        listening(Alertmanager(lambda: now_us)) as manager,
    ):
        monkeypatch.setenv("SLACK", f"{slack.url}/services/T/B/xxxxxxxx")
        monkeypatch.setenv("PAGER", "0" * 32)
        monkeypatch.setenv("GH", "gh-token")
        (tmp_path / "unquiet.toml").write_text(
            '[alerts.slack]\nkind = "slack"\nurl = { env = "SLACK" }\n'
            f'[alerts.pager]\nkind = "pagerduty"\nrouting_key = {{ env = "PAGER" }}\nurl = "{pager.url}"\n'
            f'[alerts.github]\nkind = "github"\nrepository = "acme/agent"\ntoken = {{ env = "GH" }}\nurl = "{github.url}"\n'
            f'[alerts.manager]\nkind = "alertmanager"\nurl = "{manager.url}"\n'
        )
        result = fire()
        assert result.exit_code == 0, result.output
        assert MARK in slack.messages[0]["text"]
        assert [what for what, _ in pager.log] == ["opened", "resolved"]
        assert [(issue["state"], MARK in issue["title"]) for issue in github.issues] == [("closed", True)]
        (sent,) = manager.requests
        assert sent.json[0]["labels"]["drill"] == "refusals"
        assert "endsAt" in sent.json[0]
        assert not [*slack.problems, *pager.problems, *github.problems, *manager.problems]


def test_one_drill_at_a_time() -> None:
    result = fire("--preset", "D14", "--preset", "D9")
    assert "name one drill" in str(result.exception)
