"""The gap: sessions that went wrong beyond expected, day by day, and which of them errors, latency or evals saw.

What counts as wrong is what open incidents say: sessions of their slices that behave in the new way beyond the rate that was
to be expected. `docs/explanation/the-gap.md` says what that includes and what it does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.stats.intervals import excess

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

DAY_US = 86_400_000_000
FAR_US = 2**62
SIGHTS = ("errors", "latency", "evals")
"""What may have seen a session: a turn that failed, one above the limit of a latency rule that fired, an eval that failed."""

MIX = "mix"
ACCEPTED = "accepted"
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wrong:
    """A number of sessions with its 95 % interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class GapDay:
    """A day (its beginning, UTC): sessions that went wrong beyond expected, those of them that were seen, and the rest."""

    day_us: int
    wrong: float
    seen: float
    unseen: Wrong
    incidents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """The gap over a number of days, and which sight saw how many (one session may be seen by several).

    `left_out` says of incidents, or of days of them, that are not counted, why.
    """

    days: tuple[GapDay, ...]
    wrong: float
    seen: float
    unseen: Wrong
    seen_by: Mapping[str, float]
    left_out: tuple[tuple[str, str], ...]


def sighted(turns: pa.Table, slow_ms: Mapping[int, float], failed_evals: pa.Table) -> pa.Table:
    """What each turn was seen by: `session_id`, `time_us` and a column a sight.

    Args:
        turns: turn_id, session_id, time, error and latency_ms of TURNS.
        slow_ms: for the beginning of a day on which the latency rule fired, the limit it fired at; a rule that was flat saw
            nothing.
        failed_evals: session_id and turn_id of the eval results that failed; nulls match nothing.
    """
    at = turns.column("time").cast(pa.int64()).to_numpy()
    day = at // DAY_US * DAY_US
    days, place = np.unique(day, return_inverse=True)
    limit = np.array([slow_ms.get(int(each), np.inf) for each in days])
    latency = turns.column("latency_ms").to_numpy()
    of_turn, of_session = (failed_evals.column(name).drop_null() for name in ("turn_id", "session_id"))
    evaluated = pc.or_(
        pc.is_in(turns.column("turn_id"), of_turn.combine_chunks()),
        # A result that names a turn is about that turn; its session is named for those that tell no turn.
        pc.is_in(turns.column("session_id"), of_session.combine_chunks()),
    )
    return pa.table(
        {
            "session_id": turns.column("session_id"),
            "time_us": at,
            "errors": turns.column("error").is_valid(),
            "latency": np.nan_to_num(latency, nan=-1.0) > limit[place],
            "evals": evaluated,
        }
    )


def unseen(documents: Sequence[Document], seen: pa.Table, days_us: Sequence[int]) -> Gap:
    """The gap of the days `days_us` (their beginnings, ascending, without holes) over incidents.

    `documents` are incident documents with what people did about them, `seen` is the table of `sighted` for all turns of
    their session ids. A session that several incidents claim counts once, as much as in the one that is surest of it.
    """
    counted = [each for each in documents if _why_not(each) is None]
    left = [(str(each["id"]), why) for each in documents if (why := _why_not(each)) is not None]
    parts = [_claims(each, seen, days_us) for each in counted]
    left += [note for each, part in zip(counted, parts, strict=True) for note in _notes(each, part, days_us)]
    rows = _union([part.sessions for part in parts])
    sights = {name: rows.column(name).to_numpy() for name in SIGHTS}
    missed = ~np.logical_or.reduce(list(sights.values()))
    weight, total_low, total_high = (rows.column(name).to_numpy() for name in ("weight", "total_low", "total_high"))
    unnamed = sum(max(part.total[2] - float(part.claimed.sum()), 0.0) for part in parts)
    open_, at_least, at_most = (float(each[missed].sum()) for each in (weight, total_low, total_high))
    names = [str(each["id"]) for each in counted]
    return Gap(
        _days(rows, missed, parts, names, days_us),
        float(weight.sum()),
        float(weight[~missed].sum()),
        Wrong(open_, at_least, at_most + unnamed),
        {name: float(weight[hit].sum()) for name, hit in sights.items()},
        tuple(left),
    )


