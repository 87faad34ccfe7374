"""How surely the e-detector hears a failure, and the smallest one that it hears 9 times in 10.

A failure of share s meets each session of a stream with probability s. Then the event happens, and the rate q of a cell
becomes `q + s (1 - q)`; or it happens no more, and the rate becomes `q (1 - s)`. The bets of a stream have the log evidence

    G_j(t) = X(t) h_j + B_j(t),

X(t) the events since the onset, `h_j` what an event brings more than none (`log rho_j` for sessions of full weight, whatever the
cell), and `B_j(t)` what all sessions bring without it. B hardly varies: it is computed, and the learning of the base rate with it.
So the mass M(t) (see `unquiet.stats.edetector`) is a function of one path of counts. Paths are played: X at the horizon takes
each quantile of its distribution once, and given X its events are spread over the time as those of a Poisson process are. The
share of paths on which M reaches 1 is the chance of being heard, with less noise than that of as many free draws. Before the
onset each path has run for some weeks without a failure: what mass it holds then takes part.

What is not known of the usual rate counts as chance: X has the variance of its binomial and that of the posterior of the rates.
The search begins at the two-sample bound (`unquiet.stats.detectable`), below which nothing is to be found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from unquiet.stats.count_paths import BEFORE_STEPS, PATHS, Paths, quantiles
from unquiet.stats.detectable import smallest_detectable
from unquiet.stats.edetector import BET_WEIGHTS, DOWN_ODDS_RATIOS, UP_COUNT, UP_ODDS_RATIOS, null_range
from unquiet.stats.shrinkage import LOWEST_RATE

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Float32Array = npt.NDArray[np.float32]

CHANCE = 0.9
LEARNING_STEPS = 10
LEAST_SHARE, MOST_SHARE = 1e-5, 1.0 - 1e-6
SEARCH = 5
_SURE = 3.0
AT_ONCE = 64
FEW = 8
"""Events of a step up to which it matters that the mass is highest at an event."""

ABSORBED = 1.75
"""Sessions since the onset, over those learned before, after which the learning reference is not counted on any more: by then it
has taken most of a failure for normal, and how much of it depends on chance."""

_LOG_MOST = 60.0
_TINY = np.float32(1e-30)
_BETWEEN = 0.5826
"""Standard deviations of a step that a maximum is missed by when one looks after every step only (Siegmund 1985, X.2)."""


@dataclass(frozen=True, slots=True)
class Heard:
    """P streams of at most C cells each.

    `per_day` (P, C) are the sessions a day of each cell, `rate` their expected rates, `sessions` what they were learned from,
    `cells` how many alike were taken together. `delta` (P,) is the whole tolerance, `share` (P,) the part of the budget in false
    alarms a day. `levels` (P, W): which part of the sessions has each of the information weights `weights` (W,).
    The streams have been watched for `watched_days`.

    `frozen_rate`, `frozen_delta` and `frozen_bets` (P, C) are the rates of the frozen reference, their whole tolerance and
    whether the cell bets (0 to 1, where cells were taken together), `frozen_share` (P,) its part of the budget.
    """

    per_day: FloatArray
    rate: FloatArray
    sessions: FloatArray
    delta: FloatArray
    share: FloatArray
    cells: FloatArray
    levels: FloatArray
    frozen_rate: FloatArray
    frozen_delta: FloatArray
    frozen_bets: FloatArray
    frozen_share: FloatArray
    weights: FloatArray
    watched_days: float

    def __len__(self) -> int:
        return len(self.share)

    def numbers(self) -> tuple[FloatArray, ...]:
        """The columns of the streams, in the order of the fields."""
        return tuple(getattr(self, each.name) for each in fields(self)[:-2])

    def take(self, places: IntArray) -> Self:
        """Some of the streams."""
        return type(self)(
            *(part[places] for part in self.numbers()), weights=self.weights, watched_days=self.watched_days
        )


def chance_heard(streams: Heard, share: FloatArray, days: int, *, up: bool, seed: int) -> FloatArray:
    """The chance (P,) that a failure of `share` (P,) is heard within so many days, sudden and lasting."""
    paths = Paths.drawn(np.random.default_rng(seed), days)
    out = [
        _heard(streams.take(block), share[block], _mass_before(streams.take(block), paths, up=up), paths, up=up)
        for block in _blocks(len(streams))
    ]
    return np.concatenate([np.zeros(0), *out])


def smallest_heard(streams: Heard, days: int, *, up: bool, seed: int) -> FloatArray:
    """The smallest share (P,) of the sessions that is heard within so many days with CHANCE; NaN where none is."""
    paths = Paths.drawn(np.random.default_rng(seed), days)
    # Streams with about as many events are computed together.
    order = np.argsort((streams.per_day * streams.rate).sum(axis=1), kind="stable")
    out = np.empty(len(streams))
    for block in _blocks(len(streams)):
        out[order[block]] = _smallest(streams.take(order[block]), paths, up=up)
    return out


def _blocks(count: int) -> list[IntArray]:
    return [np.arange(start, min(start + AT_ONCE, count)) for start in range(0, count, AT_ONCE)]


def least_share(streams: Heard, days: int, *, up: bool) -> FloatArray:
    """The two-sample bound as a share (P,) of the sessions: what no test hears every second time is below it; NaN where none is.

    It is that of all cells together, at their mean rate.
    """
    per_day, sessions = streams.per_day.sum(axis=1), streams.sessions.sum(axis=1)
    rate = (streams.per_day * streams.rate).sum(axis=1) / np.maximum(per_day, 1e-12)
    usual = np.clip(rate if up else 1.0 - rate, LOWEST_RATE, 1.0 - LOWEST_RATE)
    seen = smallest_detectable(sessions, usual, per_day, days, streams.share, streams.delta)
    return (seen - usual) / (1.0 - usual) if up else (seen - usual) / np.maximum(rate, LOWEST_RATE)


def _smallest(streams: Heard, paths: Paths, *, up: bool) -> FloatArray:
    """False position in the logarithm of the share, on the probit of the chance, around the two-sample bound."""
    before = _mass_before(streams, paths, up=up)

    def over(log_share: FloatArray) -> FloatArray:
        chance = _heard(streams, np.exp(log_share), before, paths, up=up)
        return ndtri((chance * PATHS + 0.25) / (PATHS + 0.5)) - ndtri(CHANCE)

    bound = np.nan_to_num(least_share(streams, paths.days, up=up), nan=0.5)
    low, high = (np.log(np.clip(factor * bound, LEAST_SHARE, MOST_SHARE)) for factor in (0.8, 2.0))
    below, above = over(low), over(high)
    low, below = np.where(below < 0.0, low, math.log(LEAST_SHARE)), np.where(below < 0.0, below, -_SURE)
    most = np.full(len(streams), math.log(MOST_SHARE))
    at_most = over(most) if (above < 0.0).any() else above
    high, above = np.where(above >= 0.0, high, most), np.where(above >= 0.0, above, at_most)
    for step in range(SEARCH):
        part = np.clip(below / np.minimum(below - above, -1e-9), 0.1, 0.9) if step % 2 == 0 else 0.5
        middle = low + part * (high - low)
        found = over(middle)
        low, below = np.where(found < 0.0, middle, low), np.where(found < 0.0, found, below)
        high, above = np.where(found < 0.0, high, middle), np.where(found < 0.0, above, found)
    crossing = low + np.clip(below / np.minimum(below - above, -1e-9), 0.0, 1.0) * (high - low)
    return np.where(above >= 0.0, np.exp(crossing), np.nan)


def _ratios(*, up: bool) -> tuple[FloatArray, FloatArray]:
    """Odds ratios of the bets in one direction, and their weights."""
    return (
        (np.array(UP_ODDS_RATIOS), BET_WEIGHTS[:UP_COUNT])
        if up
        else (np.array(DOWN_ODDS_RATIOS), BET_WEIGHTS[UP_COUNT:])
    )


def _after(rate: FloatArray, share: FloatArray, *, up: bool) -> FloatArray:
    """The rates (P, C) with a failure of share (P,)."""
    return rate + share[:, None] * (1.0 - rate) if up else rate * (1.0 - share[:, None])


def _bound(rate: FloatArray, delta: FloatArray, *, up: bool) -> FloatArray:
    """The end of the null range that is bet against."""
    if up:
        return null_range(np.maximum(rate, LOWEST_RATE), delta)[1]
    return null_range(np.minimum(rate, 1.0 - LOWEST_RATE), delta)[0]


def _factors(streams: Heard, bound: FloatArray, *, up: bool) -> tuple[FloatArray, FloatArray]:
    """Log evidence of a session with the event, and of one without, per cell: (P, C, ..., J) from bounds (P, C, ...)."""
    ratio, _ = _ratios(up=up)
    norm = 1.0 + (ratio - 1.0) * bound[..., None]
    hit, miss = np.zeros(norm.shape), np.zeros(norm.shape)
    for level, weight in enumerate(streams.weights):
        part = streams.levels[:, level].reshape(-1, *([1] * (norm.ndim - 1)))
        if part.any():
            hit += part * np.log1p(weight * (ratio / norm - 1.0))
            miss += part * np.log1p(weight * (1.0 / norm - 1.0))
    return hit, miss


def _heard(streams: Heard, share: FloatArray, before: Float32Array, paths: Paths, *, up: bool) -> FloatArray:
    """The chance (P,) of being heard, given the mass at the onset (P, R, J)."""
    after = _after(streams.rate, share, up=up)
    evidence = _evidence(streams, after, paths, up=up)
    n = streams.per_day * paths.days
    mean = (n * after).sum(axis=1)
    unknown = n**2 * streams.rate * (1.0 - streams.rate) / (streams.sessions + 1e-9)
    own = (n * after * (1.0 - after)).sum(axis=1)
    total = quantiles(mean, own + (1.0 - share) ** 2 * unknown.sum(axis=1), paths.quantile)
    x = paths.of(total, np.sqrt(own / np.maximum(mean, 1e-12)))
    heard = _by_learning(streams, evidence, x, mean, own, before, paths, up=up)
    return (heard | _by_frozen(streams, x, after, paths, up=up)).mean(axis=1)


def _by_learning(
    streams: Heard,
    evidence: _Evidence,
    x: FloatArray,
    mean: FloatArray,
    variance: FloatArray,
    before: Float32Array,
    paths: Paths,
    *,
    up: bool,
) -> BoolArray:
    """Whether the self-updating reference hears each path (P, R)."""
    weight = _ratios(up=up)[1].astype(np.float32)
    slope, drift, answer = (part.astype(np.float32) for part in (evidence.slope, evidence.drift, evidence.answer))
    come = np.diff(x, axis=2, prepend=0.0).astype(np.float32)
    over = (x - mean[:, None, None] * np.arange(paths.steps) / paths.steps).astype(np.float32) - come
    mass = before
    heard = np.zeros(mass.shape[:2], bool)
    rate = (streams.share * paths.step_days).astype(np.float32)[:, None, None]
    sd = (_BETWEEN * np.sqrt(np.maximum(variance / paths.steps - 1.0, 0.0))).astype(np.float32)[:, None]
    rare = mean.min() / paths.steps < FEW
    come_sessions = streams.per_day.sum(axis=1)[:, None] * paths.step_days * np.arange(1, paths.steps + 1)
    trusted = come_sessions <= ABSORBED * streams.sessions.sum(axis=1)[:, None]
    for k in range(paths.steps):
        gain = come[:, :, k, None] * slope[:, None, k]
        gain += over[:, :, k, None] * answer[:, None, k]
        gain += drift[:, None, k]
        old, new = _moved(mass, rate, gain)
        mass = old + new
        level = (old * _back(drift[:, k], come[:, :, k]) + new if rare else mass) @ weight
        slopes = np.abs(mass @ (weight * slope[:, k])[:, :, None])[:, :, 0] / np.maximum(mass @ weight, _TINY)
        heard |= (np.log(np.maximum(level, _TINY)) + slopes * sd >= 0.0) & trusted[:, None, k]
    return heard


def _moved(mass: Float32Array, rate: Float32Array, gain: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Mass (P, R, J) after a step in which the evidence grew by `gain`: the old one, and of `rate` (P, 1, 1) coming in evenly.

    What comes in is integrated by Simpson's rule. `gain` is used up.
    """
    half = np.exp(np.clip(gain, -_LOG_MOST, _LOG_MOST, out=gain) * np.float32(0.5))
    grown = half * half
    new = (rate / 6.0 * (1.0 + 4.0 * half + grown)).astype(np.float32)
    return np.minimum(mass, np.float32(1e6)) * grown, new


