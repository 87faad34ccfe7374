"""A new baseline epoch: what is expected is what a watch expects that has seen the new sessions only."""

from __future__ import annotations

import copy

import numpy as np
import numpy.typing as npt
import pytest

from unquiet.counts import tally
from unquiet.detectors import Watch, begin_epoch
from unquiet.model.history import Recorded
from unquiet.stats.edetector import DEFAULT_WEIGHT_LEVELS, BetTables

DAY_US = 86_400_000_000
START_US = 20_000 * DAY_US
TABLES = BetTables.build()
SLICES, STRATA, EVENTS = 4, 3, 6
SHIFTS = [(3, 4, 5)]
LEVELS = len(DEFAULT_WEIGHT_LEVELS)


def traffic(rng: np.random.Generator, days: int, rate: npt.NDArray[np.float64], first_day: int = 0) -> Recorded:
    """200 sessions a day; slice 0 is all traffic, each session is in one more; events at `rate` (E,), some do not apply."""
    n = 200 * days
    started = START_US + first_day * DAY_US + np.sort(rng.integers(0, days * DAY_US, n))
    number = rng.normal(rate[3], 1.0, n)
    y = np.concatenate(
        [rng.random((n, 3)) < rate[:3], np.stack([number < -1.28, number > 0.0, number > 1.28], axis=1)], axis=1
    ).astype(np.int8)
    y[np.repeat(rng.random((n, 4)) < 0.1, [1, 1, 1, 3], axis=1)] = -1
    session = np.repeat(np.arange(n), 2).astype(np.int32)
    where = np.stack([np.zeros(n, np.int32), rng.integers(1, SLICES, n).astype(np.int32)], axis=1).reshape(-1)
    names = np.array([f"s{i}" for i in range(n)], object)
    tick = (started // 3_600_000_000 + 1) * 3_600_000_000
    return Recorded(names, names, names, started, tick, rng.integers(0, STRATA, n), y, session, where)


def joined(first: Recorded, second: Recorded) -> Recorded:
    parts = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in Recorded.__slots__}
    parts["member_session"][len(first.member_session) :] += len(first)
    return Recorded(**parts)


def feed(
    watch: Watch, recorded: Recorded, level: npt.NDArray[np.int64], *, judge: bool = False
) -> list[tuple[int, int, str]]:
    rung = []
    members = recorded.member_session.astype(np.int64), recorded.member_slice.astype(np.int64)
    for tick in tally(recorded.tick_us, recorded.stratum, level, recorded.y, *members, LEVELS):
        if judge:
            rung += [(a.slice, a.event, a.direction) for a in watch.step(tick)]
        else:
            watch.learn(tick)
    return rung


def watch_of() -> Watch:
    share = np.array([0.0, *[1 / 90] * (SLICES - 1)]) / (EVENTS + len(SHIFTS))
    return Watch(share, EVENTS, TABLES, 0.07, SHIFTS, together=True)


CALM = np.array([0.05, 0.3, 0.5, 0.0])
OTHER = np.array([0.5, 0.3, 0.5, 0.8])


def levels(rng: np.random.Generator, recorded: Recorded) -> npt.NDArray[np.int64]:
    return np.where(rng.random(len(recorded)) < 0.2, LEVELS, 0)


@pytest.mark.parametrize("seed", [1, 2])
def test_rates_are_those_of_a_watch_that_saw_the_new_sessions_only(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before, after = traffic(rng, 7, CALM), traffic(rng, 3, OTHER, 7)
    both = joined(before, after)
    level = levels(rng, both)
    watch, fresh, untouched = watch_of(), watch_of(), watch_of()
    for each in (watch, untouched):
        feed(each, both, level)
    watch.freeze()
    untouched.freeze()
    feed(fresh, after, level[len(before) :])
    events = np.array([0, 3, 4, 5])
    begin_epoch(watch, both, level < LEVELS, events, START_US + 7 * DAY_US)
    where, stratum = fresh.rates.cells()
    rows = watch.rates.rows(where, stratum)
    for event in events:
        np.testing.assert_array_equal(watch.rates.sessions[rows, event], fresh.rates.sessions[:, event])
        np.testing.assert_array_equal(watch.rates.events[rows, event], fresh.rates.events[:, event])
        np.testing.assert_array_equal(watch.rates.slice_sessions[:, event], fresh.rates.slice_sessions[:, event])
        np.testing.assert_array_equal(watch.rates.slice_events[:, event], fresh.rates.slice_events[:, event])
        np.testing.assert_allclose(
            watch.rates.slice_usual[0, event], watch.rates.slice_events[0, event], rtol=0.05, atol=1
        )
    assert watch.rates.sessions[:, events].sum() == fresh.rates.sessions[:, events].sum()
    for name in ("sessions", "events", "slice_sessions", "slice_events", "slice_usual"):
        others = [1, 2]
        np.testing.assert_array_equal(getattr(watch.rates, name)[:, others], getattr(untouched.rates, name)[:, others])


def test_what_was_accepted_does_not_ring_and_a_further_change_and_the_way_back_do() -> None:
    rng = np.random.default_rng(3)
    before, after = traffic(rng, 10, CALM), traffic(rng, 4, OTHER, 10)
    watch = watch_of()
    none = np.zeros(len(before), np.int64)
    feed(watch, before, none)
    watch.freeze()
    assert feed(watch, after, np.zeros(len(after), np.int64), judge=True)
    both = joined(before, after)
    begin_epoch(watch, both, np.ones(len(both), bool), np.array([0, 3, 4, 5]), START_US + 10 * DAY_US)
    state = {name: getattr(watch.rates, name).copy() for name in ("events", "sessions")}

    def then(rate: npt.NDArray[np.float64]) -> list[tuple[int, int, str]]:
        going = copy.deepcopy(watch)
        more = traffic(np.random.default_rng(4), 6, rate, 14)
        return feed(going, more, np.zeros(len(more), np.int64), judge=True)

    assert then(OTHER) == []
    further, back = OTHER.copy(), OTHER.copy()
    further[0], back[0] = 0.8, CALM[0]
    assert {(event, direction) for _, event, direction in then(further)} == {(0, "up")}
    assert {(event, direction) for _, event, direction in then(back)} == {(0, "down")}
    for name, known in state.items():
        np.testing.assert_array_equal(getattr(watch.rates, name), known)


def test_no_event_changes_nothing() -> None:
    rng = np.random.default_rng(5)
    calm = traffic(rng, 3, CALM)
    watch = watch_of()
    feed(watch, calm, np.zeros(len(calm), np.int64))
    known = watch.rates.sessions.copy()
    begin_epoch(watch, calm, np.ones(len(calm), bool), np.zeros(0, np.int64), START_US)
    np.testing.assert_array_equal(watch.rates.sessions, known)
