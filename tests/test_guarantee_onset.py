"""The onset interval covers the onset: steps and ramps, in a window that an alarm opened.

Nominal coverage is 95 %; over 50 alarms its standard error is 3.1 %, over all 200 it is 1.5 %: 86 % of one case
and 90 % of all are three of them below.
"""

from __future__ import annotations

import numpy as np
import pytest

from unquiet.stats.edetector import BET_COUNT, BetTables, advance, null_range, total
from unquiet.stats.onset import ChangeTime, change_time

TABLES = BetTables.build()
PER_DAY = 48
HISTORY_DAYS = 7
CASES = ((0.02, 100.0, 6.0, 0.0), (0.02, 1e3, 2.0, 0.0), (0.1, 300.0, 4.0, 0.0), (0.05, 300.0, 4.0, 3.0))
"""Base rate, sessions a day, odds ratio, days of the ramp."""


def alarm_and_onset(
    rng: np.random.Generator, rate: float, traffic: float, ratio: float, ramp_days: float, sign: int = 1
) -> tuple[float, ChangeTime] | None:
    """(true onset, estimate from all that was seen until the alarm); None without a right alarm in 21 days."""
    bins = (HISTORY_DAYS + 21) * PER_DAY
    edges = np.arange(bins + 1) / PER_DAY
    middle = (edges[1:] + edges[:-1]) / 2
    onset = HISTORY_DAYS + rng.uniform(0.5, 5)
    risen = np.clip((middle - onset) / ramp_days, 0, 1) if ramp_days else (middle >= onset).astype(float)
    odds = rate / (1 - rate) * ratio**risen
    n = rng.poisson(traffic / PER_DAY, bins)
    x = rng.binomial(n, odds / (1 + odds)).astype(float)
    n = n.astype(float)
    first = HISTORY_DAYS * PER_DAY
    base = (x[:first].sum() + 0.5) / (n[:first].sum() + 1)
    if sign < 0:
        x, base = n - x, 1 - base
    end = first_alarm(n, x, base, first)
    if end is None or edges[end] < onset:
        return None
    error = 1 / np.sqrt(min(x[:first].sum(), (n - x)[:first].sum()) + 1)
    return onset, change_time(edges[: end + 1], n[:end], x[:end], np.full(end, base), sign, error)


def first_alarm(n: np.ndarray, x: np.ndarray, base: float, first: int) -> int | None:
    low, high = null_range(np.full(len(n), base))
    log_l = TABLES.log_evidence(TABLES.up_level(high), TABLES.down_level(low), np.zeros(len(n), np.int64), n, x)
    restarts = np.zeros((1, BET_COUNT))
    for at in range(first, len(n)):
        restarts = advance(restarts, np.array([1 / 30 / 50 / PER_DAY]), log_l[at : at + 1])
        if total(restarts)[0] >= 1:
            return at + 1
    return None


@pytest.mark.guarantee
def test_the_interval_covers_the_onset() -> None:
    rng = np.random.default_rng(21)
    shares, widths = [], []
    for case in CASES:
        found = [r for r in (alarm_and_onset(rng, *case) for _ in range(50)) if r]
        assert len(found) > 35
        inside = [estimate.earliest <= onset <= estimate.latest for onset, estimate in found]
        shares.append(np.mean(inside))
        widths.append(np.median([estimate.latest - estimate.earliest for _, estimate in found]))
    print(f"coverage {np.round(shares, 3)}, median width in days {np.round(widths, 2)}")  # noqa: T201
    assert min(shares) >= 0.86
    assert np.mean(shares) >= 0.90


def test_a_fall_is_the_mirror_of_a_rise() -> None:
    up = alarm_and_onset(np.random.default_rng(3), 0.05, 500.0, 5.0, 0.0)
    down = alarm_and_onset(np.random.default_rng(3), 0.05, 500.0, 5.0, 0.0, sign=-1)
    assert up is not None
    assert down is not None
    assert abs(up[1].at - up[0]) < 0.5
    assert abs(down[1].at - down[0]) < 0.5


def test_a_clear_step_is_found_to_the_bin_and_sessions_may_be_bins() -> None:
    rng = np.random.default_rng(9)
    at = np.sort(rng.uniform(0, 10, 2_000))
    y = (rng.random(2_000) < np.where(at < 6.3, 0.02, 0.9)).astype(float)
    found = change_time(np.append(at, 10.0), np.ones(2_000), y, np.full(2_000, 0.02), 1)
    assert found.earliest <= 6.3 <= found.latest
    assert found.latest - found.earliest < 0.2
    assert found.earliest <= found.at <= found.latest


def test_without_sessions_the_whole_window_is_left() -> None:
    found = change_time(np.linspace(0, 10, 101), np.zeros(100), np.zeros(100), np.full(100, 0.1), 1)
    assert found.earliest == pytest.approx(0.25, abs=0.05)
    assert found.latest == pytest.approx(9.75, abs=0.05)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="need B"):
        change_time(np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3), 1)
