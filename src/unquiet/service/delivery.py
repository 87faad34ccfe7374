"""Delivery: what is due in the outbox goes to the sinks, again and again until it is there or given up.

Nothing is sent while the store is locked. Each sink has a thread of its own while it works, so that one that is slow or
away holds up no other.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from unquiet.alerts import RepeatingSink
from unquiet.model.alerts import AlertSink, DeliveryError, Notice
from unquiet.model.errors import StoreError
from unquiet.store import Delivery, Outbox

SECOND_US: Final = 1_000_000
FIRST_DELAY_S: Final = 5.0
LONGEST_DELAY_S: Final = 15 * 60.0
LONGEST_WAIT_S: Final = 3600.0
"""A receiver that asks to wait longer than this is asked again all the same."""

GIVEN_UP_AFTER_US: Final = 3 * 24 * 3600 * SECOND_US
STUCK_AFTER_US: Final = 120 * SECOND_US
"""A sink that works on one sending for so long is failing, whatever it may say in the end."""

AT_ONCE: Final = 50
"""Deliveries to a sink in one step, so that a step has an end."""

Access = Callable[[], AbstractContextManager[Outbox]]
"""Gives the outbox under the store's lock. What is written inside is durable at its end."""


@dataclass(frozen=True, slots=True)
class SinkHealth:
    """How a sink is: unknown until something was sent. `since_us` is when that state began, `pending` what waits for it.

    `failures` in a row that may go away by trying again. Since the start, `sent` notices arrived and `failed` attempts did not;
    what is only said again and what tests send is in neither.
    """

    state: Literal["ok", "failing", "unknown"]
    since_us: int
    last_error: str = ""
    pending: int = 0
    failures: int = 0
    sent: int = 0
    failed: int = 0


@dataclass(slots=True)
class _Lane:
    """One sink and what is known of it since the start."""

    sink: AlertSink
    health: SinkHealth
    failures: int = 0
    sent: int = 0
    failed: int = 0
    hold_until_us: int = 0
    sending_since_us: int | None = None
    busy: bool = False
    look_us: int = 0
    repeated_us: dict[str, int] = field(default_factory=dict[str, int])
    unrecorded: list[tuple[Delivery, int]] = field(default_factory=list[tuple[Delivery, int]])

    @property
    def repeat_us(self) -> int | None:
        """How often what is open has to be said again, None where once is enough."""
        return round(self.sink.repeat_s * SECOND_US) if isinstance(self.sink, RepeatingSink) else None


