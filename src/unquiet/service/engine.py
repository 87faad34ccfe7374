"""One step after another: log -> turns -> store -> judgement -> incidents. Whatever was committed is there after a crash."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from unquiet.app.describing import coverage, describe
from unquiet.app.eval_joining import join_verdicts
from unquiet.app.following import Follower
from unquiet.app.journal import resume
from unquiet.app.learning import still_learning
from unquiet.app.ledgers import keep_sightings
from unquiet.app.mixing import describe_mix
from unquiet.app.replaying import Progress, accept_for_good, keep_incidents, left_out
from unquiet.conventions.live_traces import LiveTraces
from unquiet.incidents import OVER
from unquiet.model.changes import Change
from unquiet.model.errors import StoreError, WalError
from unquiet.model.settings import Settings
from unquiet.service.draining import Drain, Drained
from unquiet.service.putting_aside import PuttingAside
from unquiet.service.telling import Parting
from unquiet.store import Store
from unquiet.wal import Position, Quarantine, WalReader

POSITION, COUNTED, COUNTS = "log position", "log counted", "service counts"
READ_BYTES = 16 << 20
TOLD_EVERY_US = 600_000_000
COVERED_EVERY_US = 3_600_000_000
LEARNING_COVERED_EVERY_US = 300_000_000

Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How a service reads and judges; `pinned_bytes` of undrained log are the most that open traces may hold up."""

    judgement: Settings
    lateness: timedelta
    quiet_s: float
    longest_s: float
    pinned_bytes: int = 512 << 20


@dataclass(slots=True)
class Step:
    """What one step did. `busy`: there is more to read. `told`: the incidents were described anew."""

    turns: int = 0
    judged: int = 0
    busy: bool = False
    told: bool = False


