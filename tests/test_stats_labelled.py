"""Known values of what labels say: published kappa, the formula of the paper, the melded interval of one stratum."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unquiet.stats.detectable import kl_bernoulli, turns_to_detect
from unquiet.stats.labelled import Sample, accuracy, cohen_kappa, ppi_rate, sample


def of(turns: list[float], labelled: list[float], yes: list[float]) -> Sample:
    flagged = np.arange(len(turns)) >= len(turns) // 2
    return Sample(np.array(turns), flagged, np.array(labelled), np.array(yes))


def test_one_stratum_gives_the_interval_of_clopper_and_pearson() -> None:
    """Newcombe 1998 (Stat. Med. 17:857), table I, method 5: 81 of 263 and 0 of 20."""
    for yes, count, low, high in ((81.0, 263.0, 0.2527, 0.3676), (0.0, 20.0, 0.0, 0.1684)):
        one = Sample(np.array([100.0]), np.array([False]), np.array([count]), np.array([yes]))
        found = ppi_rate(one, 1)
        assert found.value == pytest.approx(yes / count)
        assert (found.low, found.high) == pytest.approx((low, high), abs=2e-3)


def test_the_rate_is_the_papers_sum_of_predictions_and_errors() -> None:
    """Angelopoulos et al. 2023: mean of f over all turns plus mean of y - f over the labelled, each equally likely."""
    rng = np.random.default_rng(3)
    flagged = rng.random(4000) < 0.3
    true = np.where(rng.random(4000) < 0.1, ~flagged, flagged)
    for size in (4000, 1000):
        chosen = np.arange(4000) < size
        turns = np.array([(~flagged).sum(), flagged.sum()], float)
        labels = sample(
            turns, np.array([False, True]), flagged[chosen].astype(int), true[chosen], np.full(size, size / 4000)
        )
        stratified = ppi_rate(labels, 1).value
        weight = turns[flagged[chosen].astype(int)] / labels.labelled[flagged[chosen].astype(int)] / 4000
        paper = flagged.mean() + (weight * (true[chosen].astype(float) - flagged[chosen])).sum()
        assert stratified == pytest.approx(paper)
    assert (
        ppi_rate(sample(turns, np.array([False, True]), flagged.astype(int), true, np.ones(4000)), 1).value
        == true.mean()
    )


def test_sensitivity_and_specificity_of_known_counts() -> None:
    """900 of 1000 clear ones with 1 of 10 labels wrong: 90 missed; 100 flagged, 8 of 10 right: 80 found, 20 false."""
    found = accuracy(of([900, 100], [10, 10], [1, 8]), 1)
    assert found.sensitivity.value == pytest.approx(80 / 170)
    assert found.specificity.value == pytest.approx(810 / 830)
    assert found.raw_rate == 0.1
    assert found.rate.value == pytest.approx(0.17)
    for estimate in (found.sensitivity, found.specificity, found.rate):
        assert 0 <= estimate.low < estimate.value < estimate.high <= 1


def test_a_large_stratum_without_an_error_still_weighs() -> None:
    """20 labels of 97 % of the traffic, none missed: up to 17 % of it may be, so sensitivity may be as low as 15 %."""
    found = accuracy(of([97_000, 3000], [20, 40], [0, 40]), 1)
    assert found.sensitivity.value == found.sensitivity.high == 1.0
    assert 0.1 < found.sensitivity.low < 0.2


def test_without_a_true_turn_nothing_is_said_of_sensitivity() -> None:
    found = accuracy(of([900, 100], [10, 10], [0, 0]), 1)
    assert math.isnan(found.sensitivity.value)
    assert (found.sensitivity.low, found.sensitivity.high) == (0.0, 1.0)


def test_kish_counts_equal_chances_in_full_and_unequal_ones_less() -> None:
    yes, stratum = np.array([True, False, False, False]), np.zeros(4, np.int64)
    equal = sample(np.array([9.0]), np.array([True]), stratum, yes, np.full(4, 0.1))
    assert equal.labelled[0] == pytest.approx(4)
    assert equal.yes[0] == pytest.approx(1)
    unequal = sample(np.array([9.0]), np.array([True]), stratum, yes, np.array([0.1, 0.1, 0.1, 1.0]))
    assert unequal.labelled[0] == pytest.approx(31**2 / 301)
    assert unequal.shares[0] == pytest.approx(10 / 31)


def test_kappa_equals_the_published_value() -> None:
    """Cohen 1960's two by two as in Fleiss 1981: 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no gives 0.4."""
    first = np.repeat([True, True, False, False], [20, 5, 10, 15])
    second = np.repeat([True, False, True, False], [20, 5, 10, 15])
    assert cohen_kappa(first, second) == pytest.approx(0.4)
    assert math.isnan(cohen_kappa(first[:20], second[:20]))
    assert math.isnan(cohen_kappa(first[:0], second[:0]))


def test_turns_to_detect_by_the_rule_of_thumb() -> None:
    """Perfect labels over real ones is about (s + c - 1)^2 / (s + (1 - c) / p): .47, .54 and .04 from 2 % to 4 %."""
    perfect = turns_to_detect(0.02, 2.0, 1.0, 1.0, 1000, 0.001)
    assert perfect is not None
    for s, c, kept in ((0.9, 0.98, 0.47), (0.7, 0.995, 0.54), (0.98, 0.62, 0.04)):
        found = turns_to_detect(0.02, 2.0, s, c, 1000, 0.001)
        assert found is not None
        assert perfect / found == pytest.approx(kept, abs=0.09)
    nats = float(kl_bernoulli(np.array(0.04), np.array(0.02)))
    assert perfect * nats == pytest.approx(math.log(nats * 1000 / 0.001))


def test_what_can_never_be_seen_is_said_so() -> None:
    assert turns_to_detect(0.02, 2.0, 0.5, 0.5, 1000, 0.001) is None
    assert turns_to_detect(0.0, 2.0, 1.0, 1.0, 1000, 0.001) is None
    assert turns_to_detect(0.6, 2.0, 1.0, 1.0, 1000, 0.001) is None
