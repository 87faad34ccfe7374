"""The turn table through its doors: JSON lines, CSV and Parquet say the same."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unquiet.model.errors import UnreadableSource
from unquiet.model.rejections import ReadReport
from unquiet.model.turns import TURNS
from unquiet.sources import find_files, read_files
from unquiet.sources.finding import find

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ROW: dict[str, Any] = {"time": "2026-10-01T08:00:00Z", "session_id": "s1", "input": "hi", "output": "hello"}


def read(path: Path, mapping: Mapping[str, str] | None = None, **options: Any) -> tuple[pa.Table, ReadReport]:
    """All turns of a path with the reports merged."""
    tables: list[pa.Table] = [TURNS.empty_table()]
    total = ReadReport()
    for _, batches, report in read_files([path], mapping, **{"now": NOW, **options}):
        tables += batches
        total.merge(report)
    for table in tables:
        assert table.schema.equals(TURNS)
        table.validate(full=True)
    return pa.concat_tables(tables), total


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """The rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rows_of(count: int) -> list[dict[str, Any]]:
    start = datetime(2026, 10, 1, 8, tzinfo=UTC)
    return [
        {
            "time": (start + timedelta(minutes=i)).isoformat(),
            "session_id": f"s{i // 3}",
            "turn_index": i % 3,
            "user_id": f"u{i % 7}",
            "input": f'question {i}\nwith ünicode, a comma and a "quote"',
            "output": f"answer {i}" if i % 5 else "",
            "tool_calls": [{"name": "find", "arguments": '{"id":1}', "result": "ok", "error": None}] if i % 2 else [],
            "finish_reason": "stop",
            "latency_ms": i * 1.5,
            "input_tokens": i,
            "output_tokens": 2 * i,
            "model": "m-1",
            "tenant": "acme" if i % 4 else None,
            "locale": "de",
        }
        for i in range(count)
    ]


