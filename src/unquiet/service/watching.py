"""The watch over the service itself: facts are gathered every few seconds, conditions are kept, shown and told."""

from __future__ import annotations

import os
import resource
import shutil
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unquiet.app.judging import conditions as judge_conditions
from unquiet.model.conditions import Condition
from unquiet.model.errors import StoreError, WalError
from unquiet.selfwatch import Facts, Judge, Share, Sink, conditions
from unquiet.service.alerting import Alerting
from unquiet.service.delivery import SinkHealth
from unquiet.service.door_keeper import DoorKeeper
from unquiet.service.door_process import LOG
from unquiet.service.mind import ROUND_S, Mind, NotReady
from unquiet.service.nights import NightDrills
from unquiet.service.observing import Observed
from unquiet.service.putting_aside import BODIES, ENDINGS, TRACES, TURNS
from unquiet.wal import DAMAGED, Quarantine

EVERY_S = 5.0
PROFILE = "self-watch profiles"
JUDGE_EVERY = 6
SAVE_EVERY = 60
"""The profiles of traffic are saved every so many looks: five minutes."""


@dataclass(slots=True)
class Watching:
    """Looks every EVERY_S seconds in a thread of its own, so that a loop that stands still is seen."""

    mind: Mind
    doors: DoorKeeper
    observed: Observed
    alerting: Alerting
    nights: NightDrills
    folder: Path
    memory_limit_bytes: int
    disk_limit_bytes: int
    clock_us: Callable[[], int]
    found: Sequence[Condition] = ()
    facts: Facts = field(default_factory=Facts)
    _stop: threading.Event = field(default_factory=threading.Event)
    _looks: int = 0
    _judge: Judge | None = None

    def run(self) -> None:
        """Look until `stop` is called."""
        while not self._stop.wait(EVERY_S):
            self.look()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def look(self) -> None:
        """Gather the facts, make the conditions, tell what has to be told."""
        now_us = self.clock_us()
        self.observed.advance(now_us)
        self.observed.doors(self.doors.said, now_us)
        self.facts = self._facts(now_us)
        self.found = conditions(self.facts, self.found, now_us)
        self.alerting.conditions(self.mind, self.found, now_us)
        self._looks += 1
        if self._looks % SAVE_EVERY == 0:
            self._save()

    def _save(self) -> None:
        try:
            with self.mind.store(wait_s=1.0) as store, store.transaction():
                store.put_setting(PROFILE, self.observed.state())
        except (NotReady, StoreError):
            return  # The next look saves; what was learned in between is at most five minutes of a week.

    def _facts(self, now_us: int) -> Facts:
        pulse = self.mind.pulse
        content, skew, recent, signals, traffic = self.observed.seen(now_us)
        free, total = disk_of(self.folder)
        late = recent.get("late spans", 0) + recent.get("late turns", 0)
        drained = recent.get("spans", 0) + recent.get("turns", 0)
        rejected = {name: count for name, count in recent.items() if name.startswith("rejected")}
        return Facts(
            door_age_s=self._doors(now_us),
            undrained_bytes=self._undrained(),
            undrained_s=self._undrained_s(now_us),
            drain_age_s=_age_s(pulse.progress_us, now_us),
            drain_failures=pulse.failures,
            drain_error=pulse.error,
            last_arrival_us=self._last_arrival_us() or traffic.last_us,
            silence=traffic.silence(now_us),
            judge=self._llm_judge(),
            sinks=self._sinks(now_us),
            content=content,
            signals=signals,
            skew_s=skew,
            disk_free_bytes=free,
            disk_total_bytes=total,
            disk_limit_bytes=self.disk_limit_bytes,
            damaged_records=recent.get("damaged records", 0),
            damaged_kept=self._kept(DAMAGED),
            unreadable=sum(recent.get(name, 0) for name in (BODIES, TRACES, TURNS)),
            put_aside=self._kept(*ENDINGS),
            unreadable_error=pulse.unreadable,
            rejected=rejected,
            offered=sum(rejected.values()) + sum(n for name, n in recent.items() if name.startswith("offered ")),
            late=Share(late, drained + late),
            tick_age_s=_age_s(pulse.tick_us, now_us),
            tick_every_s=ROUND_S,
            tick_error=pulse.error,
            memory_bytes=memory_bytes(self.doors.pid),
            memory_limit_bytes=self.memory_limit_bytes,
            nights=self.nights.seen(),
            store_failed=pulse.store_failed,
            store_error=pulse.error if pulse.store_failed else "",
        )

    def _doors(self, now_us: int) -> Mapping[str, float | None]:
        said: Mapping[str, Any] = self.doors.said
        ports: Mapping[str, Any] = said.get("ports", {})
        dead = said.get("dead", ())
        age = _age_s(self.doors.heard_us, now_us)
        return {name: None if name in dead else age for name, port in ports.items() if port is not None}

    def _last_arrival_us(self) -> int | None:
        return max(self.doors.said.get("last_arrival_us", {}).values(), default=None)

    def _kept(self, *endings: str) -> int | None:
        """How many files are in quarantine whose names end so; None where that cannot be told."""
        try:
            return Quarantine(self.folder / LOG).count(*endings)
        except WalError:
            return None

    def _undrained(self) -> int | None:
        engine = self.mind.engine
        if engine is None:
            return None
        try:
            return engine.reader.undrained_bytes
        except WalError:
            return None

    def _undrained_s(self, now_us: int) -> float | None:
        """How long the oldest body has been waiting since it arrived."""
        engine = self.mind.engine
        if engine is None:
            return None
        try:
            since_us = engine.waiting_since_us()
        except WalError:
            return None
        return 0.0 if since_us is None else _age_s(since_us, now_us)

    def _sinks(self, now_us: int) -> Mapping[str, Sink] | None:
        try:
            health: Mapping[str, SinkHealth] = self.alerting.health()
        except (NotReady, StoreError):
            return None
        return {
            name: Sink(
                tried=each.state != "unknown",
                pending=each.pending,
                oldest_s=(now_us - each.since_us) / 1e6 if each.pending and each.state == "failing" else 0.0,
                failures=each.failures,
                permanent=each.state == "failing" and not each.pending,
                error=each.last_error,
                sent=each.sent,
                failed=each.failed,
            )
            for name, each in health.items()
        }

    def _llm_judge(self) -> Judge | None:
        """How the last run of a judge ended; asked every JUDGE_EVERY looks, because it asks the store."""
        if self._judge is None or self._looks % JUDGE_EVERY == 0:
            try:
                with self.mind.store(wait_s=0.5) as store:
                    runs = judge_conditions(store)
            except (NotReady, StoreError):
                return self._judge
            dead = [run for run in runs.values() if run.get("ended") == "dead"]
            self._judge = Judge(
                configured=bool(runs),
                failures=len(dead),
                stopped=bool(dead),
                error=str(dead[0].get("why", "")) if dead else "",
            )
        return self._judge


def disk_of(folder: Path) -> tuple[int, int] | tuple[None, None]:
    """Free bytes and all bytes of the disk under a folder; None where the system does not tell."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None, None
    return usage.free, usage.total


def _age_s(at_us: int | None, now_us: int) -> float | None:
    return None if at_us is None else max(0.0, (now_us - at_us) / 1e6)


def memory_bytes(door_pid: int | None) -> int | None:
    """The memory that this process and the door process hold; None where the system does not tell."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pids = [os.getpid(), *([door_pid] if door_pid is not None else [])]
    held = [_resident(pid) for pid in pids]
    return None if held[0] is None else sum(size for size in held if size is not None)


def _resident(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except OSError:
        return None
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
