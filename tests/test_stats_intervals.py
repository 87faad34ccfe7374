"""Coverage and known values of the intervals, of what can be detected, and of wobble."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unquiet.stats.detectable import kl_bernoulli, smallest_detectable
from unquiet.stats.edetector import BET_COUNT, BetTables, advance, null_range, total
from unquiet.stats.intervals import excess, newcombe, wilson
from unquiet.stats.wobble import MARGIN_PER_WOBBLE, common_margin, common_wobble, day_wobble, guarded_delta


def test_wilson_equals_the_published_values() -> None:
    """Newcombe 1998 (Stat. Med. 17:857), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    low, high = wilson(np.array([81.0, 15.0, 0.0, 1.0]), np.array([263.0, 148.0, 20.0, 29.0]))
    assert np.allclose(low, [0.2553, 0.0624, 0.0, 0.0061], atol=1e-4)
    assert np.allclose(high, [0.3662, 0.1605, 0.1611, 0.1718], atol=1e-4)


def test_newcombe_equals_the_published_values() -> None:
    """Newcombe 1998 (Stat. Med. 17:873), table II, method 10: 56/70 - 48/80 and 10/10 - 0/20."""
    low, high = newcombe(np.array([48.0, 0.0]), np.array([80.0, 20.0]), np.array([56.0, 10.0]), np.array([70.0, 10.0]))
    assert np.allclose(low, [0.0524, 0.6791], atol=1e-4)
    assert np.allclose(high, [0.3339, 1.0], atol=1e-4)


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_wilson_holds_the_rate_and_says_everything_of_nothing(x: int, n: int) -> None:
    x = min(x, n)
    low, high = (float(v) for v in wilson(np.float64(x), np.float64(n)))
    assert 0 <= low <= high <= 1
    assert n == 0 or low <= x / n <= high
    assert n > 0 or (low, high) == (0, 1)


def test_a_level_outside_of_zero_and_one_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        wilson(np.ones(1), np.ones(1), level=95)


@pytest.mark.parametrize("scale", [0.2, 1.0, 10.0])
def test_the_excess_interval_covers(scale: float) -> None:
    """1,000 worlds; a true coverage of 95 % has a standard error of 0.7 %."""
    rng = np.random.default_rng(4)
    true, before, after, added = (
        np.array([0.01, 0.05]),
        np.array([2000.0, 900.0]),
        np.array([150.0, 60.0]) * scale,
        40,
    )
    covered = 0
    for _ in range(1000):
        rate = rng.binomial(before.astype(int), true) / before
        anyway = rng.binomial(after.astype(int), true).sum()
        value, low, high = excess(anyway + added, after, rate, before)
        assert low <= value <= high
        covered += low <= added <= high
    assert covered >= 925


def test_no_sessions_no_excess() -> None:
    assert excess(0.0, np.zeros(2), np.array([0.1, 0.2]), np.array([10.0, 10.0])) == (0.0, 0.0, 0.0)


def test_divergence_is_zero_at_equal_rates_and_known_elsewhere() -> None:
    assert kl_bernoulli(np.array([0.3]), np.array([0.3]))[0] == pytest.approx(0)
    assert kl_bernoulli(np.array([1.0]), np.array([0.25]))[0] == pytest.approx(np.log(4))


def test_more_traffic_and_more_time_see_smaller_changes() -> None:
    full = np.full(3, 0.02)
    share = np.full(3, 1 / 30 / 500)
    week = smallest_detectable(np.full(3, 5e3), full, np.array([5.0, 50.0, 500.0]), 7, share)
    month = smallest_detectable(np.full(3, 5e3), full, np.array([5.0, 50.0, 500.0]), 28, share)
    assert np.all(np.diff(week) < 0)
    assert np.all(month < week)
    assert np.all(month > 0.022)


def test_the_tolerance_may_differ_by_slice_and_means_odds() -> None:
    one, rate, share = np.ones(2), np.array([0.02, 0.9]), np.full(2, 1e-4)
    both = smallest_detectable(5e3 * one, rate, 50.0 * one, 7, share, np.array([0.05, 0.5]))
    alone = smallest_detectable(5e3 * one, rate, 50.0 * one, 7, share, 0.5)
    assert both[1] == alone[1] > null_range(rate, 0.5)[1][1]
    assert both[0] < alone[0]


def test_what_no_method_can_see_is_not_a_number() -> None:
    few = smallest_detectable(np.array([3.0]), np.array([0.4]), np.array([1.0]), 1, np.array([1e-4]))
    assert np.isnan(few[0])


