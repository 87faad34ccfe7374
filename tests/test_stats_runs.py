"""Sums over runs and distinct values, against the plain way to compute them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unquiet.stats.runs import distinct, run_sums


@given(st.lists(st.integers(0, 2**64 - 1), max_size=50))
def test_distinct_values_are_those_of_unique(values: list[int]) -> None:
    given_values = np.array([*values, *values[::3]], np.uint64)
    assert np.array_equal(distinct(given_values), np.unique(given_values))


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
def test_sums_over_runs_count_what_applies_and_what_happened(seed: int, sessions: int, events: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.integers(-1, 2, (sessions, events)).astype(np.int8)
    rows = rng.integers(0, sessions, 30)
    starts = np.array([0, 4, 5, 22])
    n, x = run_sums(y, rows, starts)
    for i, run in enumerate(np.split(rows, starts[1:])):
        assert np.array_equal(n[i], (y[run] >= 0).sum(axis=0))
        assert np.array_equal(x[i], (y[run] == 1).sum(axis=0))
