"""Features that turn up after the learning period: found however much traffic there is, and with rates that are right."""

from __future__ import annotations

import numpy as np
import pytest

from shift_worlds import DAY_US, World, part, run, sessions
from unquiet.shift import Batch, Features, ShiftWatch, log, vocabulary
from unquiet.shift.cells import MOST_CELLS, Cells

HOUR_US = DAY_US // 24
PHRASE = 20


def chatter(per_day: int, days: int, since: float, share: float) -> Batch:
    """Answers of 50 words that nobody else says, an hour a tick; from a day on a share of them has a phrase in common."""
    rng = np.random.default_rng(1)
    n = per_day * days
    hour = np.sort(rng.integers(0, 24 * days, n))
    said = (hour >= since * 24) & (rng.random(n) < share)
    own = np.sort(rng.integers(100_000, 2**32, (n, 50), dtype=np.uint32), axis=1)
    sizes = 50 + PHRASE * said
    starts = np.concatenate([[0], np.cumsum(sizes)])
    keys = np.zeros(starts[-1], np.uint32)
    first = starts[:-1] + PHRASE * said
    keys[(first[:, None] + np.arange(50)).reshape(-1)] = own.reshape(-1)
    keys[(starts[:-1][said][:, None] + np.arange(PHRASE)).reshape(-1)] = np.tile(np.arange(PHRASE), int(said.sum()))
    every = np.ones(n, bool)
    features = Features(starts, keys, rng.integers(0, 2**63, n).astype(np.uint64), every)
    nothing = np.zeros(n, np.int64)
    return Batch((hour + 1) * HOUR_US, features, nothing, np.arange(n + 1), nothing, every)


def split(batch: Batch, day: int) -> tuple[Batch, Batch]:
    """What closed by the end of a day, and what after it."""
    low = int(np.searchsorted(batch.tick_us, day * DAY_US, side="right"))
    return part(batch, 0, low), part(batch, low, len(batch.tick_us))


def test_a_new_phrase_is_taken_up_on_its_first_day_in_thick_traffic() -> None:
    watch = ShiftWatch(np.full(1, 0.01), 0.1)
    known, later = split(chatter(10_000, 7, since=5.0, share=0.03), 2)
    watch.learn(known)
    before, after = split(later, 5)
    run(watch, before)
    assert watch.vocabulary.refused == 0
    run(watch, split(after, 6)[0])
    keys = watch.vocabulary.keys[watch.vocabulary.used]
    assert (keys < PHRASE).sum() == PHRASE


def test_a_slot_on_trial_is_kept_and_the_weakest_of_the_others_goes() -> None:
    words = vocabulary.Vocabulary(np.arange(4, dtype=np.uint32), np.ones(4, bool), learned=1)
    words.seen_day, words.taken_day = np.zeros(4, np.int64), np.array([0, 3, 1, 1])
    strength = np.array([0.0, 0.0, 0.7, 0.2])
    slots = words.admit(np.array([90, 91, 92], np.uint32), 4, lambda old: strength[old])
    assert slots.tolist() == [3, 2]
    assert words.refused == 1
    assert words.slots(np.array([0, 1, 90, 92], np.uint32)).tolist() == [0, 1, 3, -1]


def test_a_newcomer_is_no_news_because_the_log_has_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a quiet world of 80 days the log keeps about 8: without the correction it rings several times, with it not.

    The bound here is 0.06 x 73 = 4.4 alarms, of which a sixth may be spent: less than one.
    """
    monkeypatch.setattr(log, "MOST_ENTRIES", 40_000)
    world = World(days=80, fresh=True)
    batch = sessions(world, 3)
    watch = ShiftWatch(np.full(9, 0.06 / 9), 0.1)
    known, later = split(batch, world.learn)
    watch.learn(known)
    assert run(watch, later) == []
    assert watch.log.dropped


def test_all_traffic_has_a_cell_of_every_stratum_when_there_is_no_room_for_more() -> None:
    cells = Cells(3)
    strata = np.arange(MOST_CELLS)
    cells.rows(np.ones(MOST_CELLS, np.int64), strata)
    rows = cells.rows(np.array([0, 2]), np.array([MOST_CELLS + 1, MOST_CELLS + 1]))
    assert rows[0] >= 0
    assert rows[1] == -1


def test_evidence_leaves_with_the_feature_that_brought_it() -> None:
    watch = ShiftWatch(np.full(9, 0.02 / 9), 0.1)
    known, later = split(sessions(World(share=0.5, days=20), 5), 7)
    watch.learn(known)
    run(watch, split(later, 16)[0])
    streams = watch.streams
    level = streams.level.copy()
    slots = np.argsort(streams.evidence(np.arange(len(streams.weight))).max(axis=1))[-3:]
    gone = streams.evidence(slots).sum(axis=0)
    streams.begin(slots, 17 * DAY_US, 0)
    assert np.allclose(streams.level, level - gone)
    assert gone.max() > 0
