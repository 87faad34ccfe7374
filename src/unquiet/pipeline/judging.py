"""Turns in, alarms out: the learning period first, then tick after tick."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.counts import RecentSessions, event_matrix, number_shifts, tally, tick_of
from unquiet.detectors import Alarm, Watch
from unquiet.incidents import Crossing, Streams, handle
from unquiet.model.counts import TICK_US, TickCounts
from unquiet.model.history import History, Recorded
from unquiet.model.incidents import Incident
from unquiet.model.settings import Settings
from unquiet.pipeline.ledger import Ledger
from unquiet.pipeline.measuring import Measured, measure, signal_infos
from unquiet.pipeline.plan import Plan, budget_shares, make_plan, started_us, streams_of
from unquiet.pipeline.summing import counted
from unquiet.sessions import Assembler
from unquiet.stats.edetector import DEFAULT_WEIGHT_LEVELS, BetTables, weight_level
from unquiet.stats.runs import Answers

IntArray = npt.NDArray[np.int64]

DAY_US = 86_400_000_000
WINDOW_US = 42 * DAY_US


@dataclass(slots=True)
class Judged:
    """What one push brought: the visits that closed, their counts, and the alarms that rang, in order of time.

    `counts` are those of visits that were counted now: with the end of the learning period, all of it.
    """

    visits: pa.Table
    counts: list[pa.Table] = field(default_factory=list[pa.Table])
    alarms: list[Alarm] = field(default_factory=list[Alarm])


class Judge:
    """The state of the judgement. The same turns give the same alarms however they are cut into pushes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.infos = signal_infos()
        self.assembler = Assembler(idle=settings.idle)
        self.tables = BetTables.build()
        self.crowd = RecentSessions()
        self.history = History()
        self.first_us: int | None = None
        self.plan: Plan | None = None
        self.watch: Watch | None = None
        self.waiting: list[Measured] = []
        self.failures: dict[str, int] = {}
        self.session_count = 0
        self.turn_count = 0
        self.moments = np.zeros(0, np.int64)
        self.incidents: tuple[Incident, ...] = ()
        self.streams: Streams | None = None
        self.ledger = Ledger()
        self.counted: list[pa.Table] = []
        self.day = -1

    def push(self, turns: pa.Table, watermark_us: int) -> Judged:
        """Take turns in order of time, all of them up to `watermark_us`, and judge what has closed by then."""
        at = np.sort(turns.column("time").cast(pa.int64()).to_numpy())
        closed = self.assembler.push(turns, watermark_us // TICK_US * TICK_US)
        return self.push_measured(measure(closed) if len(closed) else None, at)

    def push_measured(self, measured: Measured | None, at_us: IntArray) -> Judged:
        """Take the visits that closed when turns began at `at_us`, ascending; None where no visit closed."""
        if len(at_us):
            self.first_us = int(at_us[0]) if self.first_us is None else self.first_us
            self.moments = np.concatenate([self.moments[self.moments > at_us[0] - 2 * DAY_US], at_us])
        if measured is None:
            return Judged(pa.table({}))
        self.session_count += measured.visits.num_rows
        self.turn_count += pc.sum(measured.visits.column("turn_count")).as_py()
        for name, count in measured.failures.items():
            self.failures[name] = self.failures.get(name, 0) + count
        judged = Judged(measured.visits)
        left = self._learn(measured) if self.plan is None else measured
        if left is not None:
            judged.alarms = self._judge(left.visits, left.requests)
        judged.counts, self.counted = self.counted, []
        return judged

    def _learn(self, measured: Measured) -> Measured | None:
        """Collect visits until the learning period is over; give back those that come after it."""
        self.waiting.append(measured)
        ticks = tick_of(np.concatenate([closed_us(m.visits) for m in self.waiting]))
        until = (self.first_us or 0) + round(self.settings.learn.total_seconds() * 1e6)
        count = int(np.searchsorted(ticks, until, side="right"))
        least = self.settings.least_sessions
        if len(ticks) < least or count == len(ticks):
            return None
        count = max(count, int(np.searchsorted(ticks, ticks[least - 1], side="right")))
        waiting, self.waiting = self.waiting, []
        visits = pa.concat_tables([m.visits for m in waiting], promote_options="default")
        vectors = np.concatenate([m.requests for m in waiting])
        inputs = pa.chunked_array([m.inputs for m in waiting]).combine_chunks()
        del waiting
        self.plan = make_plan(
            visits.slice(0, count), vectors[:count], inputs.slice(0, count), self.infos, self.settings
        )
        shifts = number_shifts(self.plan.events)
        share = budget_shares(self.plan.lattice, len(self.plan.events) + len(shifts), self.settings)
        self.watch = Watch(share, len(self.plan.events), self.tables, self.settings.delta, shifts)
        self.streams = streams_of(self.plan, self.infos)
        self._count(visits.slice(0, count), vectors[:count], judge=False)
        return Measured(visits.slice(count), inputs.slice(count), vectors[count:], {})

    def _judge(self, visits: pa.Table, vectors: npt.NDArray[np.float32]) -> list[Alarm]:
        """Judge visits day by day: slices that turned up join at the first tick of a day."""
        days = (tick_of(closed_us(visits)) - 1) // DAY_US
        alarms: list[Alarm] = []
        for day in np.unique(days).tolist():
            low, high = np.searchsorted(days, [day, day + 1])
            if day != self.day:
                self._grow(day)
            alarms.extend(self._count(visits.slice(low, high - low), vectors[low:high], judge=True))
        return alarms

    def _grow(self, day: int) -> None:
        self.day = day
        if self.plan is not None and self.watch is not None and self.plan.grow():
            streams = len(self.plan.events) + len(self.watch.shifts)
            share = budget_shares(self.plan.lattice, streams, self.settings)
            self.watch.grow(share, day * DAY_US)
            self.streams = streams_of(self.plan, self.infos)

    def _count(self, visits: pa.Table, vectors: npt.NDArray[np.float32], *, judge: bool) -> list[Alarm]:
        """Count visits tick by tick; with `judge` every tick is tested before it is learned."""
        plan = self.plan
        if plan is None or not visits.num_rows:
            return []
        columns = plan.facets(visits, vectors)
        plan.see(columns)
        self.ledger.see(columns, {r.facet: r.role for r in plan.roles}, started_us(visits))
        names, stratum = plan.stratum(columns, visits)
        y = event_matrix(plan.events, visits, names)
        ticks = tick_of(closed_us(visits))
        users = visits.column("user_id").to_pylist()
        weight = weight_level(self.crowd.ranks(users, closed_us(visits)))
        session, where = plan.lattice.members(columns, visits.num_rows)
        self._record(visits, y, stratum, ticks, session, where)

        def counts() -> Iterator[TickCounts]:
            return tally(ticks, stratum, weight, y, session, where, len(DEFAULT_WEIGHT_LEVELS))

        return self._watch(counts()) if judge else self._baseline(counts)

    def _baseline(self, counts: Callable[[], Iterator[TickCounts]]) -> list[Alarm]:
        """Learn the base rates, then how they wobble from day to day, and accept them as the frozen reference."""
        if self.watch is not None:
            for tick in counts():
                self.watch.learn(tick)
            for tick in counts():
                self.watch.look_back(tick)
            self.watch.freeze()
        return []

    def _watch(self, counts: Iterator[TickCounts]) -> list[Alarm]:
        alarms: list[Alarm] = []
        for tick in counts:
            rung = self.watch.step(tick) if self.watch is not None else []
            if rung:
                alarms.extend(rung)
                self._explain(rung)
        return alarms

    def _explain(self, rung: list[Alarm]) -> None:
        """Turn the alarms of one tick into incidents, or join them to those that are known."""
        if self.streams is None:
            return
        tick_us = rung[0].tick_us
        later = int(np.searchsorted(self.moments, tick_us))
        raised_us = int(self.moments[later]) if later < len(self.moments) else tick_us
        crossings = [Crossing(a.slice, a.event, 1 if a.direction == "up" else -1, tick_us, raised_us) for a in rung]
        self.incidents = handle(self.incidents, crossings, lambda: self.history.upto(tick_us), self.streams)

    def _record(
        self, visits: pa.Table, y: Answers, stratum: IntArray, ticks: IntArray, session: IntArray, where: IntArray
    ) -> None:
        if self.plan is not None:
            singles = self.plan.lattice.single[where]
            self.counted.append(counted(ticks, y, session[singles], where[singles], self.plan.lattice.slices))
        chunk = Recorded(
            np.array(visits.column("session_id").to_pylist(), object),
            np.array(visits.column("visit_id").to_pylist(), object),
            np.array(visits.column("user_id").to_pylist(), object),
            started_us(visits),
            ticks,
            stratum,
            y,
            session.astype(np.int32),
            where.astype(np.int32),
        )
        self.history.append(chunk)
        self.history.forget_before(int(ticks[-1]) - WINDOW_US)


def closed_us(visits: pa.Table) -> IntArray:
    """When each visit closed, in microseconds since 1970."""
    return visits.column("closed").cast(pa.int64()).to_numpy()
