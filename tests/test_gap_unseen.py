"""The gap: sessions that several incidents claim count once, and what errors, latency and evals saw is taken off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unquiet.gap.unseen import DAY_US, Gap, sighted, unseen
from unquiet.model.evals import EVAL_RESULTS
from unquiet.model.turns import TURNS

START = datetime(2026, 3, 2, tzinfo=UTC)
START_US = round(START.timestamp() * 1e6)
DAYS = 6
DAYS_US = [START_US + i * DAY_US for i in range(DAYS)]
SCHEMA = pa.schema([EVAL_RESULTS.field(name) for name in ("session_id", "turn_id")])
NONE = SCHEMA.empty_table()


def iso(days: float) -> str:
    return (START + timedelta(days=days)).isoformat().replace("+00:00", "Z")


def incident(name: str, sessions: list[str], by_day: list[tuple[int, float, float]], **changes: Any) -> dict[str, Any]:
    """`by_day`: sessions, their rate and the expected one, of day 0 and on."""
    days = [
        {"day": iso(number)[:10], "n": n, "rate": rate if n else None, "expected": expected if n else None}
        for number, (n, rate, expected) in enumerate(by_day)
    ]
    told: dict[str, Any] = {
        "id": name,
        "signal": "refusal",
        "status": "open",
        "direction": "up",
        "onset": {"at": iso(0), "earliest": iso(0), "latest": iso(0.1)},
        "resolved_at": None,
        "told_at": iso(DAYS),
        "before": {"rate": 0.1, "n": 500},
        "by_day": days,
        "session_ids": sessions,
    }
    return told | changes


def turns(rows: list[tuple[str, float]], **changes: Any) -> pa.Table:
    """A turn for each (session, day)."""
    filled = [
        {"turn_id": f"t{number}", "session_id": name, "time": START + timedelta(days=day), **changes}
        for number, (name, day) in enumerate(rows)
    ]
    return pa.Table.from_pylist(filled, schema=TURNS)


def seen_of(rows: list[tuple[str, float]], **changes: Any) -> pa.Table:
    return sighted(turns(rows, **changes), {}, NONE)


def test_the_excess_of_a_day_spread_over_the_sessions_that_look_like_it() -> None:
    names = [f"s{i}" for i in range(50)]
    gap = unseen([incident("a", names, [(100, 0.5, 0.1)])], seen_of([(name, 0.5) for name in names]), DAYS_US)
    assert gap.wrong == pytest.approx(40.0)
    assert gap.unseen.estimate == pytest.approx(40.0)
    assert gap.unseen.low < 40 < gap.unseen.high <= 50
    assert [round(day.wrong) for day in gap.days] == [40, 0, 0, 0, 0, 0]
    assert gap.days[0].incidents == ("a",)
    assert gap.left_out == ()


def test_a_fall_counts_as_a_rise_does() -> None:
    names = [f"s{i}" for i in range(50)]
    told = incident("a", names, [(100, 0.5, 0.9)], direction="down")
    assert unseen([told], seen_of([(name, 0.5) for name in names]), DAYS_US).wrong == pytest.approx(40.0)
    rise = incident("a", names, [(100, 0.5, 0.9)])
    assert unseen([rise], seen_of([(name, 0.5) for name in names]), DAYS_US).wrong == 0.0


def test_what_was_seen_is_taken_off_and_told_by_what() -> None:
    names = [f"s{i}" for i in range(40)]
    rows = [(name, 0.5) for name in names]
    told = incident("a", names, [(100, 0.5, 0.1)])
    table = turns(rows).to_pylist()
    for number in (0, 1):
        table[number]["error"] = "boom"
    for number in (1, 2):
        table[number]["latency_ms"] = 5000.0
    table[9]["latency_ms"] = 100.0
    failed = pa.Table.from_pylist([{"session_id": "s7"}, {"turn_id": "t8"}, {"session_id": "other"}], schema=SCHEMA)
    seen = sighted(pa.Table.from_pylist(table, schema=TURNS), {START_US: 4000.0}, failed)
    gap = unseen([told], seen, DAYS_US)
    assert gap.seen_by == pytest.approx({"errors": 2.0, "latency": 2.0, "evals": 2.0})
    assert (gap.wrong, gap.seen, gap.unseen.estimate) == pytest.approx((40.0, 5.0, 35.0))


def test_a_latency_rule_that_was_flat_saw_nothing() -> None:
    seen = sighted(turns([("a", 0.5)], latency_ms=1e9), {START_US + DAY_US: 1.0}, NONE)
    assert seen.column("latency").to_pylist() == [False]


def test_what_was_accepted_and_what_users_ask_for_is_left_out_and_said() -> None:
    rows = [("x", 0.5)]
    told = [
        incident("a", ["x"], [(100, 0.5, 0.1)], status="accepted"),
        incident("b", ["x"], [(100, 0.5, 0.1)], signal="mix"),
        incident("c", ["x"], []),
    ]
    gap = unseen(told, seen_of(rows), DAYS_US)
    assert gap.wrong == 0.0
    assert [name for name, _ in gap.left_out] == ["a", "b", "c"]


def test_days_before_the_onset_and_after_the_end_are_not_counted() -> None:
    names = [f"s{i}" for i in range(200)]
    rows = [(name, (i % DAYS) + 0.5) for i, name in enumerate(names)]
    days = [(100, 0.3, 0.1)] * DAYS
    onset = {"at": iso(2.5), "earliest": iso(2.2), "latest": iso(2.6)}
    gap = unseen([incident("a", names, days, onset=onset, resolved_at=iso(4.2))], seen_of(rows), DAYS_US)
    assert [round(day.wrong) for day in gap.days] == [0, 0, 20, 20, 20, 0]


def test_days_that_an_incident_was_not_told_of_are_said() -> None:
    gap = unseen([incident("a", ["x"], [(9, 0.5, 0.1)], told_at=iso(2))], seen_of([("x", 0.5)]), DAYS_US)
    assert any("not known" in why for _, why in gap.left_out)


def test_more_than_the_lists_name_is_in_the_upper_bound_only() -> None:
    gap = unseen([incident("a", ["x"], [(100, 0.5, 0.1)])], seen_of([("x", 0.5)]), DAYS_US)
    assert gap.unseen.estimate == pytest.approx(1.0)
    assert gap.unseen.high >= 40
    assert any("39 more" in why for _, why in gap.left_out)


def test_no_incident_no_gap() -> None:
    gap = unseen([], seen_of([]), DAYS_US)
    assert (gap.wrong, gap.unseen.high, len(gap.days)) == (0.0, 0.0, DAYS)


DAY = st.tuples(st.integers(0, 60), st.floats(0, 1), st.floats(0, 1))
CLAIMS = st.lists(
    st.tuples(st.sets(st.integers(0, 79), max_size=60), st.lists(DAY, min_size=DAYS, max_size=DAYS)), max_size=4
)


def gap_of(claims: list[tuple[set[int], list[tuple[int, float, float]]]]) -> Gap:
    rows = [(f"s{i}", i % DAYS + 0.3) for i in range(80)]
    table = turns(rows).to_pylist()
    for row in table[::7]:
        row["error"] = "x"
    seen = sighted(pa.Table.from_pylist(table, schema=TURNS), {}, NONE)
    told = [incident(f"i{n}", [f"s{i}" for i in sorted(ids)], days) for n, (ids, days) in enumerate(claims)]
    return unseen(told, seen, DAYS_US)


@settings(max_examples=60, deadline=None)
@given(CLAIMS)
def test_sessions_count_once_whatever_claims_them(claims: Any) -> None:
    whole, alone = gap_of(claims), [gap_of([claim]) for claim in claims]
    assert whole.wrong <= sum(each.wrong for each in alone) + 1e-6
    assert whole.wrong >= max((each.wrong for each in alone), default=0.0) - 1e-6
    assert whole.wrong <= len(set().union(*(ids for ids, _ in claims))) + 1e-6
    assert gap_of([*claims, *claims]).wrong == pytest.approx(whole.wrong)
    assert gap_of(claims[::-1]).wrong == pytest.approx(whole.wrong)


@settings(max_examples=60, deadline=None)
@given(CLAIMS)
def test_the_parts_add_up_and_lie_in_their_bounds(claims: Any) -> None:
    gap = gap_of(claims)
    assert gap.wrong == pytest.approx(gap.seen + gap.unseen.estimate)
    assert sum(day.wrong for day in gap.days) == pytest.approx(gap.wrong)
    assert sum(day.unseen.estimate for day in gap.days) == pytest.approx(gap.unseen.estimate)
    for found in (gap.unseen, *(day.unseen for day in gap.days)):
        assert -1e-9 <= found.low <= found.estimate + 1e-9
        assert found.estimate <= found.high + 1e-9
    apart = [ids for ids, _ in claims]
    if sum(map(len, apart)) == len(set().union(*apart)):
        assert gap.wrong == pytest.approx(sum(gap_of([claim]).wrong for claim in claims))
