"""From what changed to messages on their way: decides notices, puts them into the outbox, keeps the deliverer going."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unquiet.model.alerts import AlertSink, Notice
from unquiet.model.conditions import Condition
from unquiet.model.errors import StoreError
from unquiet.service.delivery import Deliverer, SinkHealth, attempt, send_test
from unquiet.service.mind import Mind, NotReady
from unquiet.service.noticing import condition_notices, notices_for
from unquiet.service.sections import SEVERITIES
from unquiet.store import Outbox, Store, Told

EVERY_S = 1.0
WAIT_S = 1.0
"""How long a step waits for slow receivers, which go on by themselves: the service must be able to stop."""

SECOND_US = 1_000_000
GRACE_US = {
    "door-dead": 15 * SECOND_US,
    "drain-stalled": 15 * SECOND_US,
    "detection-stalled": 0,
    "sink-failing": 0,
    "traffic-stopped": 0,
}
"""Conditions that have waited before they fail wait less before they are told, so that all are within two minutes."""


@dataclass(slots=True)
class Direct:
    """A notice that was sent while the outbox could not be asked, and who has it."""

    notice: Notice
    arrived: set[str] = field(default_factory=set[str])


@dataclass(slots=True)
class Alerting:
    """`sinks` with the lowest severity that each takes. `url_base` is where people find the pages."""

    sinks: Sequence[tuple[AlertSink, str]]
    url_base: str | None
    clock_us: Callable[[], int]
    seed: int
    deliverer: Deliverer | None = None
    _mind: Mind | None = None
    _told: dict[str, Told] = field(default_factory=dict[str, Told])
    _direct: dict[str, Direct] = field(default_factory=dict[str, Direct])
    _sending: set[str] = field(default_factory=set[str])
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self, mind: Mind) -> None:
        """Make the deliverer over the outbox of the mind's store."""

        @contextlib.contextmanager
        def access() -> Generator[Outbox]:
            try:
                with mind.store() as store:
                    yield store.outbox
            except NotReady as error:
                raise StoreError(str(error)) from error

        sinks = [sink for sink, _ in self.sinks]
        self._mind = mind
        self.deliverer = Deliverer(access, sinks, self.clock_us, random.Random(self.seed))  # noqa: S311

    def tell(
        self, store: Store, before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]], now_us: int
    ) -> None:
        """Put what the incidents make due into the outbox; called inside of a transaction."""
        known = {str(document["id"]): document for document in before}
        for notice in notices_for(known, after, store.outbox.told(), now_us, self.url_base):
            self._put(store, notice, now_us)

    def conditions(self, mind: Mind, found: Sequence[Condition], now_us: int) -> None:
        """Put what the conditions make due into the outbox; where it cannot be asked, send the worst without it."""
        if not self.sinks:
            return
        try:
            with mind.store(wait_s=1.0) as store, store.transaction():
                for each in self._direct.values():
                    self._put(store, each.notice, now_us, each.arrived)
                self._told = store.outbox.told()
                for notice in condition_notices(found, self._told, GRACE_US, now_us, self.url_base):
                    self._put(store, notice, now_us)
        except (NotReady, StoreError):
            self._send_now(found, now_us)
        else:
            self._direct.clear()

    def _send_now(self, found: Sequence[Condition], now_us: int) -> None:
        """What the outbox cannot tell: that it cannot be written, or that whoever holds it stands still."""
        worst = [each for each in found if each.severity == "critical" and each.state == "failing"]
        known = self._told | {key: Told(each.notice, None) for key, each in self._direct.items()}
        for notice in condition_notices(worst, known, GRACE_US, now_us, self.url_base):
            self._direct[notice.key] = Direct(notice)
        threads = [
            threading.Thread(target=self._send, args=(sink, least), daemon=True, name=f"alerts-now-{sink.name}")
            for sink, least in self.sinks
            if sink.name not in self._sending
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)

    def _send(self, sink: AlertSink, least: str) -> None:
        self._sending.add(sink.name)
        try:
            for each in list(self._direct.values()):
                if _reaches(each.notice, least) and sink.name not in each.arrived:
                    error = attempt(sink, each.notice)
                    self._tried(sink.name, None if error is None else str(error))
                    if error is None or error.permanent:
                        each.arrived.add(sink.name)
        finally:
            self._sending.discard(sink.name)

    def _put(self, store: Store, notice: Notice, now_us: int, arrived: Collection[str] = ()) -> None:
        names = [sink.name for sink, least in self.sinks if _reaches(notice, least)]
        store.outbox.put(notice, names, now_us, arrived=arrived)

    def run(self) -> None:
        """Deliver what is due until `stop` is called."""
        while not self._stop.wait(EVERY_S):
            self.run_once()

    def run_once(self) -> None:
        """Deliver what is due."""
        if self.deliverer is None:
            return
        try:
            self.deliverer.step(self.clock_us(), wait_s=WAIT_S)
        except StoreError:
            # The loop meets the same error and says it; what waits in the outbox is sent when the folder is back.
            self._stop.wait(EVERY_S)

    def stop(self) -> None:
        """Deliver no more; what waits stays in the outbox."""
        self._stop.set()

    def health(self) -> Mapping[str, SinkHealth]:
        """How every sink is. NotReady or StoreError where the outbox cannot be asked."""
        if self.deliverer is None or self._mind is None:
            return {}
        with self._mind.store(wait_s=1.0):
            return self.deliverer.sink_health()

    def test(self) -> list[tuple[str, bool, str]]:
        """Send a test notice to every sink now: name, whether it was delivered, and why not. It counts for their health."""
        found = send_test([sink for sink, _ in self.sinks], self.clock_us)
        for name, delivered, text in found:
            self._tried(name, None if delivered else text)
        return found

    def _tried(self, name: str, error: str | None) -> None:
        if self.deliverer is not None:
            self.deliverer.tried(name, error)


def _reaches(notice: Notice, least: str) -> bool:
    return SEVERITIES.index(notice.severity) >= SEVERITIES.index(least)
