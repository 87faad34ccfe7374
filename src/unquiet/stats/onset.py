"""When a rate began to change: the posterior of the change time, size and shape of the change unknown.

Bins in order of time hold n sessions, x events and the rate expected without a change. From the moment tau
on, the odds are rho^s times the expected ones, `s = clip((t - tau) / ramp, 0, 1)`: a step (ramp 0) or a
rise over days. The likelihood against "no change" of a bin is `rho^(s x) / (1 + (rho^s - 1) e)^n`. It is
averaged over rho (alike in log odds), over the ramps and over the error of the expected level; what remains
is a posterior over tau, every moment of the window alike beforehand (the marginal form of Hinkley 1970;
Carlin, Gelfand, Smith 1992). Conditioning on the data needs no correction for a window that was opened
because of an alarm; the coverage is held by simulation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

LOG_RATIOS: FloatArray = np.geomspace(0.15, 6.0, 16)
RAMPS_DAYS = (0.0, 1.0, 3.0, 7.0)
RAMP_WEIGHTS = (0.7, 0.1, 0.1, 0.1)
MASS = 0.95
COARSE_BINS = 200

_NODES = (-1.7320508, 0.0, 1.7320508)
_NODE_WEIGHTS = (1 / 6, 2 / 3, 1 / 6)


@dataclass(frozen=True, slots=True)
class ChangeTime:
    """Posterior median and the ends of the central interval, in the unit of the edges (days)."""

    at: float
    earliest: float
    latest: float


def change_time(
    edges_days: FloatArray,
    n: FloatArray,
    x: FloatArray,
    expected: FloatArray,
    direction: int,
    level_sd: float = 0.0,
    mass: float = MASS,
) -> ChangeTime:
    """When the odds left the expected ones.

    Args:
        edges_days: ends of the bins, ascending, shape (B + 1,); sessions may be bins of their own.
        n: sessions of each bin, shape (B,).
        x: events of each bin, 0 <= x <= n, shape (B,).
        expected: rate expected without a change, in (0, 1), shape (B,).
        direction: +1 for a rise, -1 for a fall.
        level_sd: standard error of the log odds of the expected level, common to all bins (about
            `1 / sqrt(events of the baseline)`).
        mass: posterior mass of the interval.

    Raises:
        ValueError: shapes that do not fit, or no bins.
    """
    if not len(n) == len(x) == len(expected) == len(edges_days) - 1 or len(n) == 0:
        raise ValueError(
            f"got {len(edges_days)} edges, {len(n)} n, {len(x)} x, {len(expected)} expected; "
            "need B + 1 edges and B >= 1 of the others"
        )
    log_ratios = LOG_RATIOS if direction > 0 else -LOG_RATIOS
    e = np.clip(expected, 1e-6, 1.0 - 1e-6)
    parts: list[FloatArray] = []
    for node, node_weight in zip(_NODES, _NODE_WEIGHTS, strict=True):
        if level_sd == 0.0 and node != 0.0:
            continue
        shifted, base = _shifted(e, n, x, node * level_sd)
        density = _log_density(edges_days, n, x, shifted, log_ratios)
        parts.append(density + base + np.log(node_weight))
    return _summary(edges_days, np.logaddexp.reduce(np.stack(parts), axis=0), mass)


def _shifted(e: FloatArray, n: FloatArray, x: FloatArray, shift: float) -> tuple[FloatArray, float]:
    """Expected rates with shifted log odds, and the log likelihood of all bins against the unshifted ones."""
    odds = e / (1.0 - e) * np.exp(shift)
    moved = odds / (1.0 + odds)
    return moved, float((x * shift - n * np.log1p(np.expm1(shift) * e)).sum())


def _log_density(edges: FloatArray, n: FloatArray, x: FloatArray, e: FloatArray, log_ratios: FloatArray) -> FloatArray:
    """Log of the likelihood of "the change began in bin k" for every bin, averaged over ratios and ramps."""
    steps = _after_step(n, x, e, log_ratios)
    parts = [steps + np.log(RAMP_WEIGHTS[0])]
    groups, starts = _coarse(edges)
    sums = [np.add.reduceat(v, starts) for v in (n, x, n * e)]
    coarse_e = np.where(sums[0] > 0, sums[2] / np.maximum(sums[0], 1e-9), 0.5)
    coarse_edges = np.append(edges[starts], edges[-1])
    for ramp, weight in zip(RAMPS_DAYS[1:], RAMP_WEIGHTS[1:], strict=True):
        coarse = _after_ramp(coarse_edges, sums[0], sums[1], coarse_e, log_ratios, ramp)
        parts.append(coarse[groups] + np.log(weight))
    return np.logaddexp.reduce(np.stack(parts), axis=0)


def _after_step(n: FloatArray, x: FloatArray, e: FloatArray, log_ratios: FloatArray) -> FloatArray:
    """A change within bin k counts half of that bin: it may lie anywhere in it."""
    gain = x[:, None] * log_ratios - n[:, None] * np.log1p(np.expm1(log_ratios) * e[:, None])
    after = np.cumsum(gain[::-1], axis=0)[::-1]
    inside = np.logaddexp(after, after - gain) - np.log(2.0)
    return np.logaddexp.reduce(inside, axis=1) - np.log(len(log_ratios))


def _after_ramp(
    edges: FloatArray, n: FloatArray, x: FloatArray, e: FloatArray, log_ratios: FloatArray, ramp: float
) -> FloatArray:
    middle = (edges[1:] + edges[:-1]) / 2.0
    risen = np.clip((middle[None, :] - middle[:, None]) / ramp, 0.0, 1.0)
    total = np.empty((len(n), len(log_ratios)))
    for j, log_ratio in enumerate(log_ratios):
        power = risen * log_ratio
        total[:, j] = power @ x - np.log1p(np.expm1(power) * e) @ n
    return np.logaddexp.reduce(total, axis=1) - np.log(len(log_ratios))


def _coarse(edges: FloatArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(group of each bin, first bin of each group): at most COARSE_BINS groups of about the same duration."""
    left = edges[:-1]
    span = max(float(edges[-1] - edges[0]), 1e-12)
    slot = np.minimum((left - edges[0]) / span * COARSE_BINS, COARSE_BINS - 1).astype(np.int64)
    first = np.concatenate([[True], np.diff(slot) > 0])
    return np.cumsum(first) - 1, np.flatnonzero(first)


def _summary(edges: FloatArray, log_density: FloatArray, mass: float) -> ChangeTime:
    width = np.maximum(np.diff(edges), 1e-12)
    weight = np.exp(log_density - log_density.max()) * width
    below = np.concatenate([[0.0], np.cumsum(weight / weight.sum())])
    tail = (1.0 - mass) / 2.0
    earliest, at, latest = np.interp([tail, 0.5, 1.0 - tail], below, edges)
    return ChangeTime(float(at), float(earliest), float(latest))
