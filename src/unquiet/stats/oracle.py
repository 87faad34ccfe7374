"""The best that a drill can be heard: a CUSUM that sees who was met, and knows where and how many.

Page (1954); for Bernoulli data with known rates it is minimax (Moustakides 1986). Its threshold gives one false alarm per
given number of sessions, by the Markov chain of Brook and Evans (1972).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

STATES = 200
HIGHEST = 60.0


def run_length(threshold: float, rate: float, hit: float, miss: float) -> float:
    """Mean number of sessions to an alarm from zero, with increments `hit` (> 0, chance `rate`) and `miss` (< 0)."""
    width = threshold / STATES
    middle = (np.arange(STATES) + 0.5) * width
    middle[0] = 0.0
    chain = np.zeros((STATES, STATES))
    for step, chance in ((hit, rate), (miss, 1.0 - rate)):
        inside = middle + step < threshold
        to = np.minimum((np.maximum(middle + step, 0.0) / width).astype(np.int64), STATES - 1)
        np.add.at(chain, (np.flatnonzero(inside), to[inside]), chance)
    return float(np.linalg.solve(np.eye(STATES) - chain, np.ones(STATES))[0])


def threshold_for(sessions: float, rate: float, hit: float, miss: float) -> float:
    """The threshold with one false alarm in so many sessions, on average; at most HIGHEST."""
    low, high = 0.05, 0.5
    while high < HIGHEST and run_length(high, rate, hit, miss) < sessions:
        low, high = high, high * 1.5
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if run_length(middle, rate, hit, miss) < sessions else (low, middle)
    return high


def oracle_delays(
    before: float, after: FloatArray, sessions_per_alarm: float, rng: np.random.Generator, replicas: int = 200
) -> npt.NDArray[np.int64]:
    """Sessions after the onset until the oracle rings, one for each replica, (replicas,); len(after) where it does not.

    `before` in (0, 1) is the rate without the failure, `after` (n,) that of each session since the onset, in their order.
    """
    settled = float(np.clip(after.max(initial=0.0), before + 1e-6, 1 - 1e-6))
    hit, miss = math.log(settled / before), math.log((1 - settled) / (1 - before))
    threshold = threshold_for(sessions_per_alarm, before, hit, miss)
    total, first = np.zeros(replicas), np.full(replicas, len(after))
    for number, rate in enumerate(after):
        total = np.maximum(0.0, total + np.where(rng.random(replicas) < rate, hit, miss))
        first = np.where((total >= threshold) & (first == len(after)), number, first)
        if (first < len(after)).all():
            break
    return first
