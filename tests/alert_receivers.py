"""Stubs of the receivers of alerts: they check what they are sent by the vendor's rules, and can fail in every way."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from unquiet.model.alerts import Notice

T0 = 1_773_150_000_000_000
"""2026-03-10T13:40:00Z."""

DAY = 86_400_000_000
R = TypeVar("R", bound="Receiver")


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = tuple[int, Any] | tuple[int, Any, Mapping[str, str]]


@dataclass
class Receiver:
    """Takes requests by `accept`; the vendor's rules that were broken are in `problems`.

    `mood` says how the next requests end, one entry each: `ok`, `reset` (taken, then the connection is reset),
    `away` (reset before it is read), or a status with headers that is answered without taking the request.
    """

    mood: list[str | tuple[int, Mapping[str, str]]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    url: str = ""

    def accept(self, request: Request) -> Answer:
        return 200, {}

    def check(self, holds: bool, text: str) -> None:
        if not holds:
            self.problems.append(text)


class Slack(Receiver):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []

    def accept(self, request: Request) -> Answer:
        message = request.json
        blocks = message["blocks"]
        self.check(len(blocks) <= 50, "blocks")
        self.check(len(request.body.decode()) <= 13_000 * 2, "bytes")
        self.check(sum(len(text["text"]) for text in slack_texts(message)) <= 13_000, "msg_blocks_too_long")
        for block in blocks:
            if block["type"] == "header":
                self.check(block["text"]["type"] == "plain_text" and len(block["text"]["text"]) <= 150, "header")
            elif block["type"] == "section":
                self.check(0 < len(block["text"]["text"]) <= 3000, "section")
            elif block["type"] == "context":
                self.check(len(block["elements"]) <= 10, "context")
            else:
                self.problems.append(f"block {block['type']}")
        self.messages.append(message)
        return 200, b"ok"


def slack_texts(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for block in message["blocks"]:
        yield from block.get("elements", [block.get("text")])


class PagerDuty(Receiver):
    def __init__(self) -> None:
        super().__init__()
        self.open: dict[str, list[dict[str, Any]]] = {}
        self.log: list[tuple[str, str]] = []

    def accept(self, request: Request) -> Answer:
        event = request.json
        self.check(len(request.body) <= 512_000, "too large")
        self.check(event["event_action"] in ("trigger", "acknowledge", "resolve"), "event_action")
        self.check(0 < len(event["dedup_key"]) <= 255, "dedup_key")
        key, action = event["dedup_key"], event["event_action"]
        if action == "trigger":
            payload = event["payload"]
            self.check(0 < len(payload["summary"]) <= 1024, "summary")
            self.check(payload["severity"] in ("critical", "error", "warning", "info"), "severity")
            self.check(bool(payload["source"]), "source")
            datetime.fromisoformat(payload["timestamp"])
            self.check(
                all(link["href"].startswith(("http://", "https://")) for link in event.get("links", [])), "links"
            )
            if key not in self.open:
                self.log.append(("opened", key))
            self.open.setdefault(key, []).append(event)
        elif self.open.pop(key, None):
            self.log.append(("resolved", key))
        return 202, {"status": "success", "message": "Event processed", "dedup_key": key}


class Alertmanager(Receiver):
    """Alerts by their labels; without a repetition they end after `resolve_timeout_us`."""

    def __init__(self, now: Callable[[], int], resolve_timeout_us: int = 300_000_000) -> None:
        super().__init__()
        self.now, self.timeout = now, resolve_timeout_us
        self.ends: dict[str, int] = {}
        self.log: list[tuple[str, str]] = []

    def firing(self) -> list[str]:
        return [key for key, end in self.ends.items() if end > self.now()]

    def accept(self, request: Request) -> Answer:
        for alert in request.json:
            labels = alert["labels"]
            self.check(all(re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) for name in labels), "label name")
            self.check(all(isinstance(value, str) and value for value in labels.values()), "label value")
            self.check("alertname" in labels, "alertname")
            starts = us_of(alert["startsAt"])
            ends = us_of(alert["endsAt"]) if "endsAt" in alert else self.now() + self.timeout
            self.check(starts <= ends, "endsAt before startsAt")
            name = json.dumps(labels, sort_keys=True)
            was, now = self.ends.get(name, 0) > self.now(), ends > self.now()
            if was != now:
                self.log.append(("opened" if now else "resolved", labels["key"]))
            self.ends[name] = ends
        return 200, b""


class GitHub(Receiver):
    def __init__(self) -> None:
        super().__init__()
        self.issues: list[dict[str, Any]] = []
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.changes: list[tuple[str, int]] = []

    def accept(self, request: Request) -> Answer:
        self.check(request.headers.get("authorization") == "Bearer gh-token", "authorization")
        self.check(request.headers.get("accept") == "application/vnd.github+json", "accept")
        found = re.fullmatch(r"/repos/acme/agent/issues(?:/(\d+)(/comments)?)?", request.path)
        if not found:
            return 404, {"message": "Not Found"}
        number, comments = int(found[1] or 0), bool(found[2])
        if request.method == "GET":
            items = list(self.comments.get(number, [])) if comments else self.issues[::-1]
            page, size = int(request.query["page"][0]), int(request.query["per_page"][0])
            datetime.fromisoformat(request.query["since"][0])
            return 200, items[(page - 1) * size : page * size]
        payload = request.json
        self.check(len(payload.get("body", "")) <= 65_536 and len(payload.get("title", "")) <= 256, "length")
        if request.method == "PATCH":
            self.issues[number - 1] |= payload
            self.changes.append((payload["state"], number))
            return 200, self.issues[number - 1]
        if comments:
            self.comments.setdefault(number, []).append(payload)
            return 201, payload
        issue = {"number": len(self.issues) + 1, "state": "open", **payload}
        self.issues.append(issue)
        return 201, issue


class CloudEvents(Receiver):
    """Drops an event whose source and id it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    def accept(self, request: Request) -> Answer:
        event = request.json
        self.check(request.headers["content-type"].startswith("application/cloudevents+json"), "content type")
        self.check(event["specversion"] == "1.0", "specversion")
        self.check(all(isinstance(event[name], str) and event[name] for name in ("id", "source", "type")), "required")
        self.check(bool(re.fullmatch(r"[a-z0-9]+", "".join(event).lower())), "attribute names")
        datetime.fromisoformat(event["time"])
        if event["id"] not in {seen["id"] for seen in self.events}:
            self.events.append(event)
        return 204, b""


