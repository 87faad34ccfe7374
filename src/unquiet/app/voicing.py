"""Voices into a folder: cleaned as its traffic is, joined to sessions, and watched as streams of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
from unquiet.gap.joining import LIKE_US, USER_US, Likeness, join_by_ids, micros
from unquiet.gap.voice_streams import VoiceAlarm, by_hour, voice_alarms
from unquiet.model.privacy import PrivacySettings
from unquiet.model.settings import Settings
from unquiet.model.voices import SIMILARITY, UNJOINED, VOICE_JOINS, VOICES
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
LARGE = 100_000_000


def add_voices(store: Store, folder: Path, reads: Iterable[FileRead], privacy: PrivacySettings | None = None) -> Added:
    """Add what files hold, and join all voices of the folder anew.

    Where the folder has a key, texts are redacted and user ids hashed with it before they are kept, as `privacy` says.

    Raises:
        UnreadableSource, StoreError, ConfigError: nothing could be read, kept, or made unreadable.
    """
    cleaning = _cleaning(folder, privacy)
    cleaned = (FileRead(each.path, _cleaned(each.tables, cleaning), each.report) for each in reads)
    added = add_records(store, store.voices, cleaned)
    if added.new:
        refresh(store, folder)
    return added


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
        store.voice_joins.replace(joins)
        store.put_setting(STREAMS, streams)


def hashed(table: pa.Table, hasher: UserHasher | None) -> pa.Table:
    """The table with its user ids as the folder's key makes them; those that are such hashes stay."""
    if hasher is None:
        return table
    users = table.column("user_id").combine_chunks().dictionary_encode()
    names = pa.array([None if user is None else hasher(user) for user in users.dictionary.to_pylist()], pa.string())
    place = table.column_names.index("user_id")
    return table.set_column(place, "user_id", names.take(users.indices))


def _joins(store: Store, voices: pa.Table, turns: pa.Table) -> pa.Table:
    at_us = micros(turns.column("time"))
    days = max((int(at_us[-1]) - int(at_us[0])) / DAY_US, 1.0)
    sessions = turns.group_by(["session_id", "user_id"], use_threads=False).aggregate([])
    crowd = pa.array(sorted(shared_users(sessions.column("user_id"), days)), pa.string())
    alone = pc.if_else(
        pc.is_in(turns.column("user_id"), value_set=crowd), pa.scalar(None, pa.string()), turns.column("user_id")
    )
    how, session = join_by_ids(voices, turns.set_column(turns.column_names.index("user_id"), "user_id", alone), USER_US)
    likeness = np.full(voices.num_rows, np.nan)
    left = np.flatnonzero(pc.equal(how, UNJOINED).to_numpy(zero_copy_only=False))
    if len(left):
        rows, similar, theirs = _by_likeness(store, voices.take(pa.array(left)), int(at_us[0]), int(at_us[-1]))
        named, told = how.to_pylist(), session.to_pylist()
        for row, value, found in zip(left[rows].tolist(), similar.tolist(), theirs, strict=True):
            named[row], told[row], likeness[row] = SIMILARITY, found, value
        how, session = pa.array(named, pa.string()), pa.array(told, pa.string())
    columns = [voices.column("voice_id"), voices.column("time"), how, session, pa.array(likeness, from_pandas=True)]
    return pa.Table.from_arrays([_flat(each) for each in columns], schema=VOICE_JOINS)


def _flat(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _by_likeness(
    store: Store, voices: pa.Table, start_us: int, end_us: int
) -> tuple[IntArray, npt.NDArray[np.float64], list[str]]:
    """Which rows of `voices` are joined by what they say, how similar the request is, and its session."""
    vectors = intents.embed(voices.column("text"))
    likeness = Likeness(vectors, micros(voices.column("time")), start_us, end_us)
    ids: list[pa.Array] = []
    day_us = start_us - start_us % DAY_US
    while day_us <= end_us:
        if likeness.wants(day_us, day_us + DAY_US):
            requests = store.turns_between(
                _moment(day_us), _moment(day_us + DAY_US), columns=["session_id", "time", "input"]
            )
            if requests.num_rows:
                likeness.add(intents.embed(requests.column("input")), micros(requests.column("time")))
                ids.append(requests.column("session_id").combine_chunks())
        day_us += DAY_US
    least = likeness.threshold()
    if least is None:
        return np.zeros(0, np.int64), np.zeros(0), []
    rows = np.flatnonzero(likeness.comparable & (likeness.best >= least))
    return rows, likeness.best[rows], pa.concat_arrays(ids).take(pa.array(likeness.row[rows])).to_pylist()


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
