"""The loop of the service: opens the folder, goes round, and begins anew from the folder after any failure of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from unquiet.app.handling import handled, shown
from unquiet.app.marks import announced
from unquiet.app.retention import Bounds, retire
from unquiet.app.status import status
from unquiet.model.changes import Change
from unquiet.model.errors import StoreError, UnquietError, WalError
from unquiet.model.history import DAY_US, WINDOW_US
from unquiet.service.door_process import LOG
from unquiet.service.engine import Engine, EngineSettings
from unquiet.service.observing import Observed
from unquiet.service.pulse import Pulse
from unquiet.service.telling import Parting
from unquiet.store import Store
from unquiet.wal import Quarantine

ROUND_S = 1.0
AGAIN_S = (1.0, 2.0, 5.0, 15.0, 30.0)
STATUS_EVERY_US = 5_000_000
RETIRE_EVERY_US = 3_600_000_000
OUTBOX_US = 90 * DAY_US
"""How long it is remembered what was sent."""

Told = Callable[[Store, Sequence[dict[str, Any]], Sequence[dict[str, Any]], int], None]
"""Called with the store, the incidents as they were and as they are, and the present, inside of a transaction."""


class NotReady(UnquietError):
    """The folder is not open at the moment."""


@dataclass(slots=True)
class Mind:
    """Owner of the folder. `with mind.store() as store` gives it to other threads, between two steps."""

    folder: Path
    settings: EngineSettings
    files: Sequence[Path]
    bounds: Bounds
    memory_mb: int
    clock_us: Callable[[], int]
    observed: Observed
    tell: Told
    pulse: Pulse
    parting: Parting | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _store: Store | None = None
    _engine: Engine | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _status_us: int = 0
    _retired_us: int = 0
    _before: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @contextlib.contextmanager
    def store(self, wait_s: float = 20.0) -> Generator[Store]:
        """The open store, for reads and short transactions.

        Raises:
            NotReady: it is not open, or a long step is under way.
        """
        if not self._lock.acquire(timeout=wait_s):
            raise NotReady(f"the service is busy: {self.pulse.doing}. Ask again in a while.")
        try:
            if self._store is None:
                why = f" ({self.pulse.error})" if self.pulse.error else ""
                raise NotReady(f"the folder is not open yet{why}: {self.pulse.doing}. Ask again in a while.")
            yield self._store
        finally:
            self._lock.release()

    @property
    def engine(self) -> Engine | None:
        """The engine, None while the folder is not open. For readers of single values, and under `store()`."""
        return self._engine

    def run(self) -> None:
        """Go round until `stop` is called."""
        while not self._stop.is_set():
            self._stop.wait(self.turn())
        self.close()

    def turn(self) -> float:
        """Go round once, the folder opened first where it is not; in how many seconds to go on."""
        began = time.monotonic()
        try:
            if self._engine is None:
                self._open()
            is_busy = self._round()
        except (StoreError, WalError) as error:
            self.pulse.failures += 1
            self.pulse.error = str(error)
            self.pulse.store_failed = isinstance(error, StoreError)
            self._close(save=False)
            self.pulse.doing = "waiting to open the folder again"
            return AGAIN_S[min(self.pulse.failures, len(AGAIN_S)) - 1]
        # Only now: a folder that can be opened may still refuse what is written.
        self.pulse.failures, self.pulse.error, self.pulse.store_failed = 0, "", False
        return 0.0 if is_busy else max(0.05, ROUND_S - (time.monotonic() - began))

    def stop(self) -> None:
        """End after the running step. What is judged is saved."""
        self._stop.set()

    def close(self) -> None:
        """Save what is judged and let go of the folder; twice is no error.

        A step that is under way in another thread is not waited for: what it had not committed is done again next time.
        """
        if self._lock.acquire(blocking=False):
            try:
                self._close(save=True)
            finally:
                self._lock.release()

    def open(self) -> None:
        """Open the folder before the loop runs, so that what is wrong with it is said at once.

        Raises:
            StoreError: it cannot be opened.
        """
        with self._lock:
            self._store = Store.open(self.folder, memory_mb=self.memory_mb)

    def _open(self) -> None:
        self.pulse.doing = "opening the folder"
        with self._lock:
            if self._store is None:
                self._store = Store.open(self.folder, memory_mb=self.memory_mb)
            store = self._store
            files = self.files
            self._engine = Engine.open(
                store, self.folder / LOG, self.settings, lambda: changes_of(store, files), self._progress
            )
            self._engine.drain.seen = self.observed.body
            self._engine.taken, self._engine.measured = self.observed.turns, self.observed.failures
            self._before = handled(store.incidents(), store)

    def _progress(self, what: str, share: float) -> None:
        self.pulse.doing = f"{what} ({share:.0%})"
        self.pulse.round_us = self.clock_us()

    def _round(self) -> bool:
        """One step of the engine, and what it brought shown; whether there is more to do at once."""
        engine, store = self._engine, self._store
        if engine is None or store is None:
            raise StoreError(f"{self.folder} was closed while it was in use.")
        began = time.monotonic()
        with self._lock:
            now_us = self.clock_us()
            self.pulse.doing = "draining and judging"
            step = engine.step(now_us)
            self.pulse.counts, self.pulse.unreadable = engine.counts, engine.drain.aside.said
            if step.judged:
                self.pulse.ticks += 1
                self.pulse.tick_s += time.monotonic() - began
            if step.told or now_us - self._status_us >= STATUS_EVERY_US:
                self._publish(store, now_us)
            if now_us - self._retired_us >= RETIRE_EVERY_US:
                self._retire(store, engine, now_us)
        done_us = self.clock_us()
        self.pulse.round_us = self.pulse.progress_us = self.pulse.tick_us = done_us
        self.pulse.doing = "waiting"
        return step.busy

    def _retire(self, store: Store, engine: Engine, now_us: int) -> None:
        """Drop what is kept no longer, once an hour: never what the judgement reads, nor what evidence is read from.

        Time is that of the turns: traffic of long ago that comes in now is judged before it is old.
        """
        self.pulse.doing = "dropping what is kept no longer"
        if self.bounds.turn_days is not None:
            Quarantine(self.folder / LOG).drop_before(now_us - round(self.bounds.turn_days * DAY_US))
        needed_us = engine.follower.needed_us()
        if needed_us is None:
            return
        needed = datetime.fromtimestamp(max(needed_us - WINDOW_US - DAY_US, 0) / 1e6, UTC)
        retired = retire(store, self.bounds, datetime.fromtimestamp(now_us / 1e6, UTC), needed)
        store.outbox.prune(now_us - OUTBOX_US)
        self.pulse.sums["retention"] = retired.said
        self.pulse.sums["folder_bytes"] = store.retirement.size()
        self._retired_us = now_us

    def publish(self) -> None:
        """Show what changed by hand."""
        with self.store() as store:
            self._publish(store, self.clock_us())

    def _publish(self, store: Store, now_us: int) -> None:
        """Decide what is told, and show the incidents and the status as they are now."""
        documents = store.incidents()
        after = handled(documents, store)
        with store.transaction():
            self.tell(store, self._before, after, now_us)
        self._before = after
        self.pulse.documents = shown(documents, store, now_us)
        self.pulse.status = status(store, self.folder, datetime.fromtimestamp(now_us / 1e6, UTC))
        self._status_us = now_us

    def _close(self, *, save: bool) -> None:
        with self._lock:
            engine, store, self._engine, self._store = self._engine, self._store, None, None
            if store is None:
                return
            try:
                if save and engine is not None:
                    self.parting = engine.close()
                store.close()
            except StoreError as error:
                self.pulse.error = str(error)


def changes_of(store: Store, files: Sequence[Path]) -> list[Change]:
    """The changes that were announced: by files and by marks."""
    return announced(store, files)
