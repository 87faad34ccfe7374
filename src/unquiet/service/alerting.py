"""From what changed to messages on their way: decides notices, puts them into the outbox, keeps the deliverer going."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unquiet.model.alerts import AlertSink, Notice
from unquiet.model.conditions import Condition
from unquiet.model.errors import StoreError
from unquiet.service.delivery import Deliverer, SinkHealth, attempt, send_test
from unquiet.service.mind import Mind, NotReady
from unquiet.service.noticing import condition_notices, notices_for
from unquiet.service.sections import SEVERITIES
from unquiet.store import Outbox, Store

EVERY_S = 1.0
WAIT_S = 30.0


@dataclass(slots=True)
class Alerting:
    """`sinks` with the lowest severity that each takes. `url_base` is where people find the pages."""

    sinks: Sequence[tuple[AlertSink, str]]
    url_base: str | None
    clock_us: Callable[[], int]
    seed: int
    deliverer: Deliverer | None = None
    _unstored: dict[str, str] = field(default_factory=dict[str, str])
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self, mind: Mind) -> None:
        """Make the deliverer over the outbox of the mind's store."""

        @contextlib.contextmanager
        def access() -> Generator[Outbox]:
            with mind.store() as store:
                yield store.outbox

        sinks = [sink for sink, _ in self.sinks]
        self.deliverer = Deliverer(access, sinks, self.clock_us, random.Random(self.seed))  # noqa: S311

    def tell(
        self, store: Store, before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]], now_us: int
    ) -> None:
        """Put what the incidents make due into the outbox; called inside of a transaction."""
        known = {str(document["id"]): document for document in before}
        for notice in notices_for(known, after, store.outbox.told(), now_us, self.url_base):
            self._put(store, notice, now_us)

    def conditions(self, mind: Mind, found: Sequence[Condition], now_us: int) -> None:
        """Put what the conditions make due into the outbox; where there is none now, send it without."""
        if not self.sinks:
            return
        try:
            with mind.store(wait_s=1.0) as store, store.transaction():
                for notice in condition_notices(found, store.outbox.told(), {}, now_us, self.url_base):
                    self._put(store, notice, now_us)
        except (NotReady, StoreError):
            self._send_now([each for each in found if each.name == "store-failing"], now_us)

    def _send_now(self, found: Sequence[Condition], now_us: int) -> None:
        """The one thing that the outbox cannot tell: that it cannot be written."""
        for notice in condition_notices(found, {}, {}, now_us, self.url_base):
            for sink, least in self.sinks:
                if _reaches(notice, least) and self._unstored.get(sink.name) != notice.key:
                    error = attempt(sink, notice)
                    if error is None or error.permanent:
                        self._unstored[sink.name] = notice.key

    def _put(self, store: Store, notice: Notice, now_us: int) -> None:
        store.outbox.put(notice, [sink.name for sink, least in self.sinks if _reaches(notice, least)], now_us)

    def run(self) -> None:
        """Deliver what is due until `stop` is called."""
        while not self._stop.wait(EVERY_S):
            if self.deliverer is not None:
                with contextlib.suppress(NotReady):
                    self._step(self.deliverer)

    def _step(self, deliverer: Deliverer) -> None:
        try:
            deliverer.step(self.clock_us(), wait_s=WAIT_S)
        except StoreError:
            # The loop meets the same error and says it; what waits in the outbox is sent when the folder is back.
            self._stop.wait(EVERY_S)

    def stop(self) -> None:
        """Deliver no more; what waits stays in the outbox."""
        self._stop.set()

    def health(self) -> Mapping[str, SinkHealth]:
        """How every sink is. NotReady where the outbox cannot be asked."""
        return self.deliverer.sink_health() if self.deliverer is not None else {}

    def test(self) -> list[tuple[str, bool, str]]:
        """Send a test notice to every sink now: name, whether it was delivered, and why not."""
        return send_test([sink for sink, _ in self.sinks], self.clock_us)


def _reaches(notice: Notice, least: str) -> bool:
    return SEVERITIES.index(notice.severity) >= SEVERITIES.index(least)
