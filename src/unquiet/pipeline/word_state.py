"""The open-world detector as arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from unquiet.pipeline.words import TOLERANCE, Words
from unquiet.shift import Log, LoggedDay, ShiftWatch

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]

PREFIX = "words."
PARTS = {
    "vocabulary": (
        "keys",
        "used",
        "learned",
        "seen_day",
        "taken_day",
        "asked",
        "recent",
        "usual",
        "recent_sessions",
        "usual_sessions",
        "refused",
    ),
    "cells": ("row_of", "where", "stratum", "sessions", "today", "tick"),
    "streams": (
        "share",
        "weight",
        "level",
        "restarts",
        "mass",
        "begun_us",
        "hits",
        "n",
        "slack",
        "slack_today",
        "expected",
        "since",
        "over",
        "largest",
        "compared",
        "information",
        "pooled",
        "past_ratio",
        "past_expected",
        "rates",
        "usual",
        "today",
        "cells_of",
        "counts",
    ),
}
OWN = ("hits", "day", "swept_us", "reached_us", "session_count")
DAY = ("keys", "session", "cells", "starts", "known")


def word_arrays(words: Words) -> dict[str, Array]:
    """Everything that the detector knows, by name."""
    watch = words.watch
    arrays = {
        f"{part}.{name}": np.asarray(getattr(getattr(watch, part), name)) for part in PARTS for name in PARTS[part]
    }
    arrays |= {name: np.asarray(getattr(watch, name)) for name in OWN}
    arrays["pending"] = np.concatenate([np.zeros(0, np.int64), *watch.pending])
    arrays |= {"slices": words.slices, "promoted": np.array(words.keys, np.int64)}
    arrays |= _log_arrays(watch.log)
    return {PREFIX + name: values for name, values in arrays.items()}


def words_from(arrays: Arrays) -> Words:
    """The detector that `word_arrays` wrote."""
    own = {name.removeprefix(PREFIX): values for name, values in arrays.items() if name.startswith(PREFIX)}
    watch = ShiftWatch(own["streams.share"], TOLERANCE)
    for part, names in PARTS.items():
        for name in names:
            setattr(getattr(watch, part), name, _plain(own[f"{part}.{name}"]))
    for name in OWN:
        setattr(watch, name, _plain(own[name]))
    watch.pending = [own["pending"]]
    watch.log = _log(own)
    watch.vocabulary.index()
    return Words(own["slices"], watch, own["promoted"].tolist())


def _plain(values: Array) -> Any:
    """A number where a number was put in."""
    return values.item() if values.ndim == 0 else values


def _log_arrays(log: Log) -> dict[str, Array]:
    days = [*log.days, *log.open]
    arrays: dict[str, Array] = {
        "log.first": np.array([day.first for day in days], np.int64),
        "log.closed": np.array(len(log.days)),
        "log.dropped": np.array(log.dropped),
    }
    for name in DAY:
        parts: list[Array] = [getattr(day, name) for day in days]
        arrays[f"log.{name}"] = np.concatenate(parts) if parts else np.zeros(0)
        arrays[f"log.{name}.size"] = np.array([len(part) for part in parts], np.int64)
    return arrays


def _log(own: Arrays) -> Log:
    columns = {name: np.split(own[f"log.{name}"], np.cumsum(own[f"log.{name}.size"])[:-1]) for name in DAY}
    days = [
        LoggedDay(int(first), *(columns[name][place] for name in DAY)) for place, first in enumerate(own["log.first"])
    ]
    closed = int(own["log.closed"])
    return Log(days[:closed], days[closed:], bool(own["log.dropped"]))
