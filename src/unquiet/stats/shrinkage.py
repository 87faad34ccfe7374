"""The rate expected of a cell (slice x stratum): its own counts, shrunk toward what it belongs to."""

from __future__ import annotations

from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt

F = TypeVar("F", npt.NDArray[np.float64], npt.NDArray[np.float32])
"""Single precision where single precision comes in."""

PRIOR_SESSIONS = 8.0
"""How many sessions the rate expected from slice and stratum weighs against a cell's own counts."""

LOWEST_RATE = 0.001
"""No rate is known to be lower than this when a rise is looked for, nor higher than its complement when a fall is."""

TINY = 1e-9
LEAST_ODDS = 1e-4


def rate_of(events: F, sessions: F, prior: F | float) -> F:
    """The rate of counts of any shape, `prior` (0 to 1) with the weight of one session."""
    return cast("F", (events + prior) / (sessions + 1.0))


def lift(inside: F, usual: F, least: float = LEAST_ODDS) -> F:
    """The odds ratio of a slice's rate `inside` to the rate `usual` of its mix of strata."""
    return cast("F", odds_of(inside, least) / odds_of(usual, least))


def shrunk(events: F, sessions: F, stratum: F, lifted: F, least: float = LEAST_ODDS) -> F:
    """Expected rates of cells, in (0, 1): counts, the rate of each one's stratum on all traffic, the `lift` of its slice.

    What is shrunk to has the odds of the stratum times the lift: with the rate of the stratum alone a slice that always was
    different would look changed.
    """
    odds = odds_of(stratum, least) * lifted
    prior = odds / (1.0 + odds)
    return cast("F", np.clip((events + PRIOR_SESSIONS * prior) / (sessions + PRIOR_SESSIONS), TINY, 1.0 - TINY))


def odds_of(rate: F, least: float = LEAST_ODDS) -> F:
    """Odds, kept between about `least` and its inverse."""
    safe = np.clip(rate, least, 1.0 - least)
    return cast("F", safe / (1.0 - safe))
