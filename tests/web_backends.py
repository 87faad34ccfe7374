"""A service for the tests of the web: it holds what the demo's incident looks like and remembers what it was told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from unquiet.model.changes import Change
from unquiet.model.conditions import Condition
from unquiet.report import Facts
from unquiet.selfwatch import WATCHES
from unquiet.web.access import Access
from unquiet.web.app import make_app
from unquiet.web.backend import Action, NotPossible, UnknownIncident, Verb
from unquiet.web.numbers import Numbers

NOW_US = 1_773_500_000_000_000
ID = "20260310-04bef7"
ORIGIN = {"Origin": "http://127.0.0.1:4319"}

SHARES = {"rate": 0.0202, "n": 297}
DOCUMENT: dict[str, Any] = {
    "id": ID,
    "title": "turns requests down by citing policy on refund requests in German (de-DE): 2 % -> 66 %",
    "status": "open",
    "signal": "policy_denial",
    "event": "policy_denial",
    "direction": "up",
    "slice": {"intent": "refund", "locale": "de-DE"},
    "onset": {
        "at": "2026-03-10T14:09:42.357448Z",
        "earliest": "2026-03-10T13:37:17.725930Z",
        "latest": "2026-03-10T14:23:15.517792Z",
    },
    "raised_at": "2026-03-10T16:20:12.123000Z",
    "also_moved": ["abandonment up (intent=refund, locale=de-DE)"],
    "also_in": [],
    "resolved_at": None,
    "told_at": "2026-03-15T23:55:00Z",
    "before": {**SHARES, "rate_mix_adjusted": 0.0202},
    "after": {"rate": 0.6579, "n": 190},
    "excess_sessions": {"estimate": 121.2, "low": 114.4, "high": 124.9},
    "users_reached": 117,
    "by_day": [{"day": "2026-03-02", "n": 31, "rate": 0.03226, "expected": 0.0202}],
    "moved": ["policy_denial", "refusal>=0.75"],
    "answers": [
        {
            "what": "phrase",
            "text": "leider nicht",
            "said": 'says "leider nicht"',
            "change": "new",
            "before": {"rate": 0.0, "n": 295},
            "after": {"rate": 0.39, "n": 190},
            "examples": ["3c48123ccf"],
        }
    ],
    "suspects": [
        {"kind": "prompt", "from": "v41", "to": "v42", "at": "2026-03-10T14:07:00Z", "source": "deploys.jsonl:4"}
    ],
    "provider_change": None,
    "evidence": {"before": ["b8611721d2"], "after": ["7b34a1149a"], "note": None},
    "session_ids": ["f3edd3a010", "33baf1b5ec"],
}

TURNS: list[dict[str, Any]] = [
    {
        "session_id": "b8611721d2",
        "time": "2026-03-08T18:44:00+00:00",
        "input": "Ich möchte eine Erstattung.",
        "output": "168,19 € wurden erstattet; Sie sehen den Betrag in 3 Werktagen.",
        "tool_calls": [{"name": "lookup_order", "error": None}, {"name": "refund", "error": "no such order"}],
    },
    {
        "session_id": "7b34a1149a",
        "time": "2026-03-11T14:34:00+00:00",
        "input": "Ich möchte eine Erstattung.",
        "output": "Das können wir Leider   nicht erstatten.",
        "tool_calls": [],
    },
]
GAP: dict[str, Any] = {
    "schema": "unquiet.gap/1",
    "first": "2026-03-14",
    "last": "2026-03-15",
    "days": [
        {"day": "2026-03-14", "wrong": 12.5, "seen": 0.5, "unseen": {"estimate": 12.0, "low": 11.0, "high": 12.4}},
        {"day": "2026-03-15", "wrong": 4.25, "seen": 0.25, "unseen": {"estimate": 4.0, "low": 3.0, "high": 4.2}},
    ],
    "wrong": 16.75,
    "seen": 0.75,
    "seen_by": {"errors": 0.75, "latency": 0.0, "evals": 0.0},
    "unseen": {"estimate": 16.0, "low": 14.0, "high": 16.6},
    "left_out": [{"incident": "20260312-aa0001", "why": "it is of the mix"}],
    "incidents": [],
}

STATUS: dict[str, Any] = {
    "folder": "data",
    "turns": 700,
    "first": "2026-03-02T00:00:32+00:00",
    "last": "2026-03-15T23:59:28+00:00",
    "data_age_days": 0.01,
    "files": [],
    "judged": True,
    "unjudged_turns": 0,
    "open_incidents": [],
    "labels": [],
    "judges": {},
    "drills": None,
    "coverage": {
        "learning_days": 7.0,
        "streams": 21_040,
        "slices": {"singles": 24, "pairs": 205},
        "budget_per_30_days": 1.0,
        "languages": None,
        "smallest_detectable": [
            {
                "slice": {},
                "event": "refusal>=0.5",
                "sessions_per_day": 50.0,
                "rate": 0.076,
                "days_1": None,
                "days_7": 0.093,
                "days_28": 0.089,
            }
        ],
    },
}
"""Of a folder in which nothing is open."""


def all_ok(now_us: int = NOW_US) -> list[Condition]:
    """Every condition, ok."""
    return [Condition(watch.name, "ok", watch.severity, since_us=now_us) for watch in WATCHES]


def full_numbers() -> Numbers:
    """Every figure known, all different."""
    return Numbers(
        version="0.1.0",
        started_us=NOW_US - 3_600_000_000,
        spans_accepted={"traces": 1200, "logs": 34},
        spans_rejected={("traces", "attribute too long"): 3},
        bodies={("http", 200): 40, ("http", 429): 2},
        duplicates=5,
        late_spans=6,
        turns=700,
        unreadable={"bodies": 22},
        sessions_open=8,
        sessions_closed=90,
        undrained_bytes=1000,
        drain_lag_s=1.5,
        last_arrival_us={"app": NOW_US - 2_000_000},
        ticks=11,
        last_tick_us=NOW_US - 12_000_000,
        tick_s=13.25,
        streams=21_040,
        budget=1.0,
        incidents={"open": 1, "resolved": 14},
        alerts_sent={"hook": 15},
        alerts_failed={"hook": 16},
        alerts_pending={"hook": 17},
        disk_free_bytes=18_000_000_000,
        folder_bytes=19_000_000,
        memory_bytes=200_000_000,
        signal_failures={"loop": 21},
    )


class FakeBackend:
    """Incidents, changes and a log in memory."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.documents = {
            ID: dict(DOCUMENT),
            "20260312-aa0001": {**DOCUMENT, "id": "20260312-aa0001", "status": "resolved"},
        }
        self.marked: list[Change] = []
        self.actions: list[tuple[str, Action]] = []
        self.forgotten: list[tuple[str | None, str | None]] = []
        self.reports: list[tuple[str, bytes]] = []
        self.said: list[tuple[list[Mapping[str, Any]], bool]] = []
        self.found: list[Condition] = all_ok()
        self.beat_us: int | None = NOW_US - 1_000_000
        self.figures = full_numbers()

    def looking(self) -> AbstractContextManager[None]:
        return nullcontext()

    def heartbeat_us(self) -> int | None:
        return self.beat_us

    def conditions(self) -> Sequence[Condition]:
        return self.found

    def numbers(self) -> Numbers:
        return self.figures

    def status(self) -> Mapping[str, Any]:
        return {**STATUS, "open_incidents": [ID]}

    def incidents(self, status: str | None) -> Sequence[Mapping[str, Any]]:
        return [each for each in self.documents.values() if status in (None, each["status"])]

    def incident(self, incident_id: str) -> Mapping[str, Any] | None:
        return self.documents.get(incident_id)

    def facts(self, incident_id: str) -> Facts | None:
        document = self.documents.get(incident_id)
        return None if document is None else Facts(document, TURNS)

    def gap(self) -> Mapping[str, Any] | None:
        return GAP

    def unable(self) -> Mapping[Verb, str]:
        return {}

    def turns(self, session_id: str) -> Sequence[Mapping[str, Any]]:
        turn = {
            "turn_id": "1",
            "session_id": session_id,
            "time": "2026-03-10T14:00:00+00:00",
            "input": "hi",
            "output": None,
        }
        return [turn] if session_id == "s1" else []

    def handle(self, incident_id: str, action: Action) -> Mapping[str, Any]:
        with self.lock:
            if incident_id not in self.documents:
                raise UnknownIncident(f"got the incident {incident_id!r}, which does not exist")
            document = self.documents[incident_id]
            if document["status"] == "resolved":
                raise NotPossible("got a resolved incident: only open ones are handled")
            self.actions.append((incident_id, action))
            return {**document, "handled_by": action.who}

    def mark(self, change: Change) -> None:
        self.marked.append(change)

    def ledger(self) -> Mapping[str, Any]:
        return {"seen": [], "kinds": [], "sightings": []}

    def changes(self) -> Sequence[Change]:
        return [Change(datetime(2026, 3, 10, 14, 7, tzinfo=UTC), "prompt", "v41", "v42", "pipeline"), *self.marked[-3:]]

    def voices(self) -> Mapping[str, Any]:
        return {"schema": "unquiet.voices/1", "voices": 0, "joined_by": {}, "per_week": [], "streams": None}

    def add_voices(self, voices: Sequence[Mapping[str, Any]], *, more: bool) -> Mapping[str, int]:
        self.said.append((list(voices), more))
        return {"added": len(voices), "known": 0}

    def forget(self, user: str | None, session: str | None) -> Mapping[str, int]:
        self.forgotten.append((user, session))
        return {"turns": 3, "sessions": 1}

    def evals(self) -> Mapping[str, Any]:
        run = {"run": "nightly 1", "tool": "junit", "suites": ["nightly"], "at": "2026-03-10T02:00:00Z"}
        counts = {"passed": 58, "failed": 1, "error": 0, "not_run": 1, "undecided": 0, "with_input": 60, "on_turns": 0}
        more = {"until": "2026-03-10T02:00:00Z", "models": ["m-1"], "prompt_hashes": []}
        return {"schema": "unquiet.evals/1", "runs": [{**run, **more, **counts}]}

    def add_evals(self, name: str, content: bytes) -> Mapping[str, Any]:
        self.reports.append((name, content))
        read = {"path": name, "cases": 60, "used": 60, "rejected": {}, "examples": [], "notes": []}
        return {**self.evals(), "added": 60, "files": [read]}

    def alerts_test(self) -> Sequence[Mapping[str, Any]]:
        return [{"sink": "hook", "delivered": True, "error": None}]

    def alert_log(self) -> Sequence[Mapping[str, Any]]:
        at = "2026-03-10T16:20:13Z"
        return [
            {
                "id": "n1",
                "key": f"incident/{ID}",
                "sink": "hook",
                "phase": "opened",
                "state": "sent",
                "at": at,
                "attempts": 1,
            }
        ]

    def failing(self, name: str, state: Any = "failing", detail: str = "it hangs") -> None:
        """Let one condition be in another state."""
        self.found = [
            replace(each, state=state, detail=detail, todo="restart") if each.name == name else each
            for each in all_ok()
        ]


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PLACES = {"{incident_id}": ID, "{ending}": "md", "{mark}": "0", "{name}": "pages.css"}
"""What stands for the variable parts of paths."""


def place(path: str) -> str:
    """An address of a route."""
    for name, value in PLACES.items():
        path = path.replace(name, value)
    return path + ("?session=s1" if path.endswith("/turns") else "")


def takes_forms(path: str) -> bool:
    """Whether a route takes what a page sends."""
    return path in ("/login/page", "/logout") or path.startswith("/incidents/")


def app_of(backend: FakeBackend, access: Access | None = None, now: Callable[[], int] = lambda: NOW_US) -> FastAPI:
    """The application around a backend; without tokens where none are given."""
    return make_app(backend, access or Access(), now)


def client_of(
    backend: FakeBackend, access: Access | None = None, host: str = "127.0.0.1:4319", **options: Any
) -> TestClient:
    """A client that calls it by its loopback name."""
    return TestClient(app_of(backend, access), base_url=f"http://{host}", **options)
