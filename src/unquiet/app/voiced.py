"""Voices as they are shown: those of a folder by week and topic, and those of an incident with the days won."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from unquiet.app.describing import iso
from unquiet.app.voicing import DAY_US, LIKE_DAYS, STREAMS, USER_DAYS, hashed
from unquiet.gap.days_won import DaysWon, days_won
from unquiet.gap.joining import micros
from unquiet.model.privacy import ALWAYS
from unquiet.model.voices import JOINS, SIMILARITY, UNJOINED, USER
from unquiet.privacy import KEY_FILE, Redactor, UserHasher, folder_key
from unquiet.store import Store

SCHEMA = "unquiet.voices/1"
EXAMPLES = 5
EXAMPLE_CHARACTERS = 300
Document = Mapping[str, Any]


def overview(store: Store) -> dict[str, Any]:
    """Schema `unquiet.voices/1`: how many voices of what, how they were joined, by week, and what they alone would have told."""
    voices = store.voices.read(["voice_id", "time", "kind", "origin", "rating"])
    joins = Counter(store.voice_joins.read(["how"]).column("how").to_pylist())
    at = voices.column("time").to_pylist()
    weeks = Counter((each - timedelta(days=each.weekday())).strftime("%Y-%m-%d") for each in at)
    rated = voices.column("rating").drop_null()
    return {
        "schema": SCHEMA,
        "voices": voices.num_rows,
        "first_at": iso(_us(at[0])) if at else None,
        "last_at": iso(_us(at[-1])) if at else None,
        "kinds": dict(sorted(Counter(voices.column("kind").to_pylist()).items())),
        "origins": dict(sorted(Counter(voices.column("origin").to_pylist()).items())),
        "ratings": {"n": len(rated), "mean": pc.mean(rated).as_py()},
        "joined_by": {how: joins.get(how, 0) for how in JOINS},
        "windows_days": {USER: USER_DAYS, SIMILARITY: LIKE_DAYS},
        "similarity_threshold": _threshold(store),
        "per_week": [{"week": week, "voices": count} for week, count in sorted(weeks.items())],
        "streams": store.get_setting(STREAMS),
    }


def _threshold(store: Store) -> float | None:
    """The least similarity of a join, None where no voice is joined by it."""
    return pc.min(store.voice_joins.read(["similarity"]).column("similarity")).as_py()


def with_voices(store: Store, folder: Path, document: Document) -> Document:
    """The document of an incident with the field `voices`; as it is where the folder has no voices."""
    if not store.voices.count():
        return document
    return {**document, "voices": incident_voices(store, folder, document)}


def incident_voices(store: Store, folder: Path, document: Document) -> dict[str, Any]:
    """The voices of the sessions that an incident claims: how many, joined how, the first, some of them, and the days won.

    A voice of a user who had an affected session shortly before is one of the incident, whatever else the user did since.
    """
    onset = tuple(_of_iso(document["onset"][name]) for name in ("earliest", "at", "latest"))
    found = [row for row in _theirs(store, folder, document["session_ids"]) if row["us"] >= onset[0]]
    streams: Document = store.get_setting(STREAMS) or {}
    alarms = [_of_iso(each["at"]) for each in streams.get("alarms", ())]
    until = _of_iso(streams["until"]) if "until" in streams else None
    won = days_won(
        _of_iso(document["raised_at"]), (onset[0], onset[1], onset[2]), [row["us"] for row in found], alarms, until
    )
    since = [row for row in found if row["us"] >= onset[1]]
    return {
        "count": len(since),
        "joined_by": {how: sum(row["how"] == how for row in since) for how in JOINS if how != UNJOINED},
        "first_at": None if won.first_us is None else iso(won.first_us),
        "alarm_at": None if won.alarm_us is None else iso(won.alarm_us),
        "looked_until": streams.get("until"),
        "days_won": _won(won),
        "examples": [_example(row) for row in since[:EXAMPLES]],
    }


def _won(won: DaysWon) -> dict[str, Any]:
    return {
        "first_voice": won.first,
        "first_voice_low": won.first_low,
        "first_voice_high": won.first_high,
        "voice_alarm": won.alarm,
        "voice_alarm_at_least": won.alarm_at_least,
    }


def _theirs(store: Store, folder: Path, session_ids: list[str]) -> list[dict[str, Any]]:
    """The voices of sessions in order of time, with `how` they were joined and `us`, their time."""
    hasher = UserHasher(folder_key(folder)) if (folder / KEY_FILE).exists() else None
    turns = hashed(store.turns_of_sessions(session_ids, columns=["session_id", "time", "user_id"]), hasher)
    voices = hashed(store.voices.read(), hasher)
    joins = {row["voice_id"]: row for row in store.voice_joins.read().to_pylist()}
    wanted, met = set(session_ids), _met(turns)
    found: list[dict[str, Any]] = []
    for row, us in zip(voices.to_pylist(), micros(voices.column("time")).tolist(), strict=True):
        join = joins.get(row["voice_id"])
        if join is None:
            continue
        mine = join["session_id"] in wanted
        theirs = join["how"] == USER and any(us - USER_DAYS * DAY_US <= at <= us for at in met.get(row["user_id"], ()))
        if mine or theirs:
            found.append({**row, "how": join["how"], "session": join["session_id"] if mine else None, "us": us})
    return found


def _met(turns: pa.Table) -> dict[str, list[int]]:
    """When each user had turns."""
    met: dict[str, list[int]] = {}
    for user, at in zip(turns.column("user_id").to_pylist(), micros(turns.column("time")).tolist(), strict=True):
        if user is not None:
            met.setdefault(user, []).append(at)
    return met


def _example(row: Document) -> dict[str, Any]:
    """One voice without what identifies people."""
    text = Redactor(ALWAYS)(row["text"]) if row["text"] is not None else None
    cut = text if text is None or len(text) <= EXAMPLE_CHARACTERS else text[:EXAMPLE_CHARACTERS] + " [...]"
    return {
        "at": iso(row["us"]),
        "kind": row["kind"],
        "joined_by": row["how"],
        "session_id": row["session"],
        "text": cut,
        "rating": row["rating"],
    }


def _of_iso(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1e6)


def _us(moment: datetime) -> int:
    return round(moment.astimezone(UTC).timestamp() * 1e6)
