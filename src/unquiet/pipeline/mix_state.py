"""The watch on the mix as bytes, and back: one archive of arrays and JSON, nothing in it is code."""

from __future__ import annotations

import io
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import orjson

from unquiet.intents import Novelty, Waiting
from unquiet.model.history import LATEST_US, History
from unquiet.model.incidents import Incident, Onset
from unquiet.model.slices import Slice
from unquiet.pipeline.mix import Mix, new_watch
from unquiet.stats.edetector import BetTables

RATES = ("row_of", "events", "sessions", "slice_events", "slice_sessions", "slice_usual")
DAYS = ("past", "today", "widened")


def dump_mix(mix: Mix) -> bytes:
    """Everything that the watch on the mix knows, but for the sessions themselves: the judgement keeps the same ones."""
    meta = {
        "facet": mix.facet,
        "read": mix.read,
        "share": mix.share,
        "day": mix.watch.days.day,
        "appended": mix.history.appended,
        "met": mix.novelty.met,
        "since": mix.novelty.since,
        "kind_of": mix.novelty.kind_of,
        "kind_count": mix.novelty.kind_count,
        "pending": sorted(mix.novelty.pending),
        "waiting": [asdict(each) for each in mix.waiting],
        "incidents": [asdict(each) for each in mix.incidents],
        "kinds_of": mix.kinds_of,
    }
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "meta": np.frombuffer(orjson.dumps(meta), np.uint8),
        "known": mix.novelty.known,
        "y": mix.history.upto(LATEST_US).y,
        "restarts": mix.watch.restarts,
        "seen_us": mix.watch.seen_us,
    }
    arrays |= {f"rates.{name}": getattr(mix.watch.rates, name) for name in RATES}
    arrays |= {f"days.{name}": getattr(mix.watch.days, name) for name in DAYS}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def load_mix(data: bytes, history: History, tables: BetTables) -> Mix:
    """The watch that `dump_mix` wrote, given the sessions of the judgement that it belongs to."""
    arrays = dict(np.load(io.BytesIO(data), allow_pickle=False).items())
    meta = orjson.loads(arrays["meta"].tobytes())
    met = {key: [(day, who, text) for day, who, text in each] for key, each in meta["met"].items()}
    novelty = Novelty(arrays["known"], met, meta["since"], meta["kind_of"], meta["kind_count"], set(meta["pending"]))
    watch = new_watch(meta["share"], tables)
    watch.restarts, watch.seen_us = arrays["restarts"], arrays["seen_us"]
    for part, names in (("rates", RATES), ("days", DAYS)):
        for name in names:
            setattr(getattr(watch, part), name, arrays[f"{part}.{name}"])
    watch.days.day = meta["day"]
    mix = Mix(meta["facet"], meta["read"], meta["share"], tables, novelty, watch)
    sessions = history.upto(LATEST_US)
    n = len(sessions)
    place, root = np.arange(n, dtype=np.int32), np.zeros(n, np.int32)
    own = replace(sessions, y=arrays["y"], stratum=np.zeros(n, np.int64), member_session=place, member_slice=root)
    mix.history = History([own], meta["appended"])
    mix.waiting = [Waiting(**each) for each in meta["waiting"]]
    mix.incidents = tuple(_incident(each) for each in meta["incidents"])
    mix.kinds_of = meta["kinds_of"]
    return mix


def _incident(meta: dict[str, Any]) -> Incident:
    made: dict[str, Any] = {"slice": Slice(), "onset": Onset(**meta["onset"]), "siblings": ()}
    return Incident(**meta | made)