def _back(drift: Float32Array, come: Float32Array) -> Float32Array:
    """What the mass at the end of a step has to be multiplied with to be that at its last event, (P, R, J).

    The last of x events of a step lies at x / (x + 1) of it, on average, and what the sessions after it take is still there.
    """
    x = np.clip(np.rint(come), 0, FEW).astype(np.int64)
    behind = 1.0 / (np.arange(FEW + 1) + 1.0)
    behind[[0, FEW]] = 0.0
    back = np.exp(np.minimum(-drift[:, None] * behind[:, None], 20.0)).astype(np.float32)
    return back[np.arange(len(x))[:, None], x]


def _by_frozen(streams: Heard, x: FloatArray, after: FloatArray, paths: Paths, *, up: bool) -> BoolArray:
    """Whether the frozen reference hears each path (P, R).

    It is settled once a day, on first sessions of users. The failure begins in the middle of a day.
    """
    ratio, weight = _ratios(up=up)
    bound = _bound(streams.frozen_rate, streams.frozen_delta, up=up)
    first = streams.levels[:, 0] / np.maximum(streams.levels.sum(axis=1), 1e-9)
    n = streams.per_day * streams.frozen_bets * first[:, None]
    whole = (streams.per_day * after).sum(axis=1)
    part = (n * after).sum(axis=1) / np.maximum(whole, 1e-300)
    drift = -(n[..., None] * np.log1p((ratio - 1.0) * bound[..., None])).sum(axis=1)
    a_day, half = paths.steps // paths.days, paths.steps // paths.days // 2
    usual = 0.5 * (n * streams.rate).sum(axis=1)
    # A part of the sessions varies more than the same part of all of them does.
    even = (whole * paths.step_days)[:, None, None] * np.arange(half, paths.steps + 1, a_day)
    wide = np.sqrt(part)[:, None, None]
    ends = part[:, None, None] * even + wide * (x[:, :, half - 1 :: a_day] - even)
    come = np.diff(ends, axis=2, prepend=-usual[:, None, None] + np.zeros_like(ends[:, :, :1]))
    mass = np.tile(streams.frozen_share[:, None, None], (1, x.shape[1], len(ratio)))
    heard = np.zeros(x.shape[:2], bool)
    for day in range(paths.days):
        gain = come[:, :, day, None] * np.log(ratio) + drift[:, None]
        mass = (mass + streams.frozen_share[:, None, None]) * np.exp(np.clip(gain, -_LOG_MOST, _LOG_MOST))
        mass = np.minimum(mass, 1e30)
        heard |= mass @ weight >= 1.0
    return heard


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What brings evidence in every step, each (P, K, J).

    `slope`: an event; `drift`: the sessions without it; `answer`: what an event more before the step changes of that.
    """

    slope: FloatArray
    drift: FloatArray
    answer: FloatArray


def _evidence(streams: Heard, after: FloatArray, paths: Paths, *, up: bool) -> _Evidence:
    """The rate that is bet against has learned from what has come since the onset; it is followed in LEARNING_STEPS."""
    part_of = np.arange(paths.steps) * LEARNING_STEPS // paths.steps
    begin = paths.step_days * (np.arange(paths.steps) + 0.5)
    begin = np.bincount(part_of, begin) / np.bincount(part_of)
    known = streams.sessions[:, :, None] + 1e-9
    come = streams.per_day[:, :, None] * begin
    n = streams.per_day[:, :, None] * paths.step_days
    events = n * after[:, :, None]
    part = events / np.maximum(events.sum(axis=1, keepdims=True), 1e-300)
    delta = streams.delta[:, None, None]
    hit, miss, later = np.zeros(3)
    few = 0.1 * (streams.rate[:, :, None] * known + after[:, :, None] * come) + 1e-9
    for events_come, chance in _two_points(after[:, :, None] * come, streams.cells[:, :, None], part):
        rate = (streams.rate[:, :, None] * known + events_come) / (known + come)
        own = _factors(streams, _bound(rate, delta, up=up), up=up)
        more = _factors(streams, _bound(np.minimum(rate + few / (known + come), 1.0), delta, up=up), up=up)
        hit, miss, later = (
            total + chance[..., None] * found for total, found in ((hit, own[0]), (miss, own[1]), (later, more[1]))
        )
    answer = ((n * part / few)[..., None] * (later - miss)).sum(axis=1)
    columns = (part[..., None] * (hit - miss)).sum(axis=1), (n[..., None] * miss).sum(axis=1), answer
    return _Evidence(*(column[:, part_of] for column in columns))


def _two_points(mean: FloatArray, cells: FloatArray, part: FloatArray) -> tuple[tuple[FloatArray, FloatArray], ...]:
    """Two numbers of events that a cell has learned from, and their chances, any shape: what is expected, with its variance.

    Given all events of the stream those of a cell vary as a binomial count. `cells` are that many cells taken together, which all
    have learned for themselves; `part` is their part of the events.
    """
    variance = np.maximum(mean * cells * (1.0 - part / cells), 1e-12)
    low = np.maximum(mean - np.sqrt(variance), 0.0)
    below = np.maximum(mean - low, 1e-9)
    above = variance / below
    return (low, above / (above + below)), (mean + above, below / (above + below))


def _mass_before(streams: Heard, paths: Paths, *, up: bool) -> Float32Array:
    """The mass at the onset (P, R, J), after the days that were watched without a failure."""
    hit, miss = _factors(streams, _bound(streams.rate, streams.delta[:, None], up=up), up=up)
    n = streams.per_day
    mean, variance = (n * streams.rate).sum(axis=1), (n * streams.rate * (1.0 - streams.rate)).sum(axis=1)
    part = (n * streams.rate) / np.maximum(mean, 1e-300)[:, None]
    slope, drift = (part[..., None] * (hit - miss)).sum(axis=1), (n[..., None] * miss).sum(axis=1)
    mass = np.zeros((len(mean), PATHS, slope.shape[1]), np.float32)
    ends = streams.watched_days * (1.0 - np.arange(BEFORE_STEPS + 1) / BEFORE_STEPS) ** 2
    for k, days in enumerate(-np.diff(ends)):
        x = np.maximum(mean[:, None] * days + np.sqrt(variance * days)[:, None] * paths.before[:, k], 0.0)
        gain = x[:, :, None] * slope[:, None] + (drift * days)[:, None]
        old, new = _moved(mass, (streams.share * days).astype(np.float32)[:, None, None], gain.astype(np.float32))
        mass = old + new
        # A path on which something rang has begun anew.
        rang = (mass * _ratios(up=up)[1]).sum(axis=2) >= 1.0
        mass[rang] = 0.0
    return mass
