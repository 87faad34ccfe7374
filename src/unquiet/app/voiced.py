"""Voices as they are shown: those of a folder by week and topic, and those of an incident with the days won."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from unquiet.app.describing import iso
from unquiet.app.voicing import LIKE_DAYS, STREAMS, USER_DAYS
from unquiet.gap.days_won import DaysWon, days_won
from unquiet.gap.joining import micros
from unquiet.model.privacy import ALWAYS
from unquiet.model.voices import JOINS, SIMILARITY, UNJOINED, USER
from unquiet.privacy import Redactor
from unquiet.store import Store

SCHEMA = "unquiet.voices/1"
LEAST_RANK, CLEAR_RANK = 0.5, 0.95
"""Share of all requests that a voice is less like than the request it is joined to: so much at least, and so much where only
the words tell that it belongs to an incident."""

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
        "least_similarity": _least_similarity(store),
        "per_week": [{"week": week, "voices": count} for week, count in sorted(weeks.items())],
        "streams": store.get_setting(STREAMS),
    }


def _least_similarity(store: Store) -> float | None:
    """The least similarity of a join by it, None where there is none."""
    joins = store.voice_joins.read(["how", "similarity"])
    return pc.min(joins.filter(pc.equal(joins.column("how"), SIMILARITY)).column("similarity")).as_py()


def with_voices(store: Store, document: Document) -> Document:
    """The document of an incident with the field `voices`; as it is where the folder has no voices."""
    if not store.voices.count():
        return document
    return {**document, "voices": incident_voices(store, document)}


def incident_voices(store: Store, document: Document) -> dict[str, Any]:
    """The voices of the sessions that an incident claims: how many, joined how, the first, some of them, and the days won.

    Counted apart: voices that read less like the request of their user than half of all requests do, which are taken to be
    about something else; and those about sessions that it does not claim, which are of its slice since the onset and whose
    requests they clearly speak of.
    """
    earliest, at, latest = (_of_iso(document["onset"][name]) for name in ("earliest", "at", "latest"))
    every = [row for row in _told(store, document, earliest) if row["us"] >= earliest]
    found = [row for row in every if row["rank"] is None or row["rank"] >= LEAST_RANK]
    streams: Document = store.get_setting(STREAMS) or {}
    alarms = [_of_iso(each["at"]) for each in streams.get("alarms", ())]
    until = _of_iso(streams["until"]) if "until" in streams else None
    raised_us = _of_iso(document["raised_at"])
    won = days_won(raised_us, (earliest, at, latest), [row["us"] for row in found], alarms, until)
    since = [row for row in found if row["us"] >= at]
    return {
        "count": len(since),
        "about_something_else": sum(row["us"] >= at for row in every) - len(since),
        "not_claimed": sum(not row["claimed"] for row in since),
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


def _told(store: Store, document: Document, since_us: int) -> list[dict[str, Any]]:
    """The voices of an incident in order of time: how they were joined, whether to a `claimed` session, and `us`, their time."""
    joins = store.voice_joins.read(["voice_id", "how", "session_id", "rank"]).to_pylist()
    claimed = set(document["session_ids"])
    clear = {row["session_id"] for row in joins if (row["rank"] or 0.0) >= CLEAR_RANK} - claimed
    like = _of_slices(store, sorted(clear), [document["slice"], *document["also_in"]], since_us)
    known = {
        row["voice_id"]: {**row, "claimed": row["session_id"] in claimed}
        for row in joins
        if row["session_id"] in claimed or (row["session_id"] in like and (row["rank"] or 0.0) >= CLEAR_RANK)
    }
    voices = store.voices.read()
    voices = voices.filter(pc.is_in(voices.column("voice_id"), value_set=pa.array(list(known), pa.string())))
    at_us = micros(voices.column("time")).tolist()
    return [{**row, **known[row["voice_id"]], "us": us} for row, us in zip(voices.to_pylist(), at_us, strict=True)]


def _of_slices(store: Store, session_ids: list[str], slices: Sequence[Mapping[str, str]], since_us: int) -> set[str]:
    """Those of the sessions that began since a moment and have the facets of one of the slices; all traffic is no slice here."""
    turns = store.turns_of_sessions(session_ids, columns=["session_id", "time", "facets"])
    found: set[str] = set()
    at_us = micros(turns.column("time")).tolist()
    for session_id, us, facets in zip(
        turns.column("session_id").to_pylist(), at_us, turns.column("facets").to_pylist(), strict=True
    ):
        told = dict(facets or ()).items()
        if us >= since_us and any(where and where.items() <= told for where in slices):
            found.add(session_id)
    return found


def _example(row: Document) -> dict[str, Any]:
    """One voice without what identifies people."""
    text = Redactor(ALWAYS)(row["text"]) if row["text"] is not None else None
    cut = text if text is None or len(text) <= EXAMPLE_CHARACTERS else text[:EXAMPLE_CHARACTERS] + " [...]"
    return {
        "at": iso(row["us"]),
        "kind": row["kind"],
        "joined_by": row["how"],
        "session_id": row["session_id"],
        "text": cut,
        "rating": row["rating"],
    }


def _of_iso(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1e6)


def _us(moment: datetime) -> int:
    return round(moment.astimezone(UTC).timestamp() * 1e6)
