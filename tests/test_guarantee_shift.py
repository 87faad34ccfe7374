"""The open-world detector's promise, by simulation: what it spends of its bound when nothing changes, and that it finds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from shift_worlds import World, part, run, sessions, watch_over
from unquiet.pipeline.plan import WORDS_SHARE
from unquiet.pipeline.words import UNSPENT
from unquiet.shift import ShiftWatch

QUIET = {
    "as always": World(),
    "no text twice": World(fresh=True),
    "other mix": World(mix=True),
    "four times the traffic": World(surge=4.0),
    "days that differ": World(wobble=0.3),
}
SEEDS = range(3)
PRODUCT_BOUND = 0.06
BOUND = 1.0
"""Bound on alarms per day in these worlds, large so that there is something to count."""


@pytest.mark.guarantee
@pytest.mark.parametrize("name", QUIET)
def test_what_is_spent_leaves_room_for_what_is_taken_beyond_the_bound(name: str) -> None:
    """Alarms N in T days and R replicas, each with bound b a day, have the mean `spent * b T`.

    The product gives the detector `UNSPENT` times its share of the budget as bound, which keeps the promise if
    `spent <= 1 / UNSPENT`: N may not exceed `b T R / UNSPENT`.
    """
    world = QUIET[name]
    count = sum(len(watch_over(world, seed, BOUND)) for seed in SEEDS)
    allowed = len(SEEDS) * BOUND * (world.days - world.learn) / UNSPENT
    assert count <= allowed, f"{count} alarms, {allowed:.1f} allowed"
    assert WORDS_SHARE * UNSPENT < 2.0


def test_days_that_differ_in_thick_traffic_keep_the_bound_of_the_product() -> None:
    """Days whose rarer texts differ by a deviation of 0.3, at 800 sessions a day and the bound b = 0.06 alarms a day.

    Here errors come from wrong rates, which do not shrink with the bound. Of R worlds of T days `b T R / UNSPENT` alarms are
    allowed, 0.9 of 4 worlds, plus two standard errors of a Poisson count. What is measured over all features of a slice
    together widens the null; without it 8 worlds had 10 alarms, with it 2.
    """
    world = World(wobble=0.3, per_day=800)
    count = sum(len(watch_over(world, seed, PRODUCT_BOUND)) for seed in range(4))
    allowed = 4 * PRODUCT_BOUND * (world.days - world.learn) / UNSPENT
    assert count <= allowed + 2.0 * np.sqrt(allowed), f"{count} alarms, {allowed:.1f} allowed"


def test_a_new_phrase_in_a_part_of_the_traffic_rings_within_a_day() -> None:
    for seed in SEEDS:
        rang = watch_over(World(share=0.5), seed, 0.02)
        assert rang
        at, first = rang[0]
        assert 16.0 <= at <= 17.0
        assert first.key >= 10_000_000
        assert first.slice in (0, 2)  # all traffic, or the part that says it
        assert first.direction == 1


def test_the_cut_of_the_batches_changes_nothing() -> None:
    batch = sessions(World(share=0.5, days=20), 5)
    low = int(np.searchsorted(batch.tick_us, 7 * 86_400_000_000))
    whole, pieces = (ShiftWatch(np.full(9, 0.02 / 9), 0.1) for _ in range(2))
    for watch in (whole, pieces):
        watch.learn(part(batch, 0, low))
    rang = run(whole, part(batch, low, len(batch.tick_us)))
    ticks = np.flatnonzero(np.diff(batch.tick_us)) + 1
    edges = [low, *ticks[ticks > low][::37].tolist(), len(batch.tick_us)]
    again = [each for a, b in pairwise(edges) if b > a for each in run(pieces, part(batch, a, b))]
    assert rang == again
    assert np.array_equal(whole.streams.restarts, pieces.streams.restarts)


def test_where_no_slot_is_free_newcomers_are_left_out() -> None:
    batch = sessions(World(share=0.9, days=20), 1)
    low = int(np.searchsorted(batch.tick_us, 7 * 86_400_000_000))
    watch = ShiftWatch(np.full(9, 0.02 / 9), 0.1)
    watch.learn(part(batch, 0, low))
    watch.vocabulary.used[:] = True
    watch.vocabulary.taken_day[:] = 10**6
    run(watch, part(batch, low, len(batch.tick_us)))
    assert not (watch.vocabulary.keys >= 10_000_000).any()
