"""The slow obvious twin of `edetector`: one stream, one bet, one session at a time. For tests only.

The tables must equal it within the quantisation of the rate: `session_factor` at the rate of the grid.
"""

from __future__ import annotations

from collections.abc import Sequence

from unquiet.stats.edetector import BET_WEIGHTS, DOWN_ODDS_RATIOS, UP_COUNT, UP_ODDS_RATIOS

RATIOS = UP_ODDS_RATIOS + DOWN_ODDS_RATIOS


def session_factor(y: int, q: float, ratio: float, weight: float) -> float:
    """`L_j = 1 + w lam_j (y - q)` of one session, p_j having `ratio` times the odds of q."""
    odds = ratio * q / (1.0 - q)
    p = odds / (1.0 + odds)
    return 1.0 + weight * (p - q) / (q * (1.0 - q)) * (y - q)


def tick_factors(sessions: Sequence[tuple[int, float]], q_lo: float, q_hi: float) -> list[float]:
    """`L_j` of a tick for all bets; `sessions` are pairs (y, weight)."""
    factors = [1.0] * len(RATIOS)
    for y, weight in sessions:
        for j, ratio in enumerate(RATIOS):
            factors[j] *= session_factor(y, q_hi if j < UP_COUNT else q_lo, ratio, weight)
    return factors


def alarms(ticks: Sequence[Sequence[tuple[int, float]]], q_lo: float, q_hi: float, mass: float) -> list[int]:
    """Indices of the ticks that end in an alarm; every tick adds `mass` false alarms of budget first."""
    restarts = [0.0] * len(RATIOS)
    found: list[int] = []
    for at, tick in enumerate(ticks):
        factors = tick_factors(tick, q_lo, q_hi)
        restarts = [(r + mass) * factor for r, factor in zip(restarts, factors, strict=True)]
        if sum(w * r for w, r in zip(BET_WEIGHTS.tolist(), restarts, strict=True)) >= 1.0:
            found.append(at)
            restarts = [0.0] * len(RATIOS)
    return found
