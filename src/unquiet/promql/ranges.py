"""Functions of range vectors: what Prometheus makes of the samples of the last minutes, for all moments at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from unquiet.promql.values import BoolArray, FloatArray, IntArray, Samples, Vector

EDGE = 1.1
"""A window that reaches further beyond its samples than this many of their distances is not extrapolated to its end."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Series that have samples at the same n moments, and T windows over them.

    `at_s` (n,), `values` (G, n); window t holds the samples first[t] <= i < last[t] (T,), which lie in (begin_s[t], end_s[t]].
    """

    at_s: FloatArray
    values: FloatArray
    first: IntArray
    last: IntArray
    begin_s: FloatArray
    end_s: FloatArray

    @property
    def count(self) -> IntArray:
        """Samples of each window (T,)."""
        return self.last - self.first

    def sample(self, place: IntArray) -> FloatArray:
        """The samples at places (T,), (G, T); any where there are none."""
        return self.values[:, np.clip(place, 0, self.values.shape[1] - 1)]

    def time(self, place: IntArray) -> FloatArray:
        """The moments of samples at places (T,)."""
        return self.at_s[np.clip(place, 0, len(self.at_s) - 1)]

    def summed(self, each: FloatArray, skipped: int = 0) -> FloatArray:
        """Sums over the windows of a value of each sample (G, n), without the first `skipped` of a window."""
        sums = np.concatenate([np.zeros((len(each), 1)), np.cumsum(each, axis=1)], axis=1)
        first = np.minimum(self.first + skipped, self.last)
        return sums[:, self.last] - sums[:, first]


RangeFunction = Callable[[Window], tuple[FloatArray, BoolArray]]
"""Windows -> the values (G, T), and in which windows there are any (T,)."""


def over_windows(samples: Samples, moments_s: FloatArray, range_s: float, function: RangeFunction) -> Vector:
    """A function over the last `range_s` seconds before each moment (T,)."""
    size = (len(samples.labels), len(moments_s))
    values, present = np.full(size, np.nan), np.zeros(size, bool)
    for rows in _alike(samples.present):
        has = samples.present[rows[0]]
        at = samples.at_s[has]
        if not len(at):
            continue
        begin = moments_s - range_s
        first, last = np.searchsorted(at, begin, side="right"), np.searchsorted(at, moments_s, side="right")
        window = Window(at, samples.values[rows][:, has], first, last, begin, moments_s)
        with np.errstate(all="ignore"):
            values[rows], known = function(window)
        present[rows] = known
    return Vector(samples.labels, np.where(present, values, np.nan), present)


def _alike(present: BoolArray) -> list[list[int]]:
    """The rows that are present at the same moments."""
    found: dict[bytes, list[int]] = {}
    for row, each in enumerate(present):
        found.setdefault(each.tobytes(), []).append(row)
    return list(found.values())


def _extrapolated(window: Window, *, counter: bool, per_second: bool) -> tuple[FloatArray, BoolArray]:
    """How much series grew in each window, as Prometheus guesses it for the whole of the window."""
    first, last = window.sample(window.first), window.sample(window.last - 1)
    grown = last - first
    if counter:
        fallen = np.diff(window.values, axis=1, prepend=window.values[:, :1]) < 0
        before = np.concatenate([window.values[:, :1], window.values[:, :-1]], axis=1)
        grown = grown + window.summed(np.where(fallen, before, 0.0), skipped=1)
    start, end = window.time(window.first), window.time(window.last - 1)
    sampled = end - start
    usual = sampled / np.maximum(window.count - 1, 1)
    to_start, to_end = start - window.begin_s, window.end_s - end
    to_start = np.where(to_start >= EDGE * usual, usual / 2, to_start)
    to_end = np.where(to_end >= EDGE * usual, usual / 2, to_end)
    reach = np.broadcast_to(to_start, grown.shape)
    if counter:
        # A counter was not below zero.
        to_zero = np.where((grown > 0) & (first >= 0), sampled * first / grown, np.inf)
        reach = np.minimum(reach, to_zero)
    result = grown * (sampled + reach + to_end) / sampled
    if per_second:
        result = result / (window.end_s - window.begin_s)
    return result, window.count >= 2


def _last_two(window: Window, *, counter: bool) -> tuple[FloatArray, BoolArray]:
    before, last = window.sample(window.last - 2), window.sample(window.last - 1)
    if not counter:
        return last - before, window.count >= 2
    grown = np.where(last < before, last, last - before)
    return grown / (window.time(window.last - 1) - window.time(window.last - 2)), window.count >= 2


def _sum(window: Window) -> tuple[FloatArray, BoolArray]:
    if np.isfinite(window.values).all():
        return window.summed(window.values), window.count >= 1
    return _reduced(np.add)(window)


def _avg(window: Window) -> tuple[FloatArray, BoolArray]:
    total, known = _sum(window)
    return total / window.count, known


def _reduced(operation: np.ufunc) -> RangeFunction:
    def over(window: Window) -> tuple[FloatArray, BoolArray]:
        padded = np.concatenate([window.values, window.values[:, -1:]], axis=1)
        places = np.stack([window.first, window.last], axis=1).ravel()
        return operation.reduceat(padded, places, axis=1)[:, ::2], window.count >= 1

    return over


def _stdvar(window: Window) -> tuple[FloatArray, BoolArray]:
    centred = window.values - window.values.mean(axis=1, keepdims=True)
    mean, square = window.summed(centred) / window.count, window.summed(centred**2) / window.count
    return np.maximum(square - mean**2, 0.0), window.count >= 1


def _stddev(window: Window) -> tuple[FloatArray, BoolArray]:
    variance, known = _stdvar(window)
    return np.sqrt(variance), known


def _counted(window: Window) -> tuple[FloatArray, BoolArray]:
    return np.broadcast_to(window.count.astype(np.float64), (len(window.values), len(window.first))), window.count >= 1


def _present(window: Window) -> tuple[FloatArray, BoolArray]:
    return np.ones((len(window.values), len(window.first))), window.count >= 1


def _last(window: Window) -> tuple[FloatArray, BoolArray]:
    return window.sample(window.last - 1), window.count >= 1


def _moves(told: Callable[[FloatArray, FloatArray], BoolArray]) -> RangeFunction:
    def over(window: Window) -> tuple[FloatArray, BoolArray]:
        before = np.concatenate([window.values[:, :1], window.values[:, :-1]], axis=1)
        return window.summed(told(before, window.values).astype(np.float64), skipped=1), window.count >= 1

    return over


def quantile_over(share: FloatArray) -> RangeFunction:
    """quantile_over_time, with a share for each window (T,)."""

    def over(window: Window) -> tuple[FloatArray, BoolArray]:
        result = np.full((len(window.values), len(window.first)), np.nan)
        for place in np.flatnonzero(window.count >= 1).tolist():
            part = window.values[:, window.first[place] : window.last[place]]
            result[:, place] = np.quantile(part, min(max(share[place], 0.0), 1.0), axis=1)
        result[:, share < 0], result[:, share > 1] = -np.inf, np.inf
        return result, window.count >= 1

    return over


def trend_over(ahead_s: FloatArray | None) -> RangeFunction:
    """deriv, or with seconds to look ahead for each window (T,) predict_linear: a straight line by least squares."""

    def over(window: Window) -> tuple[FloatArray, BoolArray]:
        result = np.full((len(window.values), len(window.first)), np.nan)
        for place in np.flatnonzero(window.count >= 2).tolist():
            part = slice(int(window.first[place]), int(window.last[place]))
            at, value = window.at_s[part] - window.end_s[place], window.values[:, part]
            middle = at.mean()
            slope = ((at - middle) * value).sum(axis=1) / ((at - middle) ** 2).sum()
            level = value.mean(axis=1) - slope * middle
            result[:, place] = slope if ahead_s is None else level + slope * ahead_s[place]
        return result, window.count >= 2

    return over


RANGE_FUNCTIONS: Mapping[str, RangeFunction] = {
    "rate": lambda window: _extrapolated(window, counter=True, per_second=True),
    "increase": lambda window: _extrapolated(window, counter=True, per_second=False),
    "delta": lambda window: _extrapolated(window, counter=False, per_second=False),
    "irate": lambda window: _last_two(window, counter=True),
    "idelta": lambda window: _last_two(window, counter=False),
    "sum_over_time": _sum,
    "avg_over_time": _avg,
    "max_over_time": _reduced(np.fmax),
    "min_over_time": _reduced(np.fmin),
    "count_over_time": _counted,
    "last_over_time": _last,
    "present_over_time": _present,
    "stddev_over_time": _stddev,
    "stdvar_over_time": _stdvar,
    "changes": _moves(lambda before, now: (before != now) & ~(np.isnan(before) & np.isnan(now))),
    "resets": _moves(lambda before, now: now < before),
    "deriv": trend_over(None),
}
"""Functions of one range vector and nothing else."""
