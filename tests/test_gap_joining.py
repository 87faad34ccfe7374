"""Voices find their sessions: by id, by user, by what they say; and chance is not taken for a join."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from unquiet.gap.days_won import days_won
from unquiet.gap.joining import DAY_US, Candidates, Chosen, Likeness, candidates, micros

START = datetime(2026, 3, 2, tzinfo=UTC)
Vectors = npt.NDArray[np.float32]


def table(rows: list[tuple[float, str | None, str | None]]) -> pa.Table:
    """Rows (day, user, session)."""
    return pa.table(
        {
            "time": pa.array([START + timedelta(days=day) for day, _, _ in rows], pa.timestamp("us", tz="UTC")),
            "user_id": pa.array([user for _, user, _ in rows], pa.string()),
            "session_id": pa.array([session for _, _, session in rows], pa.string()),
        }
    )


TURNS = table([(0, "a", "s0"), (1, "b", "s1"), (2, "a", "s2"), (2, None, "s3"), (3, "a", "s4"), (9, "a", "s5")])


def pairs_of(voices: pa.Table, **options: Any) -> dict[int, list[int]]:
    found = candidates(voices, TURNS, **options)
    pairs: dict[int, list[int]] = {}
    for voice, row in zip(found.voice.tolist(), found.row.tolist(), strict=True):
        pairs.setdefault(voice, []).append(row)
    return pairs


def test_candidates_are_the_turns_of_the_user_before() -> None:
    voices = table(
        [(2.5, "a", None), (2.5, "b", None), (2.5, "c", None), (2.5, None, None), (0.5, "b", None), (3, "a", None)]
    )
    assert pairs_of(voices) == {0: [0, 2], 1: [1], 5: [0, 2, 4]}
    assert pairs_of(voices, within_us=DAY_US) == {0: [2], 5: [4]}
    assert pairs_of(voices, most=1) == {0: [2], 1: [1], 5: [4]}


def test_a_named_session_comes_first() -> None:
    found = candidates(table([(1, "a", "s3"), (1, "a", "unknown")]), TURNS)
    assert found.named.tolist() == [True, False]
    assert found.voice.tolist() == [1]


def test_without_traffic_or_voices() -> None:
    assert candidates(table([(1, "a", "s")]), TURNS.slice(0, 0)).voice.tolist() == []
    assert candidates(table([]), TURNS).named.tolist() == []


def test_candidates_equal_the_obvious_loop() -> None:
    rng = np.random.default_rng(5)
    turns = table(
        [(day, f"u{rng.integers(30)}", f"s{i}") for i, day in enumerate(np.sort(rng.uniform(0, 40, 800)).tolist())]
    )
    voices = table([(float(rng.uniform(0, 45)), f"u{rng.integers(40)}", None) for _ in range(300)])
    found = candidates(voices, turns, within_us=5 * DAY_US, most=3)
    at, said = micros(turns.column("time")), micros(voices.column("time"))
    users, asked = turns.column("user_id").to_pylist(), voices.column("user_id").to_pylist()
    wanted = []
    for voice, user in enumerate(asked):
        theirs = [
            row for row in range(len(at)) if users[row] == user and said[voice] - 5 * DAY_US < at[row] <= said[voice]
        ]
        wanted += [(voice, row) for row in theirs[-3:]]
    assert list(zip(found.voice.tolist(), found.row.tolist(), strict=True)) == wanted


def unit(values: npt.NDArray[Any]) -> Vectors:
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def test_of_several_sessions_the_one_that_the_voice_speaks_of() -> None:
    rng = np.random.default_rng(1)
    requests = unit(rng.normal(size=(50, 16)))
    voices = np.concatenate([requests[[7, 20]], np.zeros((1, 16), np.float32)])
    pairs = Candidates(np.zeros(3, bool), np.array([0, 0, 1, 2, 2]), np.array([7, 9, 30, 11, 12]))
    chosen = Chosen(voices, pairs, np.arange(0, 50, 2))
    for first in (0, 25):
        rows = chosen.rows(first, first + 25)
        chosen.add(rows, requests[rows])
    place = chosen.chosen()
    assert pairs.row[place].tolist() == [7, 30, 12], "the most similar one, of equal ones the last"
    similarity = chosen.similarity(place)
    assert similarity[0] > 0.99
    assert np.isnan(similarity[2]), "without words there is nothing to compare"
    rank = chosen.rank(similarity)
    assert rank[0] == 1.0
    assert np.isnan(rank[2])


def likeness(rng: np.random.Generator, *, speaks: int, count: int = 200) -> tuple[Likeness, npt.NDArray[np.int64]]:
    """Voices over 28 days, of which `speaks` repeat a request of the days before nearly word by word; and which request."""
    at = np.sort(rng.integers(0, 28 * DAY_US, 4000))
    requests = unit(rng.normal(size=(4000, 24)))
    said = np.sort(rng.integers(2 * DAY_US, 28 * DAY_US, count))
    mine = np.full(count, -1)
    vectors = unit(rng.normal(size=(count, 24)))
    for voice in rng.choice(count, speaks, replace=False).tolist():
        mine[voice] = rng.choice(np.flatnonzero((at <= said[voice]) & (at > said[voice] - 2 * DAY_US)))
        vectors[voice] = unit(requests[mine[voice]][None] + rng.normal(scale=0.05, size=(1, 24)))[0]
    found = Likeness(vectors, said, 0, 28 * DAY_US)
    for first in range(0, 4000, 700):
        found.add(requests[first : first + 700], at[first : first + 700], first)
    return found, mine


def test_voices_that_speak_of_a_request_find_it() -> None:
    found, mine = likeness(np.random.default_rng(2), speaks=60)
    joined = found.joined()
    right = joined & (found.row == mine)
    assert right.sum() >= 55
    assert (joined & ~right).sum() <= 0.2 * joined.sum()


def test_chance_is_no_join() -> None:
    counts = [likeness(np.random.default_rng(seed), speaks=0)[0].joined().sum() for seed in range(8)]
    assert np.median(counts) == 0


def test_days_won_against_both() -> None:
    day = DAY_US
    won = days_won(
        5 * day, (3 * day, 4 * day, 6 * day), [2 * day, 3 * day + 1, 7 * day, 9 * day], [2 * day, 8 * day], 20 * day
    )
    assert won.first_us == 7 * day
    assert (won.first, won.first_high) == (2.0, 2.0)
    assert won.first_low is not None
    assert won.first_low < -1.9, "since the earliest onset another voice was the first"
    assert (won.alarm, won.alarm_at_least) == (3.0, None), "an alarm before the onset is about something else"
    never = days_won(5 * day, (3 * day, 4 * day, 6 * day), [], [2 * day], 20 * day)
    assert (never.first, never.alarm, never.alarm_at_least) == (None, None, 15.0)
    assert days_won(5 * day, (1, 2, 3), [], [], None).alarm_at_least is None