@pytest.mark.parametrize(("rate", "per_day", "days"), [(0.02, 300.0, 7), (0.1, 100.0, 7), (0.02, 2000.0, 1)])
def test_the_smallest_detectable_change_is_found_about_every_second_time(
    rate: float, per_day: float, days: int
) -> None:
    share, ticks, replicas = 1 / 30 / 50, 48, 200
    p1 = smallest_detectable(np.array([1e6]), np.array([rate]), np.array([per_day]), days, np.array([share]))[0]
    rng, tables = np.random.default_rng(6), BetTables.build()
    low, high = null_range(np.full(replicas, rate))
    levels = tables.up_level(high), tables.down_level(low), np.zeros(replicas, np.int64)
    restarts, found = np.zeros((replicas, BET_COUNT)), np.zeros(replicas, bool)
    for tick in range((7 + days) * ticks):
        n = rng.poisson(per_day / ticks, replicas)
        x = rng.binomial(n, rate if tick < 7 * ticks else p1)
        log_l = tables.log_evidence(*levels, n.astype(float), x.astype(float))
        restarts = advance(restarts, np.full(replicas, share / ticks), log_l)
        found |= (total(restarts) >= 1) & (tick >= 7 * ticks)
    assert 0.25 < found.mean() < 0.85


def test_wobble_is_seen_where_it_matters_and_not_invented() -> None:
    rng = np.random.default_rng(7)
    n = np.full((28, 400), 5_000)
    steady = day_wobble(n.astype(float), rng.binomial(n, 0.1).astype(float))
    assert (steady > 0).mean() < 0.2
    moved = 0.1 * np.exp(0.15 * rng.standard_normal(n.shape))
    wobbly = day_wobble(n.astype(float), rng.binomial(n, moved).astype(float))
    assert 0.10 < np.median(wobbly) < 0.17
    assert np.allclose(guarded_delta(0.1, wobbly), 0.1 + MARGIN_PER_WOBBLE * wobbly)


def test_slices_together_know_their_wobble_after_a_week() -> None:
    """Fifty slices and all traffic, twenty events: seen where it is, to a fifth of it; chance and a step are neither."""
    rng = np.random.default_rng(9)
    n = np.full((7, 51, 20), 1_000)
    n[:, 0] = 50_000

    def found(odds: np.ndarray) -> np.ndarray:
        x = rng.binomial(n, 0.1 * odds / (1 + 0.1 * (odds - 1))).astype(float)
        return common_wobble(n.astype(float), x, errors=3.0)

    assert np.all(np.abs(found(np.exp(0.2 * rng.standard_normal(n.shape))) - 0.2) < 0.04)
    assert np.mean(found(np.ones(n.shape)) > 0) <= 0.05
    assert np.mean(found(np.where(np.arange(7)[:, None, None] < 4, 1.0, 1.5) * np.ones(n.shape)) > 0) <= 0.05


def test_a_wobble_in_common_widens_only_where_a_day_could_ring() -> None:
    margin = common_margin(np.full(4, 0.2), np.array([1.0, 10.0, 100.0, 1e6]))
    assert 0 < margin[0] < 0.1
    assert np.all(np.diff(margin) > 0)
    assert margin[-1] == pytest.approx(np.expm1(0.8), rel=0.01)
    assert common_margin(np.zeros(1), np.full(1, 1e6))[0] == 0


def test_a_lasting_step_is_not_taken_for_wobble() -> None:
    rng = np.random.default_rng(8)
    n = np.full((28, 200), 2_000)
    rate = np.where(np.arange(28) < 20, 0.05, 0.1)[:, None]
    assert np.median(day_wobble(n.astype(float), rng.binomial(n, rate).astype(float))) == 0


def test_wobble_of_too_few_days_and_of_no_traffic_is_zero() -> None:
    assert np.all(day_wobble(np.full((4, 2), 100.0), np.full((4, 2), 50.0) * [[1], [0], [1], [0]]) == 0)
    assert np.all(day_wobble(np.zeros((20, 2)), np.zeros((20, 2))) == 0)
    assert np.all(common_wobble(np.zeros((20, 3, 2)), np.zeros((20, 3, 2)), 3.0) == 0)
    assert np.all(common_wobble(np.full((4, 3, 2), 10.0), np.zeros((4, 3, 2)), 3.0) == 0)
