"""Turns in, alarms out: the learning period first, then tick after tick."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.counts import RecentSessions, event_matrix, tally, tick_of
from unquiet.detectors import Alarm, Watch, begin_epoch
from unquiet.incidents import ACCEPTED, OVER, Crossing, Streams, accepted, handle, moved_events, watched
from unquiet.intents import NEW
from unquiet.model.counts import TICK_US, TickCounts
from unquiet.model.history import LATEST_US, History, Recorded
from unquiet.model.incidents import Incident
from unquiet.model.settings import Settings
from unquiet.model.turns import TURNS
from unquiet.pipeline.ledger import Ledger
from unquiet.pipeline.measuring import Measured, measure, signal_infos
from unquiet.pipeline.mix import Mix, apart, is_new_kind
from unquiet.pipeline.opening import Texts, assembled, empty_keys
from unquiet.pipeline.plan import OF_TALK, Plan, budget_shares, make_plan, started_us, streams_of, watch_of
from unquiet.pipeline.summing import counted
from unquiet.pipeline.words import Words, event_name
from unquiet.sessions import Assembler, ClosedSessions
from unquiet.shift import Batch, Features, Rung, runs_of
from unquiet.signals.surprisal import count_folds
from unquiet.stats.edetector import DEFAULT_WEIGHT_LEVELS, BetTables, weight_level
from unquiet.stats.runs import Answers

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

DAY_US = 86_400_000_000
TURNS_AT_ONCE = 20_000
"""Turns whose texts are measured together, about."""


@dataclass(slots=True)
class Judged:
    """What one push brought: the visits that closed, their counts, and the alarms that rang, in order of time.

    `counts` are those of visits that were counted now: with the end of the learning period, all of it.
    """

    visits: pa.Table
    counts: list[pa.Table] = field(default_factory=list[pa.Table])
    alarms: list[Alarm] = field(default_factory=list[Alarm])


class Judge:
    """The state of the judgement. The same turns give the same alarms however they are cut into pushes.

    With `texts` the turns of open sessions are not held: they are fetched when their session is over.
    """

    def __init__(self, settings: Settings, texts: Texts | None = None) -> None:
        self.settings = settings
        self.texts = texts
        self.infos = signal_infos()
        self.assembler = Assembler(idle=settings.idle)
        if texts is not None:
            self.assembler.open_turns = empty_keys(settings.end_marker)
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
        self.words: Words | None = None
        self.mix: Mix | None = None
        self.ledger = Ledger()
        self.counted: list[pa.Table] = []
        self.day = -1

    @property
    def span_us(self) -> tuple[int | None, int | None]:
        """When the first turn and the last one began, microseconds since 1970; None without turns."""
        return self.first_us, int(self.moments[-1]) if len(self.moments) else None

    def push(self, turns: pa.Table, watermark_us: int) -> Judged:
        """Take turns in order of time, all of them up to `watermark_us`, and judge what has closed by then.

        With `texts` the columns `sessions.KEYS` are enough, and `facets` where sessions may end by a marker.
        """
        at = np.sort(turns.column("time").cast(pa.int64()).to_numpy())
        rows = assembled(turns, self.settings.end_marker, whole=self.texts is None)
        closed = self.assembler.push(rows, watermark_us // TICK_US * TICK_US)
        return self.push_measured(self._measured(closed) if len(closed) else None, at)

    def _measured(self, closed: ClosedSessions) -> Measured:
        """The readings of closed sessions; a part at a time, so that their texts are not in memory all at once."""
        parts: list[Measured] = []
        for part in closed.parts(TURNS_AT_ONCE):
            turns = part.turns if self.texts is None else self.texts(part.turns)
            parts.append(measure(ClosedSessions(turns.select(TURNS.names), part.starts, part.closed_us)))
        return parts[0] if len(parts) == 1 else Measured.joined(parts)

    def push_measured(self, measured: Measured | None, at_us: IntArray) -> Judged:
        """Take the visits that closed when turns began at `at_us`, ascending; None where no visit closed."""
        if len(at_us):
            self.first_us = int(at_us[0]) if self.first_us is None else self.first_us
            self.moments = firsts_of_ticks(np.concatenate([self.moments, at_us]))
        judged = Judged(pa.table({})) if measured is None else self._closed(measured)
        if len(at_us):
            self.moments = self.moments[self.moments > self.moments[-1] - 2 * DAY_US]
        return judged

    def _closed(self, measured: Measured) -> Judged:
        """Count and judge the visits that closed, in the order of their ticks."""
        self.session_count += measured.visits.num_rows
        self.turn_count += pc.sum(measured.visits.column("turn_count")).as_py()
        for name, count in measured.failures.items():
            self.failures[name] = self.failures.get(name, 0) + count
        left = self._learn(measured) if self.plan is None else measured
        judged = Judged(measured.visits)
        if left is not None and self.plan is not None:
            left = left.scored(self.plan.tool_paths, self.session_count - len(left))
            # Those of the learning period, if any, come first: there was no history to read them with.
            judged.visits = pa.concat_tables([measured.visits.slice(0, len(measured) - len(left)), left.visits])
            judged.alarms = self._judge(left)
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
        known = Measured.joined(waiting)
        del waiting
        baseline = known.part(0, count)
        paths = count_folds(baseline.steps)
        baseline = baseline.scored(paths, 0)
        self.plan = make_plan(baseline.visits, baseline.requests, baseline.inputs, paths, self.infos, self.settings)
        self.watch = watch_of(self.plan, self.tables, self.settings)
        self.mix = Mix.begin(self.plan.sliced, baseline, self.settings, self.tables)
        self._count(baseline, judge=False)
        return known.part(count, len(known))

    def _judge(self, measured: Measured) -> list[Alarm]:
        """Judge visits day by day: slices that turned up join at the first tick of a day."""
        days = (tick_of(closed_us(measured.visits)) - 1) // DAY_US
        alarms: list[Alarm] = []
        for day in np.unique(days).tolist():
            low, high = np.searchsorted(days, [day, day + 1]).tolist()
            if day != self.day:
                self._grow(day)
            alarms.extend(self._count(measured.part(low, high), judge=True))
        return alarms

    def _grow(self, day: int) -> None:
        """Begin a day with what was known at the end of the last one."""
        self.day = day
        if self.mix is not None:
            self.mix.turn(day)
        streams = self.streams
        if streams is not None and any(incident.status not in OVER for incident in self.incidents):
            self.incidents = watched(self.incidents, self.history.upto(LATEST_US), streams)
        if self.plan is not None and self.watch is not None and self.plan.grow():
            share = budget_shares(self.plan.lattice, self.settings) / self.watch.restarts.shape[1]
            self.watch.grow(share, day * DAY_US)

    def _count(self, measured: Measured, *, judge: bool) -> list[Alarm]:
        """Count visits tick by tick; with `judge` every tick is tested before it is learned."""
        plan, mix, visits = self.plan, self.mix, measured.visits
        if plan is None or mix is None or not len(measured):
            return []
        columns = plan.facets(visits, measured.requests)
        plan.see(columns)
        told = {name: column for name, column in columns.items() if name not in OF_TALK}
        self.ledger.see(told, {r.facet: r.role for r in plan.roles}, started_us(visits))
        ticks = tick_of(closed_us(visits))
        kind = mix.sort(columns, measured, ticks, started_us(visits)) if judge else mix.learn(columns, measured)
        names, stratum = plan.stratum(columns, visits, apart(kind) if judge else {}, measured.bare)
        y = event_matrix(plan.events, visits, names, baseline=not judge)
        rank = weight_level(self.crowd.ranks(self._users(visits), closed_us(visits)))
        weight = np.where((kind == NEW) & judge, len(DEFAULT_WEIGHT_LEVELS), rank)
        session, where = plan.lattice.members(columns, visits.num_rows)
        if self.words is None:
            self.words = Words.begin(plan.lattice, where, self.settings)
        batch = self.words.batch(ticks, measured.features, stratum, weight == 0, session, where)
        chunk = self._record(visits, y, self.words.answers(measured.features), stratum, ticks, session, where)
        mix.count(chunk, kind, rank, self._raised_us if judge else None)

        def counts() -> Iterator[TickCounts]:
            return tally(ticks, stratum, weight, y, session, where, len(DEFAULT_WEIGHT_LEVELS))

        return self._watch(counts(), batch) if judge else self._baseline(counts, batch)

    def _users(self, visits: pa.Table) -> list[str | None]:
        shared = self.plan.shared_users if self.plan is not None else frozenset[str]()
        return [None if user in shared else user for user in visits.column("user_id").to_pylist()]

    def _raised_us(self, tick_us: int) -> int:
        """The moment at which an alarm of a tick would have rung: when the next turn came in."""
        later = int(np.searchsorted(self.moments, tick_us))
        return int(self.moments[later]) if later < len(self.moments) else tick_us

    def _baseline(self, counts: Callable[[], Iterator[TickCounts]], batch: Batch) -> list[Alarm]:
        """Learn the base rates, then how they wobble from day to day, and accept them as the frozen reference."""
        if self.watch is not None and self.words is not None:
            for tick in counts():
                self.watch.learn(tick)
            for tick in counts():
                self.watch.look_back(tick)
            self.watch.freeze()
            self.words.watch.learn(batch)
        return []

    def _watch(self, counts: Iterator[TickCounts], batch: Batch) -> list[Alarm]:
        alarms: list[Alarm] = []
        if self.watch is None or self.words is None:
            return alarms
        tick = next(counts, None)
        for low, high in runs_of(batch.tick_us):
            if tick is not None and tick.tick_us == batch.tick_us[low]:
                rung = self.watch.step(tick)
                tick = next(counts, None)
                alarms.extend(rung)
                self._explain(
                    [(a.slice, a.event, 1 if a.direction == "up" else -1) for a in rung], int(batch.tick_us[low])
                )
            for word in self.words.watch.step(batch, low, high):
                self._explain_word(word, int(batch.tick_us[low]), batch.features.part(high, len(batch.features)))
        return alarms

    def accept(self, incident_id: str) -> bool:
        """Take what an incident tells of as normal from its onset on; False where it is none of named signals, or was taken.

        All signals that moved with it begin a new baseline epoch, in all slices: what they did before the onset is no more
        compared with. Features of answers go on as they are, their rates have learned meanwhile.
        """
        streams, plan, watch = self.streams, self.plan, self.watch
        place = next((i for i, each in enumerate(self.incidents) if each.id == incident_id), None)
        if (
            place is None
            or self.incidents[place].status == ACCEPTED
            or streams is None
            or plan is None
            or watch is None
        ):
            return False
        incident, recorded = self.incidents[place], self.history.upto(LATEST_US)
        events = moved_events(incident, recorded, streams)
        begin_epoch(watch, recorded, self._learned(recorded), events, incident.onset.at_us)
        self.history.begin_epoch(events, incident.onset.at_us)
        self.incidents = (*self.incidents[:place], accepted(incident, streams), *self.incidents[place + 1 :])
        return True

    def incidents_beside(self, incident_id: str) -> frozenset[str]:
        """The incidents that tell of signals which begin anew when one is accepted, itself included; none where it is unknown."""
        streams, incident = self.streams, next((each for each in self.incidents if each.id == incident_id), None)
        if streams is None or incident is None or incident.status == ACCEPTED:
            return frozenset()
        moved = {streams.events[event] for event in moved_events(incident, self.history.upto(LATEST_US), streams)}
        return frozenset(each.id for each in self.incidents if each.event in moved or each.id == incident_id)

    def _learned(self, recorded: Recorded) -> BoolArray:
        """The recorded sessions (n,) that are evidence: not those of users who had many, nor of unknown kinds of request."""
        shared = self.plan.shared_users if self.plan is not None else frozenset[str]()
        users = [None if user in shared else user for user in recorded.user.tolist()]
        level = weight_level(RecentSessions().ranks(users, recorded.tick_us))
        names = self.plan.strata_names if self.plan is not None else {}
        odd = [number for name, number in names.items() if is_new_kind(name)]
        return (level < len(DEFAULT_WEIGHT_LEVELS)) & ~np.isin(recorded.stratum, odd)

    @property
    def streams(self) -> Streams | None:
        """What the indices of events and slices mean by now."""
        if self.plan is None or self.words is None:
            return None
        return streams_of(self.plan, self.infos, self.words.names)

    def _explain_word(self, word: Rung, tick_us: int, later: Features) -> None:
        """Make an incident of a feature that rang, or let it join one: then it need not be an event of its own."""
        if self.plan is None or self.words is None:
            return
        known = len(self.words.keys)
        event = len(self.plan.events) + self.words.place(word, self.history, later)
        self._explain([(int(self.words.slices[word.slice]), event, word.direction)], tick_us)
        name = event_name(word.key)
        if len(self.words.keys) > known and all(incident.event != name for incident in self.incidents):
            self.words.drop_last(self.history)

    def _explain(self, rung: list[tuple[int, int, int]], tick_us: int) -> None:
        """Turn what rang in one tick (slice, event, direction) into incidents, or join it to those that are known."""
        streams = self.streams
        if streams is None or not rung:
            return
        crossings = [Crossing(*each, tick_us, self._raised_us(tick_us)) for each in rung]
        self.incidents = handle(self.incidents, crossings, lambda: self.history.upto(tick_us), streams)

    def _record(
        self,
        visits: pa.Table,
        y: Answers,
        words: Answers,
        stratum: IntArray,
        ticks: IntArray,
        session: IntArray,
        where: IntArray,
    ) -> Recorded:
        by_session = np.argsort(session, kind="stable")
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
            np.concatenate([y, words], axis=1),
            session[by_session].astype(np.int32),
            where[by_session].astype(np.int32),
        )
        self.history.append(chunk)
        self.history.forget(int(ticks[-1]))
        return chunk


def firsts_of_ticks(at_us: IntArray) -> IntArray:
    """The earliest of the moments in each tick: what is asked later is which turn came first after the end of a tick."""
    at_us = np.sort(at_us, kind="stable")
    return at_us[np.flatnonzero(np.diff(at_us // TICK_US, prepend=-1))]


def closed_us(visits: pa.Table) -> IntArray:
    """When each visit closed, in microseconds since 1970."""
    return visits.column("closed").cast(pa.int64()).to_numpy()
