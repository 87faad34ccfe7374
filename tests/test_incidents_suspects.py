"""Suspects: what is near is listed, the telling come first, and only what is hard to call a coincidence is likely."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from unquiet.incidents import Overlap, Routine, merged, micros, rank_suspects
from unquiet.model.changes import SEEN, Change
from unquiet.model.incidents import Onset
from unquiet.model.slices import Slice

START = datetime(2026, 3, 1, tzinfo=UTC)
BEGIN_US = round(START.timestamp() * 1e6)
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
ALL = Slice()


def change(day: float, kind: str = "prompt", after: str = "v2", source: str = "ci", **more: object) -> Change:
    return Change(START + timedelta(days=day), kind, "v1", after, source, **more)  # pyright: ignore[reportArgumentType]


def onset(day: float, half_hours: float = 2.0) -> Onset:
    at = BEGIN_US + round(day * DAY_US)
    return Onset(at, at - round(half_hours * HOUR_US), at + round(half_hours * HOUR_US))


def routine(changes: list[Change], days: float = 28) -> Routine:
    return Routine.of(merged(changes), BEGIN_US, BEGIN_US + round(days * DAY_US))


def test_changes_after_the_onset_are_never_listed() -> None:
    changes = [change(day) for day in (8.5, 9.5, 10.05, 10.2, 11.0)]
    found = rank_suspects(changes, onset(10.0), ALL, routine(changes), {})
    assert {each.change.at for each in found} == {changes[1].at, changes[2].at}


def test_an_announced_change_and_its_first_sight_are_one() -> None:
    changes = [change(9.9), change(9.95, "prompt_hash", source=SEEN), change(9.9, "model", "v2"), change(3, after="v2")]
    assert [(each.kind, each.source) for each in merged(changes)] == [
        ("prompt", "ci"),
        ("model", "ci"),
        ("prompt", "ci"),
    ]


def test_a_rare_kind_tells_more_than_a_daily_one() -> None:
    daily = [change(day + 0.99, "deploy", f"d{day}") for day in range(28)]
    changes = [*daily, change(9.97)]
    first, second = rank_suspects(changes, onset(10.0), ALL, routine(changes), {})[:2]
    assert (first.change.kind, first.likely) == ("prompt", True)
    assert (second.change.kind, second.likely) == ("deploy", False)
    assert first.why == (
        "inside the onset interval, 43 min before its most likely moment",
        "which sessions it touched cannot be seen in the traffic",
        "prompt changed 1 time in 28 days",
        f"chance of a coincidence as close as this: {100 * first.chance:.1f} %",
    )


def test_what_is_not_carried_cannot_explain() -> None:
    here, there = change(9.97, after="here"), change(9.98, "model", "there")
    overlaps = {here: Overlap(100, 98, 400, 48), there: Overlap(100, 0, 400, 200)}
    found = rank_suspects([here, there], onset(10.0), ALL, routine([here, there]), overlaps)
    assert [(each.change.after, each.likely) for each in found] == [("here", True), ("there", False)]
    assert "98 % of 100 affected sessions since carry it, 12 % of 400 others" in found[0].why
    assert found[1].score == 0.0
    assert found[1].why[1].endswith("it cannot explain them")


def test_a_part_of_the_traffic_that_is_the_affected_one_tells_more() -> None:
    one = change(9.8)
    whole, part = (
        rank_suspects([one], onset(10.0, 8), ALL, routine([one]), {one: Overlap(100, 100, 400, x)})[0] for x in (400, 8)
    )
    assert part.chance < whole.chance / 10
    fewer = rank_suspects([one], onset(10.0, 8), ALL, routine([one]), {one: Overlap(5, 0, 400, 400)})[0]
    assert fewer.chance == whole.chance


def test_a_scope_is_compared_with_the_slice() -> None:
    scoped = change(9.99, scope=(("tenant", "harbor"),))
    here, there = Slice((("tenant", "harbor"),)), Slice((("tenant", "orbit"),))
    (inside,) = rank_suspects([scoped], onset(10.0), here, routine([scoped]), {})
    (outside,) = rank_suspects([scoped], onset(10.0), there, routine([scoped]), {})
    assert inside.likely
    assert (outside.likely, outside.score) == (False, 0.0)
    assert "made only for tenant=harbor, seen in tenant=orbit" in outside.why


def test_without_a_cause_few_changes_are_called_likely() -> None:
    """Changes of four kinds at any time, onsets at any time: likely at most as often as is said, over all kinds."""
    rng = np.random.default_rng(5)
    rounds, named = 2000, 0
    for _ in range(rounds):
        changes = [change(day, "deploy", f"d{i}") for i, day in enumerate(rng.uniform(0, 28, 5))]
        changes += [change(day, kind) for kind, day in zip(("prompt", "model", "index"), rng.uniform(0, 28, 3))]  # noqa: B905
        found = rank_suspects(
            changes, onset(float(rng.uniform(8, 26)), float(rng.choice([1.0, 6.0, 24.0]))), ALL, routine(changes), {}
        )
        named += any(each.likely for each in found)
    assert named / rounds <= 0.06


def test_the_time_before_the_traffic_counts_as_far_as_changes_are_known() -> None:
    changes = [change(-60.0, after="v0"), change(9.97)]
    assert routine(changes).days == 88
    assert routine(changes).counts == {"prompt": 2}
    assert routine([*changes, change(40.0, after="v9")]).counts == {"prompt": 2}
    assert micros(changes[1]) == BEGIN_US + round(9.97 * DAY_US)
