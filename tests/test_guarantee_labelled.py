"""Intervals from labels cover the truth, and the corrected rate is right on average, over seeded worlds.

Nominal coverage is 95 %. Over 400 samples of a world its standard error is sqrt(.95 * .05 / 400) = 1.1 %: 93 % (nominal less
2 %) is let pass down to 90.8 %, two of them below, for each of the 22 coverages that are looked at.
"""

from __future__ import annotations

import numpy as np
import pytest

from unquiet.stats import labelled
from unquiet.stats.labelled import Sample, accuracy, ppi_rate, sample

SAMPLES = 400
LEAST = 0.93 - 2 * (0.95 * 0.05 / SAMPLES) ** 0.5

WORLDS = {
    "rare": ((0.955, 0.02, 0.01, 0.015), (0.002, 0.2, 0.6, 0.95), (80, 40, 40, 40)),
    "rare, few labels": ((0.955, 0.02, 0.01, 0.015), (0.002, 0.2, 0.6, 0.95), (20, 10, 10, 10)),
    "common": ((0.6, 0.1, 0.1, 0.2), (0.05, 0.3, 0.7, 0.97), (40, 20, 20, 20)),
    "blind": ((0.97, 0.01, 0.01, 0.01), (0.03, 0.2, 0.6, 0.9), (160, 80, 80, 80)),
    "perfect": ((0.95, 0.02, 0.01, 0.02), (0.0, 0.0, 1.0, 1.0), (40, 20, 20, 20)),
    "flag": ((0.96, 0.04), (0.005, 0.7), (60, 60)),
    "poor flag": ((0.8, 0.2), (0.1, 0.5), (30, 30)),
}
"""Sizes of the strata, the share of true turns in each, and labels of each."""


def truth(size: np.ndarray, share: np.ndarray, flagged: np.ndarray) -> tuple[float, float, float]:
    true, false = size * share, size * (1 - share)
    return true[flagged].sum() / true.sum(), false[~flagged].sum() / false.sum(), true.sum()


@pytest.mark.guarantee
@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_intervals_cover_and_the_rate_is_unbiased(
    world: tuple[tuple[float, ...], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean error of the rate is within four standard errors of zero."""
    monkeypatch.setattr(labelled, "DRAWS", 2000)
    size, share, count = (np.array(each, float) for each in world)
    flagged = np.arange(len(size)) >= len(size) // 2
    true = truth(size, share, flagged)
    rng, covered, errors = np.random.default_rng(5), np.zeros(3), []
    for seed in range(SAMPLES):
        yes = rng.binomial(count.astype(int), share).astype(float)
        found = accuracy(Sample(size * 1e5, flagged, count, yes), seed)
        for place, (estimate, value) in enumerate(
            zip((found.sensitivity, found.specificity, found.rate), true, strict=True)
        ):
            covered[place] += estimate.low - 1e-12 <= value <= estimate.high + 1e-12
        errors.append(found.rate.value - true[2])
    assert (covered / SAMPLES >= LEAST).all(), covered / SAMPLES
    assert abs(np.mean(errors)) <= 4 * np.std(errors) / SAMPLES**0.5 + 1e-12


@pytest.mark.guarantee
def test_unequal_chances_are_weighted() -> None:
    """Inside one stratum yes is more likely where the chance of being chosen is higher: only weights undo that."""
    rng, covered, errors = np.random.default_rng(6), 0, []
    group = np.arange(20_000) < 4000
    chance, share = np.where(group, 0.02, 0.005), np.where(group, 0.5, 0.1)
    true = share.mean()
    for seed in range(SAMPLES):
        chosen = rng.random(len(group)) < chance
        yes = rng.random(chosen.sum()) < share[chosen]
        nothing = np.zeros(chosen.sum(), np.int64)
        one = sample(np.array([20_000.0]), np.array([False]), nothing, yes, chance[chosen])
        found = ppi_rate(one, seed)
        covered += found.low <= true <= found.high
        errors.append(found.value - true)
    assert covered / SAMPLES >= LEAST
    assert abs(np.mean(errors)) <= 4 * np.std(errors) / SAMPLES**0.5
