"""A Shiryaev-Roberts mixture e-detector for rates, in units of the alarm budget, over many streams at once.

**What is promised.** A stream has a null: every session's event probability, given the past, is at most
`q_hi` and at least `q_lo`. Twelve bets j each turn a session y in {0, 1} into a factor `L_j >= 0` with
`E[L_j | past] <= 1` under that null, and keep

    R_j <- (R_j + beta dt) L_j,      M = sum_j w_j R_j,      alarm when M >= 1, then R = 0,

where `sum_j w_j = 1`, `dt` is the time since the stream was last updated and `beta` the stream's share of
the alarm budget (false alarms per day). `dt` and `beta` must be known before the sessions are looked at;
both may change with time, and streams may come and go.

Let N be the number of alarms so far. Without an alarm `E[M' | past] <= M + beta dt`; an alarm takes at
least 1 from M and adds 1 to N. So `M + N - (integral of beta dt)` is a supermartingale that starts at 0, M
is never negative, and at every time and every stopping time

    E[N_s(T)] <= integral of beta_s dt,      E[sum_s N_s(T)] <= sum_s integral of beta_s dt

whatever the dependence between streams, however often one looks (Shin, Ramdas, Rinaldo, "E-detectors",
NEJSDS 2024; the budget form follows from their Theorem 2.4 with the threshold 1 / beta moved into the
mass).

**The evidence of one session.** `L_j = 1 + w lam_j (y - q)` with `lam_j = (p_j - q) / (q (1 - q))` is the
mixture `(1 - w) + w LR_j` of "no bet" and the likelihood ratio of p_j against q; with the odds of p_j equal
to rho_j times the odds of q, `LR_j = rho_j^y / (1 + (rho_j - 1) q)`. Its mean is `1 + w lam_j (p - q)`: at
most 1 for upward bets whenever p <= q = q_hi, for downward bets whenever p >= q = q_lo. Odds make a rate of
2 % and one of 98 % alike.

**Sessions of one user** are not independent. The K-th session of a user within a trailing day gets the
weight `w = g(K) - g(K - 1)`, `g(K) = K / (1 + (K - 1) icc)`: the information of K equally correlated
observations. The weights take few values, so that sessions aggregate to counts per (cell, weight level).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

UP_ODDS_RATIOS = (1.2, 1.45, 1.75, 2.1, 3.2, 7.5, 30.0, 400.0)
DOWN_ODDS_RATIOS = (0.8, 0.6, 0.35, 0.1)
UP_COUNT = len(UP_ODDS_RATIOS)
BET_COUNT = UP_COUNT + len(DOWN_ODDS_RATIOS)
BET_WEIGHTS: FloatArray = np.array([0.20, 0.16, 0.14, 0.10, 0.08, 0.07, 0.03, 0.02, 0.05, 0.05, 0.05, 0.05])
"""Weight of each bet, shape (BET_COUNT,), sum 1; the first UP_COUNT bets are upward.