class Deliverer:
    """Delivers what is due.

    `access` gives the outbox under the store's lock, `clock` the present in microseconds since 1970, `rng` the jitter.
    `step` may be called as often as one likes, by one thread at a time.
    """

    def __init__(
        self, access: Access, sinks: Sequence[AlertSink], clock: Callable[[], int], rng: random.Random
    ) -> None:
        names = [sink.name for sink in sinks]
        if len(set(names)) != len(names):
            raise ValueError(f"sinks {', '.join(names)}: every name must be there once")
        self._access, self._clock, self._rng = access, clock, rng
        self._state = threading.Lock()
        start = SinkHealth("unknown", clock())
        self._lanes = {sink.name: _Lane(sink, start) for sink in sinks}

    def step(self, now_us: int, *, wait_s: float | None = None) -> None:
        """Deliver what is due at `now_us`.

        Returns when all of it was tried, or after `wait_s` seconds: what is not done by then goes on by itself, and the
        sink is left alone by later steps until it is.

        Raises:
            StoreError: the outbox cannot be read or written.
        """
        work = self._planned(now_us)
        threads = [
            threading.Thread(target=self._work, args=(lane, deliveries, repeats), daemon=True, name=f"alerts-{name}")
            for name, (lane, deliveries, repeats) in work.items()
        ]
        for thread in threads:
            thread.start()
        until_s = None if wait_s is None else time.monotonic() + wait_s
        for thread in threads:
            thread.join(None if until_s is None else max(0.0, until_s - time.monotonic()))

    def sink_health(self) -> Mapping[str, SinkHealth]:
        """How every sink is, for the self-watch.

        Raises:
            StoreError: the outbox cannot be read.
        """
        with self._access() as outbox:
            pending = outbox.pending()
        now_us = self._clock()
        with self._state:
            return {
                name: replace(
                    _seen(lane, now_us),
                    pending=pending.get(name, 0),
                    failures=lane.failures,
                    sent=lane.sent,
                    failed=lane.failed,
                )
                for name, lane in self._lanes.items()
            }

    def tried(self, name: str, error: str | None) -> None:
        """Note what became of something that was sent to a sink without the outbox: `error` is None where it arrived."""
        self._note(self._lanes[name], error)

    def _planned(self, now_us: int) -> dict[str, tuple[_Lane, list[Delivery], list[Notice]]]:
        """What every idle sink has to do, and their lanes marked as busy."""
        work: dict[str, tuple[_Lane, list[Delivery], list[Notice]]] = {}
        with self._access() as outbox:
            next_us = outbox.next_due_us()
            waits = next_us is not None and next_us <= now_us
            if waits:
                self._refuse_strangers(outbox, now_us)
            for name, lane in self._lanes.items():
                with self._state:
                    if lane.busy:
                        continue
                self._record_late(outbox, lane)
                if now_us < lane.hold_until_us:
                    continue
                deliveries = outbox.due(now_us, AT_ONCE, sink=name) if waits else []
                repeats = self._repeats(outbox, lane, now_us)
                if deliveries or repeats:
                    work[name] = (lane, deliveries, repeats)
        with self._state:
            for lane, _, _ in work.values():
                lane.busy = True
        return work

    def _work(self, lane: _Lane, deliveries: Sequence[Delivery], repeats: Sequence[Notice]) -> None:
        try:
            for delivery in deliveries:
                if not self._deliver(lane, delivery):
                    return
            for notice in repeats:
                if self._sent(lane, notice) is not None:
                    return
        finally:
            with self._state:
                lane.busy = False

    def _deliver(self, lane: _Lane, delivery: Delivery) -> bool:
        """Send one delivery and note what came of it; False where the sink is to be left alone for now."""
        error = self._sent(lane, message_of(delivery))
        at_us = self._clock()
        with self._state:
            lane.sent += len(delivery.seqs) if error is None else 0
            lane.failed += error is not None
        if error is None:
            # What is sent again while the disk is full would be told again and again.
            lane.unrecorded.append((delivery, at_us))
        try:
            with self._access() as outbox:
                if error is None:
                    self._record_late(outbox, lane)
                else:
                    outbox.failed(delivery, at_us, *self._outlook(lane, delivery, error, at_us))
        except StoreError as failure:
            self._note(
                lane, f"what was sent cannot be noted in the outbox, nothing more is sent until it can: {failure}"
            )
            return False
        return error is None or error.permanent

    def _sent(self, lane: _Lane, notice: Notice) -> DeliveryError | None:
        """Send; None where it arrived, else why not."""
        with self._state:
            lane.sending_since_us = self._clock()
        error = attempt(lane.sink, notice)
        at_us = self._clock()
        with self._state:
            lane.sending_since_us = None
        self._note(lane, None if error is None else str(error))
        if error is not None and not error.permanent:
            lane.failures += 1
            lane.hold_until_us = at_us + self._delay_us(lane, lane.failures, error.retry_after_s)
            return error
        lane.failures = 0
        if lane.repeat_us is not None:
            lane.repeated_us[notice.key] = at_us
        return error

    def _outlook(self, lane: _Lane, delivery: Delivery, error: DeliveryError, at_us: int) -> tuple[str, int | None]:
        """What is noted of a failure, and when it is tried again."""
        if error.permanent:
            return str(error), None
        next_us = max(at_us + self._delay_us(lane, delivery.attempts + 1, error.retry_after_s), lane.hold_until_us)
        if next_us - delivery.put_us > GIVEN_UP_AFTER_US:
            return f"given up after {delivery.attempts + 1} attempts in three days, the last: {error}", None
        return str(error), next_us

    def _delay_us(self, lane: _Lane, failures: int, wanted_s: float | None) -> int:
        """Exponential backoff with full jitter, never less than the receiver asks for.

        A receiver that forgets is tried as often as it has to be told.

        M. Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015.
        """
        longest_s = LONGEST_DELAY_S if lane.repeat_us is None else min(LONGEST_DELAY_S, lane.repeat_us / SECOND_US)
        ceiling_s = min(longest_s, FIRST_DELAY_S * 2.0 ** min(failures - 1, 16))
        return round(max(self._rng.uniform(0.0, ceiling_s), min(wanted_s or 0.0, LONGEST_WAIT_S)) * SECOND_US)

    def _record_late(self, outbox: Outbox, lane: _Lane) -> None:
        """Note deliveries that arrived and are not in the outbox yet."""
        while lane.unrecorded:
            delivery, at_us = lane.unrecorded[0]
            outbox.delivered(delivery, at_us)
            lane.unrecorded.pop(0)

    def _repeats(self, outbox: Outbox, lane: _Lane, now_us: int) -> list[Notice]:
        """What is open at a receiver that forgets, and was not said for too long."""
        every_us = lane.repeat_us
        if every_us is None or now_us < lane.look_us:
            return []
        firing = outbox.firing(lane.sink.name)
        known = lane.repeated_us = {n.key: lane.repeated_us[n.key] for n in firing if n.key in lane.repeated_us}
        lane.look_us = now_us + every_us // 4
        return [notice for notice in firing if now_us - known.get(notice.key, now_us - every_us) >= every_us]

    def _refuse_strangers(self, outbox: Outbox, now_us: int) -> None:
        """Deliveries to sinks that are not configured any more wait for their return, three days at most."""
        for name in outbox.pending().keys() - self._lanes.keys():
            for delivery in outbox.due(now_us, AT_ONCE, sink=name):
                why = f"no alert sink is called {name!r} in the configuration"
                next_us = now_us + round(LONGEST_DELAY_S * SECOND_US)
                over = next_us - delivery.put_us > GIVEN_UP_AFTER_US
                outbox.failed(delivery, now_us, f"given up: {why}" if over else why, None if over else next_us)

    def _note(self, lane: _Lane, error: str | None) -> None:
        """What the last sending says of the sink."""
        state = "ok" if error is None else "failing"
        with self._state:
            since_us = lane.health.since_us if lane.health.state == state else self._clock()
            lane.health = SinkHealth(state, since_us, error or "")