def test_every_format_gives_the_same_turns(tmp_path: Path) -> None:
    rows = rows_of(50)
    write(tmp_path / "t.jsonl", rows)
    with gzip.open(tmp_path / "t.jsonl.gz", "wt") as file:
        file.write((tmp_path / "t.jsonl").read_text())
    (tmp_path / "list.json").write_text(json.dumps(rows, indent=1))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    for name, opened in (("t.csv", open), ("t.csv.gz", gzip.open)):
        with opened(tmp_path / name, "wt", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows({**row, "tool_calls": json.dumps(row["tool_calls"])} for row in rows)
    codec = pa.Codec("zstd")
    with pa.CompressedOutputStream(str(tmp_path / "t.jsonl.zst"), codec.name) as out:
        out.write((tmp_path / "t.jsonl").read_bytes())
    expected, report = read(tmp_path / "t.jsonl")
    assert (report.rows, report.turns, report.rejected) == (50, 50, {})
    for path in find_files([tmp_path]):
        found, _ = read(path)
        assert found.to_pylist() == expected.to_pylist(), path.name


def test_turns_hold_what_the_rows_said(tmp_path: Path) -> None:
    table, _ = read(write(tmp_path / "t.jsonl", rows_of(4)))
    turn = table.slice(3, 1).to_pylist()[0]
    assert turn["turn_id"] == "s1#0"
    assert turn["time"] == datetime(2026, 10, 1, 8, 3, tzinfo=UTC)
    assert turn["tool_calls"] == [{"name": "find", "arguments": '{"id":1}', "result": "ok", "error": None}]
    assert dict(turn["facets"]) == {"tenant": "acme", "locale": "de"}
    assert turn["served_model"] is None
    assert dict(table.slice(0, 1).to_pylist()[0]["facets"]) == {"locale": "de"}


def test_a_turn_table_read_back_from_parquet_is_itself(tmp_path: Path) -> None:
    table, _ = read(write(tmp_path / "t.jsonl", rows_of(9)))
    pq.write_table(table, tmp_path / "again.parquet")
    again, report = read(tmp_path / "again.parquet")
    assert again.to_pylist() == table.to_pylist()
    assert report.notes == []


@pytest.mark.parametrize(
    "time",
    [
        "2026-10-01T08:00:00Z",
        "2026-10-01T10:00:00+02:00",
        "2026-10-01 08:00:00.000000",
        1790841600,
        1790841600.0,
        1790841600000,
        1790841600000000,
        1790841600000000000,
        "1790841600",
        "1790841600.0",
    ],
)
def test_times_of_every_form(tmp_path: Path, time: Any) -> None:
    table, _ = read(write(tmp_path / "t.jsonl", [{**ROW, "time": time}]))
    assert table.column("time").to_pylist() == [datetime(2026, 10, 1, 8, tzinfo=UTC)]


def test_mixed_times_in_one_batch(tmp_path: Path) -> None:
    times = ["2026-10-01T08:00:00Z", 1790841600, "2026-10-01T08:00:00", None]
    table, report = read(write(tmp_path / "t.jsonl", [{**ROW, "time": time} for time in times]))
    assert table.column("time").to_pylist() == [datetime(2026, 10, 1, 8, tzinfo=UTC)] * 3
    assert report.rejected == {"missing time": 1}
    assert any("UTC" in note for note in report.notes)


def test_columns_are_renamed(tmp_path: Path) -> None:
    rows = [{"at": ROW["time"], "chat": 7, "question": "hi", "answer": "yo", "input": "shadowed", "lang": "pt"}]
    mapping = {"time": "at", "session_id": "chat", "input": "question", "output": "answer", "locale": "lang"}
    table, report = read(write(tmp_path / "t.jsonl", rows), mapping)
    turn = table.to_pylist()[0]
    assert (turn["session_id"], turn["input"], turn["output"]) == ("7", "hi", "yo")
    assert dict(turn["facets"]) == {"locale": "pt"}
    assert any("input" in note for note in report.notes)


def test_ids_without_an_index_are_stable_and_tell_turns_apart(tmp_path: Path) -> None:
    rows = [ROW, {**ROW, "input": "other"}, {**ROW, "session_id": "s2"}, ROW]
    ids = read(write(tmp_path / "t.jsonl", rows))[0].column("turn_id").to_pylist()
    assert len(set(ids)) == 3
    assert ids[0] == ids[3]
    assert all(len(one) == 32 for one in ids)
    again = [{**ROW, "time": 1790841600}]
    assert read(write(tmp_path / "u.jsonl", again))[0].column("turn_id").to_pylist() == ids[:1]


def test_facets_are_scalars_as_text(tmp_path: Path) -> None:
    row = {**ROW, "tier": 2, "beta": True, "share": 0.5, "whole": 3.0, "none": None, "deep": {"a": 1}, "many": [1]}
    table, report = read(write(tmp_path / "t.jsonl", [row]))
    facets = dict(table.to_pylist()[0]["facets"])
    assert facets == {"tier": "2", "beta": "true", "share": "0.5", "whole": "3"}
    assert any("deep, many" in note for note in report.notes)


@settings(max_examples=25, deadline=None)
@given(batch_rows=st.integers(1, 40), count=st.integers(0, 60))
def test_batches_change_nothing(tmp_path_factory: pytest.TempPathFactory, batch_rows: int, count: int) -> None:
    path = write(tmp_path_factory.mktemp("b") / "t.jsonl", [ROW, *rows_of(count)])
    small, report = read(path, batch_rows=batch_rows)
    assert small.to_pylist() == read(path)[0].to_pylist()
    assert report.rows == report.turns == count + 1


def test_batches_are_bounded(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", rows_of(1000))
    sizes = [table.num_rows for _, tables, _ in read_files([path], now=NOW, batch_rows=100) for table in tables]
    assert max(sizes) <= 100
    assert sum(sizes) == 1000


def test_folders_globs_hidden_and_side_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("b.jsonl", "a/c.jsonl", ".hidden.jsonl", "deploys.jsonl"):
        write(tmp_path / name, [ROW])
    found = find([tmp_path])
    assert [path.relative_to(tmp_path).as_posix() for path in found.files] == ["a/c.jsonl", "b.jsonl"]
    assert sum("hidden" in note or "side file" in note for note in found.notes) == 2
    assert find_files([tmp_path / "*.jsonl", tmp_path / "b.jsonl"]) == [tmp_path / "b.jsonl"]
    assert find_files([tmp_path / "**" / "c.jsonl"]) == [tmp_path / "a" / "c.jsonl"]
    assert find_files([tmp_path / "deploys.jsonl"]) == [tmp_path / "deploys.jsonl"]
    notes = [note for _, _, report in read_files([tmp_path], now=NOW) for note in report.notes]
    assert len(notes) == 2


def test_one_bad_file_among_others_is_a_rejection(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [ROW])
    (tmp_path / "b.bin").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "c.jsonl").write_text("")
    table, report = read(tmp_path)
    assert table.num_rows == 1
    assert report.rejected == {"unreadable file": 2}


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="nothing is there"):
        find_files([tmp_path / "nope.jsonl"])
    with pytest.raises(UnreadableSource, match="holds no file"):
        find_files([tmp_path])
    with pytest.raises(UnreadableSource, match="no path"):
        find_files([])
