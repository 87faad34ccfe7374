"""The control limits that dashboards draw: the mean of a trailing window, and so many standard deviations on either side."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def control_limits(
    at_us: IntArray, value: FloatArray, window_us: int, *, sigmas: float = 3.0, least: int = 5
) -> tuple[FloatArray, FloatArray]:
    """(low, high) of every point, from the points of the window before it (Shewhart 1931); NaN where they are too few.

    Args:
        at_us: when the points are, ascending, microseconds since 1970, shape (n,).
        value: their values, NaN where unknown, shape (n,).
        window_us: how far back the window reaches: points with at - window_us <= t < at.
        sigmas: how many standard deviations, of the population as monitoring systems compute it.
        least: with fewer known values in the window there is no limit.

    Raises:
        ValueError: the points are not in order of time.
    """
    if len(at_us) and bool((np.diff(at_us) < 0).any()):
        raise ValueError("the points of a panel must be in order of time; sort them first")
    known = np.isfinite(value)
    # Sums of deviations from a value of the series itself lose no digits where the level is far from 0.
    middle = float(np.median(value[known])) if known.any() else 0.0
    shifted = np.where(known, value - middle, 0.0)
    first = np.searchsorted(at_us, at_us - window_us, side="left")
    last = np.searchsorted(at_us, at_us, side="left")
    count, total, square = (_between(each, first, last) for each in (known.astype(np.float64), shifted, shifted**2))
    enough = count >= max(least, 1)
    size = np.maximum(count, 1.0)
    mean = total / size
    half = sigmas * np.sqrt(np.maximum(square / size - mean**2, 0.0))
    low, high = middle + mean - half, middle + mean + half
    return np.where(enough, low, np.nan), np.where(enough, high, np.nan)


def _between(each: FloatArray, first: IntArray, last: IntArray) -> FloatArray:
    sums = np.concatenate([[0.0], np.cumsum(each)])
    return sums[last] - sums[first]
