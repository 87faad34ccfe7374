"""Delivery: each notice once at a receiver that can tell, in order, through outages, restarts and lost replies."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alert_receivers import (
    DOCUMENT,
    T0,
    Alertmanager,
    CloudEvents,
    GitHub,
    PagerDuty,
    Receiver,
    Slack,
    listening,
    notice,
)
from unquiet.alerts import RepeatingSink, make_sink
from unquiet.model.alerts import AlertSink, DeliveryError, Notice
from unquiet.model.errors import StoreError
from unquiet.service.delivery import GIVEN_UP_AFTER_US, Deliverer, SinkHealth, send_test
from unquiet.service.noticing import notices_for
from unquiet.store import Outbox, Store

SECOND, MINUTE, HOUR = 1_000_000, 60_000_000, 3_600_000_000
AWAY = DeliveryError("away")


@dataclass
class Fake:
    """A sink that ends as it is told, and a receiver behind it that drops what it has seen."""

    name: str = "fake"
    ends: list[DeliveryError | str] = field(default_factory=list)
    tried: list[Notice] = field(default_factory=list)
    got: list[Notice] = field(default_factory=list)

    def send(self, notice: Notice) -> None:
        self.tried.append(notice)
        end = self.ends.pop(0) if self.ends else "ok"
        if isinstance(end, DeliveryError):
            raise end
        if notice.id not in {each.id for each in self.got}:
            self.got.append(notice)
        if end == "lost":
            raise DeliveryError("the reply was lost")

    @property
    def phases(self) -> list[str]:
        return [each.phase for each in self.got]


class World:
    """A store, sinks, and a clock that the test moves."""

    def __init__(self, store: Store, *sinks: AlertSink, seed: int = 1) -> None:
        self.store, self.sinks, self.now = store, sinks, T0
        self.rng = random.Random(seed)
        self.lock = threading.RLock()
        self.holder: int | None = None
        self.restart()

    def restart(self) -> None:
        self.deliverer = Deliverer(self.access, self.sinks, lambda: self.now, self.rng)

    @contextmanager
    def access(self) -> Iterator[Outbox]:
        with self.lock:
            self.holder = threading.get_ident()
            try:
                yield self.store.outbox
            finally:
                self.holder = None

    def put(self, *notices: Notice) -> None:
        for each in notices:
            self.store.outbox.put(each, [sink.name for sink in self.sinks], self.now)

    def run(self, length_us: int, every_us: int = 5 * SECOND) -> None:
        end = self.now + length_us
        while self.now < end:
            self.deliverer.step(self.now)
            # Where nothing is due a step does nothing; the Alertmanager's tests take every one.
            next_us = self.store.outbox.next_due_us() or end
            self.now = min(end, self.now + every_us * max(1, -(-(next_us - self.now) // every_us)))

    def health(self, name: str = "fake") -> SinkHealth:
        return self.deliverer.sink_health()[name]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path) as store:
        yield store


def test_what_is_put_arrives_in_order(store: Store) -> None:
    sink = Fake()
    world = World(store, sink)
    world.put(notice("opened"), notice("updated"), notice("opened", name="B"))
    world.run(10 * SECOND)
    assert [(each.key[-1], each.phase) for each in sink.got] == [("A", "opened"), ("B", "opened"), ("A", "updated")]
    assert store.outbox.pending_count == 0
    world.run(HOUR, MINUTE)
    assert len(sink.tried) == 3


def test_what_arrived_and_what_failed_is_counted(store: Store) -> None:
    sink = Fake(ends=[AWAY, AWAY, "ok", DeliveryError("never", permanent=True)])
    world = World(store, sink)
    world.put(notice("opened"))
    world.run(MINUTE)
    world.put(notice("updated"), notice("opened", name="B"))
    world.run(MINUTE)
    assert (world.health().sent, world.health().failed) == (2, 3)
    world.deliverer.tried("fake", None)
    assert world.health().sent == 2, "a test is no notice"


def test_backoff_grows_to_a_quarter_of_an_hour_and_ends_after_three_days(store: Store) -> None:
    sink = Fake(ends=[AWAY] * 10_000)
    world = World(store, sink)
    at: list[int] = []
    send = sink.send
    sink.send = lambda each: (at.append(world.now), send(each))[1]  # type: ignore[method-assign]
    world.put(notice())
    world.run(10 * MINUTE, SECOND)
    assert len(at) >= 6
    assert at[1] - at[0] <= 6 * SECOND
    world.run(8 * HOUR, 10 * SECOND)
    gaps = [b - a for a, b in pairwise(at)]
    assert 13 * MINUTE <= max(gaps) <= 16 * MINUTE
    assert 50 < len(at) < 120
    world.now = T0 + GIVEN_UP_AFTER_US - 2 * HOUR
    world.run(4 * HOUR, 10 * SECOND)
    assert T0 + GIVEN_UP_AFTER_US - HOUR <= at[-1] <= T0 + GIVEN_UP_AFTER_US
    (entry,) = store.outbox.log(9)
    assert entry.state == "given up"
    assert entry.why.startswith(f"given up after {len(at)} attempts in three days, the last: away")
    assert store.outbox.pending_count == 0
    assert world.health().state == "failing"


def test_the_receiver_says_when(store: Store) -> None:
    sink = Fake(ends=[DeliveryError("busy", retry_after_s=100.0), DeliveryError("busy", retry_after_s=1e9)])
    world = World(store, sink)
    world.put(notice(), notice(name="B"))
    world.run(100 * SECOND)
    assert len(sink.tried) == 1
    world.run(10 * SECOND)
    assert len(sink.tried) == 2
    world.run(2 * HOUR, MINUTE)
    assert len(sink.got) == 2


def test_permanent_errors_are_said_and_not_retried(store: Store) -> None:
    sink = Fake(ends=[DeliveryError("404 Not Found", permanent=True)])
    world = World(store, sink)
    world.put(notice(), notice(name="B"))
    world.deliverer.step(world.now)
    assert [each.key for each in sink.got] == ["incident/B"]
    assert len(sink.tried) == 2
    assert {(entry.state, entry.why) for entry in store.outbox.log(9)} == {
        ("given up", "404 Not Found"),
        ("delivered", ""),
    }


def test_what_follows_an_opening_that_was_given_up_says_both(store: Store) -> None:
    sink = Fake(ends=[DeliveryError("no", permanent=True)] * 2)
    world = World(store, sink)
    world.put(notice(), notice(name="B"))
    world.run(10 * SECOND)
    world.put(notice("updated"), notice("resolved", name="B"))
    world.run(10 * SECOND)
    update, both = sink.got
    assert (update.phase, update.id) == ("opened", notice("updated").id)
    assert both.phase == "resolved"
    assert both.lines[0].startswith("Opened and resolved")
    world.put(notice("resolved"))
    world.run(10 * SECOND)
    assert sink.got[-1] == notice("resolved")


def test_one_message_says_both_when_it_is_over_before_it_was_told(store: Store) -> None:
    sink = Fake(ends=[AWAY])
    world = World(store, sink)
    world.put(notice("opened", lines=("first", "same")), notice("updated"))
    world.run(5 * SECOND)
    world.put(notice("resolved", lines=("back", "same")))
    world.run(MINUTE)
    (both,) = sink.got
    assert both.lines[1:] == ("back", "same", "first", "since: Tue 10 Mar 12:09 UTC", "reached: 121 sessions")
    assert both.id == notice("resolved").id
    assert store.outbox.pending_count == 0


def test_a_sink_that_hangs_holds_up_no_other(store: Store) -> None:
    release = threading.Event()

    class Hanging(Fake):
        def send(self, notice: Notice) -> None:
            assert release.wait(20)
            super().send(notice)

    slow, quick = Hanging("slow"), Fake("quick")
    world = World(store, slow, quick)
    assert [health.state for health in world.deliverer.sink_health().values()] == ["unknown", "unknown"]
    world.put(notice("opened"), notice("updated"))
    for _ in range(3):
        world.deliverer.step(world.now, wait_s=0.2)
        world.now += 50 * SECOND
    assert quick.phases == ["opened", "updated"]
    assert world.health("quick").state == "ok"
    stuck = world.health("slow")
    assert (stuck.state, stuck.since_us, stuck.pending) == ("failing", T0, 2)
    assert "150 s" in stuck.last_error
    release.set()
    while world.health("slow").state != "ok":
        world.deliverer.step(world.now)
    world.run(10 * SECOND)
    assert slow.phases == ["opened", "updated"]


def test_nothing_is_sent_while_the_store_is_locked(store: Store) -> None:
    class Asking(Fake):
        def send(self, notice: Notice) -> None:
            free = world.lock.acquire(timeout=5)
            assert free
            assert world.holder is None
            world.lock.release()
            super().send(notice)

    sinks = Asking("a"), Asking("b")
    world = World(store, *sinks)
    world.put(*(notice(name=name) for name in "ABCDE"))
    world.run(10 * SECOND)
    assert [len(sink.got) for sink in sinks] == [5, 5]


def test_a_sink_that_breaks_is_said(store: Store) -> None:
    class Broken(Fake):
        def send(self, notice: Notice) -> None:
            raise KeyError("hunter2")

    world = World(store, Broken())
    world.put(notice())
    world.deliverer.step(world.now)
    (entry,) = store.outbox.log(1)
    assert entry.state == "given up"
    assert "broke (KeyError)" in entry.why
    assert "hunter2" not in entry.why
    assert world.health().state == "failing"


def test_what_cannot_be_noted_is_not_sent_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk after the sending: the receiver is not told every second until there is room."""
    sink = Fake()
    world = World(store, sink)
    world.put(notice("opened"), notice("updated"))
    note = Outbox.delivered
    monkeypatch.setattr(Outbox, "delivered", _full)
    world.deliverer.step(world.now)
    assert "no space" in world.health().last_error
    for _ in range(3):
        with pytest.raises(StoreError):
            world.deliverer.step(world.now)
    assert len(sink.tried) == 1
    monkeypatch.setattr(Outbox, "delivered", note)
    world.run(10 * SECOND)
    assert [each.phase for each in sink.tried] == ["opened", "updated"]
    assert world.health().state == "ok"


