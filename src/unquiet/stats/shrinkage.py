"""The rate expected of a cell (slice x stratum): its own counts, shrunk toward what it belongs to."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

PRIOR_SESSIONS = 8.0
"""How many sessions the rate expected from slice and stratum weighs against a cell's own counts."""

LOWEST_RATE = 0.001
"""No rate is known to be lower than this when a rise is looked for, nor higher than its complement when a fall is."""

TINY = 1e-9


def rate_of(events: FloatArray, sessions: FloatArray, prior: FloatArray | float) -> FloatArray:
    """The rate of counts of any shape, `prior` (0 to 1) with the weight of one session."""
    return (events + prior) / (sessions + 1.0)


def lift(inside: FloatArray, usual: FloatArray) -> FloatArray:
    """The odds ratio of a slice's rate `inside` to the rate `usual` of its mix of strata."""
    return odds_of(inside) / odds_of(usual)


def shrunk(events: FloatArray, sessions: FloatArray, stratum: FloatArray, lifted: FloatArray) -> FloatArray:
    """Expected rates of cells, in (0, 1): counts, the rate of each one's stratum on all traffic, the `lift` of its slice.

    What is shrunk to has the odds of the stratum times the lift: with the rate of the stratum alone a slice that always was
    different would look changed.
    """
    odds = odds_of(stratum) * lifted
    prior = odds / (1.0 + odds)
    return np.clip((events + PRIOR_SESSIONS * prior) / (sessions + PRIOR_SESSIONS), TINY, 1.0 - TINY)


def odds_of(rate: FloatArray) -> FloatArray:
    """Odds, kept between 1e-4 and 1e4."""
    safe = np.clip(rate, 1e-4, 1.0 - 1e-4)
    return safe / (1.0 - safe)
