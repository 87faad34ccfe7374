"""Paths of counts: what may come in a time, each quantile once (see `unquiet.stats.heard`)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

FloatArray = npt.NDArray[np.float64]

PATHS, STEPS, BEFORE_STEPS = 128, 40, 14
EXACT = 64
"""Events of a path up to which their times are drawn one by one; more are spread like a Brownian bridge."""

ALMOST_POISSON = 0.95


@dataclass(frozen=True, slots=True)
class Paths:
    """How R paths of `days` in K steps go.

    `counts` (EXACT + 1, R, K): of so many events those by the end of each step; `bridge` (R, K) the same for many events, in
    standard deviations of a Poisson count; `before` (R, BEFORE_STEPS) the noise of the time before; `quantile` (R,).
    """

    days: int
    counts: FloatArray
    bridge: FloatArray
    before: FloatArray
    quantile: FloatArray

    @classmethod
    def drawn(cls, rng: np.random.Generator, days: int) -> Self:
        """Paths with an even number of steps a day, about STEPS of them or more."""
        steps = 2 * days * math.ceil(STEPS / (2 * days))
        ends = np.arange(1, steps + 1) / steps
        early = rng.random((PATHS, EXACT))[:, :, None] <= ends
        counts = np.concatenate(
            [np.zeros((PATHS, 1, steps)), np.cumsum(early, axis=1, dtype=np.float64)], axis=1
        ).transpose(1, 0, 2)
        bridge = (counts[EXACT] - EXACT * ends) / np.sqrt(EXACT)
        quantile = (rng.permutation(PATHS) + 0.5) / PATHS
        return cls(days, counts, bridge, rng.standard_normal((PATHS, BEFORE_STEPS)), quantile)

    @property
    def steps(self) -> int:
        """K."""
        return self.bridge.shape[1]

    @property
    def step_days(self) -> float:
        """Days of a step."""
        return self.days / self.steps

    def of(self, total: FloatArray, spread: FloatArray) -> FloatArray:
        """Events by the end of each step, (P, R, K), of paths that end with `total` (P, R).

        `spread` (P,) is how far they vary on their way, in standard deviations of a Poisson count.
        """
        ends = np.arange(1, self.steps + 1) / self.steps
        few = np.clip(np.rint(total), 0, EXACT).astype(np.int64)
        even, factor = total[:, :, None] * ends, np.where(spread > ALMOST_POISSON, 1.0, spread)[:, None, None]
        exact = even + factor * (self.counts[few, np.arange(len(self.bridge))] - even)
        many = even + factor * np.sqrt(np.maximum(total, 0.0))[:, :, None] * self.bridge
        return np.where(total[:, :, None] > EXACT, many, exact)


def quantiles(mean: FloatArray, variance: FloatArray, u: FloatArray) -> FloatArray:
    """Counts (P, R) at the quantiles u (R,), of the distribution with this mean and variance (P,).

    Up to EXACT / 2 on average that of Panjer's class (binomial, Poisson or negative binomial), whole numbers; beyond it the
    normal one with the skewness of a Poisson count (Cornish and Fisher).
    """
    out = np.empty((len(mean), len(u)))
    z = ndtri(u)
    deviation = np.sqrt(np.maximum(variance, 1e-12))[:, None]
    skew = 1.0 / np.sqrt(np.maximum(mean, 1.0))[:, None]
    out[:] = np.maximum(mean[:, None] + deviation * (z + (z**2 - 1.0) * skew / 6.0), 0.0)
    few = np.flatnonzero(mean <= EXACT / 2)
    for i in few:
        out[i] = np.searchsorted(_cumulated(mean[i], variance[i]), u)
    return out


def _cumulated(mean: float, variance: float) -> FloatArray:
    """The distribution function on 0 .. 4 EXACT of Panjer's class."""
    k = np.arange(1, 4 * EXACT + 1)
    a = 1.0 - max(mean, 1e-9) / max(variance, 1e-9)
    b = max(mean, 1e-9) * (1.0 - a) - a
    ratio = np.maximum(a + b / k, 0.0)
    with np.errstate(divide="ignore"):
        log_p = np.concatenate([[0.0], np.cumsum(np.log(ratio))])
    p = np.exp(log_p - log_p.max())
    return np.cumsum(p) / p.sum()
