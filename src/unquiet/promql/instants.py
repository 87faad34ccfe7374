"""Functions of instant vectors and scalars."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import re2

from unquiet.promql.values import (
    BoolArray,
    FloatArray,
    IntArray,
    Labels,
    NotEvaluated,
    Vector,
    grouped,
    labelled,
    nothing,
    without,
)

Elementwise = Callable[..., FloatArray]

DAY_S = 86_400
REFERENCE = "$"


def _days(moment_s: FloatArray) -> np.ndarray:
    return np.floor(moment_s / DAY_S).astype("datetime64[D]")


def _day_of_month(moment_s: FloatArray) -> FloatArray:
    days = _days(moment_s)
    return ((days - days.astype("datetime64[M]")).astype(np.int64) + 1).astype(np.float64)


def _days_in_month(moment_s: FloatArray) -> FloatArray:
    month = _days(moment_s).astype("datetime64[M]")
    return ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.float64)


def _round(value: FloatArray, to: FloatArray | float = 1.0) -> FloatArray:
    inverse = 1.0 / np.asarray(to)
    return np.floor(value * inverse + 0.5) / inverse


def _clamp(value: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    return np.maximum(low, np.minimum(high, value))


ELEMENTWISE: Mapping[str, Elementwise] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
    "sgn": np.sign,
    "round": _round,
    "clamp": _clamp,
    "clamp_min": np.maximum,
    "clamp_max": np.minimum,
    "sort": np.positive,
    "sort_desc": np.positive,
}
"""Functions of a vector, and of scalars (T,) where they take some."""

CALENDAR: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "minute": lambda at: np.floor(at / 60) % 60,
    "hour": lambda at: np.floor(at / 3600) % 24,
    "day_of_week": lambda at: (np.floor(at / DAY_S) + 4) % 7,
    "day_of_month": _day_of_month,
    "day_of_year": lambda at: (_days(at) - _days(at).astype("datetime64[Y]")).astype(np.float64) + 1,
    "days_in_month": _days_in_month,
    "month": lambda at: (_days(at).astype("datetime64[M]").astype(np.int64) % 12 + 1).astype(np.float64),
    "year": lambda at: (_days(at).astype("datetime64[Y]").astype(np.int64) + 1970).astype(np.float64),
}
"""Functions of a moment in seconds since 1970, UTC."""


def absent(present: BoolArray, labels: Labels) -> Vector:
    """1 at the moments (T,) at which no series (S, T) is present, under labels that the matchers tell."""
    none: BoolArray = np.logical_not(np.any(present, axis=0, keepdims=True))
    return Vector([labels], np.where(none, 1.0, np.nan), none)


def histogram_quantile(share: FloatArray, buckets: Vector) -> Vector:
    """The quantile at shares (T,) that the buckets of histograms tell, in proportion within a bucket."""
    found = [row for row, each in enumerate(buckets.labels) if _bound(each) is not None]
    if not found:
        return nothing(buckets.values.shape[1])
    buckets = buckets.kept(found)
    groups = grouped([without(each, ["le"]) for each in buckets.labels])
    size = (len(groups), buckets.values.shape[1])
    values, present = np.full(size, np.nan), np.zeros(size, bool)
    for place, rows in enumerate(groups.values()):
        rows.sort(key=lambda row: _bound(buckets.labels[row]) or 0.0)
        bounds = np.array([_bound(buckets.labels[row]) for row in rows])
        for has, at in _patterns(buckets.present[rows]):
            if has.any():
                counts = buckets.values[np.ix_(np.array(rows)[has], at)]
                values[place, at] = _quantile(share[at], bounds[has], counts)
                present[place, at] = True
    return Vector(list(groups), values, present)


def _patterns(present: BoolArray) -> list[tuple[BoolArray, IntArray]]:
    """Which buckets (B,) are there together, and at which moments: mostly all, or none of them."""
    every = present.all(axis=0)
    found = [(np.ones(len(present), bool), np.flatnonzero(every))]
    some = np.flatnonzero(present.any(axis=0) & ~every)
    if len(some):
        patterns, of = np.unique(present[:, some], axis=1, return_inverse=True)
        found += [(has, some[of.ravel() == number]) for number, has in enumerate(patterns.T)]
    return found


def _bound(labels: Labels) -> float | None:
    text = dict(labels).get("le")
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _quantile(share: FloatArray, bounds: FloatArray, counts: FloatArray) -> FloatArray:
    """Of B buckets with upper `bounds` (B,) and cumulative `counts` (B, T), the quantile at shares (T,)."""
    size = counts.shape[1]
    if len(bounds) < 2 or not np.isposinf(bounds[-1]):
        return np.full(size, np.nan)
    counts = np.maximum.accumulate(counts, axis=0)
    total = counts[-1]
    rank = share * total
    place = np.minimum((counts[:-1] < rank).sum(axis=0), len(bounds) - 1)
    columns = np.arange(size)
    below = np.where(place > 0, counts[np.maximum(place - 1, 0), columns], 0.0)
    start = np.where(place > 0, bounds[np.maximum(place - 1, 0)], 0.0)
    with np.errstate(all="ignore"):
        inside = start + (bounds[place] - start) * (rank - below) / (counts[place, columns] - below)
    result = np.where(place == len(bounds) - 1, bounds[-2], inside)
    result = np.where((place == 0) & (bounds[0] <= 0), bounds[0], result)
    result = np.where(total == 0, np.nan, result)
    return np.where(np.isnan(share), np.nan, np.where(share < 0, -np.inf, np.where(share > 1, np.inf, result)))


def label_replace(vector: Vector, target: str, replacement: str, source: str, pattern: str) -> Vector:
    """Series under labels of which one is made of another, where that matches a pattern as a whole.

    Raises:
        NotEvaluated: the pattern is wrong, or several series come to have equal labels.
    """
    try:
        compiled = re2.compile(pattern)
    except re2.error as error:
        raise NotEvaluated(f"label_replace: {pattern!r} is no regular expression: {error}") from error
    labels: list[Labels] = []
    for each in vector.labels:
        told = dict(each)
        match = compiled.fullmatch(told.get(source, ""))
        labels.append(
            labelled({**told, target: _expanded(replacement, _groups(match.groups(), match.groupdict()))})
            if match
            else each
        )
    return vector.under(labels)


def _groups(numbered: Sequence[str | None], named: Mapping[str, str | None]) -> dict[str, str]:
    """What the groups of a pattern hold, by number and by name."""
    every = {str(number): text for number, text in enumerate(numbered, 1)} | dict(named)
    return {name: text or "" for name, text in every.items()}


def _expanded(replacement: str, groups: Mapping[str, str]) -> str:
    """A replacement with its `$1`, `${1}` and `${name}` filled in; a group that is not there is empty."""
    out = ""
    for number, part in enumerate(re2.split(r"(\$\{\w+\}|\$\w+|\$\$)", replacement)):
        if number % 2 == 0 or part == "$$":
            out += REFERENCE if part == "$$" else part
        else:
            out += groups.get(part.strip("${}"), "")
    return out


def label_join(vector: Vector, target: str, between: str, sources: tuple[str, ...]) -> Vector:
    """Series under labels of which one is made of others, joined.

    Raises:
        NotEvaluated: several series come to have equal labels.
    """
    labels: list[Labels] = []
    for each in vector.labels:
        told = dict(each)
        labels.append(labelled({**told, target: between.join(told.get(name, "") for name in sources)}))
    return vector.under(labels)
