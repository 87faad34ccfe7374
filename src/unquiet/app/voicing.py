"""Voices into a folder: cleaned as its traffic is, joined to sessions, and watched as streams of their own."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet import intents
from unquiet.app.adding import Added, add_records
from unquiet.app.cleaning import Cleaning
from unquiet.app.describing import iso
from unquiet.app.unnaming import without
from unquiet.gap.joining import LIKE_US, USER_US, Chosen, Likeness, candidates, micros
from unquiet.gap.voice_streams import VoiceAlarm, by_hour, voice_alarms
from unquiet.model.privacy import PrivacySettings
from unquiet.model.settings import Settings
from unquiet.model.voices import SESSION, SIMILARITY, UNJOINED, USER, VOICE_JOINS, VOICES
from unquiet.pipeline.plan import shared_users
from unquiet.privacy import KEY_FILE, UserHasher, folder_key
from unquiet.sources import FileRead
from unquiet.store import Store

IntArray = npt.NDArray[np.int64]

STREAMS = "voice streams"
"""The setting under which it is kept what the voices alone would have told."""

VOLUME, KNOWN, UNLIKE = "all voices", "like those before", "unlike those before"
TOPICS = 8
DAY = timedelta(days=1)
DAY_US = 86_400_000_000
SAMPLE = 2000
"""Requests that tell how much a voice is like any request."""


def add_voices(store: Store, folder: Path, reads: Iterable[FileRead]) -> Added:
    """Add what files hold, and join all voices of the folder anew where any is.

    Raises:
        UnreadableSource, StoreError, ConfigError: nothing could be read, kept, or made unreadable.
    """
    added = keep_voices(store, folder, reads)
    if added.new:
        refresh(store, folder)
    return added


def keep_voices(store: Store, folder: Path, reads: Iterable[FileRead]) -> Added:
    """Add what files hold, joined to nothing yet.

    Where the folder has a key, texts are redacted and user ids hashed with it before they are kept, as a service does by
    default.

    Raises:
        UnreadableSource, StoreError, ConfigError: nothing could be read, kept, or made unreadable.
    """
    cleaning = _cleaning(folder, None)
    cleaned = (FileRead(each.path, _cleaned(each.tables, cleaning), each.report) for each in reads)
    return add_records(store, store.voices, cleaned)


def add_rows(
    store: Store, folder: Path, rows: pa.Table, privacy: PrivacySettings | None = None, *, more: bool = False
) -> dict[str, int]:
    """Add rows of VOICES; how many were `added`, and how many `known` already. With `more` to come they are not joined yet.

    Raises:
        StoreError, ConfigError: nothing could be kept, or made unreadable.
    """
    cleaning = _cleaning(folder, privacy)
    done = store.voices.append(rows if cleaning is None else _clean(rows, cleaning))
    if not more:
        refresh(store, folder)
    return {"added": done.new, "known": done.duplicates}


def _cleaning(folder: Path, privacy: PrivacySettings | None) -> Cleaning | None:
    if privacy is None and not (folder / KEY_FILE).exists():
        return None
    return Cleaning(privacy or PrivacySettings(), folder_key(folder))


def _cleaned(tables: Iterable[pa.Table], cleaning: Cleaning | None) -> Iterator[pa.Table]:
    for table in tables:
        yield table if cleaning is None else _clean(table, cleaning)


def _clean(table: pa.Table, cleaning: Cleaning) -> pa.Table:
    """A table of VOICES without what identifies people: a voice is cleaned as a request of its user would be."""
    rows = table.to_pylist()
    for row in rows:
        # The columns of the turn table first: a facet of their name must not take their place.
        told = {**dict(row["facets"] or ()), "input": row["text"]}
        told |= {name: row[name] for name in ("user_id", "session_id")}
        cleaning.turn(told, row["origin"])
        row |= {"text": told.pop("input"), "user_id": told.pop("user_id"), "session_id": told.pop("session_id")}
        row["facets"] = [(name, value) for name, value in told.items() if isinstance(value, str)]
    return pa.Table.from_pylist(rows, schema=VOICES)


def refresh(store: Store, folder: Path) -> None:
    """Join all voices to the sessions that there are now, and ask their streams anew; nothing where there are none.

    Raises:
        StoreError, ConfigError: the folder cannot be used, or its key.
    """
    voices = store.voices.read()
    extent = store.turn_extent()
    if not voices.num_rows or extent.first is None or extent.last is None:
        return
    turns = store.turns_between(extent.first, extent.last + DAY, columns=["session_id", "time", "user_id"])
    hasher = UserHasher(folder_key(folder)) if (folder / KEY_FILE).exists() else None
    joins = _joins(store, hashed(voices, hasher), hashed(turns, hasher))
    streams = _streams(store, voices, turns)
    with store.transaction():
        store.voice_joins.replace_all(joins)
        store.put_setting(STREAMS, streams)


def forget_voices(store: Store, session_ids: Collection[str], user_ids: Collection[str], words: Collection[str]) -> int:
    """Remove the voices of sessions and users; how many. In voices of others `words` are blotted out. Inside of a transaction.

    Users are named as traffic has them and as they are given: voices may have either.
    """
    rows, joins = store.voices.read(), store.voice_joins.read(["voice_id", "session_id"])
    if not rows.num_rows:
        return 0
    theirs = joins.filter(pc.is_in(joins.column("session_id"), value_set=pa.array(sorted(session_ids), pa.string())))
    parts = (("session_id", session_ids), ("user_id", user_ids), ("voice_id", theirs.column("voice_id").to_pylist()))
    gone = [pc.is_in(rows.column(name), value_set=pa.array(sorted(ids), pa.string())) for name, ids in parts]
    ids: list[str] = rows.column("voice_id").filter(functools.reduce(pc.or_, gone)).to_pylist()
    others = rows.filter(pc.invert(functools.reduce(pc.or_, gone))).to_pylist()
    edited = [told for row in others if (told := _blotted(row, words)) is not None]
    store.voice_joins.remove("voice_id", ids)
    store.voices.remove("voice_id", [*ids, *(row["voice_id"] for row in edited)])
    store.voices.append(pa.Table.from_pylist(edited, schema=VOICES))
    return len(ids)


def _blotted(row: Mapping[str, Any], words: Collection[str]) -> dict[str, Any] | None:
    """The voice without words in its text and facets; None where there is none in them."""
    facets: list[Any] = row["facets"] or []
    told: list[Any] = [row["text"], *(value for _, value in facets)]
    edited: list[Any] = [each if each is None else without(each, words) for each in told]
    if edited == told:
        return None
    return {
        **row,
        "text": edited[0],
        "facets": [(name, new) for (name, _), new in zip(facets, edited[1:], strict=True)],
    }


def drop_old_voices(store: Store, before_us: int) -> int:
    """Remove the voices from before a moment, with what they were joined to; how many."""
    old = store.voices.read(["voice_id", "time"])
    ids = old.column("voice_id").filter(pa.array(micros(old.column("time")) < before_us)).to_pylist()
    if ids:
        with store.transaction():
            store.voice_joins.remove("voice_id", ids)
            store.voices.remove("voice_id", ids)
    return len(ids)


def hashed(table: pa.Table, hasher: UserHasher | None) -> pa.Table:
    """The table with its user ids as the folder's key makes them; those that are such hashes stay."""
    if hasher is None:
        return table
    users = table.column("user_id").combine_chunks().dictionary_encode()
    names = pa.array([None if user is None else hasher(user) for user in users.dictionary.to_pylist()], pa.string())
    place = table.column_names.index("user_id")
    return table.set_column(place, "user_id", names.take(users.indices))