def us_of(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1e6)


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def _take(self) -> None:
        receiver = self.receiver
        mood = receiver.mood.pop(0) if receiver.mood else "ok"
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, parts.path, parse_qs(parts.query), headers, body)
        receiver.requests.append(request)
        if mood == "away":
            self.close_connection = True
            return
        status, answer, *more = (mood[0], b"no", mood[1]) if isinstance(mood, tuple) else receiver.accept(request)
        if mood == "reset":
            self.close_connection = True
            return
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in (more[0] if more else {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = _take  # noqa: N815 - the base class calls these names

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def listening(receiver: R) -> Iterator[R]:
    """The receiver on a free port of this machine."""
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join(5)


DOCUMENT: dict[str, Any] = {
    "id": "20260310-04bef7",
    "title": "refuses refund requests in German (de-DE): 2 % -> 66 % since Tue 10 Mar 14:09 (13:37-14:23 UTC), about 121 sessions",
    "status": "open",
    "signal": "refusal",
    "direction": "up",
    "slice": {"intent": "refund", "locale": "de-DE"},
    "also_in": [],
    "onset": {"at": "2026-03-10T12:09:42Z", "earliest": "2026-03-10T11:37:17Z", "latest": "2026-03-10T12:23:15Z"},
    "raised_at": "2026-03-10T13:20:12Z",
    "resolved_at": None,
    "before": {"rate": 0.0202, "n": 297, "rate_mix_adjusted": 0.0202},
    "after": {"rate": 0.658, "n": 190},
    "excess_sessions": {"estimate": 121.2, "low": 114.4, "high": 124.9},
    "users_reached": 117,
    "suspects": [
        {"kind": "prompt", "from": "v41", "to": "v42", "at": "2026-03-10T12:07:00Z", "source": "deploys.jsonl:4"}
    ],
    "answers": [{"text": "leider nicht", "said": 'says "leider nicht"'}],
    "evidence": {"before": ["b8611721d2", "0c1e2172c3"], "after": ["7b34a1149a", "8405cf800d"], "note": None},
    "session_ids": ["f3edd3a010"],
}


def notice(phase: str = "opened", *, name: str = "A", at_us: int = T0, **changes: Any) -> Notice:
    """A notice of incident `name`."""
    fields: dict[str, Any] = {
        "id": f"incident/{name}/{phase}/{at_us}",
        "key": f"incident/{name}",
        "phase": phase,
        "severity": "error",
        "at_us": at_us,
        "title": str(DOCUMENT["title"]),
        "lines": ("since: Tue 10 Mar 12:09 UTC", "reached: 121 sessions"),
        "url": f"https://unquiet.example/incidents/{name}?a=1&b=2",
        "labels": {"signal": "refusal", "direction": "up", "slice": "intent=refund, locale=de-DE"},
        "document": {"raised_at": "2026-03-10T13:20:12Z", "id": name},
    }
    return Notice(**(fields | changes))


RTL = "\u202egnp.exe\u202c \u0627\u0644\u062d\u0645\u062f \u2066x\u2069"
HOSTILE = (
    "<!channel> <!here> <@U123> <#C1> <https://evil.example|click> <!subteam^S1>",
    "@channel @here @octocat #1 acme/agent#2 [x](https://evil.example) ![i](https://evil.example/i.png)",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "two\r\nBcc: victim@example.com\r\n\r\nbody \u2028 \u2029 \x00 \x1b[31m \x85",
    "``` \n```\n@octocat `````` <!-- unquiet key x -->",
    RTL,
    "\ud800 lone",
    "=?utf-8?q?Bcc=3A_x?= $title ${title} {{ x }} %s %(x)s",
    "y" * 100_000,
    "& &amp; &lt;",
    "",
)