Found by search for the least worst delay against the oracle CUSUM (`benchmarks/detection.py`); the last upward ratio is
for what has never happened before, which has to ring within a few sessions.
"""

DEFAULT_DELTA = 0.10
DEFAULT_ICC = 0.5
DEFAULT_WEIGHT_LEVELS = (1.0, 0.33, 0.16, 0.10, 0.05, 0.02)
"""Information weights that a session may carry, falling. A weight between two levels is rounded down."""

_LOG_MAX = 80.0
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class BetTables:
    """Log evidence of one session, for every rate level, weight level and bet.

    `grid` (Q,) holds the rates of the levels, evenly spaced in log odds. Row `level * W + weight level` of
    `up` (Q W, 2 UP_COUNT) and of `down` holds log L of its bets, first for y = 0, then for y = 1. The last
    level of `up` and the first of `down` are zero: beyond the grid nothing is bet. Single precision: the
    error of a session's log L is below 1e-7 of it, and what one lookup needs fits a cache line.
    """

    weights: FloatArray
    grid: FloatArray
    up: Float32Array
    down: Float32Array

    @classmethod
    def build(
        cls,
        weights: tuple[float, ...] = DEFAULT_WEIGHT_LEVELS,
        levels: int = 8192,
        lowest_rate: float = 1e-5,
    ) -> BetTables:
        """Tables for the information weights given, over rates from `lowest_rate` to `1 - lowest_rate`."""
        if not all(0.0 < w <= 1.0 for w in weights):
            raise ValueError(f"got weights {weights}; each must be in (0, 1]")
        if levels < 2 or not 0.0 < lowest_rate < 0.5:
            raise ValueError(f"got levels={levels}, lowest_rate={lowest_rate}; need levels >= 2, 0 < lowest_rate < 0.5")
        edge = _logit(np.float64(lowest_rate))
        grid = 1.0 / (1.0 + np.exp(-np.linspace(edge, -edge, levels)))
        info = np.asarray(weights, dtype=np.float64)
        up = _log_factors(grid, info, np.array(UP_ODDS_RATIOS))
        down = _log_factors(grid, info, np.array(DOWN_ODDS_RATIOS))
        up[-1] = 0.0
        down[0] = 0.0
        return cls(info, grid, _rows(up), _rows(down))

    def up_level(self, q_hi: FloatArray) -> IntArray:
        """The level whose rate is the smallest at or above `q_hi`; any shape, rates in [0, 1]."""
        return np.clip(np.ceil(self._position(q_hi) - 1e-9), 0, len(self.grid) - 1).astype(np.int64)

    def down_level(self, q_lo: FloatArray) -> IntArray:
        """The level whose rate is the largest at or below `q_lo`; any shape, rates in [0, 1]."""
        return np.clip(np.floor(self._position(q_lo) + 1e-9), 0, len(self.grid) - 1).astype(np.int64)

    def log_evidence(
        self, up_level: IntArray, down_level: IntArray, weight_level: IntArray, n: FloatArray, x: FloatArray
    ) -> Float32Array:
        """Log evidence of cells: `n` sessions with `x` events; all inputs (C,), result (C, BET_COUNT).

        The evidence of a stream in a tick is the sum over its cells (strata and weight levels).
        """
        if np.any(x < 0) or np.any(x > n):
            raise ValueError("got cells with fewer than 0 or more than n events; need 0 <= x <= n")
        hits, misses = x.astype(np.float32)[:, None], (n - x).astype(np.float32)[:, None]
        width = len(self.weights)
        out = np.empty((len(n), BET_COUNT), dtype=np.float32)
        for start in range(0, len(n), _BLOCK):
            block = slice(start, start + _BLOCK)
            weight = weight_level[block]
            up = self.up.take(up_level[block] * width + weight, axis=0)
            down = self.down.take(down_level[block] * width + weight, axis=0)
            out[block, :UP_COUNT] = _two_outcomes(up, misses[block], hits[block])
            out[block, UP_COUNT:] = _two_outcomes(down, misses[block], hits[block])
        return out

    def _position(self, rate: FloatArray) -> FloatArray:
        """Where a rate lies on the grid, in levels; far outside for rates of 0 and 1."""
        tiny = 1e-12
        edge = _logit(self.grid[0])
        step = -2.0 * edge / (len(self.grid) - 1)
        return (_logit(np.clip(rate, tiny, 1.0 - tiny)) - edge) / step


def null_range(rate: FloatArray, delta: FloatArray | float = DEFAULT_DELTA) -> tuple[FloatArray, FloatArray]:
    """(q_lo, q_hi): the rates that are no reason to wake anybody, for base rates of any shape.

    The odds may be up to `1 + delta` times as high or as low: close to a relative `delta` for rare events, the same for
    2 % and 98 %, and a move of 50 % to 52.4 % for a `delta` of 0.10.
    """
    less, more = rate / (rate + (1.0 - rate) * (1.0 + delta)), rate * (1.0 + delta) / (1.0 + rate * delta)
    return less, more


def learned_rate(
    events: FloatArray,
    sessions: FloatArray,
    prior_rate: FloatArray | float,
    prior_strength: FloatArray | float,
) -> FloatArray:
    """The base rate after `events` of `sessions`: the mean of a Beta posterior, any shape.

    The prior weighs as much as `prior_strength` sessions at `prior_rate`. Update the counts after the tick's
    bet, never before: the rate must not know the sessions it is bet against.
    """
    return (events + prior_strength * prior_rate) / (sessions + prior_strength)


def advance(restarts: FloatArray, mass: FloatArray, log_evidence: Float32Array | FloatArray) -> FloatArray:
    """`R_j <- (R_j + mass) L_j`: restarts (S, J), mass (S,) = beta dt in false alarms, log evidence (S, J).

    Values stay finite: evidence beyond e^80 in one tick is cut (an alarm in any case).
    """
    out = np.empty_like(restarts)
    for start in range(0, len(restarts), _BLOCK):
        block = slice(start, start + _BLOCK)
        factor = np.exp(np.minimum(log_evidence[block], np.float32(_LOG_MAX)))
        np.multiply(restarts[block] + mass[block, None], factor, out=out[block])
    return np.minimum(out, 1e200, out=out)


def total(restarts: FloatArray) -> FloatArray:
    """`M = sum_j w_j R_j`, shape (S,): an alarm where it is at least 1, and then R = 0."""
    return restarts @ BET_WEIGHTS


def information_weight(rank: IntArray, icc: float = DEFAULT_ICC) -> FloatArray:
    """`g(K) - g(K - 1)` in (0, 1] for the K-th session (rank K >= 1) of one user within a trailing day."""
    k = np.maximum(rank, 1).astype(np.float64)
    return k / (1.0 + (k - 1.0) * icc) - (k - 1.0) / (1.0 + (k - 2.0) * icc) * (k > 1.0)


def weight_level(
    rank: IntArray, icc: float = DEFAULT_ICC, weights: tuple[float, ...] = DEFAULT_WEIGHT_LEVELS
) -> IntArray:
    """Level of the K-th session of one user, weight rounded down; `len(weights)` means: do not count it."""
    falling = np.asarray(weights)
    return np.searchsorted(-falling, -information_weight(rank, icc) - 1e-9, side="left").astype(np.int64)


def _logit(rate: FloatArray | np.float64) -> FloatArray:
    return np.log(rate) - np.log1p(-rate)


def _log_factors(grid: FloatArray, weights: FloatArray, ratios: FloatArray) -> FloatArray:
    """log((1 - w) + w LR) for y = 0, 1: shape (Q, W, 2, len(ratios))."""
    norm = 1.0 + (ratios - 1.0) * grid[:, None]
    likelihood = np.stack([1.0 / norm, ratios / norm], axis=1)[:, None]
    return np.log1p(weights[:, None, None] * (likelihood - 1.0))


def _rows(factors: FloatArray) -> Float32Array:
    """(Q, W, 2, J) to the layout of the lookup, (Q W, 2 J)."""
    levels, weights, outcomes, bets = factors.shape
    return np.ascontiguousarray(factors.reshape(levels * weights, outcomes * bets), dtype=np.float32)


def _two_outcomes(factors: Float32Array, misses: Float32Array, hits: Float32Array) -> Float32Array:
    bets = factors.shape[1] // 2
    return (misses * factors[:, :bets] + hits * factors[:, bets:]).astype(np.float32, copy=False)
