"""Every condition is provoked and seen within two minutes; ordinary traffic provokes none; unknown is never ok."""

from __future__ import annotations

import copy
from dataclasses import fields, replace
from typing import Any

import pytest

from selfwatch_worlds import DAY_US, HOUR_US, MINUTE_US, MONDAY_US, SECOND_US, World, office_rate
from unquiet.model.conditions import Condition
from unquiet.selfwatch import READY, WATCHES, Content, Facts, Judge, Nights, Share, Silence, Sink, conditions

NAMES = [watch.name for watch in WATCHES]

PROVOKED: dict[str, dict[str, object]] = {
    "door-dead": {"door_hangs": True},
    "drain-stalled": {"drain_hangs": True},
    "store-failing": {"store_fails": True},
    "detection-stalled": {"ticks_stop": True},
    "traffic-stopped": {"exporter_dead": True},
    "content-capture-off": {"text_off": True},
    "signal-failing": {"signal_breaks": True},
    "sink-failing": {"sink_down": True},
    "disk-nearly-full": {"disk_full": True},
    "log-damaged": {"log_damaged": True},
    "bodies-unreadable": {"poison": True},
    "spans-rejected": {"rejecting": 0.5},
    "spans-late": {"late": 0.7},
    "clock-skew": {"clock_s": 600.0},
    "memory-nearly-full": {"memory_leaks": True},
    "judge-dead": {"judge_refuses": True},
    "drill-lost": {"drills_lost": True},
}

BEGINS_LATER = {"detection-stalled": 300}
"""Seconds after which a fault begins to be one: a tick that is not due yet is not late."""


@pytest.fixture(scope="module")
def lived() -> tuple[World, dict[str, set[str]]]:
    """A world after two weeks of ordinary traffic and a Monday morning, and the states that each condition had."""
    world = World()
    states: dict[str, set[str]] = {name: set() for name in NAMES}
    while world.now_us < MONDAY_US + 14 * DAY_US + 10 * HOUR_US:
        world.step(60)
        for condition in world.found:
            states[condition.name].add(condition.state)
    return world, states


@pytest.mark.parametrize("name", NAMES)
def test_quiet_on_nights_weekends_and_days(name: str, lived: tuple[World, dict[str, set[str]]]) -> None:
    world, states = lived
    assert "failing" not in states[name]
    assert world.state(name) == "ok"


@pytest.mark.parametrize("name", NAMES)
def test_provoked_seen_within_two_minutes_and_over_again(name: str, lived: tuple[World, object]) -> None:
    world = copy.deepcopy(lived[0])
    world.with_faults(**PROVOKED[name])
    began = world.now_us + BEGINS_LATER.get(name, 0) * SECOND_US
    while world.state(name) != "failing":
        world.step(10)
        assert world.now_us <= began + 2 * MINUTE_US
    seen = next(condition for condition in world.found if condition.name == name)
    assert seen.since_us == world.now_us
    assert seen.detail
    assert seen.todo
    world.step(10)
    assert next(c for c in world.found if c.name == name).since_us == seen.since_us
    world.with_faults()
    if name == "detection-stalled":
        world.ticked_us = 0
    for _ in range(6 * 12):
        world.step(10)
    over = next(condition for condition in world.found if condition.name == name)
    assert (over.state, over.detail, over.todo) == ("ok", "", "")
    assert over.since_us > seen.since_us


def test_every_condition_is_provoked() -> None:
    assert set(PROVOKED) == set(NAMES)
    assert len(NAMES) == len(set(NAMES))
    assert set(READY) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_quiet_in_a_burst(name: str, lived: tuple[World, object]) -> None:
    """Thirty times the usual traffic for ten minutes, the drain three minutes behind, one alert that takes two attempts."""
    world = copy.deepcopy(lived[0])
    end = world.now_us + 10 * MINUTE_US
    world.rate = lambda at_us: office_rate(at_us) * (30 if at_us < end else 1)
    for _ in range(6 * 30):
        world.step(10)
        busy = replace(
            world.facts(),
            undrained_bytes=40_000_000,
            undrained_s=180.0,
            drain_age_s=5.0,
            sinks={"hook": Sink(True, 1, 15.0, 1, error="timeout")},
            disk_free_bytes=30 << 30,
        )
        assert {c.name for c in conditions(busy, [], world.now_us) if c.state == "failing"} == set()


