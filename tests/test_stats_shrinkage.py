"""The rate expected of a cell: known values, and what it is shrunk to."""

from __future__ import annotations

import numpy as np
import pytest

from unquiet.stats.shrinkage import PRIOR_SESSIONS, lift, odds_of, shrunk

RATE = np.array([0.02, 0.2])


def test_a_cell_without_a_history_has_the_odds_of_its_stratum_times_the_lift() -> None:
    none = np.zeros(2)
    assert shrunk(none, none, RATE, lift(RATE, RATE)) == pytest.approx(RATE)
    twice = shrunk(none, none, RATE, np.full(2, 2.0))
    assert odds_of(twice) == pytest.approx(2.0 * odds_of(RATE))


def test_a_cell_with_a_history_has_its_own_rate() -> None:
    n = np.full(2, PRIOR_SESSIONS)
    assert shrunk(n / 2, n, RATE, np.ones(2)) == pytest.approx((0.5 + RATE) / 2)
    assert shrunk(1e6 * n / 2, 1e6 * n, RATE, np.ones(2)) == pytest.approx([0.5, 0.5], abs=1e-6)
    assert (shrunk(n, n, np.ones(2), np.full(2, 1e8)) < 1.0).all()
