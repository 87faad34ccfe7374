"""Simulation: the same traffic in any order, cut in any way and through any crash comes to the same, and so does a scan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import live_worlds as worlds
from live_worlds import HOUR, MINUTE, SECOND, START_US, Facts, Item, Service
from unquiet.app.replaying import STATE, keep_incidents
from unquiet.app.scanning import scan
from unquiet.model.bodies import BodyKind
from unquiet.model.errors import StoreError
from unquiet.pipeline.saving import dump
from unquiet.service import engine
from unquiet.store import Store

LATE = tuple(number.to_bytes(8, "big") for number in (7, 8))
MARKER = "conversation.over"
WORLD_SEED = 1


@dataclass(frozen=True)
class Calm:
    """Undisturbed traffic: what was sent, what came of it, and the state of the judgement."""

    items: list[Item]
    facts: Facts
    state: bytes
    folder: Path
    marker: str | None


@pytest.fixture(autouse=True, scope="module")
def _told_seldom() -> Iterator[None]:
    """An incident is described when it changes, not every ten minutes of days."""
    patch = pytest.MonkeyPatch()
    patch.setattr(engine, "TOLD_EVERY_US", 10**18)
    patch.setattr(engine, "COVERED_EVERY_US", 10**18)
    yield
    patch.undo()


@pytest.fixture(scope="module", params=[None, MARKER], ids=["idle", "marker"])
def calm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Calm:
    marker = request.param
    items = worlds.world(WORLD_SEED, days=4.5, onset=3.0, marker=marker)
    folder = tmp_path_factory.mktemp("calm") / "db"
    entries = worlds.entries_of(worlds.bodies(items))
    service = Service(folder, entries, worlds.settings(end_marker=marker))
    for now_us in range(START_US, worlds.finish_us(entries), 12 * HOUR):
        service.step(now_us)
    return Calm(items, *ended(service), folder, marker)


def ended(service: Service) -> tuple[Facts, bytes]:
    """Everything comes to its end; what is in the folder, and the state."""
    worlds.run_to_end(service)
    keep_incidents(service.store, service.engine.documents())
    state = dump(service.engine.follower.judge)
    assert state is not None
    found = worlds.facts(service.store)
    service.close()
    return found, state


def assert_same(found: Facts, state: bytes, calm: Calm, *, but: Sequence[str] = ()) -> None:
    """Bit-equal; `but` names counters that differ for good reason."""
    assert found.turns.equals(calm.facts.turns)
    assert found.sessions.equals(calm.facts.sessions)
    assert found.counts.equals(calm.facts.counts)
    assert found.incidents == calm.facts.incidents
    counters, usual = ({k: v for k, v in each.counters.items() if k not in but} for each in (found, calm.facts))
    assert counters == usual
    assert state == calm.state


def delayed(items: Sequence[Item], rng: np.random.Generator) -> list[Item]:
    """Traces arrive up to four minutes later, and their spans in any order within three seconds."""
    late = {item.trace: int(rng.integers(0, 240 * SECOND)) for item in items}
    ends = {item.trace: item.at_us for item in items if item.is_root}
    moved = [
        replace(item, at_us=ends[item.trace] + late[item.trace] + int(rng.integers(0, 3 * SECOND))) for item in items
    ]
    return sorted(moved, key=lambda item: item.at_us)


def any_moments(rng: np.random.Generator, until_us: int, mean_us: int) -> Iterator[int]:
    now_us = START_US
    while now_us < until_us:
        now_us += int(rng.exponential(mean_us)) + SECOND
        yield now_us


def test_the_world_raises_one_incident(calm: Calm) -> None:
    (incident,) = calm.facts.incidents
    assert incident["slice"]["intent"] == "refund"
    assert calm.facts.turns.num_rows == calm.facts.counters["turns"] == len({item.trace for item in calm.items})
    assert calm.facts.counters["late turns"] == calm.facts.counters["late spans"] == 0


def test_a_scan_of_the_same_turns_says_the_same(calm: Calm, tmp_path: Path) -> None:
    pq.write_table(calm.facts.turns, tmp_path / "turns.parquet")
    judgement = worlds.settings(end_marker=calm.marker).judgement
    scan(
        [str(tmp_path / "turns.parquet")], tmp_path / "db", judgement, mapping={}, changes=[], progress=lambda *_: None
    )
    with Store.open(tmp_path / "db") as store:
        found, state = worlds.facts(store), store.load_state(STATE)
    assert state is not None
    found.counters = calm.facts.counters
    assert_same(found, state, calm)


@pytest.mark.parametrize("seed", [1])
def test_any_order_within_the_lateness(calm: Calm, seed: int, tmp_path: Path) -> None:
    """Traces and spans in random order, bodies of random size, steps at random moments."""
    rng = np.random.default_rng(seed)
    sizes = iter(lambda: int(rng.integers(1, 8)), 0)
    entries = worlds.entries_of(worlds.bodies(delayed(calm.items, rng), sizes))
    service = Service(tmp_path / "db", entries, worlds.settings(end_marker=calm.marker))
    for now_us in any_moments(rng, worlds.finish_us(entries), 8 * HOUR):
        service.step(now_us)
    assert_same(*ended(service), calm)


def with_noise(items: Sequence[Item], rng: np.random.Generator) -> list[Item]:
    """A fifth of the items once more, at any later moment; and for some traces a child of the tool, too late, and its own."""
    again = [
        replace(items[i], at_us=items[i].at_us + int(rng.exponential(HOUR)))
        for i in rng.choice(len(items), len(items) // 5, replace=False)
    ]
    late: list[Item] = []
    for item in items:
        if item.is_root and rng.random() < 0.1:
            start = item.at_us + 10 * MINUTE
            below = [worlds.span(item.trace, 7, 1, start, start + SECOND, dict(worlds.TOOL))]
            below.append(worlds.span(item.trace, 8, 7, start, start + SECOND, dict(worlds.CHAT)))
            late += [Item(start + int(rng.integers(0, 12 * MINUTE)), each, item.trace) for each in below]
    return sorted([*items, *again, *late], key=lambda item: item.at_us)


@pytest.mark.parametrize("seed", [2])
def test_duplicates_and_late_spans_change_nothing(calm: Calm, seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    items = with_noise(delayed(calm.items, rng), rng)
    made = worlds.bodies(items)
    doubled = [replace(made[i], arrived_us=made[i].arrived_us + HOUR) for i in range(0, len(made), 7)]
    entries = worlds.entries_of(sorted([*made, *doubled], key=lambda body: body.arrived_us))
    service = Service(tmp_path / "db", entries, worlds.settings(end_marker=calm.marker))
    for now_us in any_moments(rng, worlds.finish_us(entries), 8 * HOUR):
        service.step(now_us)
    found, state = ended(service)
    noise = ("duplicate spans", "late spans", "late log records")
    assert_same(found, state, calm, but=noise)
    assert found.counters["late spans"] == len(
        {(i.trace, i.message.span_id) for i in items if i.message.span_id in LATE}
    )
    assert found.counters["spans"] + found.counters["late spans"] + found.counters["duplicate spans"] == sum(
        entry.body.count for entry in entries if entry.body is not None and entry.body.kind is BodyKind.TRACES_PROTO
    )


@pytest.mark.parametrize("seed", [3])
def test_a_restart_at_any_moment_changes_nothing(calm: Calm, seed: int, tmp_path: Path) -> None:
    """The service dies between steps, or because the disk fails at any statement, before or after it is done."""
    rng = np.random.default_rng(seed)
    entries = worlds.entries_of(worlds.bodies(delayed(calm.items, rng)))
    service = Service(tmp_path / "db", entries, worlds.settings(end_marker=calm.marker))
    failures = 0
    for now_us in any_moments(rng, worlds.finish_us(entries), 8 * HOUR):
        if rng.random() < 0.2:
            service.crash()
        if rng.random() < 0.8:
            service.arm(int(rng.integers(1, 80)), after=bool(rng.random() < 0.5))
        try:
            service.step(now_us)
        except StoreError:
            failures += 1
            service.crash() if rng.random() < 0.5 else service.reopen()
    service.arm(0, after=False)
    assert failures + service.lives >= 5
    assert_same(*ended(service), calm)
