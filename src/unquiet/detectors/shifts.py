"""A number that moves as a whole: the bets on its median, joined by bets within either half.

Of a number the baseline's 0.1, 0.5 and 0.9 quantiles are known. "Above the median?" is one event; "at or above the 0.1
quantile?" asked of those below the median and "above the 0.9 quantile?" asked of those above it are two more, and given
the first each of them is an honest bet of its own: the product of the three factors is an e-value (conditional
probabilities multiply). All three move the same way when the whole distribution moves (the continuation-ratio form of
proportional odds: McCullagh 1980), so each of the twelve bets is placed on all of them. Both halves follow from
additive counts: nothing more has to be counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

SAFE = 1e-9


@dataclass(frozen=True, slots=True)
class Half:
    """Expected rate, sessions and events of one half, each (G, k) for k numbers."""

    rate: FloatArray
    n: FloatArray
    x: FloatArray


def halves(rate: FloatArray, n: FloatArray, x: FloatArray, shifts: IntArray) -> tuple[Half, Half]:
    """The lower and the upper half of k numbers.

    Args:
        rate: expected rates of all events, (G, E).
        n: sessions of the rows to which each event applies, (G, E).
        x: those in which it happened, (G, E).
        shifts: (k, 3), the events "below the 0.1 quantile", "above the median" and "above the 0.9 quantile" of each.
    """
    low, middle, high = shifts.T
    above, below = np.clip(rate[:, middle], SAFE, 1.0 - SAFE), np.clip(1.0 - rate[:, middle], SAFE, 1.0 - SAFE)
    n_below = n[:, middle] - x[:, middle]
    lower = Half(np.clip(1.0 - rate[:, low] / below, SAFE, 1.0 - SAFE), n_below, n_below - x[:, low])
    upper = Half(np.clip(rate[:, high] / above, SAFE, 1.0 - SAFE), x[:, middle], x[:, high])
    return lower, upper
