"""The live judgement: what is waited for, what is due, what is too late, and that none of it hangs on the clock alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from live_worlds import EVER, HOUR, MINUTE, START_US
from unquiet.app.following import Follower, Taken
from unquiet.app.journal import resume
from unquiet.model.counts import TICK_US
from unquiet.model.settings import Settings
from unquiet.model.turns import TURNS
from unquiet.store import Store

MARKER = "over"
LATE_MIN = 5


def turns(*made: tuple[str, float, bool]) -> pa.Table:
    """Turns (session, minutes since the start, whether it ends its session)."""
    rows = [
        {
            "turn_id": f"{session}@{at:g}",
            "session_id": session,
            "time": START_US + round(at * MINUTE),
            "input": "hello",
            "output": "yes",
            "facets": [(MARKER, "yes")] if ends else [],
        }
        for session, at, ends in made
    ]
    return pa.Table.from_pylist(rows, schema=TURNS)


def at(minutes: float) -> int:
    return START_US + round(minutes * MINUTE)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "db", threads=1) as opened:
        yield opened


def follower_over(store: Store) -> Follower:
    settings = Settings(end_marker=MARKER)
    return Follower.over(resume(store, settings, lambda *_: None, []), store, timedelta(minutes=LATE_MIN), list)


def take(follower: Follower, now_min: float, *made: tuple[str, float, bool]) -> Taken:
    with follower.store.transaction():
        return follower.take(follower.store.append_new_turns(turns(*made)), at(now_min))


def push(follower: Follower, now_min: float) -> int | None:
    """The minute up to which was judged, None where nothing was due."""
    watermark_us = follower.due(at(now_min))
    if watermark_us is None:
        return None
    with follower.store.transaction():
        follower.push(watermark_us)
    return (watermark_us - START_US) // MINUTE


def closed(store: Store) -> list[str]:
    return store.sessions_between(*EVER, columns=["visit_id"], by="closed").column("visit_id").to_pylist()


@pytest.fixture
def follower(store: Store) -> Follower:
    return follower_over(store)


def test_a_turn_is_waited_for_as_long_as_the_lateness(follower: Follower) -> None:
    take(follower, 1, ("a", 0, False))
    assert push(follower, 5.9) is None
    assert push(follower, 6) == 0


def test_a_turn_that_came_late_is_waited_for_from_then_on(follower: Follower) -> None:
    take(follower, 20, ("a", 0, False))
    assert push(follower, 24.9) is None
    assert push(follower, 25) == 0


def test_nothing_is_due_before_a_tick_has_ended(follower: Follower) -> None:
    take(follower, 1, ("a", 1, False))
    assert push(follower, 10) == 1
    take(follower, 11, ("b", 4.9, False), ("c", 4.8, False))
    assert push(follower, 60) is None
    take(follower, 61, ("d", 5.1, False))
    assert push(follower, 70) == 5


def test_the_watermark_does_not_move_with_the_clock_alone(follower: Follower) -> None:
    take(follower, 1, ("a", 0, False))
    push(follower, 10)
    assert push(follower, 600) is None
    assert follower.watermark_us == START_US


def test_a_turn_of_the_future_moves_nothing(follower: Follower) -> None:
    take(follower, 1, ("a", 0, False), ("b", 300, False))
    assert push(follower, 10) == 0
    assert push(follower, 304.9) is None
    assert push(follower, 305) == 300


def test_what_belongs_to_a_session_that_was_counted_is_late(follower: Follower, store: Store) -> None:
    take(follower, 1, ("a", 0, False))
    take(follower, 60, ("b", 60, False))
    assert push(follower, 65) == 60
    assert len(closed(store)) == 1
    assert take(follower, 66, ("a", 1, False)) == Taken(0, 1)
    assert store.turn_extent().count == 3
    assert take(follower, 66, ("a", 30.1, False), ("a", 31, False)) == Taken(2, 0)


def test_what_is_next_to_an_open_turn_is_not_late(follower: Follower, store: Store) -> None:
    take(follower, 60, ("a", 40, False), ("b", 60, False))
    push(follower, 65)
    take(follower, 66, ("a", 61, False))
    assert take(follower, 66, ("a", 29, False)) == Taken(1, 0)
    assert take(follower, 66, ("b", 29, False)) == Taken(0, 1)
    take(follower, 200, ("c", 200, False))
    push(follower, 205)
    rows = store.sessions_between(*EVER, columns=["session_id", "turn_count"], by="closed").to_pylist()
    assert rows == [{"session_id": "b", "turn_count": 1}, {"session_id": "a", "turn_count": 3}]


def test_a_marker_closes_a_session_at_its_turn(follower: Follower, store: Store) -> None:
    take(follower, 1, ("a", 0, False), ("a", 1, True), ("a", 2, False), ("b", 6, False))
    push(follower, 12)
    rows = store.sessions_between(*EVER, columns=["session_id", "turn_count"], by="closed").to_pylist()
    assert rows == [{"session_id": "a", "turn_count": 2}]


def test_a_marker_that_comes_after_its_tick_was_judged_is_late(follower: Follower, store: Store) -> None:
    """Its session would close in a tick that was judged: ticks are judged once, and in their order."""
    take(follower, 20, ("a", 14, False), ("b", 20, False))
    assert push(follower, 25) == 20
    assert take(follower, 26, ("c", 19, True), ("a", 13, True)) == Taken(0, 2)
    assert take(follower, 26, ("d", 20.5, True)) == Taken(1, 0)
    take(follower, 90, ("e", 90, False))
    push(follower, 95)
    ticks = store.sessions_between(*EVER, columns=["closed"], by="closed").column("closed").cast(pa.int64())
    assert min(ticks.to_pylist()) > at(20)


def test_a_clock_that_was_set_back_stops_nothing(follower: Follower) -> None:
    take(follower, 100, ("a", 0, False))
    push(follower, 105)
    take(follower, 40, ("b", 40, False))
    assert push(follower, 44.9) is None
    assert push(follower, 45.1) == 40


def test_batches_go_on_after_a_restart(follower: Follower, store: Store) -> None:
    take(follower, 1, ("a", 0, False))
    push(follower, 10)
    take(follower, 11, ("b", 11, False))
    again = follower_over(store)
    assert again.batch == follower.batch
    assert again.watermark_us == follower.watermark_us
    assert push(again, 15.9) is None
    assert push(again, 16) == 11


def test_arrivals_and_pushes_come_back_as_they_were(store: Store, follower: Follower) -> None:
    take(follower, 2, ("b", 1, True), ("a", 1, False))
    take(follower, 3, ("c", 0, False))
    push(follower, 10)
    push(follower, 60)
    kept = store.live.arrivals()
    assert kept.column("turn_id").to_pylist() == ["a@1", "b@1", "c@0"]
    assert kept.column("batch").to_pylist() == [at(2), at(2), at(3)]
    assert kept.column("ends").to_pylist() == [False, True, False]
    assert store.live.pushes() == [(at(3), at(1))]
    store.live.restart_journal(kept.slice(2))
    assert store.live.arrivals().equals(kept.slice(2))
    assert store.live.pushes() == []


def test_turns_are_found_by_their_keys(store: Store, follower: Follower) -> None:
    take(follower, 1, ("a", 0, False), ("b", 1, False))
    keys = store.live.arrivals().take([1, 0])
    assert store.live.turns_of(keys).column("turn_id").to_pylist() == ["b@1", "a@0"]
    assert store.live.turns_of(keys.slice(0, 0)).num_rows == 0
    strange = keys.set_column(1, "turn_id", pa.array(["b@1", "nobody"]))
    with pytest.raises(KeyError, match="1 of 2 turns"):
        store.live.turns_of(strange)
    assert store.live.present(strange).column("turn_id").to_pylist() == ["b@1"]


def test_a_turn_that_is_forgotten_is_not_waited_for(store: Store, follower: Follower) -> None:
    take(follower, 1, ("a", 0, False), ("b", 1, False))
    push(follower, 10)
    take(follower, 11, ("a", 11, False))
    store.removal.remove(store.removal.find(["a"], []))
    follower.forget()
    assert [each.column("turn_id").to_pylist() for each in follower.waiting] == [[]]
    assert follower.judge.assembler.open_turns.column("turn_id").to_pylist() == ["b@1"]
    assert push(follower, 100) is None


def test_the_world_of_these_tests_has_ticks_of_five_minutes() -> None:
    assert TICK_US == 5 * MINUTE
    assert START_US % HOUR == 0