def _joins(store: Store, voices: pa.Table, turns: pa.Table) -> pa.Table:
    """Join by session, else by user, else by similarity; rows of VOICE_JOINS."""
    sessions = turns.group_by(["session_id", "user_id"], use_threads=False).aggregate([])
    at_us = micros(turns.column("time"))
    crowd = shared_users(sessions.column("user_id"), max((int(at_us[-1]) - int(at_us[0])) / DAY_US, 1.0))
    pairs = candidates(voices, _without_users(turns, crowd))
    vectors = intents.embed(voices.column("text"))
    alone = np.ones(voices.num_rows, bool)
    alone[pairs.voice] = False
    left = np.flatnonzero(alone & ~pairs.named)
    sample = np.sort(np.random.default_rng(0).choice(len(at_us), min(SAMPLE, len(at_us)), replace=False))
    chosen = Chosen(vectors, pairs, sample)
    like = Likeness(vectors[left], micros(voices.column("time"))[left], int(at_us[0]), int(at_us[-1]))
    _compare(store, at_us, chosen, like)
    place = chosen.chosen()
    similarity = chosen.similarity(place)
    row = np.full(len(place), -1, np.int64)
    row[pairs.voice] = pairs.row[place[pairs.voice]]
    found = np.flatnonzero(like.joined())
    row[left[found]], similarity[left[found]] = like.row[found], like.best[found]
    rank = chosen.rank(similarity)
    how = np.where(pairs.named, SESSION, np.where(row < 0, UNJOINED, np.where(alone, SIMILARITY, USER)))
    theirs = turns.column("session_id").combine_chunks().take(pa.array(np.maximum(row, 0)))
    named = voices.column("session_id").combine_chunks()
    session = pc.if_else(
        pa.array(pairs.named), named, pc.if_else(pa.array(row >= 0), theirs, pa.scalar(None, pa.string()))
    )
    columns = [
        *(voices.column(name).combine_chunks() for name in ("voice_id", "time")),
        pa.array(how.tolist(), pa.string()),
        session,
        *(pa.array(each, from_pandas=True) for each in (similarity, rank)),
    ]
    return pa.Table.from_arrays(columns, schema=VOICE_JOINS)


