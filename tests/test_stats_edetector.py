"""The tables equal their slow twin, the evidence is an e-value, and directions mirror."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unquiet.stats import naive
from unquiet.stats.edetector import (
    BET_COUNT,
    BET_WEIGHTS,
    DEFAULT_WEIGHT_LEVELS,
    UP_COUNT,
    UP_ODDS_RATIOS,
    BetTables,
    advance,
    information_weight,
    learned_rate,
    null_range,
    total,
    weight_level,
)

TABLES = BetTables.build()
rates = st.floats(2e-5, 1 - 2e-5)


def one(q_lo: float, q_hi: float, level: int, n: float, x: float) -> np.ndarray:
    up, down = TABLES.up_level(np.array([q_hi])), TABLES.down_level(np.array([q_lo]))
    return TABLES.log_evidence(up, down, np.array([level]), np.array([n]), np.array([x]))[0]


@given(
    rates,
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=1, max_size=30),
)
def test_tables_equal_the_naive_twin_at_the_grid_rate(rate: float, sessions: list[tuple[int, int]]) -> None:
    low, high = null_range(np.array([rate]))
    up, down = TABLES.up_level(high), TABLES.down_level(low)
    fast = np.zeros(BET_COUNT)
    for y, level in sessions:
        fast += TABLES.log_evidence(up, down, np.array([level]), np.ones(1), np.array([float(y)]))[0]
    q_hi, q_lo = TABLES.grid[up[0]], TABLES.grid[down[0]]
    slow = naive.tick_factors([(y, DEFAULT_WEIGHT_LEVELS[level]) for y, level in sessions], q_lo, q_hi)
    inside_up, inside_down = up[0] < len(TABLES.grid) - 1, down[0] > 0
    expected = np.log(slow)
    expected[:UP_COUNT] *= inside_up
    expected[UP_COUNT:] *= inside_down
    assert np.allclose(fast, expected, rtol=1e-4, atol=1e-4)


@given(st.floats(0, 1))
def test_the_grid_rounds_to_the_safe_side_and_by_little(rate: float) -> None:
    up, down = TABLES.up_level(np.array([rate]))[0], TABLES.down_level(np.array([rate]))[0]
    if up < len(TABLES.grid) - 1:
        assert TABLES.grid[up] >= rate * (1 - 1e-9)
    if down > 0:
        assert TABLES.grid[down] <= rate * (1 + 1e-9)
    if 2e-5 < rate < 0.5:
        assert TABLES.grid[up] <= rate * 1.006
        assert TABLES.grid[down] >= rate / 1.006


@given(rates, st.integers(0, 5))
def test_one_session_is_an_e_value_on_the_edge_of_the_null_and_inside(rate: float, level: int) -> None:
    low, high = (float(v[0]) for v in null_range(np.array([rate])))
    miss, hit = np.exp(one(low, high, level, 1, 0)), np.exp(one(low, high, level, 1, 1))
    for p in (low, rate, high):
        assert np.all(p * hit + (1 - p) * miss <= 1 + 1e-5)


def test_a_bet_gains_where_its_alternative_is_true() -> None:
    p = np.array([0.04])
    low, high = null_range(np.array([0.02]))
    log_l = p * one(low[0], high[0], 0, 1, 1) + (1 - p) * one(low[0], high[0], 0, 1, 0)
    assert log_l[:UP_COUNT].max() > 0.002
    assert log_l[UP_COUNT:].max() < 0


@given(st.floats(0.001, 0.499))
def test_mirrored_rates_have_mirrored_null_ranges(rate: float) -> None:
    low, high = null_range(np.array([rate]))
    mirrored_low, mirrored_high = null_range(np.array([1 - rate]))
    assert np.allclose([low, high], [1 - mirrored_high, 1 - mirrored_low], atol=1e-12)
    assert low[0] < rate < high[0]


@given(st.floats(0.001, 0.999), st.floats(0.0, 3.0))
def test_the_null_is_a_range_of_odds(rate: float, delta: float) -> None:
    low, high = (float(v[0]) for v in null_range(np.array([rate]), delta))
    odds = rate / (1 - rate)
    assert high / (1 - high) == pytest.approx(odds * (1 + delta))
    assert low / (1 - low) == pytest.approx(odds / (1 + delta))


@pytest.mark.parametrize(("streams", "events"), [(500, 4), (50_000, 5)])
def test_what_never_happened_before_rings_within_a_few_sessions(streams: int, events: int) -> None:
    """Known as 0.1 % (and nothing bet on a fall), 300 sessions a day, one of so many streams of the default budget."""
    _, high = null_range(np.array([0.001]), 0.07)
    quiet, event = one(0.0, high[0], 0, 1, 0)[None], one(0.0, high[0], 0, 1, 1)[None]
    mass = np.array([1 / 30 / streams / 300])
    restarts = np.zeros((1, BET_COUNT))
    for _ in range(10_000):
        restarts = advance(restarts, mass, quiet)
    rang: list[bool] = []
    while not any(rang):
        restarts = advance(restarts, mass, event)
        rang.append(bool(total(restarts)[0] >= 1))
    assert len(rang) <= events
    assert UP_ODDS_RATIOS[-1] >= 200


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_the_recursion_equals_the_naive_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    q_lo, q_hi = TABLES.grid[1900], TABLES.grid[2000]
    ticks = [[(int(rng.random() < 0.6), 1.0) for _ in range(rng.integers(0, 6))] for _ in range(200)]
    restarts = np.zeros((1, BET_COUNT))
    found: list[int] = []
    for at, tick in enumerate(ticks):
        log_l = one(q_lo, q_hi, 0, len(tick), sum(y for y, _ in tick))[None]
        restarts = advance(restarts, np.array([1e-3]), log_l)
        if total(restarts)[0] >= 1:
            found.append(at)
            restarts[:] = 0
    assert found == naive.alarms(ticks, q_lo, q_hi, 1e-3)


def test_streams_do_not_touch_each_other_across_blocks() -> None:
    rng = np.random.default_rng(3)
    count = 10_000
    rate = rng.uniform(0.001, 0.5, count)
    n = rng.integers(0, 40, count).astype(float)
    x = rng.binomial(n.astype(int), rate).astype(float)
    low, high = null_range(rate)
    args = (TABLES.up_level(high), TABLES.down_level(low), rng.integers(0, 6, count))
    log_l = TABLES.log_evidence(*args, n, x)
    moved = advance(np.ones((count, BET_COUNT)), np.full(count, 0.5), log_l)
    order = rng.permutation(count)
    again = TABLES.log_evidence(*(a[order] for a in args), n[order], x[order])
    assert np.array_equal(again, log_l[order])
    assert np.allclose(moved, 1.5 * np.exp(log_l))


def test_extreme_evidence_stays_finite() -> None:
    log_l = one(0.01, 0.012, 0, 1e6, 1e6)[None]
    restarts = np.zeros((1, BET_COUNT))
    for _ in range(5):
        restarts = advance(restarts, np.array([1.0]), log_l)
    assert np.isfinite(total(restarts)[0])
    assert total(restarts)[0] > 1


def test_rates_of_zero_and_one_bet_nothing_that_could_ruin() -> None:
    assert np.all(np.isfinite(one(0.0, 1.0, 0, 10, 5)))
    assert np.all(one(0.0, 1.0, 0, 10, 5) == 0)


def test_wrong_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="0 <= x <= n"):
        one(0.1, 0.2, 0, 1, 2)
    with pytest.raises(ValueError, match="must be in"):
        BetTables.build(weights=(0.0,))


def test_weights_sum_to_one_and_user_weights_fall() -> None:
    assert BET_WEIGHTS.sum() == pytest.approx(1.0)
    ranks = np.arange(1, 200)
    weight = information_weight(ranks, 0.3)
    assert weight[0] == 1
    assert np.all(np.diff(weight) < 0)
    assert np.cumsum(weight)[-1] == pytest.approx(199 / (1 + 198 * 0.3))
    levels = weight_level(ranks)
    table = np.append(DEFAULT_WEIGHT_LEVELS, 0.0)
    assert np.all(table[levels] <= information_weight(ranks) + 1e-9)
    assert levels[0] == 0
    assert np.all(information_weight(ranks, 0.0) == 1)


def test_the_learned_rate_moves_from_prior_to_data() -> None:
    rate = learned_rate(np.array([0.0, 5.0, 500.0]), np.array([0.0, 100.0, 10_000.0]), 0.02, 50.0)
    assert rate[0] == pytest.approx(0.02)
    assert 0.02 < rate[1] < 0.05
    assert rate[2] == pytest.approx(0.05, rel=0.01)
