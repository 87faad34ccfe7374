"""What the voices alone would have told: their volume and their topics as streams, at the same alarm budget.

The rival that unquiet is measured against, so it is given every help: only rises count, the volume has half of the budget to
itself, how busy the agent was and at which hours people write is taken into account, and it may ring at every hour.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unquiet.stats.edetector import BET_WEIGHTS, DEFAULT_DELTA, UP_COUNT, BetTables, advance, null_range
from unquiet.stats.wobble import day_wobble, guarded_delta

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

HOUR_US = 3_600_000_000
HOURS = 24
BUDGET_DAYS = 30
VOLUME_SHARE = 0.5
"""Share of the budget for the volume; the topics share the rest alike."""

PRIOR_VOICES = 5.0
"""Voices that each hour of the day is taken to have had before any was seen."""

PARTS = 50.0
"""A session counts as so many trials: one may bring several voices, and many rare trials make their number a Poisson one."""

WOBBLE_ERRORS = 1.0


@dataclass(frozen=True, slots=True)
class VoiceAlarm:
    """The end of the hour (microseconds since 1970) at which a stream of voices rang: 0 is the volume, k the topic k - 1.

    `usual` is how many voices of it came a day before, `now` how many in the last day.
    """

    at_us: int
    stream: int
    usual: float
    now: int


@dataclass(frozen=True, slots=True)
class HourCounts:
    """Voices and sessions by hour: `ends_us` (H,) the ends of hours, `voices` (H, S) those of each stream, `sessions` (H,)."""

    ends_us: IntArray
    voices: FloatArray
    sessions: FloatArray


def by_hour(
    said_us: IntArray, topic: IntArray, topics: int, started_us: IntArray, start_us: int, end_us: int
) -> HourCounts:
    """Counts of the whole hours between two moments.

    `topic` (n,) is that of each voice, less than 0 for none; stream 0 is all voices, stream k the topic k - 1.
    """
    first = -(-start_us // HOUR_US)
    count = max(0, end_us // HOUR_US - first)
    hour = said_us // HOUR_US - first
    inside = (hour >= 0) & (hour < count)
    voices = np.zeros((count, topics + 1))
    np.add.at(voices, (hour[inside], np.zeros(int(inside.sum()), np.int64)), 1.0)
    of_topic = inside & (topic >= 0)
    np.add.at(voices, (hour[of_topic], topic[of_topic] + 1), 1.0)
    began = started_us // HOUR_US - first
    sessions = np.bincount(began[(began >= 0) & (began < count)], minlength=count).astype(np.float64)[:count]
    return HourCounts((first + 1 + np.arange(count)) * HOUR_US, voices, sessions)


def voice_alarms(counts: HourCounts, learn_hours: int, budget: float) -> list[VoiceAlarm]:
    """When the streams of voices would have rung, with `budget` false alarms in 30 days for all of them together.

    Nothing is judged in the first `learn_hours`. A stream begins anew after it rang.
    """
    hours, size = counts.voices.shape
    if hours <= max(learn_hours, HOURS):
        return []
    share = np.full(size, (1.0 - VOLUME_SHARE) / max(size - 1, 1))
    share[0] = VOLUME_SHARE if size > 1 else 1.0
    mass = share * budget / BUDGET_DAYS / HOURS
    weights = BET_WEIGHTS[:UP_COUNT] / BET_WEIGHTS[:UP_COUNT].sum()
    tables, restarts = _tables(), np.zeros((size, len(BET_WEIGHTS)))
    exposure, known = PARTS * exposures(counts), np.cumsum(counts.voices, axis=0)
    met, found = np.cumsum(exposure), list[VoiceAlarm]()
    wobble = np.zeros(size)
    start = max(learn_hours, HOURS)
    for hour in range(start, hours):
        if hour % HOURS == 0 or hour == start:
            wobble = _wobble(counts.voices[HOURS:hour], exposure[HOURS:hour])
        if exposure[hour] <= 0:
            continue
        before = known[hour - 1]
        rate = (before + 0.5) / (met[hour - 1] + 1.0)
        # As well as so many voices tell a rate.
        delta = guarded_delta(DEFAULT_DELTA + 1.0 / np.sqrt(before + 1.0), wobble)
        evidence = _evidence(tables, rate, delta, counts.voices[hour], float(exposure[hour]))
        restarts = advance(restarts, mass, evidence)
        for stream in np.flatnonzero(restarts[:, :UP_COUNT] @ weights >= 1.0).tolist():
            last = int(known[hour, stream] - known[hour - HOURS, stream])
            usual = float(known[hour - HOURS, stream]) / max((hour + 1 - HOURS) / HOURS, 1.0)
            found.append(VoiceAlarm(int(counts.ends_us[hour]), stream, usual, last))
            restarts[stream] = 0.0
    return found


def exposures(counts: HourCounts) -> FloatArray:
    """How many sessions could have been spoken of in each hour, (H,): those of the last day, shared as voices come by day.

    The share of an hour of the day is learned from the voices of earlier days, so that it knows nothing of those it is for.
    """
    hours = len(counts.ends_us)
    total = np.concatenate([[0.0], np.cumsum(counts.sessions)])
    back = np.maximum(np.arange(hours) + 1 - HOURS, 0)
    trailing = total[1:] - total[back]
    of_day = (counts.ends_us // HOUR_US - 1) % HOURS
    seen = np.full(HOURS, PRIOR_VOICES)
    result = np.zeros(hours)
    for start in range(0, hours, HOURS):
        part = slice(start, start + HOURS)
        result[part] = trailing[part] * (seen / seen.sum())[of_day[part]]
        np.add.at(seen, of_day[part], counts.voices[part, 0])
    return result


@functools.cache
def _tables() -> BetTables:
    return BetTables.build(weights=(1.0,), levels=4096, lowest_rate=1e-7)


def _evidence(
    tables: BetTables, rate: FloatArray, delta: FloatArray, x: FloatArray, exposure: float
) -> npt.NDArray[np.float32]:
    """Log evidence of one hour with `x` voices (S,) in each stream, (S, J)."""
    _, high = null_range(np.clip(rate, 1e-7, 0.9), delta)
    none = np.zeros(len(rate), np.int64)
    return tables.log_evidence(tables.up_level(high), none, none, np.maximum(exposure, x), x)


def _wobble(voices: FloatArray, exposure: FloatArray) -> FloatArray:
    """Day-to-day wobble of each stream in the whole days of the hours given, (S,), against what was expected of each day."""
    days, size = len(voices) // HOURS, voices.shape[1]
    x = voices[: days * HOURS].reshape(days, HOURS, size).sum(axis=1)
    n = exposure[: days * HOURS].reshape(days, HOURS).sum(axis=1)
    return day_wobble(np.maximum(np.repeat(n[:, None], size, axis=1), x), x, errors=WOBBLE_ERRORS)
