"""The options of sinks: everything that is wrong is told at once, and no secret with it."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from alert_receivers import Receiver, listening, notice
from unquiet.alerts import BUILT_IN, Options, SinkKind, kind_names, make_sink, secret_reader
from unquiet.model.errors import ConfigError

GOOD: dict[str, dict[str, Any]] = {
    "webhook": {"url": "http://receiver.example:8080/hook?x=1"},
    "slack": {"url": {"env": "SLACK_URL"}},
    "pagerduty": {"routing_key": {"file": "key"}},
    "alertmanager": {"url": "http://alertmanager:9093"},
    "email": {"host": "mail.example", "from": "unquiet@example.com", "to": ["a@example.com", "b@example.com"]},
    "github": {"repository": "acme/agent", "token": {"env": "TOKEN"}},
}
ENVIRON = {
    "SLACK_URL": "https://hooks.slack.com/services/T/B/x",
    "TOKEN": "gh-token",
    "BREAK": "a\nb",
    "HTTP": "http://a.example/x",
}


def made(kind: str, options: dict[str, Any], folder: Path) -> Any:
    (folder / "key").write_text("routing\n")
    return make_sink(kind, "mine", options, secret_reader(ENVIRON, folder))


def wrong(kind: str, options: dict[str, Any], folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        made(kind, options, folder)
    return str(caught.value)


def test_every_built_in_kind_is_made(tmp_path: Path) -> None:
    assert [kind.kind for kind in BUILT_IN] == list(GOOD)
    for kind, options in GOOD.items():
        assert made(kind, options, tmp_path).name == "mine"
    assert made("pagerduty", GOOD["pagerduty"], tmp_path).routing_key == "routing"
    assert made("email", GOOD["email"], tmp_path).port == 587


@pytest.mark.parametrize("kind", GOOD)
def test_all_errors_at_once(kind: str, tmp_path: Path) -> None:
    text = wrong(kind, {"timeout_s": "soon", "colour": 1}, tmp_path)
    missing = [name for name in GOOD[kind] if name != "to"]
    for name in missing:
        assert f"{name}: missing" in text
    assert "timeout_s: got a text of 4 characters, expected a number" in text
    assert "colour: no such option, expected some of" in text
    assert text.startswith(f"alert sink 'mine' ({kind})")


@pytest.mark.parametrize(
    ("kind", "key"),
    [("slack", "url"), ("pagerduty", "routing_key"), ("github", "token"), ("webhook", "secret"), ("email", "password")],
)
@pytest.mark.parametrize(
    "value", ["hunter2-hunter2", {"env": "A", "file": "b"}, {"literal": "hunter2"}, 7, {"env": ""}]
)
def test_a_literal_secret_is_refused_and_not_repeated(kind: str, key: str, value: object, tmp_path: Path) -> None:
    text = wrong(kind, GOOD[kind] | {key: value}, tmp_path)
    assert f'{key}: a secret does not stand in the configuration. Give it as {{"env": "NAME"}}' in text
    assert "hunter2" not in text


def test_secrets_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "large").write_bytes(b"x" * 70_000)
    for reference, told in {
        "env:NOWHERE": "the environment variable NOWHERE is not set",
        "file:nowhere": "cannot be read: no such file",
        "file:empty": "is empty",
        "file:large": "more than 65536 bytes",
        "env:BREAK": "has line breaks",
    }.items():
        way, name = reference.split(":")
        assert told in wrong("github", GOOD["github"] | {"token": {way: name}}, tmp_path)


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        ("github", {"url": "http://github.example"}, "url: http would send it readable"),
        ("slack", {"url": {"env": "HTTP"}}, "url: http would send it readable"),
        ("webhook", {"url": "https://user:pass@example.com/"}, "url: holds a user or password"),
        ("webhook", {"url": "ftp://example.com/"}, "url: expected an http or https address"),
        ("webhook", {"url": "https://exa mple.com/"}, "url: expected an http or https address"),
        ("webhook", {"url": "https://[::1"}, "url: is no address"),
        ("webhook", {"url": "https://a:99999/"}, "url: is no address"),
        ("webhook", {"source": "two words"}, "source: expected the name"),
        ("alertmanager", {"repeat_s": 0}, "repeat_s: got 0, expected a number from 1 to 3600"),
        ("alertmanager", {"user": "u"}, "user: give either a token, or a user and a password"),
        ("email", {"from": "Me <me@example.com>"}, "from: expected bare addresses"),
        ("email", {"to": ["a@example.com", "b@example.com, c@example.com"]}, "to: expected bare addresses"),
        ("email", {"to": "a@example.com\nBcc: x@example.com"}, "to: got a text of 32 characters"),
        ("email", {"to": []}, "to: got a list, expected a list of texts"),
        ("email", {"security": "ssl"}, "security: got a text of 3 characters, expected one of starttls, tls, none"),
        ("email", {"security": "none", "user": "u", "password": {"env": "TOKEN"}}, "security: none would send"),
        ("email", {"user": "u"}, "password: give both"),
        ("github", {"repository": "acme/agent/../x"}, "repository: expected owner/name"),
        ("github", {"labels": [1]}, "labels: got a list"),
    ],
)
def test_wrong_values_are_told(kind: str, options: dict[str, Any], told: str, tmp_path: Path) -> None:
    text = wrong(kind, GOOD[kind] | options, tmp_path)
    assert told in text
    assert text.count("\n") == 1
    assert "user:pass" not in text


def test_an_unknown_kind_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no kind 'pager', expected one of webhook, slack"):
        made("pager", {}, tmp_path)


class _Point:
    def __init__(self, name: str, found: object) -> None:
        self.name, self.value, self._found = name, f"package:{name}", found

    def load(self) -> object:
        if isinstance(self._found, Exception):
            raise self._found
        return self._found


def test_the_sink_of_the_documentation_works(root: Path) -> None:
    page = (root / "docs" / "how-to" / "add-a-sink.md").read_text(encoding="utf-8")
    code = textwrap.dedent(page.split("```python\n")[1].split("```")[0])
    module = ModuleType("ntfy")
    sys.modules["ntfy"] = module
    exec(compile(code, "ntfy", "exec"), module.__dict__)  # noqa: S102 - the page's own example
    with listening(Receiver()) as receiver:
        options = Options(
            "ntfy", "mine", {"url": receiver.url, "token": {"env": "TOKEN"}}, secret_reader(ENVIRON, root)
        )
        sink = module.KIND.make(options)
        options.check()
        sink.send(notice())
        assert receiver.requests[0].body.startswith(b"Opened: refuses refund requests")
        assert "gh-token" not in repr(sink)


def test_a_kind_of_another_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Bell:
        name = "mine"

        def __init__(self, options: Options) -> None:
            self.tone = options.text("tone")

        def send(self, notice: object) -> None: ...

    points = [
        _Point("bell", SinkKind("bell", Bell)),
        _Point("broken", ImportError("no module named x")),
        _Point("odd", 3),
        _Point("slack", 3),
    ]

    def entry_points(*, group: str, name: str | None = None) -> list[_Point]:
        assert group == "unquiet.alerts"
        return [point for point in points if name in (None, point.name)]

    monkeypatch.setattr("unquiet.alerts.kinds.entry_points", entry_points)
    assert kind_names() == [*GOOD, "bell", "broken", "odd"]
    assert made("bell", {"tone": "low"}, tmp_path).tone == "low"
    assert "tone: missing" in wrong("bell", {}, tmp_path)
    assert "cannot be loaded (no module named x)" in wrong("broken", {}, tmp_path)
    assert "is int, expected unquiet.alerts.kinds.SinkKind" in wrong("odd", {}, tmp_path)
    assert made("slack", GOOD["slack"], tmp_path).name == "mine"
