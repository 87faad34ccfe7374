"""The bets on one feature in one slice, from counts over a run of sessions of any length.

For sessions i with expected rates q_i and answers y_i a bet of odds ratio rho on independent answers has the factor
`prod rho^y_i / (1 + (rho - 1) q_i)`: it needs the number of hits, and how many sessions there were in each cell. The
evidence goes on as `R <- (R + m) L`, where m is the time that had passed when the run began: it is known before its first
session, so that R is a Shiryaev-Roberts e-detector whose restarts lie at the beginnings of runs (Shin, Ramdas, Rinaldo,
NEJSDS 2024), and a stream need not be looked at for every session.

Of days that are over only sums are kept. The logarithm of `1 + (rho - 1) q` is concave in q (its negative convex where
rho < 1), so with q the mean of the q_i the factor is at least `rho^x / (1 + (rho - 1) q)^n` (Jensen): the sums n and E = sum q_i
still make an honest bet.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Evidence = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.floating]

UP = np.array([2.0, 5.0, 20.0, 100.0, 600.0])
DOWN = np.array([1 / 2.0, 1 / 5.0, 1 / 20.0])
WEIGHTS = np.array([0.14, 0.16, 0.16, 0.14, 0.12, 0.10, 0.10, 0.08])
"""Smaller changes than twofold are left to the named signals: no phrase of thousands would show them sooner."""

BET_COUNT = len(WEIGHTS)
_LARGEST = 80.0


def penalty(n: Numbers, expected: Numbers, slack: Numbers, tolerance: Numbers) -> Numbers:
    """`sum_i log(1 + (rho - 1) q_i)` of n sessions (> 0) with `expected` hits, (P,) each: (P, BET_COUNT).

    `slack` are the hits that half a hit more in every cell would let expect: a rate learned from m sessions is not known
    better than that, and of thousands of features some were just missed.
    `tolerance` is the relative change of the odds that is no reason to wake anybody. The odds of a mean bound the mean of
    the odds from the safe side in both directions (they are concave upward, convex downward).
    """
    high, low = np.clip((expected + slack) / n, 0.0, 1.0), np.clip((expected - slack) / n, 0.0, 1.0)
    more = high * (1.0 + tolerance) / (1.0 + high * tolerance)
    less = low / (low + (1.0 - low) * (1.0 + tolerance))
    up = np.log1p((UP - 1.0).astype(n.dtype) * more[:, None])
    down = np.log1p((DOWN - 1.0).astype(n.dtype) * less[:, None])
    return n[:, None] * np.concatenate([up, down], axis=1)


def reward(hits: FloatArray) -> FloatArray:
    """`sum_i y_i log rho` of so many hits, (P,): (P, BET_COUNT)."""
    return hits[:, None] * np.log(np.concatenate([UP, DOWN]))


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
