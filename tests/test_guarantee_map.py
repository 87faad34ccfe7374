"""The detectability map is true of the product's detector: at its points a failure is heard 9 times in 10.

At a point the map says the share s of the sessions with which a failure is heard within a time with probability 0.9. Here the
detector itself (`unquiet.detectors.Watch`, with strata, information weights, learning and frozen reference) hears R replicas of
that failure. If the map is right, the number of replicas that are heard is Binomial(R, 0.9). A point may lie outside of the central
part of it that holds it 99.5 times in 100, so that ten right points are all inside in 95 cases of 100 (Bonferroni); all replicas
together may lie outside by 2.8 of their standard errors (99.5 in 100) and the half percent to which the map's own paths are exact.
The seeds are fixed: what is seen once is seen always.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.stats import binom

from map_worlds import share_heard
from unquiet.model.settings import Settings
from unquiet.stats.edetector import DEFAULT_WEIGHT_LEVELS
from unquiet.stats.heard import CHANCE, Heard, smallest_heard

pytestmark = pytest.mark.guarantee

REPLICAS, POINTS = 200, 10
TICKS = {1: 96, 7: 32, 28: 24}


def drawn(rng: np.random.Generator) -> Heard:
    """A stream like those of real traffic: 20 to 3,000 sessions a day, from never to 30 %, one to ten strata."""
    count = int(rng.integers(1, 11))
    groups = min(count, 6)
    cells = np.ones(groups)
    cells[-1] += count - groups
    per_day = np.exp(rng.uniform(np.log(20), np.log(3000))) * rng.dirichlet(2.0 * cells)
    rate = np.exp(rng.uniform(np.log(3e-4), np.log(0.3))) * np.exp(0.5 * rng.standard_normal(groups))
    learned = per_day * 14 + 25.0 * cells
    levels = np.zeros(len(DEFAULT_WEIGHT_LEVELS))
    levels[:2] = 0.9, 0.1
    delta, budget = 0.07 + 0.1 * rng.random(), np.exp(rng.uniform(np.log(1e-6), np.log(1e-4)))
    error = 1.0 / np.sqrt(learned / cells * rate * (1.0 - rate))
    return Heard(
        per_day=per_day[None],
        rate=rate[None],
        sessions=learned[None],
        cells=cells[None],
        delta=np.array([delta]),
        share=np.array([0.95 * budget]),
        levels=levels[None],
        frozen_rate=rate[None],
        frozen_delta=(delta + np.expm1(np.minimum(2.5 * error, 5.0)))[None],
        frozen_bets=(learned / cells >= 40).astype(float)[None],
        frozen_share=np.array([0.05 * budget]),
        weights=np.array(DEFAULT_WEIGHT_LEVELS),
        watched_days=1.0,
    )


def sampled(seed: int) -> Iterator[tuple[Heard, int, float]]:
    """Points of the map: stream, days and the smallest share."""
    rng = np.random.default_rng(seed)
    while True:
        stream, days = drawn(rng), int(rng.choice([1, 7, 28]))
        share = float(smallest_heard(stream, days, up=True, seed=Settings().seed)[0])
        if not np.isnan(share) and share < 0.9:
            yield stream, days, share


def test_at_ten_points_of_the_map_the_detector_hears_nine_of_ten_failures() -> None:
    heard = []
    for number, (stream, days, share) in zip(range(POINTS), sampled(4), strict=False):
        part = share_heard(stream, share, days, up=True, replicas=REPLICAS, seed=number, ticks=TICKS[days])
        print(f"{days} days, {stream.per_day.sum():.0f} sessions a day, share {share:.4f}: heard {part:.3f}")  # noqa: T201
        heard.append(part)
    low, high = binom.interval(0.995, REPLICAS, CHANCE)
    assert all(low <= part * REPLICAS <= high for part in heard), heard
    error = np.sqrt(CHANCE * (1.0 - CHANCE) / (REPLICAS * POINTS))
    assert abs(np.mean(heard) - CHANCE) <= 2.8 * error + 0.005
