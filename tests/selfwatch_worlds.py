"""A running service in a nutshell: simulated traffic feeds the memories of the self-watch, faults are switched on in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from unquiet.model.conditions import Condition
from unquiet.selfwatch import Capture, Facts, Judge, Latest, Nights, Recent, Share, Sink, Skew, Traffic, conditions

SECOND_US = 1_000_000
MINUTE_US, HOUR_US, DAY_US = 60 * SECOND_US, 3600 * SECOND_US, 86_400 * SECOND_US
MONDAY_US = 1_773_014_400 * SECOND_US
"""Monday 9 March 2026, 00:00 UTC."""


def office_rate(at_us: int) -> float:
    """Bodies a minute of an office-hours agent: 30 by day, 1 at night, 3 at weekends."""
    weekday, hour = (at_us - MONDAY_US) // DAY_US % 7, at_us // HOUR_US % 24
    if weekday >= 5:
        return 3.0
    return 30.0 if 8 <= hour < 18 else 1.0


@dataclass
class Faults:
    """What is wrong now."""

    door_hangs: bool = False
    drain_hangs: bool = False
    store_fails: bool = False
    ticks_stop: bool = False
    judge_refuses: bool = False
    sink_down: bool = False
    exporter_dead: bool = False
    text_off: bool = False
    signal_breaks: bool = False
    clock_s: float = 0.0
    disk_full: bool = False
    log_damaged: bool = False
    poison: bool = False
    rejecting: float = 0.0
    late: float = 0.0
    memory_leaks: bool = False
    drills_lost: bool = False


@dataclass
class World:
    """Steps through time; every step brings traffic, lets the parts work unless they are faulty, and looks at itself."""

    now_us: int = MONDAY_US
    seed: int = 7
    rate: Callable[[int], float] = office_rate
    faults: Faults = field(default_factory=Faults)
    found: list[Condition] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.traffic, self.capture, self.skew = Traffic(self.now_us), Capture(), Skew()
        self.signals, self.rejected, self.spans = Latest(100), Recent(), Recent()
        self.heartbeat_us = self.drained_us = self.ticked_us = self.now_us
        self.waiting: list[int] = []
        self.alerts: list[int] = []
        self.sink_failures = self.judge_failures = 0

    def step(self, seconds: int) -> list[Condition]:
        """Go on by so many seconds; the conditions then."""
        self.now_us += seconds * SECOND_US
        faults = self.faults
        bodies = 0 if faults.exporter_dead else int(self.rng.poisson(self.rate(self.now_us) * seconds / 60))
        self._take_in(bodies)
        if not faults.door_hangs:
            self.heartbeat_us = self.now_us
        if not faults.drain_hangs:
            self.waiting.clear()
            self.drained_us = self.now_us
        if not faults.ticks_stop and self.now_us - self.ticked_us >= 300 * SECOND_US:
            self.ticked_us = self.now_us
        self._deliver()
        self.found = conditions(self.facts(), self.found, self.now_us)
        return self.found

    def _take_in(self, bodies: int) -> None:
        faults, rng = self.faults, self.rng
        self.traffic.advance(self.now_us)
        if not bodies:
            return
        self.traffic.add(self.now_us, bodies)
        self.waiting.append(self.now_us)
        spans = 5 * bodies
        bad, late = int(rng.binomial(spans, faults.rejecting)), int(rng.binomial(spans, faults.late))
        self.spans.add(self.now_us, "offered", spans)
        self.spans.add(self.now_us, "late", late)
        self.rejected.add(self.now_us, "attribute too long", bad)
        turns = 2 * bodies
        self.capture.add("app", self.now_us, turns, 0 if faults.text_off else int(rng.binomial(turns, 0.95)))
        for name in ("refusal", "loop"):
            self.signals.add(name, turns if faults.signal_breaks and name == "loop" else 0, turns)
        for _ in range(min(bodies, 20)):
            self.skew.add("app", float(rng.exponential(4.0)) - faults.clock_s)

    def _deliver(self) -> None:
        if self.faults.sink_down:
            self.alerts = self.alerts or [self.now_us]
            self.sink_failures += (self.now_us - self.alerts[0]) // SECOND_US in (0, 10, 40)
        else:
            self.alerts, self.sink_failures = [], 0
        self.judge_failures = self.judge_failures + 1 if self.faults.judge_refuses else 0

    def facts(self) -> Facts:
        """What is observed now."""
        faults, now = self.faults, self.now_us
        spans = self.spans.sums(now)
        waiting = self.waiting
        return Facts(
            door_age_s={"http": (now - self.heartbeat_us) / 1e6, "grpc": 0.0},
            undrained_bytes=10_000 * len(waiting),
            undrained_s=(now - waiting[0]) / 1e6 if waiting else 0.0,
            drain_age_s=(now - self.drained_us) / 1e6,
            drain_failures=0,
            last_arrival_us=self.traffic.last_us,
            silence=self.traffic.silence(now),
            judge=Judge(True, self.judge_failures, error="401 from the endpoint" if self.judge_failures else ""),
            sinks={
                "hook": Sink(
                    True,
                    len(self.alerts),
                    (now - self.alerts[0]) / 1e6 if self.alerts else 0.0,
                    self.sink_failures,
                    error="",
                )
            },
            content=self.capture.contents(),
            signals=self.signals.shares(),
            skew_s=self.skew.medians(),
            disk_free_bytes=300 << 20 if faults.disk_full else 60 << 30,
            disk_total_bytes=100 << 30,
            damaged_records=2 if faults.log_damaged else 0,
            damaged_kept=1 if faults.log_damaged else 0,
            unreadable=1 if faults.poison else 0,
            put_aside=1 if faults.poison else 0,
            rejected=self.rejected.sums(now),
            offered=spans.get("offered", 0),
            late=Share(spans.get("late", 0), spans.get("offered", 0)),
            tick_age_s=(now - self.ticked_us) / 1e6,
            memory_bytes=950_000_000 if faults.memory_leaks else 400_000_000,
            memory_limit_bytes=1_000_000_000,
            store_failed=faults.store_fails,
            nights=Nights(True, now - HOUR_US, ("D9",) if faults.drills_lost else ()),
        )

    def state(self, name: str) -> str:
        """The state of one condition at the last look."""
        return next(condition.state for condition in self.found if condition.name == name)

    def with_faults(self, **wrong: object) -> None:
        """Switch faults on; the others go off."""
        self.faults = replace(Faults(), **wrong)