def test_only_what_is_provoked_fails(lived: tuple[World, object]) -> None:
    world = copy.deepcopy(lived[0])
    world.with_faults(sink_down=True)
    for _ in range(12):
        world.step(10)
    assert [c.name for c in world.found if c.state == "failing"] == ["sink-failing"]


def test_without_facts_all_is_unknown() -> None:
    found = conditions(Facts(), [], 5)
    assert [condition.name for condition in found] == NAMES
    assert {(c.state, c.since_us) for c in found} == {("unknown", 5)}
    assert all(c.detail and c.todo for c in found)


OF_THE_CONDITION = {
    "door-dead": ("door_age_s",),
    "drain-stalled": ("undrained_bytes", "undrained_s", "drain_age_s", "drain_failures"),
    "store-failing": ("store_failed",),
    "detection-stalled": ("tick_age_s",),
    "content-capture-off": ("content",),
    "signal-failing": ("signals",),
    "sink-failing": ("sinks",),
    "disk-nearly-full": ("disk_free_bytes", "disk_total_bytes"),
    "log-damaged": ("damaged_records", "damaged_kept"),
    "bodies-unreadable": ("unreadable", "put_aside"),
    "spans-rejected": ("rejected", "offered"),
    "spans-late": ("late",),
    "clock-skew": ("skew_s",),
    "memory-nearly-full": ("memory_bytes", "memory_limit_bytes"),
    "judge-dead": ("judge",),
    "drill-lost": ("nights",),
}


@pytest.mark.parametrize(("name", "fact"), [(name, fact) for name, facts in OF_THE_CONDITION.items() for fact in facts])
def test_each_missing_fact_makes_its_condition_unknown(name: str, fact: str, lived: tuple[World, object]) -> None:
    facts, now = lived[0].facts(), lived[0].now_us
    states = {c.name: c.state for c in conditions(replace(facts, **{fact: None}), [], now)}
    assert states.pop(name) == "unknown"
    assert set(states.values()) == {"ok"}


def test_no_fact_is_without_a_condition() -> None:
    used = {fact for facts in OF_THE_CONDITION.values() for fact in facts} | {"last_arrival_us", "silence"}
    words = {"disk_limit_bytes", "drain_error", "unreadable_error", "tick_error", "store_error", "tick_every_s"}
    assert {field.name for field in fields(Facts)} == used | words


def one(name: str, now_us: int = 0, **facts: object) -> Condition:
    """One condition of a few facts."""
    return next(c for c in conditions(Facts(**facts), [], now_us) if c.name == name)


@pytest.mark.parametrize(
    ("hours", "state", "severity"),
    [(0.5, "ok", "error"), (2, "unknown", "error"), (62, "unknown", "error"), (73, "failing", "warning")],
)
def test_silence_before_a_week_is_known(hours: float, state: str, severity: str) -> None:
    found = one("traffic-stopped", int(100 * HOUR_US), last_arrival_us=int((100 - hours) * HOUR_US))
    assert (found.state, found.severity) == (state, severity)


def test_silence_of_a_known_week() -> None:
    stopped = one("traffic-stopped", 600 * SECOND_US, silence=Silence(0, 40.0, 0, 1e-9), last_arrival_us=0)
    assert (stopped.state, stopped.severity) == ("failing", "error")
    assert stopped.detail == "nothing has arrived in 10 min, about 40 are usual at this time of the week"
    # A fifth of the usual traffic is little, not a stop; and few arrivals by chance are no stop either.
    assert one("traffic-stopped", silence=Silence(200, 1000.0, 0, 0.0)).state == "ok"
    assert one("traffic-stopped", silence=Silence(0, 5.0, 0, 0.007)).state == "ok"


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({"drain_failures": 3, "drain_error": "disk I/O error."}, "failing"),
        ({"undrained_s": 601.0}, "failing"),
        ({"undrained_s": 300.0}, "ok"),
        ({"drain_age_s": 61.0}, "failing"),
        ({"drain_age_s": 61.0, "undrained_bytes": 0, "undrained_s": 0.0}, "ok"),
    ],
)
def test_drain(facts: dict[str, object], state: str) -> None:
    usual: dict[str, object] = {"undrained_bytes": 9, "undrained_s": 1.0, "drain_age_s": 1.0, "drain_failures": 0}
    found = one("drain-stalled", **(usual | facts))
    assert found.state == state
    if "drain_error" in facts:
        assert found.detail == "the drain failed 3 times in a row (disk I/O error)"