def message_of(delivery: Delivery) -> Notice:
    """What is sent for a delivery.

    Where the opening never reached the sink, an update is told as the opening, and a resolution says both.
    """
    notice = delivery.notice
    if delivery.opening_told or notice.phase in ("opened", "test"):
        return notice
    if notice.phase == "updated":
        return replace(notice, phase="opened")
    both = "Opened and resolved: the opening was not delivered before it was over."
    lines = [both, *notice.lines]
    lines += [line for earlier in delivery.before for line in earlier.lines if line not in lines]
    return replace(notice, lines=tuple(dict.fromkeys(lines)))


def attempt(sink: AlertSink, notice: Notice) -> DeliveryError | None:
    """Send a notice; None where it arrived, else why not. A sink that breaks is an error of its own, not of the service."""
    try:
        sink.send(notice)
    except DeliveryError as error:
        return error
    except Exception as error:  # noqa: BLE001 - told as a failure of this sink; its text may hold a secret
        return DeliveryError(
            f"the sink {sink.name} broke ({type(error).__name__}). This is a defect of the sink: report it; the notice is not "
            "sent again.",
            permanent=True,
        )
    return None


def send_test(
    sinks: Sequence[AlertSink], clock: Callable[[], int], notice: Callable[[str, int], Notice] | None = None
) -> list[tuple[str, bool, str]]:
    """Send a marked test notice to every sink, once: its name, whether it arrived, and what to know.

    Receivers that keep alerts open resolve it by themselves. `clock` gives microseconds since 1970. `notice` makes what is sent
    from the name of a sink and the present, of phase `test`; None for one that only says that unquiet can reach it.
    """
    found: list[tuple[str, bool, str]] = []
    for sink in sinks:
        now_us = clock()
        error = attempt(sink, (notice or _trial)(sink.name, now_us))
        took_s = (clock() - now_us) / SECOND_US
        found.append((sink.name, error is None, f"accepted in {took_s:.1f} s" if error is None else str(error)))
    return found


def _trial(name: str, now_us: int) -> Notice:
    return Notice(
        id=f"test/{name}/{now_us}",
        key=f"test/{name}/{now_us}",
        phase="test",
        severity="info",
        at_us=now_us,
        title="unquiet can reach you here",
        lines=(f"This is a test of the alert sink {name}. Nothing is wrong and nothing has to be done.",),
        labels={"signal": "test"},
    )


def _seen(lane: _Lane, now_us: int) -> SinkHealth:
    """The health of a lane, failing also while it is stuck."""
    since_us = lane.sending_since_us
    if since_us is None or now_us - since_us < STUCK_AFTER_US:
        return lane.health
    return SinkHealth("failing", since_us, f"no end of a sending for {(now_us - since_us) // SECOND_US} s")