@dataclass(slots=True)
class Engine:
    """The one owner of a store, its log and its judgement. After an error it must be opened anew: it refuses to go on.

    `taken` is called with turns that were stored and what was counted, `measured` with how many turns of sessions that
    closed were measured and how often each signal failed.
    """

    store: Store
    reader: WalReader
    drain: Drain
    follower: Follower
    settings: EngineSettings
    changes: Callable[[], Sequence[Change]]
    counts: Counter[str]
    _seen: tuple[object, ...] = ()
    _told_us: int = 0
    _covered_us: int = 0
    _covered_judging: bool = False
    _committed: Position = field(default=Position(0, 0))
    _half_done: bool = False
    _under_way_us: int | None = None
    taken: Callable[[pa.Table, Counter[str], int], None] | None = None
    measured: Callable[[int, Mapping[str, int]], None] | None = None

    @classmethod
    def open(
        cls,
        store: Store,
        log: Path,
        settings: EngineSettings,
        changes: Callable[[], Sequence[Change]],
        progress: Progress,
    ) -> Engine:
        """Resume what the store knows.

        Raises:
            StoreError, WalError: the folder cannot be used.
        """
        follower = Follower.over(
            resume(store, settings.judgement, progress, changes()), store, settings.lateness, changes
        )
        start, counted = (Position(*(store.get_setting(name) or (0, 0))) for name in (POSITION, COUNTED))
        traces = LiveTraces[Position](settings.quiet_s, settings.longest_s)
        aside = PuttingAside(Quarantine(log).keep)
        drain = Drain(traces, store.live.unknown_spans, start, counted, aside=aside)
        counts = Counter[str](store.get_setting(COUNTS) or {})
        return cls(store, WalReader(log, start), drain, follower, settings, changes, counts, _committed=start)

    @contextmanager
    def changing(self) -> Generator[None]:
        """Whatever changes the judgement or what is drained happens inside, once at a time.

        What ends half way leaves a memory that is not what is stored: turns that left the log and were not kept, sessions
        that were judged and not counted. Nothing may be built on that, and it must not be saved.

        Raises:
            StoreError: something ended half way before.
        """
        self._check_whole()
        self._half_done = True
        yield
        self._half_done = False

    def _check_whole(self) -> None:
        if self._half_done:
            raise StoreError("An earlier step of the judgement ended half way: its folder must be opened anew.")

    def step(self, now_us: int) -> Step:
        """Drain what there is, judge what is due, tell what has changed."""
        with self.changing():
            return self._step(now_us)

    def _step(self, now_us: int) -> Step:
        done = Step()
        entries = self.reader.read(READ_BYTES)
        bodies = [entry.body for entry in entries if entry.body is not None]
        self._under_way_us = bodies[0].arrived_us if bodies else None
        self.drain.add(entries)
        done.busy = bool(entries)
        clock_us = bodies[-1].arrived_us if bodies else now_us
        pinned = self.reader.undrained_bytes > self.settings.pinned_bytes and not entries
        drained = self.drain.take(clock_us, pinned=pinned)
        if drained.turns.num_rows or drained.counts or drained.position > self._committed:
            done.turns = self._commit(drained, now_us)
        self._under_way_us = None
        watermark_us = self.follower.due(now_us)
        if watermark_us is not None:
            done.judged = self._push(watermark_us)
        done.told = self._tell(now_us)
        self.follower.checkpoint()
        return done

    def waiting_since_us(self) -> int | None:
        """When the oldest body that is not drained arrived, microseconds since 1970; None where none waits.

        What waits in open traces was drained. May be asked from another thread.

        Raises:
            WalError: the log cannot be looked at.
        """
        # In this order: what is read in between is under way then.
        waiting_us = self.reader.next_arrival_us
        under_way_us = self._under_way_us
        return waiting_us if under_way_us is None else under_way_us

    def _push(self, watermark_us: int) -> int:
        judge = self.follower.judge
        turns, failed = judge.turn_count, dict(judge.failures)
        with self.store.transaction():
            pushed = self.follower.push(watermark_us)
        if self.measured is not None and judge.turn_count > turns:
            more = {name: count - failed.get(name, 0) for name, count in judge.failures.items()}
            self.measured(judge.turn_count - turns, more)
        return pushed

    def _commit(self, drained: Drained, now_us: int) -> int:
        """Make drained turns durable together with the position up to which they were drained."""
        with self.store.transaction():
            added = self.store.append_new_turns(drained.turns)
            self.store.live.remember_spans(drained.span_keys)
            if drained.verdicts.num_rows:
                self.store.evals.append(drained.verdicts)
            taken = self.follower.take(added, now_us)
            more = drained.counts
            more["turns"] += added.num_rows
            more["duplicate turns"] += drained.turns.num_rows - added.num_rows
            more["late turns"] += taken.late
            counts = self.counts + more
            self.store.put_setting(COUNTS, dict(counts))
            self.store.put_setting(POSITION, astuple(drained.position))
            self.store.put_setting(COUNTED, astuple(drained.counted))
        self.counts = counts
        self._committed = drained.position
        self.reader.release(drained.position)
        if self.taken is not None:
            self.taken(added, more, now_us)
        return added.num_rows

    def _tell(self, now_us: int) -> bool:
        """Describe the incidents if they changed, or now and then while one is open."""
        judge = self.follower.judge
        mixed = judge.mix.incidents if judge.mix is not None else ()
        every = (*judge.incidents, *mixed)
        seen = tuple((each.id, each.status, each.siblings) for each in every)
        ageing = any(each.status not in OVER for each in every) and now_us - self._told_us >= TOLD_EVERY_US
        judging = judge.plan is not None
        every_us = COVERED_EVERY_US if judging else LEARNING_COVERED_EVERY_US
        covered = now_us - self._covered_us >= every_us or judging != self._covered_judging
        told = seen != self._seen or ageing
        if told or covered:
            with self.store.transaction():
                if told:
                    keep_incidents(self.store, self.documents())
                if covered:
                    self._cover(now_us)
        if told:
            self._seen, self._told_us = seen, now_us
        return told

    def documents(self) -> list[dict[str, object]]:
        """All incidents as they are told now, in the order in which they were raised."""
        judge, changes = self.follower.judge, self.changes()
        documents = [*describe(judge, self.store, changes), *describe_mix(judge, self.store, changes)]
        return sorted(documents, key=lambda document: str(document["raised_at"]))

    def _cover(self, now_us: int) -> None:
        judge = self.follower.judge
        join_verdicts(self.store)
        notes: dict[str, Any] = {
            **coverage(judge, self.store),
            **left_out(self.store, self.settings.judgement),
        }
        if judge.plan is None:
            notes["not_judged"] = still_learning(judge)
        self.store.put_setting("coverage", notes)
        keep_sightings(self.store, judge)
        self.store.put_setting("scanned_turns", self.store.turn_extent().count)
        self._covered_us, self._covered_judging = now_us, judge.plan is not None

    def settle(self, now_us: int) -> None:
        """Drain the log to its end and make turns of every open trace: afterwards the log holds nothing that is needed.

        Inside of `changing`.
        """
        while self._step(now_us).busy:
            continue
        self._commit(self.drain.flush(now_us), now_us)

    def accept(self, incident_id: str, note: Callable[[], Kept]) -> Kept:
        """Take an incident as the new normal. What `note` keeps of it, the new baseline and the state become durable together.

        `note` may raise: nothing has happened then.
        """
        self._check_whole()
        judge = self.follower.judge
        with self.store.transaction():
            noted = note()
            self._half_done = True
            accept_for_good(self.store, judge, self.changes(), incident_id, self.follower.watermark_us)
            self.follower.checkpoint(force=True)
        self._half_done = False
        return noted

    def changed_by_hand(self) -> None:
        """Save the judgement after it was changed from outside: what is done again after a crash must start with that."""
        self.follower.checkpoint(force=True)

    def close(self) -> Parting:
        """Save the judgement, so that the next start is quick. What is not judged yet stays in the journal."""
        if not self._half_done:
            self.follower.checkpoint(force=True)
        try:
            undrained = self.reader.undrained_bytes
        except WalError:
            undrained = None
        follower = self.follower
        waiting = sum(each.num_rows for each in follower.waiting)
        return Parting(follower.judge.plan is not None, follower.watermark_us, waiting, undrained)