def _without_users(turns: pa.Table, crowd: Collection[str]) -> pa.Table:
    """Turns without the user ids that stand for many people."""
    users = turns.column("user_id")
    known = pc.if_else(
        pc.is_in(users, value_set=pa.array(sorted(crowd), pa.string())), pa.scalar(None, pa.string()), users
    )
    return turns.set_column(turns.column_names.index("user_id"), "user_id", known)


def _compare(store: Store, at_us: IntArray, chosen: Chosen, like: Likeness) -> None:
    """Tell both of them the requests that they need, day by day: those of a month do not fit into memory as vectors."""
    day_us = int(at_us[0]) // DAY_US * DAY_US
    while day_us <= at_us[-1]:
        first, last = (int(each) for each in np.searchsorted(at_us, (day_us, day_us + DAY_US)))
        wanted = like.wants(day_us, day_us + DAY_US)
        rows = np.arange(first, last) if wanted else chosen.rows(first, last)
        if len(rows):
            texts = store.turns_between(_moment(day_us), _moment(day_us + DAY_US), columns=["input"]).column("input")
            vectors = intents.embed(texts.take(pa.array(rows - first)))
            chosen.add(rows, vectors)
            if wanted:
                like.add(vectors, at_us[first:last], first)
        day_us += DAY_US


def _streams(store: Store, voices: pa.Table, turns: pa.Table) -> dict[str, Any]:
    """What the voices alone would have told: topics and alarms, and up to when it was looked for."""
    notes: Mapping[str, Any] = store.get_setting("coverage") or {}
    learn_days = float(notes.get("learning_days", Settings().learn / DAY))
    budget = float(notes.get("budget_per_30_days", Settings().budget))
    at_us, said_us = micros(turns.column("time")), micros(voices.column("time"))
    start_us, end_us = int(at_us[0]), int(at_us[-1])
    learned = (said_us >= start_us) & (said_us < start_us + round(learn_days * DAY_US))
    names, topic = _topics(voices.column("text"), learned)
    counts = by_hour(said_us, topic, len(names), _starts(turns), start_us, end_us)
    alarms = voice_alarms(counts, round(learn_days * 24), budget)
    return {
        "until": iso(end_us),
        "learning_days": learn_days,
        "budget_per_30_days": budget,
        "learned_voices": int(learned.sum()),
        "topics": [{"topic": name, "voices": int((topic == place).sum())} for place, name in enumerate(names)],
        "alarms": [_alarm(each, names) for each in alarms],
    }


def _topics(texts: pa.ChunkedArray, learned: npt.NDArray[np.bool_]) -> tuple[list[str], IntArray]:
    """The names of topics and that of each voice, less than 0 for none.

    Topics are those of the learning period; the last is what is unlike all of them.
    """
    vectors = intents.embed(texts)
    rows = np.flatnonzero(learned)
    model = intents.IntentModel.fit(vectors[rows], texts=texts.take(pa.array(rows)).combine_chunks(), k_coarse=TOPICS)
    topic = model.assign(vectors).astype(np.int64)
    count = len(model.labels)
    if not count:
        return [], np.full(len(vectors), -1, np.int64)
    names = [KNOWN] if count == 1 else model.labels
    return [*names, UNLIKE], np.where(topic == intents.NOVEL, count, np.where(topic < 0, -1, topic))


def _starts(turns: pa.Table) -> IntArray:
    """When each session began."""
    first = turns.group_by("session_id", use_threads=False).aggregate([("time", "min")])
    return micros(first.column("time_min"))


def _alarm(alarm: VoiceAlarm, names: list[str]) -> dict[str, Any]:
    told = VOLUME if alarm.stream == 0 else names[alarm.stream - 1]
    return {"at": iso(alarm.at_us), "stream": told, "usual_per_day": alarm.usual, "last_day": alarm.now}


def _moment(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC)


LIKE_DAYS, USER_DAYS = LIKE_US // DAY_US, USER_US // DAY_US
