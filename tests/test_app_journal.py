"""The journal: a judgement goes on where it was, from a saved state, from a scan, from nothing, and once only."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import live_worlds as worlds
from live_worlds import EVER, HOUR, START_US, Service
from unquiet.app.journal import resume
from unquiet.app.scanning import scan
from unquiet.model.errors import StoreError
from unquiet.model.settings import Settings
from unquiet.pipeline.judging import Judge
from unquiet.pipeline.saving import dump
from unquiet.store import Store
from unquiet.wal import Entry

SETTINGS = worlds.settings().judgement


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return worlds.entries_of(worlds.bodies(worlds.world(5, days=2.7, onset=9)))


@pytest.fixture(scope="module")
def followed(entries: Sequence[Entry], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a service that died: with a saved state, pushes since, and turns that wait."""
    service = Service(tmp_path_factory.mktemp("followed") / "db", entries)
    end_us = worlds.finish_us(entries)
    for now_us in (*range(START_US + 4 * HOUR, end_us - 6 * HOUR, 8 * HOUR), end_us - 6 * HOUR):
        service.step(now_us)
    assert service.engine.follower.checkpoint(force=True)
    for now_us in range(end_us - 5 * HOUR, end_us, HOUR):
        service.step(now_us)
    assert len(service.store.live.pushes()) >= 3
    service.close()
    return service.folder


@pytest.fixture(scope="module")
def turns(followed: Path) -> pa.Table:
    with Store.open(followed) as store:
        return store.turns_between(*EVER)


@pytest.fixture
def folder(followed: Path, tmp_path: Path) -> Path:
    shutil.copytree(followed, tmp_path / "db")
    return tmp_path / "db"


def judge_of(folder: Path, settings: Settings = SETTINGS) -> Judge:
    with Store.open(folder) as store:
        return resume(store, settings, lambda *_: None, []).judge


def scanned(folder: Path, turns: pa.Table, settings: Settings = SETTINGS) -> None:
    path = folder.with_name("turns.parquet")
    pq.write_table(turns, path)
    scan([str(path)], folder, settings, mapping={}, changes=[], progress=lambda *_: None)


def counted(folder: Path) -> pa.Table:
    with Store.open(folder) as store:
        return store.counts_between(*EVER)


def sessions(folder: Path) -> list[str]:
    with Store.open(folder) as store:
        return store.sessions_between(*EVER, columns=["visit_id"]).column("visit_id").to_pylist()


def test_from_a_saved_state_and_the_pushes_since(folder: Path) -> None:
    known, counts = sessions(folder), counted(folder)
    once, twice = judge_of(folder), judge_of(folder)
    assert once.session_count == len(known) == len(set(known))
    assert dump(once) == dump(twice)
    assert counted(folder).equals(counts)


def test_a_state_is_saved_with_the_journal_that_follows_it(folder: Path, entries: Sequence[Entry]) -> None:
    """Wherever the saving is cut off, nothing is judged twice."""
    expected = dump(judge_of(folder))
    for statement in (2, 8, 9, 12):
        service = Service(folder, entries)
        service.arm(statement, after=True)
        try:
            service.engine.follower.checkpoint(force=True)
        except StoreError:
            pass
        else:
            raise AssertionError(f"saving takes fewer than {statement} statements")
        service.crash()
        assert dump(service.engine.follower.judge) == expected
        service.close()
        shutil.rmtree(service.folder)


def test_from_a_scan(tmp_path: Path, turns: pa.Table) -> None:
    folder = tmp_path / "db"
    scanned(folder, turns)
    counts, known = counted(folder), sessions(folder)
    found = judge_of(folder)
    assert found.session_count == len(known) > 0
    assert dump(judge_of(folder)) == dump(found)
    assert counted(folder).equals(counts)


def test_from_turns_alone(tmp_path: Path, turns: pa.Table) -> None:
    folder = tmp_path / "db"
    scanned(folder, turns)
    counts, state = counted(folder), dump(judge_of(folder))
    with Store.open(tmp_path / "bare") as store:
        store.append_turns(turns)
    assert dump(judge_of(tmp_path / "bare")) == state
    with Store.open(tmp_path / "bare") as store:
        assert store.live.arrivals().num_rows == len(store.live.pushes()) == 0
    assert dump(judge_of(tmp_path / "bare")) == state
    assert counted(tmp_path / "bare").equals(counts)


def test_a_scan_of_a_followed_folder_and_then_a_service_count_once(folder: Path, turns: pa.Table) -> None:
    """The scan judges all anew: what the service had noted of its own judgement is of no more use."""
    scanned(folder, turns)
    known = sessions(folder)
    assert judge_of(folder).session_count == len(known) == len(set(known))


def test_a_scan_that_only_learns_makes_the_journal_useless_too(folder: Path, turns: pa.Table) -> None:
    scanned(folder, turns, replace(SETTINGS, learn=timedelta(days=30)))
    found = judge_of(folder)
    known = sessions(folder)
    assert found.session_count == len(known) == len(set(known))


def test_changed_settings_judge_all_anew(folder: Path) -> None:
    with Store.open(folder) as store:
        count = store.turn_extent().count
    changed = replace(SETTINGS, budget=2.0)
    found = judge_of(folder, changed)
    known = sessions(folder)
    assert found.session_count == len(known) == len(set(known))
    assert found.turn_count + found.assembler.open_turns.num_rows == count
    assert dump(judge_of(folder, changed)) == dump(found)
