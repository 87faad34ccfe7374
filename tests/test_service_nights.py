"""Nightly drills beside a service: rehearsed in another process, kept in the folder, and no incident of anybody's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from serve_worlds import until
from test_drills import traffic
from unquiet.drills import PRESETS
from unquiet.model.settings import Settings
from unquiet.selfwatch import Facts, Nights, conditions
from unquiet.service import nights
from unquiet.service.config import load
from unquiet.service.night_process import as_text, from_text
from unquiet.service.nights import TURNS_FILE, NightDrills
from unquiet.service.running import ServiceParts, assemble

EVENING = datetime(2026, 3, 20, 22, 0, tzinfo=UTC)
TOML = '[detection]\nlearn_days = 5\nlateness = "1s"\n[drills]\nnightly = "03:30"\nseeds = 3\n'


class Clock:
    def __init__(self) -> None:
        self.now = EVENING

    def __call__(self) -> int:
        return round(self.now.timestamp() * 1e6)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def parts(tmp_path: Path, clock: Clock) -> Iterator[ServiceParts]:
    (tmp_path / "unquiet.toml").write_text(TOML)
    made = assemble(load(tmp_path / "unquiet.toml", {}, tmp_path / "data"), None, [], clock)
    made.alerting.start(made.mind)
    made.mind.turn()
    yield made
    made.mind.close()


def seen(drills: NightDrills, clock: Clock) -> str:
    found = conditions(Facts(nights=drills.seen()), [], clock())
    return next(each.state for each in found if each.name == "drill-lost")


def test_a_night_is_rehearsed_elsewhere_and_kept(parts: ServiceParts, clock: Clock, tmp_path: Path) -> None:
    drills = parts.watching.nights
    drills.presets = [each for each in PRESETS if each.name in ("D17", "nothing")]
    assert (drills.at, drills.seeds, seen(drills, clock)) == (time(3, 30), 3, "unknown")
    drills.seeds = 1
    with parts.mind.store() as store:
        store.append_turns(traffic(1800, 150))
        before = store.incidents()
    drills.rehearse()
    assert drills.error == ""
    with parts.mind.store() as store:
        rows = store.nights.read().to_pylist()
        assert store.incidents() == before == []
        assert store.outbox.told() == {}
    assert [(row["preset"], row["rehearsals"], row["lost"]) for row in rows] == [
        ("D17", 1, False),
        ("nothing", 1, False),
    ]
    assert [row["found"] for row in rows] == [1, 0]
    assert {row["time"] for row in rows} == {EVENING}
    assert not (tmp_path / "data" / TURNS_FILE).exists()
    assert drills.seen() == Nights(True, clock(), (), "")
    assert seen(drills, clock) == "ok"


def test_a_night_that_comes_to_nothing_is_not_fine(parts: ServiceParts, clock: Clock, tmp_path: Path) -> None:
    drills = parts.watching.nights
    drills.rehearse()
    assert drills.error == "there are no turns yet."
    with parts.mind.store() as store:
        store.append_turns(traffic(300, 100))
    drills.rehearse()
    assert "the record holds 3 days, and a rehearsal needs 9" in drills.error
    assert seen(drills, clock) == "unknown"
    assert not (tmp_path / "data" / TURNS_FILE).exists()


def test_too_many_turns_are_refused(parts: ServiceParts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nights, "MOST_TURNS", 1000)
    with parts.mind.store() as store:
        store.append_turns(traffic(1800, 150))
    parts.watching.nights.rehearse()
    assert "more than 1000 turns" in parts.watching.nights.error


def test_it_waits_for_the_night(parts: ServiceParts, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nights, "LOOK_S", 0.01)
    ran: list[datetime] = []
    monkeypatch.setattr(NightDrills, "rehearse", lambda _: ran.append(clock.now))
    thread = threading.Thread(target=parts.watching.nights.run, daemon=True)
    thread.start()
    looks = threading.Event()
    looks.wait(0.1)
    assert ran == []
    clock.now = EVENING + timedelta(hours=5, minutes=30)
    until(lambda: len(ran) == 1, 10, 0.01)
    looks.wait(0.1)
    assert len(ran) == 1
    clock.now += timedelta(days=1)
    until(lambda: len(ran) == 2, 10, 0.01)
    parts.watching.nights.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_settings_reach_the_process() -> None:
    settings = Settings(budget=0.5, learn=timedelta(days=3.5), idle=timedelta(minutes=7), end_marker="over")
    assert from_text(as_text(settings)) == settings