def _full(*_: Any) -> None:
    raise StoreError("no space")


def test_a_sink_that_is_not_configured_any_more_is_waited_for(store: Store) -> None:
    sink = Fake("old")
    world = World(store, sink)
    world.put(notice())
    world.sinks = (Fake("new"),)
    world.restart()
    world.run(HOUR, MINUTE)
    (entry,) = store.outbox.log(9)
    assert (entry.state, entry.why) == ("pending", "no alert sink is called 'old' in the configuration")
    world.sinks = (sink,)
    world.restart()
    world.run(HOUR, MINUTE)
    assert sink.phases == ["opened"]
    world.put(notice("resolved"))
    world.sinks = ()
    world.restart()
    world.run(MINUTE)
    world.now += GIVEN_UP_AFTER_US - HOUR
    world.run(2 * HOUR, MINUTE)
    assert store.outbox.log(1)[0].why == "given up: no alert sink is called 'old' in the configuration"


def test_health_since_and_last_error(store: Store) -> None:
    sink = Fake(ends=["ok", DeliveryError("first"), DeliveryError("second")])
    world = World(store, sink)
    world.put(notice())
    world.run(5 * SECOND)
    assert world.health() == SinkHealth("ok", T0, sent=1)
    world.put(notice(name="B"))
    began = world.now
    while len(sink.tried) < 3:
        world.run(5 * SECOND)
    assert world.health() == SinkHealth("failing", began, "second", 1, 2, sent=1, failed=2)


def test_two_sinks_of_one_name_are_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="every name"):
        World(store, Fake(), Fake())


def test_from_documents_to_the_receiver_through_restarts(tmp_path: Path) -> None:
    """Decided and kept in one transaction with the documents: whatever ends the process, each is told once."""
    sink = Fake(ends=[AWAY, "lost"])
    life = ["open", "open", "crash", "resolved", "resolved"]
    for i, status in enumerate(life):
        now = T0 + i * HOUR
        with Store.open(tmp_path) as store:
            document = DOCUMENT | {"status": "resolved" if status == "crash" else status}
            before = {each["id"]: each for each in store.incidents()}
            with pytest.raises(KeyError) if status == "crash" else nullcontext(), store.transaction():
                store.upsert_incident(
                    "x", document, raised_at=datetime(2026, 3, 10, tzinfo=UTC), status=document["status"]
                )
                for each in notices_for(before, store.incidents(), store.outbox.told(), now, None):
                    store.outbox.put(each, [sink.name], now)
                if status == "crash":
                    raise KeyError
            world = World(store, sink)
            world.now = now
            world.run(10 * MINUTE, SECOND)
    assert sink.phases == ["opened", "resolved"]


# Receivers of the vendors


def sinks_of(receivers: dict[str, Receiver]) -> list[AlertSink]:
    options: dict[str, dict[str, Any]] = {
        "webhook": {"url": receivers["webhook"].url},
        "pagerduty": {"routing_key": {"env": "K"}, "url": receivers["pagerduty"].url},
        "alertmanager": {"url": receivers["alertmanager"].url},
        "github": {"token": {"env": "K"}, "repository": "acme/agent", "url": receivers["github"].url},
        "slack": {"url": {"env": "S"}},
    }
    secrets = {"env:K": "gh-token", "env:S": f"{receivers['slack'].url}/services/x"}
    return [make_sink(kind, kind, options[kind] | {"timeout_s": 5}, secrets.__getitem__) for kind in receivers]


@contextmanager
def vendors(clock: Any) -> Iterator[dict[str, Receiver]]:
    with (
        listening(CloudEvents()) as webhook,
        listening(PagerDuty()) as pagerduty,
        listening(Alertmanager(clock)) as alertmanager,
        listening(GitHub()) as github,
        listening(Slack()) as slack,
    ):
        yield {
            "webhook": webhook,
            "pagerduty": pagerduty,
            "alertmanager": alertmanager,
            "github": github,
            "slack": slack,
        }


def told_of(receivers: dict[str, Receiver], key: str) -> dict[str, list[str]]:
    """Openings and resolutions of a key, by receiver."""
    webhook, pagerduty, manager, github, slack = receivers.values()
    name = key.rpartition("/")[2]
    issues = [i for i in github.issues if f"incident {name}`" in i["body"]]  # type: ignore[attr-defined]
    return {
        "webhook": [e["type"].rpartition(".")[2] for e in webhook.events if e["subject"] == key],  # type: ignore[attr-defined]
        "pagerduty": [what for what, which in pagerduty.log if which == key],  # type: ignore[attr-defined]
        "alertmanager": [what for what, which in manager.log if which == key],  # type: ignore[attr-defined]
        "github": [
            w
            for i in issues
            for w in ("opened", "resolved" if i["state"] == "closed" else "")[: 1 + (i["state"] == "closed")]
        ],
        "slack": [
            m["blocks"][0]["text"]["text"].split(":")[0].lower()
            for m in slack.messages  # type: ignore[attr-defined]
            if f"incident {name}" in m["blocks"][-1]["elements"][0]["text"]
        ],
    }


@pytest.mark.parametrize("seed", range(3))
def test_one_opening_and_one_resolution_at_every_vendor(store: Store, seed: int) -> None:
    """Through outages, 429, resets before and after taking, and restarts. Slack cannot tell a repetition: it loses no reply."""
    rng = random.Random(seed)
    now = [T0]
    with vendors(lambda: now[0]) as receivers:
        world = World(store, *sinks_of(receivers), seed=seed)

        def run(length_us: int) -> None:
            end = world.now + length_us
            while world.now < end:
                world.run(20 * SECOND, 20 * SECOND)
                now[0] = world.now
                if rng.random() < 0.1:
                    world.restart()

        def trouble() -> None:
            bad: list[Any] = ["away", "reset", (429, {"Retry-After": "30"}), (503, {}), (500, {})]
            for name, receiver in receivers.items():
                usable = [each for each in bad if (name, each) != ("slack", "reset")]
                receiver.mood += [rng.choice(usable) for _ in range(rng.randrange(4))]

        trouble()
        world.put(notice(at_us=world.now), notice(name="B", at_us=world.now))
        run(10 * MINUTE)
        trouble()
        world.put(notice("resolved", at_us=world.now))
        run(15 * MINUTE)
        assert store.outbox.pending_count == 0
        assert told_of(receivers, "incident/A") == {name: ["opened", "resolved"] for name in receivers}
        assert told_of(receivers, "incident/B") == {name: ["opened"] for name in receivers}
        assert {name: receiver.problems for name, receiver in receivers.items()} == {name: [] for name in receivers}
        assert not [name for name, health in world.deliverer.sink_health().items() if health.state == "failing"]


def test_what_fires_is_repeated_until_it_is_resolved(store: Store) -> None:
    now = [T0]
    with listening(Alertmanager(lambda: now[0])) as manager:
        sink = make_sink("alertmanager", "am", {"url": manager.url, "repeat_s": 60}, {}.__getitem__)
        assert isinstance(sink, RepeatingSink)
        assert not isinstance(Fake(), RepeatingSink)
        world = World(store, sink)

        def run(minutes: int) -> None:
            for _ in range(minutes * 6):
                world.run(10 * SECOND, 10 * SECOND)
                now[0] = world.now

        world.put(notice(at_us=T0))
        run(5)
        assert 5 <= len(manager.requests) <= 6
        world.restart()
        run(15)
        assert len(manager.firing()) == 1
        assert manager.log == [("opened", "incident/A")]
        manager.mood += [(503, {})] * 3
        run(4)
        assert manager.log == [("opened", "incident/A")]
        manager.mood += [(400, {})]
        before = len(manager.requests)
        run(3)
        assert len(manager.requests) - before <= 4
        world.put(notice("resolved", at_us=world.now))
        run(1)
        sent = len(manager.requests)
        run(30)
        assert len(manager.requests) == sent
        assert manager.log == [("opened", "incident/A"), ("resolved", "incident/A")]
        assert manager.problems == []


def test_a_test_notice_to_every_sink() -> None:
    now = [T0]
    with vendors(lambda: now[0]) as receivers:
        receivers["webhook"].mood = [(404, {})]
        found = send_test(sinks_of(receivers), lambda: now[0])
        assert [(name, ok) for name, ok, _ in found] == [(name, name != "webhook") for name in receivers]
        assert "404 Not Found" in found[0][2]
        _, pagerduty, manager, github, slack = receivers.values()
        assert [what for what, _ in pagerduty.log] == ["opened", "resolved"]  # type: ignore[attr-defined]
        assert len(manager.firing()) == 1  # type: ignore[attr-defined]
        now[0] += 10 * MINUTE
        assert manager.firing() == []  # type: ignore[attr-defined]
        assert [issue["state"] for issue in github.issues] == ["closed"]  # type: ignore[attr-defined]
        assert slack.messages[0]["blocks"][0]["text"]["text"] == "Test: unquiet can reach you here"  # type: ignore[attr-defined]
        assert all(receiver.problems == [] for receiver in receivers.values())


# Random sequences

END = st.sampled_from(["ok", "lost", "away", "busy"])
MOVE = st.one_of(
    st.tuples(st.just("put"), st.sampled_from("AB")),
    st.tuples(st.just("run"), st.integers(1, 600)),
    st.tuples(st.just("restart"), st.just(0)),
    st.tuples(st.just("end"), st.lists(END, max_size=6)),
)
RUNS = count()
NEXT = {"": ["opened"], "opened": ["updated", "resolved"], "updated": ["updated", "resolved"], "resolved": ["opened"]}


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(MOVE, max_size=25), st.integers(0, 1000))
def test_never_lost_never_doubled_always_in_order(shared_store: Store, moves: list[tuple[str, Any]], seed: int) -> None:
    sink = Fake()
    world = World(shared_store, sink, seed=seed)
    rng = random.Random(seed)
    run = next(RUNS)
    put: dict[str, list[Notice]] = {"A": [], "B": []}
    for what, value in moves:
        if what == "put":
            phase = rng.choice(NEXT[put[value][-1].phase if put[value] else ""])
            name = f"{value}-{run}"
            each = notice(
                phase, name=name, id=f"{name}/{len(put[value])}", at_us=world.now, lines=(f"{len(put[value])}.",)
            )
            put[value].append(each)
            world.put(each)
        elif what == "run":
            world.run(value * SECOND, 7 * SECOND)
        elif what == "restart":
            world.restart()
        else:
            ends = {"ok": "ok", "lost": "lost", "away": AWAY, "busy": DeliveryError("busy", retry_after_s=40.0)}
            sink.ends += [ends[each] for each in value]
    sink.ends.clear()
    world.run(2 * HOUR, MINUTE)
    assert shared_store.outbox.pending_count == 0
    for name, notices in put.items():
        check(notices, [each for each in sink.got if each.key == f"incident/{name}-{run}"])


def check(put: list[Notice], got: list[Notice]) -> None:
    """Every notice was told by itself or with the resolution that came next, in the order in which they were put."""
    places = [next(i for i, each in enumerate(put) if each.id == one.id) for one in got]
    assert places == sorted(set(places))
    for i, each in enumerate(put):
        if i not in places:
            teller = next((one for place, one in zip(places, got, strict=True) if place > i), None)
            assert teller is not None
            assert teller.phase == "resolved"
            assert set(each.lines) <= set(teller.lines) or each.phase == "updated"
    last = "resolved"
    for one in got:
        assert one.phase == "resolved" or (one.phase == "opened") == (last == "resolved")
        last = one.phase


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(tmp_path_factory.mktemp("outbox")) as store:
        yield store
