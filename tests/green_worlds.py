"""A small service whose refund requests in German shops went wrong, and suites of evals that did not see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from unquiet.model.evals import EVAL_RESULTS, PASSED
from unquiet.model.turns import TURNS
from unquiet.store import Store
from unquiet.store.tables import SESSIONS

START = datetime(2026, 3, 2, tzinfo=UTC)
ONSET = START + timedelta(days=14)
END = START + timedelta(days=24)
RAISED = ONSET + timedelta(days=1, hours=6)

ASKED = {
    "refund": [
        "refund my {}",
        "i want my money back for the {}",
        "how do i get a refund on the {} i bought",
        "reimburse the {}",
    ],
    "delivery": ["where is the parcel with my {}", "track the shipment of my {}", "when will the {} be delivered"],
    "login": ["i forgot the password of my {} account", "cannot log in to see my {}", "reset the login for my {} page"],
    "praise": ["the {} is lovely", "thank you, i like the {} a lot", "great work on the {}"],
}
THINGS = [
    "shoes",
    "blue lamp",
    "kettle",
    "garden chair",
    "winter coat",
    "headphones",
    "desk",
    "bicycle",
    "blender",
    "toaster",
]
GOOD = {
    "refund": "Your refund is on its way: the money for the {} is back on your account within three days.",
    "delivery": "The parcel with the {} left our warehouse and arrives tomorrow.",
    "login": "We sent you a link to set a new password for the page of the {}.",
    "praise": "Thank you, we are glad that you like the {}.",
}
BAD = "I am afraid that I am unable to help with that. Please look elsewhere."
LOCALES = ["en-GB", "de-DE", "fr-FR"]


def request(topic: str, number: int) -> tuple[str, str]:
    """A request on a topic, and the thing that it is about."""
    thing = THINGS[number % len(THINGS)]
    return ASKED[topic][number // len(THINGS) % len(ASKED[topic])].format(thing), thing


def make_folder(folder: Path, *, everywhere: bool = False) -> tuple[Store, dict[str, Any]]:
    """A scanned folder with traffic, and the incident: refunds are refused since ONSET, in de-DE or `everywhere`."""
    store = Store.open(folder)
    rng = np.random.default_rng(5)
    turns: list[dict[str, Any]] = []
    affected: list[str] = []
    count = 2_400
    for number in range(count):
        at = START + (END - START) * number / count
        topic, locale = list(ASKED)[int(rng.integers(4))], LOCALES[int(rng.integers(3))]
        text, thing = request(topic, int(rng.integers(1_000)))
        hit = topic == "refund" and (everywhere or locale == "de-DE") and at >= ONSET
        session = f"s{number:05}"
        affected += [session] if hit else []
        facets = {"locale": locale, "app_version": "7.1"}
        answer = BAD if hit else GOOD[topic].format(thing)
        row = {"turn_id": f"t{number}", "session_id": session, "time": at, "input": text, "output": answer}
        turns.append(row | {"model": "m-2026", "facets": list(facets.items())})
    store.append_turns(table_of(turns, TURNS))
    sessions = [
        {
            "visit_id": row["session_id"],
            "session_id": row["session_id"],
            "started": row["time"],
            "closed": row["time"] + timedelta(minutes=30),
            "turn_count": 1,
            "facets": [*row["facets"], ("resumed", "no")],
        }
        for row in turns
    ]
    store.append_sessions(table_of(sessions, SESSIONS))
    store.put_setting(
        "coverage", {"facets": {"app_version": "version: it changes in time", "locale": "slice: 3 values"}}
    )
    document = incident({} if everywhere else {"locale": "de-DE"}, affected)
    store.upsert_incident(document["id"], document, raised_at=RAISED, status="open")
    return store, document


def incident(where: Mapping[str, str], affected: Sequence[str]) -> dict[str, Any]:
    """The document of the incident, as far as it is asked for."""
    return {
        "id": "20260317-abcdef",
        "title": "refuses requests: 0 % -> 25 % since Mon 16 Mar 00:00",
        "signal": "refusal",
        "event": "refusal>=0.5",
        "direction": "up",
        "slice": dict(where),
        "also_in": [],
        "moved": ["refusal"],
        "onset": {"at": _iso(ONSET), "earliest": _iso(ONSET), "latest": _iso(ONSET + timedelta(hours=4))},
        "raised_at": _iso(RAISED),
        "resolved_at": None,
        "told_at": _iso(END),
        "excess_sessions": {"estimate": float(len(affected)), "low": 0.0, "high": float(len(affected))},
        "session_ids": list(affected),
    }


def suite(
    topics: Sequence[str],
    *,
    days: Sequence[float],
    each: int = 8,
    varied: Mapping[str, Any] | None = None,
    **fields: Any,
) -> pa.Table:
    """Runs of a suite, at days since the onset, with `each` cases a topic that pass; `fields` are columns of all results.

    `varied` maps the name of a topic to columns of its cases alone.
    """
    rows: list[dict[str, Any]] = []
    for day in days:
        for topic in topics:
            for number in range(each):
                name = f"{topic}-{number}"
                at = ONSET + timedelta(days=day)
                row = {
                    "result_id": f"{name}@{day}",
                    "run": f"nightly {day}",
                    "time": at,
                    "tool": "junit",
                    "suite": "nightly",
                }
                row |= {"case_name": name, "status": PASSED, "input": request(topic, 7 * number + 3)[0] + " please"}
                rows.append(row | fields | (varied or {}).get(topic, {}))
    return table_of(rows, EVAL_RESULTS)


def check(kind: str, expected: str | None = None) -> dict[str, Any]:
    """A check that passed."""
    return {"kind": kind, "expected": expected, "passed": True, "score": None, "reason": None}


def table_of(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as a table; columns that a row does not name are null."""
    arrays = [pa.array([row.get(field.name) for row in rows], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