def _days(
    rows: pa.Table, missed: npt.NDArray[np.bool_], parts: Sequence[_Part], names: Sequence[str], days_us: Sequence[int]
) -> tuple[GapDay, ...]:
    size, place = len(days_us), rows.column("place").to_numpy()
    weight, low, high = (rows.column(name).to_numpy() for name in ("weight", "low", "high"))
    wrong, open_, at_least, at_most = (
        np.bincount(place, weights=each, minlength=size)
        for each in (weight, weight * missed, low * missed, high * missed)
    )
    for part in parts:
        at_most = at_most + np.maximum(part.high - part.claimed, 0.0)
    return tuple(
        GapDay(
            int(days_us[i]),
            float(wrong[i]),
            float(wrong[i] - open_[i]),
            Wrong(float(open_[i]), float(at_least[i]), float(at_most[i])),
            tuple(name for name, part in zip(names, parts, strict=True) if part.estimate[i] > 0),
        )
        for i in range(size)
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """One incident: sessions beyond expected by day with their bounds, how many it claims by day, and these sessions.

    `total` is (estimate, low, high) of all days together: of the same baseline, so not the sum of the days' bounds.
    """

    estimate: FloatArray
    low: FloatArray
    high: FloatArray
    claimed: FloatArray
    total: tuple[float, float, float]
    sessions: pa.Table


def _why_not(document: Document) -> str | None:
    if document["signal"] == MIX:
        return "users ask for something new: that is no session that went wrong"
    if document["status"] == ACCEPTED:
        return "accepted as the new normal"
    if not document.get("by_day"):
        return "its days are not known"
    return None


def _claims(document: Document, seen: pa.Table, days_us: Sequence[int]) -> _Part:
    estimate, low, high, total = _beyond(document, days_us)
    sessions = _sessions(document, seen, days_us)
    claimed = np.bincount(sessions.column("place").to_numpy(), minlength=len(days_us)).astype(np.float64)
    place = sessions.column("place").to_numpy()
    share = [np.minimum(each / np.maximum(claimed, 1.0), 1.0)[place] for each in (estimate, low, high)]
    # Of all days together the bounds are nearer to the estimate than those of each day.
    scale = [each / total[0] if total[0] > 0 else 0.0 for each in total]
    columns: dict[str, FloatArray] = dict(zip(("weight", "low", "high"), share, strict=True))
    columns["total_low"] = share[0] * scale[1]
    columns["total_high"] = np.minimum(share[0] * scale[2], 1.0)
    for name, values in columns.items():
        sessions = sessions.append_column(name, pa.array(values, pa.float64()))
    return _Part(estimate, low, high, claimed, total, sessions)


def _beyond(
    document: Document, days_us: Sequence[int]
) -> tuple[FloatArray, FloatArray, FloatArray, tuple[float, float, float]]:
    """Sessions beyond expected on each day, their bounds, and those of all days together."""
    size, sign = len(days_us), -1.0 if document["direction"] == "down" else 1.0
    begin = _us(document["onset"]["at"]) // DAY_US * DAY_US
    end = _us(document["resolved_at"]) if document.get("resolved_at") else FAR_US
    learned = np.array([float(document["before"]["n"])])
    place = {day: number for number, day in enumerate(days_us)}
    estimate, low, high = np.zeros(size), np.zeros(size), np.zeros(size)
    x = n = mean = 0.0
    for each in document["by_day"]:
        day = _us(f"{each['day']}T00:00:00Z")
        if day not in place or not begin <= day < end or not each["n"]:
            continue
        sessions, hit = float(each["n"]), float(each["rate"]) * each["n"]
        found = excess(hit, np.array([sessions]), np.array([float(each["expected"])]), learned)
        i = place[day]
        estimate[i], low[i], high[i] = _positive(found, sign)
        x, n, mean = x + hit, n + sessions, mean + sessions * float(each["expected"])
    if not n:
        return estimate, low, high, (0.0, 0.0, 0.0)
    whole = excess(x, np.array([n]), np.array([mean / n]), learned)
    _, total_low, total_high = _positive(whole, sign)
    total = float(estimate.sum())
    return estimate, low, high, (total, min(total_low, total), max(total_high, total))


def _positive(found: tuple[float, float, float], sign: float) -> tuple[float, float, float]:
    estimate, low, high = (sign * each for each in found)
    low, high = sorted((low, high))
    return max(estimate, 0.0), max(low, 0.0), max(high, 0.0)


def _sessions(document: Document, seen: pa.Table, days_us: Sequence[int]) -> pa.Table:
    """The claimed sessions with a turn since the onset, one row each: the number of its day (`place`), and its sights."""
    since = _us(document["onset"]["earliest"])
    mine = seen.filter(
        pc.and_(
            pc.is_in(seen.column("session_id"), pa.array(document["session_ids"], pa.string())),
            pc.greater_equal(seen.column("time_us"), since),
        )
    )
    rows = mine.group_by("session_id", use_threads=False).aggregate(
        [("time_us", "min"), *((name, "max") for name in SIGHTS)]
    )
    rows = rows.rename_columns(["session_id", "time_us", *SIGHTS])
    first = days_us[0] if len(days_us) else 0
    place = (rows.column("time_us").to_numpy() - first) // DAY_US
    inside = (place >= 0) & (place < len(days_us))
    return rows.append_column("place", pa.array(place, pa.int64())).filter(pa.array(inside))


def _union(parts: Sequence[pa.Table]) -> pa.Table:
    """Each session once: on the earliest of its days, as surely as in the incident that is surest of it."""
    numbers = ("weight", "low", "high", "total_low", "total_high")
    if not parts:
        columns: dict[str, pa.Array] = {"place": pa.array([], pa.int64())}
        columns |= {name: pa.array([], pa.bool_()) for name in SIGHTS}
        return pa.table(columns | {name: pa.array([], pa.float64()) for name in numbers})
    rows = pa.concat_tables(parts)
    wanted = [("place", "min"), *((name, "max") for name in (*SIGHTS, *numbers))]
    found = rows.group_by("session_id", use_threads=False).aggregate(wanted)
    return found.rename_columns(["session_id", "place", *SIGHTS, *numbers])


def _notes(document: Document, part: _Part, days_us: Sequence[int]) -> list[tuple[str, str]]:
    """What is not known of an incident that is counted."""
    name, notes = str(document["id"]), list[tuple[str, str]]()
    told = _us(document["told_at"])
    if not document.get("resolved_at") and len(days_us) and told < days_us[-1]:
        until = datetime.fromtimestamp(told / 1e6, UTC)
        notes.append((name, f"told as of {until:%Y-%m-%d}: what it did on later days is not known"))
    unnamed = float(np.maximum(part.estimate - part.claimed, 0.0).sum())
    if unnamed >= 1.0:
        notes.append(
            (name, f"{unnamed:.0f} more sessions beyond expected are in no list, so they are only in the upper bound")
        )
    return notes


def _us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1e6)
