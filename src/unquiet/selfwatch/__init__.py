"""How unquiet itself is: facts in, conditions out. One file a condition; what is not known is unknown, never ok."""

from __future__ import annotations

from collections.abc import Sequence

from unquiet.model.conditions import Condition
from unquiet.selfwatch import (
    bodies_unreadable,
    clock_skew,
    content_capture_off,
    detection_stalled,
    disk_nearly_full,
    door_dead,
    drain_stalled,
    drill_lost,
    judge_dead,
    log_damaged,
    memory_nearly_full,
    signal_failing,
    sink_failing,
    spans_late,
    spans_rejected,
    store_failing,
    traffic_stopped,
)
from unquiet.selfwatch.capture import Capture
from unquiet.selfwatch.facts import Content, Facts, Judge, Nights, Share, Silence, Sink
from unquiet.selfwatch.traffic import Traffic
from unquiet.selfwatch.watch import Watch
from unquiet.selfwatch.windows import Latest, Recent, Skew

WATCHES: tuple[Watch, ...] = (
    door_dead.WATCH,
    drain_stalled.WATCH,
    store_failing.WATCH,
    detection_stalled.WATCH,
    traffic_stopped.WATCH,
    content_capture_off.WATCH,
    signal_failing.WATCH,
    sink_failing.WATCH,
    disk_nearly_full.WATCH,
    log_damaged.WATCH,
    bodies_unreadable.WATCH,
    spans_rejected.WATCH,
    spans_late.WATCH,
    clock_skew.WATCH,
    memory_nearly_full.WATCH,
    judge_dead.WATCH,
    drill_lost.WATCH,
)
"""Every condition, in the order in which they are shown."""

READY = (door_dead.WATCH.name, drain_stalled.WATCH.name)
"""The conditions that must be ok for traffic to be taken in."""

__all__ = [
    "READY",
    "WATCHES",
    "Capture",
    "Content",
    "Facts",
    "Judge",
    "Latest",
    "Nights",
    "Recent",
    "Share",
    "Silence",
    "Sink",
    "Skew",
    "Traffic",
    "Watch",
    "conditions",
]


def conditions(facts: Facts, before: Sequence[Condition], now_us: int) -> list[Condition]:
    """Every condition at the moment `now_us` (microseconds since 1970), in the order of WATCHES.

    `before` are those of the last look: `since_us` is kept while a state stays. Pure and quick; to be called every few seconds.
    """
    known = {condition.name: condition for condition in before}
    found: list[Condition] = []
    for watch in WATCHES:
        seen, last = watch.check(facts, now_us), known.get(watch.name)
        since = last.since_us if last and last.state == seen.state else now_us
        severity = seen.severity or watch.severity
        found.append(Condition(watch.name, seen.state, severity, seen.detail, seen.todo, since))
    return found
