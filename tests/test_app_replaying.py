"""Scans that continue: files in any order, in any number of scans, give what one scan of all of them gives."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from test_pipeline_judging import START, failing, traffic
from unquiet.app.scanning import scan
from unquiet.model.settings import Settings
from unquiet.pipeline.judging import Judge
from unquiet.pipeline.saving import dump, load
from unquiet.store import Store

SETTINGS = Settings(learn=timedelta(days=5))


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Fourteen days with a change, in four files by time."""
    folder = tmp_path_factory.mktemp("traffic")
    rows = traffic(1, 14, 9.5).to_pylist()
    files = []
    for number, chunk in enumerate(np.array_split(np.arange(len(rows)), 4)):
        path = folder / f"part{number}.jsonl"
        path.write_bytes(b"".join(_line(rows[i]) for i in chunk))
        files.append(path)
    return files


def _line(row: dict[str, Any]) -> bytes:
    flat = {name: value for name, value in row.items() if value is not None and name not in ("facets", "turn_id")}
    return orjson.dumps({**flat, **dict(row["facets"]), "time": row["time"].isoformat()}) + b"\n"


def scanned(folder: Path, *scans: Sequence[Path], settings: Settings = SETTINGS) -> dict[str, Any]:
    for paths in scans:
        result = scan(
            [str(path) for path in paths], folder, settings, mapping={}, changes=[], progress=lambda _what, _share: None
        )
    return orjson.loads(orjson.dumps(result.document))


def kept(folder: Path) -> tuple[Any, Any]:
    span = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    with Store.open(folder, create=False) as store:
        return store.sessions_between(*span), store.counts_between(*span)


def test_scans_in_any_order_give_what_one_scan_gives(parts: list[Path], tmp_path: Path) -> None:
    whole = scanned(tmp_path / "whole", parts)
    assert [i["slice"] for i in whole["incidents"]] == [{"intent": "refund"}]
    one_by_one = scanned(tmp_path / "steps", *([part] for part in parts))
    backwards = scanned(tmp_path / "back", *([part] for part in reversed(parts)))
    assert one_by_one == whole
    assert backwards == whole
    for name in ("steps", "back"):
        for first, second in zip(kept(tmp_path / "whole"), kept(tmp_path / name), strict=True):
            assert first.equals(second)


@pytest.mark.parametrize(
    ("spans", "status"),
    [([(9.5, 25.0)], "resolved"), ([(9.5, 60.0)], "open"), ([(9.5, 25.0), (50.0, 60.0)], "reopened")],
)
def test_an_incident_that_aged_is_told_as_in_one_scan(
    spans: list[tuple[float, float]], status: str, tmp_path: Path
) -> None:
    """Refusals from day 9.5 on, seen first when they were young; one scan ends in the middle of the day they age."""
    rows = failing(1, 58, spans).to_pylist()
    paths = []
    for low, high in itertools.pairwise((0, 14, 41.6, 58)):
        path = tmp_path / f"from{low}.jsonl"
        inside = (row for row in rows if low <= (row["time"] - START) / timedelta(days=1) < high)
        path.write_bytes(b"".join(_line(row) for row in inside))
        paths.append(path)
    whole = scanned(tmp_path / "whole", paths)
    (incident,) = whole["incidents"]
    assert (incident["status"], incident["resolved_at"] is not None) == (status, status == "resolved")
    assert incident["told_at"] < (START + timedelta(days=43)).isoformat()
    assert incident["before"]["n"] > 300
    assert scanned(tmp_path / "steps", *([path] for path in paths)) == whole


def test_the_same_file_again_changes_nothing(parts: list[Path], tmp_path: Path) -> None:
    first = scanned(tmp_path / "db", parts)
    before = kept(tmp_path / "db")
    assert scanned(tmp_path / "db", parts, parts[:1]) == first
    assert all(a.equals(b) for a, b in zip(before, kept(tmp_path / "db"), strict=True))


def test_counts_are_those_of_the_sessions(parts: list[Path], tmp_path: Path) -> None:
    document = scanned(tmp_path / "db", parts)
    _, counts = kept(tmp_path / "db")
    everywhere = counts.filter([name == "all traffic" for name in counts.column("slice").to_pylist()])
    closed = document["sessions"] - document["coverage"]["open_sessions"]
    assert sum(everywhere.column("n").to_pylist()) == closed
    with Store.open(tmp_path / "db", create=False) as store:
        names = store.get_setting("count_events")
    assert {len(row) for row in counts.column("events").to_pylist()} == {len(names)}


def test_other_settings_judge_anew(parts: list[Path], tmp_path: Path) -> None:
    scanned(tmp_path / "db", parts)
    other = Settings(learn=timedelta(days=5), budget=4.0)
    assert scanned(tmp_path / "db", parts[:1], settings=other) == scanned(tmp_path / "new", parts, settings=other)


@pytest.mark.parametrize("stop", [400, 900, 1500])
def test_a_restart_is_not_felt(stop: int) -> None:
    turns = traffic(1, 14, 9.5)
    at = turns.column("time").cast("int64").to_numpy()
    judge, again = Judge(SETTINGS), Judge(SETTINGS)
    for low, high in ((0, stop), (stop, len(at))):
        judge.push(turns.slice(low, high - low), int(at[high - 1]))
        again.push(turns.slice(low, high - low), int(at[high - 1]))
        state = dump(again)
        restored = load(state, SETTINGS) if state is not None else again
        assert restored is not None
        again = restored
    first = dump(again)
    time.sleep(2.1)  # an archive that kept the time of writing would differ: it counts in steps of two seconds
    assert first == dump(judge)
    assert load(dump(judge) or b"", Settings(delta=0.3)) is None
