"""Intervals for rates, differences of rates and excess counts."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def wilson(x: FloatArray, n: FloatArray, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """(low, high) of a rate after `x` events of `n` sessions, any shape; (0, 1) where n = 0 (Wilson 1927)."""
    z = _z(level)
    count = np.maximum(n, 1e-12)
    rate = x / count
    middle = (rate + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2))
    seen = n > 0
    low = np.where(seen & (x > 0), np.clip(middle - half, 0, 1), 0.0)
    high = np.where(seen & (x < n), np.clip(middle + half, 0, 1), 1.0)
    return low, high


def newcombe(
    x0: FloatArray, n0: FloatArray, x1: FloatArray, n1: FloatArray, level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """(low, high) of rate1 - rate0 of independent samples, any shape (Newcombe 1998, method 10)."""
    low0, high0 = wilson(x0, n0, level)
    low1, high1 = wilson(x1, n1, level)
    rate0, rate1 = x0 / np.maximum(n0, 1e-12), x1 / np.maximum(n1, 1e-12)
    difference = rate1 - rate0
    low = difference - np.hypot(rate1 - low1, high0 - rate0)
    high = difference + np.hypot(high1 - rate1, rate0 - low0)
    return low, high


def excess(
    observed: float, sessions: FloatArray, rate: FloatArray, rate_sessions: FloatArray, level: float = 0.95
) -> tuple[float, float, float]:
    """(excess, low, high): events beyond those that would have happened without the change.

    Args:
        observed: events seen in all strata together.
        sessions: sessions of each stratum since the change, shape (C,).
        rate: rate of each stratum before the change, shape (C,).
        rate_sessions: sessions that this rate was learned from, shape (C,).
        level: coverage of the interval.

    The events that would have happened anyway are a sum of independent binomials (Poisson-binomial) whose
    rates are known with the error of their baseline. Mean and variance of both are matched by a gamma
    distribution, its quantiles taken by Wilson and Hilferty (1931): right where a handful was expected.
    """
    mean = float((sessions * rate).sum())
    spread = rate * (1.0 - rate)
    smooth = (rate * rate_sessions + 0.5) / (rate_sessions + 1.0)
    error = smooth * (1.0 - smooth) / (rate_sessions + 1.0)
    variance = float((sessions * spread + sessions**2 * error).sum())
    z = _z(level)
    # counts are whole: half an event on either side
    low = max(0.0, _gamma_quantile(mean, variance, -z) - min(0.5, mean))
    high = _gamma_quantile(mean, variance, z) + min(0.5, mean)
    return observed - mean, observed - high, observed - low


def _gamma_quantile(mean: float, variance: float, z: float) -> float:
    if variance <= 0.0:
        return mean
    # The square of a mean that is next to nothing is 0.
    if mean**2 <= 0.0:
        return max(0.0, z) * variance**0.5
    shape = mean**2 / variance
    return mean * max(0.0, 1.0 - 1.0 / (9.0 * shape) + z / (3.0 * shape**0.5)) ** 3


def _z(level: float) -> float:
    if not 0.0 < level < 1.0:
        raise ValueError(f"got a level of {level}; it must be between 0 and 1, for example 0.95")
    return NormalDist().inv_cdf(0.5 + level / 2.0)
