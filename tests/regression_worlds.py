"""Made-up answers for the tests of regression cases: an agent that helped until it began to send people away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from unquiet import intents
from unquiet.model.turns import TURNS
from unquiet.regression import Answers, Suite, Told, build
from unquiet.store import Store
from unquiet.store.tables import SESSIONS

TOLD = Told("20260310-abc123", "sends users elsewhere: 0 % -> 60 % since Tue 10 Mar", "2026-03-10T00:00:00Z")
START, ONSET = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 10, tzinfo=UTC)
THINGS = ("lamp", "kettle", "carpet", "mirror", "blender", "sofa", "curtain", "heater", "bicycle", "camera")
WISHES = (
    "Where is my {}?",
    "I want to return the {}",
    "Can I get an invoice for the {}",
    "The {} came broken",
    "Cancel the {}",
)
HELPS = (
    "Your {} is on its way and will be with you on Friday",
    "I have opened a return for the {} and sent you the label",
    "The papers for your {} are in your inbox now",
    "That is a pity, a new {} leaves our store today",
    "Done: the {} is cancelled and your money is coming back",
)
AWAY = "For a {} please reach out to the shop floor team"
HOSTILE = (
    'Where is "my" {{ lamp }} {% if x %}?',
    "file://etc/lamp\u2028and\x85the 'rest' \\ \"\"\" ''' `x`",
    "Meine Lampe 💡 ist weg: {} # not a comment\n- a: b",
)


def asked(number: int) -> tuple[str, str]:
    """A request, and a good answer to it."""
    thing, wish = THINGS[number % len(THINGS)], number // len(THINGS) % len(WISHES)
    return WISHES[wish].format(thing), HELPS[wish].format(thing)


Change = Callable[[int, str], tuple[str, list[str] | None]]


def away(number: int, output: str) -> tuple[str, list[str] | None]:
    return AWAY.format(THINGS[number % len(THINGS)]), ["find_order"]


def answers(count: int, first: int, change: Change | None = None, earlier: Sequence[str] = ()) -> Answers:
    """`count` answers, one a session, numbered from `first`; `change` makes them those of the incident."""
    pairs = [asked(number) for number in range(count)]
    given = [change(i, pair[1]) if change else (pair[1], ["find_order"]) for i, pair in enumerate(pairs)]
    requests = [(*earlier, request) for request, _ in pairs]
    return Answers(
        requests,
        [output for output, _ in given],
        [calls for _, calls in given],
        [(f"session-{first + i}", 0) for i in range(count)],
        np.arange(first, first + count),
        intents.embed(["\n".join(reversed(each)) for each in requests]),
        {},
    )


def suite(
    change: Change = away,
    *,
    before: Answers | None = None,
    clean: Callable[[str, str], str] = lambda text, _: text,
    earlier: Sequence[str] = (),
    count: int = 6,
    phrases: Mapping[str, str] | None = None,
    readings: tuple[np.ndarray, np.ndarray] | None = None,
) -> Suite:
    """The suite of an incident of 60 sessions after 200 good ones; `readings` are those of the signals in `phrases`."""
    good, bad = before or answers(200, 0), answers(60, 200, change, earlier)
    for name in phrases or {}:
        old, new = readings or (np.zeros(len(good)), np.ones(len(bad)))
        good, bad = replace(good, signals={name: old}), replace(bad, signals={name: new})
    return build(TOLD, good, bad, phrases or {}, clean, count)


def hostile_suite() -> Suite:
    """A suite whose requests try to break the files they are written to; its second case has a conversation before it."""
    made = suite(earlier=("Hello, who are you?",), count=len(HOSTILE) + 1)
    cases = [replace(case, requests=(text,)) for case, text in zip(made.cases, HOSTILE, strict=False)]
    return replace(made, cases=(*cases, *made.cases[len(cases) :]))


def row(number: int, time: datetime, request: str, output: str, user: str) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(TURNS.names)
    return empty | {
        "turn_id": f"turn-{number}",
        "session_id": f"session-{number}",
        "turn_index": 0,
        "time": time,
        "user_id": user,
        "input": request,
        "output": output,
        "tool_calls": [{"name": "find_order", "arguments": "{}", "result": "ok", "error": None}],
        "facets": [("locale", "en")],
    }


def visit(turn: dict[str, Any]) -> dict[str, Any]:
    """The closed session of one turn."""
    known: dict[str, Any] = dict.fromkeys(SESSIONS.names)
    known |= {"visit_id": f"{turn['session_id']}@0", "started": turn["time"], "closed": turn["time"], "turn_count": 1}
    return known | {name: turn[name] for name in ("session_id", "user_id", "facets")}


def incident_folder(folder: Path) -> Path:
    """A scanned folder with one incident: 200 good sessions, 60 of which people are sent away, each naming its user."""
    rows: list[dict[str, Any]] = []
    for i in range(260):
        request, output = asked(i if i < 200 else i - 200)
        said, user = f"{request} I am person-{i}, mail me at p{i}@example.org", f"person-{i}"
        time = START + timedelta(hours=i) if i < 200 else ONSET + timedelta(minutes=i)
        rows.append(row(i, time, said, output if i < 200 else away(i, output)[0], user))
    with Store.open(folder) as store:
        store.append_turns(pa.Table.from_pylist(rows, schema=TURNS))
        store.append_sessions(pa.Table.from_pylist([visit(each) for each in rows], schema=SESSIONS))
        onset = {"at": TOLD.onset, "earliest": TOLD.onset, "latest": TOLD.onset}
        document = {
            "id": TOLD.incident,
            "title": TOLD.title,
            "status": "open",
            "slice": {"locale": "en"},
            "onset": onset,
        }
        document |= {"session_ids": [f"session-{i}" for i in range(200, 260)]}
        store.upsert_incident(TOLD.incident, document, raised_at=ONSET, status="open")
        mix = document | {"id": "20260311-000000", "kinds": []}
        store.upsert_incident("20260311-000000", mix, raised_at=ONSET, status="open")
        store.put_setting("coverage", {})
    return folder


def write(files: Mapping[str, str], folder: Path) -> Path:
    """A folder with these files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder
