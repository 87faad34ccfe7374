"""Every self-watch condition in the service as it is wired, provoked: seen and told within two minutes of its clock."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import unquiet.signals
from alert_receivers import notice
from serve_worlds import PLAIN
from unquiet.app.nightly import keep_night
from unquiet.conventions.bodies import BodyReader
from unquiet.drills import PRESETS
from unquiet.drills.scorecard import Score
from unquiet.model.alerts import DeliveryError, Notice
from unquiet.model.bodies import Body, BodyKind
from unquiet.model.errors import StoreError
from unquiet.model.settings import Settings
from unquiet.selfwatch import READY, WATCHES
from unquiet.service import engine, watching
from unquiet.service.config import load
from unquiet.service.running import ServiceParts, assemble
from unquiet.store import Store
from unquiet.wal import START, WalWriter
from unquiet.web.access import Access
from unquiet.web.app import make_app

T0 = 1_790_000_000_000_000
SECOND, MINUTE, HOUR = 1_000_000, 60_000_000, 3_600_000_000
LOOK_S = 5
TWO_MINUTES_S = 120


@dataclass
class Sink:
    """Takes notices, or fails as it is told to."""

    name: str
    got: list[Notice] = field(default_factory=list[Notice])
    error: DeliveryError | None = None

    def send(self, notice: Notice) -> None:
        if self.error is not None:
            raise self.error
        self.got.append(notice)


class World:
    """The parts of a service as `unquiet serve` makes them, with a clock of their own; doors that are only spoken for."""

    def __init__(self, home: Path) -> None:
        (home / "unquiet.toml").write_text(PLAIN + '[detection]\nlateness = "1s"\ntrace_quiet = "1s"\n')
        self.now_us = T0
        self.page, self.flaky = Sink("page"), Sink("flaky")
        config = load(home / "unquiet.toml", {}, home / "data")
        self.parts: ServiceParts = assemble(
            config, None, [(self.page, "info"), (self.flaky, "critical")], lambda: self.now_us
        )
        self.parts.alerting.start(self.parts.mind)
        self.log = WalWriter.open(home / "data" / "wal", after=START, undrained_bytes_max=1 << 30, free_bytes_min=0)
        self.doors_speak = self.mind_turns = True
        self.said: dict[str, Any] = {"ports": {"http": 1, "grpc": 2}, "accepted": {"traces": 100}}
        self.web = TestClient(
            make_app(self.parts.backend, Access(), lambda: self.now_us), base_url="http://127.0.0.1:8321"
        )

    def passes(self, seconds: float, every_s: float = LOOK_S) -> None:
        """Time goes by, and everything does its work: as often as its threads would, or less often where time is long."""
        for _ in range(round(seconds / every_s)):
            self.now_us += round(every_s * SECOND)
            if self.doors_speak:
                self.parts.doors.said, self.parts.doors.heard_us = dict(self.said), self.now_us
            if self.mind_turns:
                self.parts.mind.turn()
            self.parts.watching.look()
            assert self.parts.alerting.deliverer is not None
            self.parts.alerting.run_once()

    def turns(
        self, count: int, at_us: int, text: str | None = "Where is my parcel?", name: str = "s", arrived_us: int = 0
    ) -> None:
        """Turns arrive now or at a moment, each of a session of its own, that happened at a moment."""
        rows = [
            {
                "time": (at_us + n) / 1e6,
                "session_id": f"{name}{n}",
                "input": text,
                "output": text,
                "service.name": "shop",
            }
            for n in range(count)
        ]
        lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        self.log.append(Body(BodyKind.TURNS_JSONL, "", arrived_us or self.now_us, count, lines))

    def state(self, name: str) -> str:
        return next((each.state for each in self.parts.watching.found if each.name == name), "unknown")

    def told(self, name: str) -> list[str]:
        return [each.phase for each in self.page.got if each.key == f"condition/{name}"]

    def close(self) -> None:
        self.log.close()
        self.parts.mind.close()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    # What other tests left in this process is not the service's memory.
    monkeypatch.setattr(watching, "memory_bytes", lambda _: 200 << 20)
    made = World(tmp_path)
    made.passes(30)
    assert [each.name for each in made.parts.watching.found if each.state == "failing"] == []
    yield made
    made.close()


Patch = pytest.MonkeyPatch


def silent_doors(world: World, _patch: Patch) -> None:
    world.doors_speak = False


def standing_drain(world: World, _patch: Patch) -> None:
    world.turns(1, world.now_us)
    world.mind_turns = False


def standing_loop(world: World, _patch: Patch) -> None:
    world.mind_turns = False


def full_disk(world: World, patch: Patch) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("no space left")

    patch.setattr(Store, "append_new_turns", refuse)
    world.turns(1, world.now_us)


def silence(world: World, _patch: Patch) -> None:
    traffic = world.parts.mind.observed.traffic
    for _ in range(8 * 24 * 60):
        world.now_us += MINUTE
        traffic.add(world.now_us, 60)


def content_off(world: World, _patch: Patch) -> None:
    world.turns(300, world.now_us)
    world.passes(10)
    assert world.state("content-capture-off") == "ok"
    world.turns(60, world.now_us, None, "t")


def broken_signal(world: World, patch: Patch) -> None:
    first, *others = unquiet.signals.TURN_SIGNALS

    class Broken:
        info = first.info

        def measure(self, _batch: object) -> None:
            raise RuntimeError("boom")

    patch.setattr(unquiet.signals, "TURN_SIGNALS", (Broken(), *others))
    world.turns(60, world.now_us - 2 * HOUR)
    world.turns(1, world.now_us, name="now")


def waiting_alert(world: World, _patch: Patch) -> None:
    world.flaky.error = DeliveryError("503 Service Unavailable")
    put(world)


def refused_alert(world: World, _patch: Patch) -> None:
    world.flaky.error = DeliveryError("401 Unauthorized", permanent=True)
    put(world)


def put(world: World) -> None:
    with world.parts.mind.store() as store, store.transaction():
        store.outbox.put(notice("test", key="test/flaky"), ["flaky"], world.now_us)


def small_disk(_world: World, patch: Patch) -> None:
    patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100 << 30, 100 << 30, 1 << 28))


def damaged_log(world: World, _patch: Patch) -> None:
    world.turns(1, world.now_us, "a parcel that is damaged")
    (segment,) = (world.parts.config.service.folder / "wal").glob("*.wal")
    data = segment.read_bytes()
    segment.write_bytes(data.replace(b"damaged", b"DAMAGED", 1))
    world.turns(1, world.now_us, name="t")


def poison(world: World, patch: Patch) -> None:
    def read(self: BodyReader, body: bytes) -> None:
        raise KeyError("a word of the traffic")

    patch.setattr(BodyReader, "read", read)
    clock_ahead(world, patch)


def rejected_spans(world: World, _patch: Patch) -> None:
    world.said |= {"accepted": {"traces": 200}, "rejected": {"traces": 50, "metrics": 7}}


def unreadable_bodies(world: World, _patch: Patch) -> None:
    world.said |= {"bodies": {"http 200": 10, "http 400": 8, "grpc 401": 12, "http 429": 900}}


def late_turns(world: World, _patch: Patch) -> None:
    world.turns(1, world.now_us, name="now")
    world.passes(15)
    world.turns(40, world.now_us - 3 * HOUR, name="late")


def clock_ahead(world: World, _patch: Patch) -> None:
    request = ExportTraceServiceRequest()
    end_ns = (world.now_us + 10 * MINUTE) * 1000
    request.resource_spans.add().scope_spans.add().spans.add(
        trace_id=b"t" * 16, span_id=b"s" * 8, start_time_unix_nano=end_ns - 10, end_time_unix_nano=end_ns
    )
    world.log.append(Body(BodyKind.TRACES_PROTO, "", world.now_us, 1, request.SerializeToString()))


def little_memory(world: World, _patch: Patch) -> None:
    world.parts.watching.memory_limit_bytes = 1


def dead_judge(world: World, _patch: Patch) -> None:
    with world.parts.mind.store() as store, store.transaction():
        store.put_setting("judges", {"judge:m": {"ended": "dead", "why": "401"}})


def lost_drill(world: World, _patch: Patch) -> None:
    """A night in which a drill is not found that was found the night before."""
    day = timedelta(days=1)
    now = datetime.fromtimestamp(world.now_us / 1e6, UTC)
    handoff = [each for each in PRESETS if each.name == "D17"]
    with world.parts.mind.store() as store:
        for at, found in ((now - day, 5), (now, 0)):
            score = Score("D17", False, 5, found, None, None, None, 40.0, None, None, None)
            keep_night(store, [score], handoff, Settings(), at)


PROVOKED: list[tuple[str, Callable[[World, Patch], None]]] = [
    ("door-dead", silent_doors),
    ("drain-stalled", standing_drain),
    ("detection-stalled", standing_loop),
    ("store-failing", full_disk),
    ("traffic-stopped", silence),
    ("content-capture-off", content_off),
    ("signal-failing", broken_signal),
    ("sink-failing", waiting_alert),
    ("sink-failing", refused_alert),
    ("disk-nearly-full", small_disk),
    ("log-damaged", damaged_log),
    ("bodies-unreadable", poison),
    ("spans-rejected", rejected_spans),
    ("spans-rejected", unreadable_bodies),
    ("spans-late", late_turns),
    ("clock-skew", clock_ahead),
    ("memory-nearly-full", little_memory),
    ("judge-dead", dead_judge),
    ("drill-lost", lost_drill),
]


def test_every_condition_is_provoked() -> None:
    assert {name for name, _ in PROVOKED} == {watch.name for watch in WATCHES}


@pytest.mark.parametrize(("name", "provoke"), PROVOKED, ids=[each.__name__ for _, each in PROVOKED])
def test_it_is_seen_and_told_within_two_minutes(
    world: World, monkeypatch: Patch, name: str, provoke: Callable[[World, Patch], None]
) -> None:
    provoke(world, monkeypatch)
    world.passes(TWO_MINUTES_S)
    assert world.state(name) == "failing"
    assert world.told(name) == ["opened"]
    status = world.web.get("/api/v1/status").json()["service"]["conditions"]
    shown = next(each for each in status if each["name"] == name)
    assert shown["state"] == "failing"
    assert shown["detail"]
    assert shown["todo"]
    assert f'unquiet_condition{{condition="{name}",severity="{shown["severity"]}",state="failing"}} 1.0' in (
        world.web.get("/metrics").text
    )
    healthy, ready = world.web.get("/healthz"), world.web.get("/readyz")
    assert name in [each["name"] for each in healthy.json()["conditions"] if each["state"] == "failing"]
    assert (healthy.status_code == 503) == (shown["severity"] == "critical")
    if name in READY:
        assert ready.status_code == 503
        assert any(name in reason for reason in ready.json()["reasons"])


def test_a_damaged_log_is_over_once_its_pieces_are_moved_away(world: World, monkeypatch: Patch) -> None:
    damaged_log(world, monkeypatch)
    world.passes(TWO_MINUTES_S)
    world.passes(15 * 60, 30)
    assert world.state("log-damaged") == "failing", "it is kept: nobody has seen to it"
    for piece in (world.parts.config.service.folder / "wal" / "quarantine").glob("*.bin"):
        piece.unlink()
    world.passes(LOOK_S)
    assert world.state("log-damaged") == "ok"
    world.passes(15 * 60, 30)
    assert world.told("log-damaged") == ["opened", "resolved"]


def test_what_ends_is_told_once_it_may(world: World) -> None:
    world.doors_speak = False
    world.passes(TWO_MINUTES_S)
    assert world.told("door-dead") == ["opened"]
    world.doors_speak = True
    world.passes(LOOK_S)
    assert world.state("door-dead") == "ok"
    assert world.web.get("/readyz").status_code == 200
    world.passes(15 * 60, 30)
    assert world.told("door-dead") == ["opened", "resolved"]


def test_a_loop_that_holds_the_folder_and_stands_is_told_without_the_outbox(world: World) -> None:
    """Then again once it goes on: who was told is not told twice, who was away hears of it, and both of its end."""
    hold, held = threading.Event(), threading.Event()

    def stand() -> None:
        with world.parts.mind.store():
            held.set()
            hold.wait(60)

    world.flaky.error = DeliveryError("503 Service Unavailable")
    thread = threading.Thread(target=stand)
    thread.start()
    assert held.wait(10)
    world.mind_turns = False
    world.passes(TWO_MINUTES_S)
    assert world.told("detection-stalled") == ["opened"]
    hold.set()
    thread.join(10)
    world.flaky.error, world.mind_turns = None, True
    world.passes(60)
    assert world.told("detection-stalled") == ["opened"]
    assert [each.phase for each in world.flaky.got if each.key == "condition/detection-stalled"] == ["opened"]
    world.passes(15 * 60, 30)
    assert world.told("detection-stalled") == ["opened", "resolved"]
    assert [each.phase for each in world.flaky.got if each.key == "condition/detection-stalled"] == [
        "opened",
        "resolved",
    ]


def test_a_folder_that_fails_twice_is_told_twice(world: World, monkeypatch: Patch) -> None:
    for _ in range(2):
        with monkeypatch.context() as patch:
            full_disk(world, patch)
            world.passes(TWO_MINUTES_S)
        world.passes(40 * 60, 60)
    assert world.told("store-failing") == ["opened", "resolved"] * 2


def test_a_folder_that_cannot_be_asked_for_its_disk_is_unknown(world: World, monkeypatch: Patch) -> None:
    def refuse(_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(shutil, "disk_usage", refuse)
    world.passes(LOOK_S)
    assert world.state("disk-nearly-full") == "unknown"
    metrics = world.web.get("/metrics")
    assert metrics.status_code == 200
    assert not any(line.startswith("unquiet_disk_free_bytes ") for line in metrics.text.splitlines())


def test_the_lag_is_counted_from_the_arrival(world: World) -> None:
    """Whoever stood still meanwhile: it is not the moment at which somebody noticed."""
    arrived_us = world.now_us - 5 * MINUTE
    world.turns(1, arrived_us, arrived_us=arrived_us)
    world.mind_turns = False
    world.passes(LOOK_S)
    assert world.parts.watching.facts.undrained_s == 5 * 60 + LOOK_S
    assert "behind" in str(world.web.get("/readyz").json()["reasons"])
    world.mind_turns = True
    world.passes(LOOK_S)
    assert world.parts.watching.facts.undrained_s == 0.0
    assert world.web.get("/readyz").status_code == 200


def test_a_drain_that_goes_on_and_is_far_behind_is_told(world: World, monkeypatch: Patch) -> None:
    monkeypatch.setattr(engine, "READ_BYTES", 1)
    for n in range(30):
        world.turns(1, world.now_us - 20 * MINUTE + n, name=f"n{n}", arrived_us=world.now_us - 20 * MINUTE)
    world.passes(60)
    assert world.state("drain-stalled") == "failing"
    assert world.told("drain-stalled") == ["opened"]
    world.passes(TWO_MINUTES_S)
    assert world.state("drain-stalled") == "ok"


def test_a_sink_that_was_never_tried_is_unknown_until_it_takes_something(world: World) -> None:
    def shown() -> dict[str, Any]:
        found = world.web.get("/api/v1/status").json()["service"]["conditions"]
        return next(each for each in found if each["name"] == "sink-failing")

    world.passes(20 * 60, 30)
    assert shown()["state"] == "unknown"
    assert "flaky, page" in shown()["detail"]
    assert "alerts test" in shown()["todo"]
    assert world.web.get("/readyz").status_code == world.web.get("/healthz").status_code == 200
    assert world.page.got == []
    world.flaky.error = DeliveryError("401 Unauthorized", permanent=True)
    answer = world.web.post("/api/v1/alerts/test", json={}, headers={"Origin": "http://127.0.0.1:8321"})
    assert [each["delivered"] for each in answer.json()["results"]] == [True, False]
    world.passes(2 * LOOK_S)
    assert (shown()["state"], world.told("sink-failing")) == ("failing", ["opened"])
    world.flaky.error = None
    assert all(delivered for _, delivered, _ in world.parts.alerting.test())
    world.passes(LOOK_S)
    assert shown()["state"] == "ok"


def test_one_delivery_shows_that_a_sink_works(world: World) -> None:
    assert world.state("sink-failing") == "unknown"
    with world.parts.mind.store() as store, store.transaction():
        store.outbox.put(notice("test", key="test/both"), ["flaky", "page"], world.now_us)
    world.passes(2 * LOOK_S)
    assert world.state("sink-failing") == "ok"


def test_what_came_in_is_counted_by_its_kind(world: World) -> None:
    world.said |= {"accepted": {"traces": 7, "turns": 2}, "rejected": {"logs": 3, "metrics": 5}}
    world.turns(4, world.now_us - 10 * 365 * 24 * HOUR, name="old")
    world.turns(4, world.now_us + 10 * 365 * 24 * HOUR, name="ahead")
    world.passes(2 * LOOK_S)
    samples = [line for line in world.web.get("/metrics").text.splitlines() if line.startswith("unquiet_spans_")]
    assert 'unquiet_spans_accepted_total{kind="traces"} 7.0' in samples
    assert 'unquiet_spans_accepted_total{kind="turns"} 2.0' in samples
    assert 'unquiet_spans_rejected_total{kind="logs",reason="refused by a door"} 3.0' in samples
    assert [line for line in samples if 'kind="turns",reason=' in line and line.endswith(" 4.0")]


def test_what_was_put_aside_is_told_until_it_is_taken_away(world: World, monkeypatch: Patch) -> None:
    poison(world, monkeypatch)
    world.passes(60)
    quarantine = world.parts.config.service.folder / "wal" / "quarantine"
    (path,) = quarantine.iterdir()
    shown = next(each for each in world.parts.watching.found if each.name == "bodies-unreadable")
    assert "1 bodies" in shown.detail
    assert "KeyError in " in shown.detail
    assert "traffic" not in shown.detail
    assert world.web.get("/api/v1/status").json()["service"]["counts"]["unreadable bodies"] == 1
    assert 'unquiet_unreadable_total{kind="bodies"} 1.0' in world.web.get("/metrics").text
    assert world.web.get("/readyz").status_code == 200
    world.passes(11 * 60, 30)
    assert world.state("bodies-unreadable") == "failing"
    path.unlink()
    world.passes(LOOK_S)
    assert world.state("bodies-unreadable") == "ok"


def test_what_was_put_aside_goes_with_the_turns_of_its_time(world: World, monkeypatch: Patch) -> None:
    poison(world, monkeypatch)
    world.passes(30)
    quarantine = world.parts.config.service.folder / "wal" / "quarantine"
    assert len(list(quarantine.iterdir())) == 1
    world.parts.mind.bounds = replace(world.parts.mind.bounds, turn_days=1)
    world.passes(3600, 600)
    assert len(list(quarantine.iterdir())) == 1
    world.passes(25 * 3600, 1800)
    assert list(quarantine.iterdir()) == []


def test_signals_that_never_failed_are_ok(world: World) -> None:
    world.turns(60, world.now_us - 2 * HOUR)
    world.turns(1, world.now_us, name="now")
    world.passes(30)
    assert world.state("signal-failing") == "ok"


def test_delivery_stops_at_once_while_a_receiver_hangs(world: World, monkeypatch: Patch) -> None:
    release = threading.Event()
    monkeypatch.setattr(world.flaky, "send", lambda _: release.wait(60), raising=False)
    put(world)
    thread = threading.Thread(target=world.parts.alerting.run)
    thread.start()
    try:
        thread.join(2.5)
        assert thread.is_alive()
        world.parts.alerting.stop()
        thread.join(3)
        assert not thread.is_alive()
    finally:
        release.set()
