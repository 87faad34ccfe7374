"""The bets on one feature in one slice, from sums over a run of sessions of any length.

For sessions i with expected rates q_i and answers y_i a bet of odds ratio rho on independent answers has the factor
`prod rho^y_i / (1 + (rho - 1) q_i)`. The logarithm of `1 + (rho - 1) q` is concave in q (its negative convex where rho < 1), so
with q the mean of the q_i the factor is at least `rho^x / (1 + (rho - 1) q)^n` (Jensen): the sums n, x and E = sum q_i
are enough for an honest bet, and a stream need not be looked at for every session. The evidence goes on as
`R <- (R + m) L`, where m is the time that had passed when the run began: it is known before its first session, so that R is
a Shiryaev-Roberts e-detector whose restarts lie at the beginnings of runs (Shin, Ramdas, Rinaldo, NEJSDS 2024).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Evidence = npt.NDArray[np.float32]

UP = np.array([1.5, 2.5, 5.0, 15.0, 60.0, 400.0])
DOWN = np.array([1 / 1.5, 1 / 2.5, 1 / 5.0, 1 / 20.0])
WEIGHTS = np.array([0.14, 0.14, 0.14, 0.12, 0.09, 0.07, 0.09, 0.08, 0.07, 0.06])
BET_COUNT = len(WEIGHTS)
LOWEST_RATE = 0.001
"""Added to the expected rate where a rise is bet on: what never happened may happen."""

_LARGEST = 80.0


def evidence(n: FloatArray, x: FloatArray, expected: FloatArray, tolerance: FloatArray) -> FloatArray:
    """Log evidence of runs with n sessions (> 0), x hits and `expected` ones, (P,) each: (P, BET_COUNT).

    `tolerance` is the relative change of the odds that is no reason to wake anybody. The odds of a mean bound the mean of
    the odds from the safe side in both directions (they are concave upward, convex downward).
    """
    rate = np.clip(expected / n, 0.0, 1.0)
    high, low = np.minimum(rate + LOWEST_RATE, 1.0), np.minimum(rate, 1.0 - LOWEST_RATE)
    more = high * (1.0 + tolerance) / (1.0 + high * tolerance)
    less = low / (low + (1.0 - low) * (1.0 + tolerance))
    up = x[:, None] * np.log(UP) - n[:, None] * np.log1p((UP - 1.0) * more[:, None])
    down = x[:, None] * np.log(DOWN) - n[:, None] * np.log1p((DOWN - 1.0) * less[:, None])
    return np.concatenate([up, down], axis=1)


def advance(restarts: Evidence, mass: FloatArray, log_evidence: FloatArray) -> Evidence:
    """`R_j <- (R_j + m) L_j` of P streams, in budget units; kept finite."""
    factor = np.exp(np.minimum(log_evidence, _LARGEST))
    return np.minimum((restarts + mass[:, None]) * factor, 1e30).astype(np.float32)


def total(restarts: Evidence) -> FloatArray:
    """An alarm where this is 1 or more: (P,)."""
    return restarts.astype(np.float64) @ WEIGHTS


def rises(restarts: Evidence) -> npt.NDArray[np.bool_]:
    """Whether the upward bets hold more of the evidence, (P,)."""
    parts = restarts * WEIGHTS
    return parts[:, : len(UP)].sum(axis=1) >= parts[:, len(UP) :].sum(axis=1)