def test_a_door_that_never_reported_is_unknown_and_hides_no_dead_one() -> None:
    assert one("door-dead", door_age_s={"http": 1.0, "grpc": None}).state == "unknown"
    assert one("door-dead", door_age_s={"http": 31.0, "grpc": None}).state == "failing"
    assert one("door-dead", door_age_s={}).state == "unknown"


def test_sinks_judges_disks() -> None:
    assert one("sink-failing", sinks={}).state == "ok"
    assert one("sink-failing", sinks={"a": Sink(tried=True)}).state == "ok"
    assert one("sink-failing", sinks={"a": Sink(tried=True), "b": Sink()}).state == "unknown"
    assert one("sink-failing", sinks={"a": Sink(), "b": Sink(permanent=True, error="403")}).state == "failing"
    assert one("judge-dead", judge=Judge(False, failures=9)).state == "ok"
    assert one("judge-dead", judge=Judge(True, stopped=True, error="cost cap of 5 USD")).state == "failing"
    disks = {(900 << 20, None): "failing", (2 << 30, 100 << 30): "failing", (30 << 30, 10_000 << 30): "ok"}
    for (free, total), state in disks.items():
        assert one("disk-nearly-full", disk_free_bytes=free, disk_total_bytes=total).state == state


def test_a_disk_on_which_doors_refuse_is_nearly_full() -> None:
    room: dict[str, Any] = {"disk_free_bytes": 300 << 30, "disk_total_bytes": 900 << 30}
    assert one("disk-nearly-full", **room, disk_limit_bytes=200 << 30).state == "ok"
    assert one("disk-nearly-full", **room, disk_limit_bytes=400 << 30).state == "failing"


def test_isolated_failures_are_quiet() -> None:
    assert one("signal-failing", signals={"loop": Share(4, 60)}).state == "ok"
    assert one("spans-rejected", rejected={"too long": 9}, offered=9).state == "ok"
    assert one("spans-rejected", rejected={"too long": 40}, offered=1000).state == "ok"
    assert one("spans-late", late=Share(90, 1000)).state == "ok"
    assert one("clock-skew", skew_s={"a": -20.0, "b": 600.0}).state == "ok"


def test_content_needs_a_usual_share() -> None:
    assert one("content-capture-off", content={}).state == "unknown"
    assert one("content-capture-off", content={"a": Content(50, 0, None)}).state == "unknown"
    assert one("content-capture-off", content={"a": Content(50, 0, 0.0)}).state == "ok"
    off = one("content-capture-off", content={"a": Content(50, 50, 1.0), "b": Content(50, 1, 0.9)})
    assert off.state == "failing"
    assert off.detail == "text is missing in the traffic of b (1 of the last 50 turns, usually 90 %)"


def test_nights_that_do_not_come_are_unknown() -> None:
    now_us = 100 * DAY_US
    assert one("drill-lost", now_us, nights=Nights(False)).state == "ok"
    assert one("drill-lost", now_us, nights=Nights(True)).state == "unknown"
    assert one("drill-lost", now_us, nights=Nights(True, now_us - DAY_US)).state == "ok"
    late = one("drill-lost", now_us, nights=Nights(True, now_us - 3 * DAY_US, error="the record holds 2 days."))
    assert (late.state, late.detail) == (
        "unknown",
        "the last night was rehearsed 3 days ago (the record holds 2 days)",
    )
    gone = one("drill-lost", now_us, nights=Nights(False, now_us - 3 * DAY_US, ["D9", "D14"]))
    assert gone.state == "failing"
    assert gone.detail.startswith("no longer found: D14, D9 since the night of")
