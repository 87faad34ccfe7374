"""Wrong input ends in a sentence that helps; what can be read is read, what cannot is counted with its line."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from test_sources_turn_table import NOW, ROW, read, rows_of, write
from unquiet.model.errors import UnreadableSource
from unquiet.model.rejections import ReadReport
from unquiet.sources import read_files
from unquiet.sources.jsonl_turns import JsonTurns
from unquiet.sources.protocol import ReadOptions

GOOD = json.dumps(ROW).encode()


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["t.jsonl", "t.csv", "t.parquet", "t.jsonl.gz"])
def test_an_empty_file(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(UnreadableSource, match="empty"):
        read(path)


def test_wrong_columns_name_what_was_found(tmp_path: Path) -> None:
    row = {"at": "x", "question": "hi", "answer": "yo"}
    (tmp_path / "t.csv").write_text("at,question,answer\nx,hi,yo\n")
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "t.parquet")
    for path in (write(tmp_path / "t.jsonl", [row]), tmp_path / "t.csv", tmp_path / "t.parquet"):
        with pytest.raises(UnreadableSource) as caught:
            read(path)
        for part in ("at, question, answer", "--map time=", "time, session_id, input, output"):
            assert part in str(caught.value)
        with pytest.raises(UnreadableSource, match="--map input=prompt names a column that is not there"):
            read(path, {"input": "prompt"})


def test_a_truncated_gzip_keeps_what_came_before(tmp_path: Path) -> None:
    whole = gzip.compress("".join(json.dumps(row) + "\n" for row in rows_of(5000)).encode())
    path = tmp_path / "t.jsonl.gz"
    path.write_bytes(whole[: len(whole) // 2])
    table, report = read(path)
    assert 1000 < table.num_rows < 5000
    assert report.rejected == {"damaged file": 1}
    assert "cut off" in report.examples[0].reason
    assert table.slice(0, 100).to_pylist() == read(write(tmp_path / "u.jsonl", rows_of(100)))[0].to_pylist()


def test_a_broken_gzip_in_the_middle(tmp_path: Path) -> None:
    data = bytearray(gzip.compress("".join(json.dumps(row) + "\n" for row in rows_of(20000)).encode()))
    data[len(data) // 2 : len(data) // 2 + 50] = b"\x00" * 50
    (tmp_path / "t.jsonl.gz").write_bytes(bytes(data))
    table, report = read(tmp_path / "t.jsonl.gz")
    assert table.num_rows > 0
    assert "damaged file" in report.rejected


def test_an_over_long_line_is_skipped_without_being_held(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with path.open("wb") as file:
        file.write(GOOD + b"\n")
        file.write(b'{"session_id": "s", "input": "')
        for _ in range(200):
            file.write(b"x" * 1024 * 1024)
        file.write(b'"}\n' + GOOD + b"\n")
    tracemalloc.start()
    table, report = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert table.num_rows == 2
    assert report.rejected == {"over-long line": 1}
    assert report.examples[0].where.endswith(":2")
    assert report.rows == 3
    assert peak < 100 * 1024 * 1024


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("limit", [200, 5000])
def test_line_numbers_hold_around_over_long_lines(tmp_path: Path, place: int, limit: int) -> None:
    lines = [GOOD, GOOD, b"broken"]
    lines.insert(place, b"x" * (limit + 1))
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"\n".join(lines))
    report = ReadReport()
    options = ReadOptions(2**60, line_limit_bytes=limit)
    turns = sum(table.num_rows for table in JsonTurns().read(path, options, report))
    assert turns == 2
    assert {(e.where.rsplit(":", 1)[1]) for e in report.examples} == {str(place + 1), "4"}


def test_an_over_long_line_at_the_end_is_counted_once(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(GOOD + b"\n" + b"x" * 9000)
    report = ReadReport()
    turns = sum(t.num_rows for t in JsonTurns().read(path, ReadOptions(2**60, line_limit_bytes=8000), report))
    assert (turns, report.rejected) == (1, {"over-long line": 1})


BAD_LINES: list[tuple[bytes, str]] = [
    (b"{broken", "not JSON"),
    (b"12", "not an object"),
    (GOOD.replace(b"hello", b"h\xff\xfe"), "invalid UTF-8"),
    (b"[" * 100_000, "not JSON"),
    (json.dumps({**ROW, "time": float("nan")}).encode(), "unreadable time"),
    (json.dumps({**ROW, "time": "NaN"}).encode(), "unreadable time"),
    (json.dumps({**ROW, "time": True}).encode(), "unreadable time"),
    (json.dumps({**ROW, "time": -5}).encode(), "unreadable time"),
    (json.dumps({**ROW, "time": "yesterday"}).encode(), "unreadable time"),
    (json.dumps({**ROW, "time": None}).encode(), "missing time"),
    (json.dumps({**ROW, "time": "2026-11-03T00:00:00Z"}).encode(), "time in the future"),
    (json.dumps({**ROW, "time": 1e30}).encode(), "unreadable time"),
    (json.dumps({**ROW, "session_id": None}).encode(), "missing session_id"),
    (json.dumps({**ROW, "session_id": ""}).encode(), "missing session_id"),
    (json.dumps({**ROW, "session_id": ["a"]}).encode(), "wrong type of session_id"),
    (json.dumps({**ROW, "latency_ms": "fast"}).encode(), "wrong type of latency_ms"),
    (json.dumps({**ROW, "input_tokens": [1]}).encode(), "wrong type of input_tokens"),
    (json.dumps({**ROW, "input_tokens": 10**30}).encode(), "wrong value of input_tokens"),
    (json.dumps({**ROW, "turn_index": 2**40}).encode(), "wrong value of turn_index"),
    (json.dumps({**ROW, "tool_calls": "lookup"}).encode(), "wrong type of tool_calls"),
    (json.dumps({**ROW, "tool_calls": [1]}).encode(), "wrong type of tool_calls"),
]


@pytest.mark.parametrize(("line", "kind"), BAD_LINES, ids=[kind + str(i) for i, (_, kind) in enumerate(BAD_LINES)])
def test_a_bad_row_is_counted_with_its_line(tmp_path: Path, line: bytes, kind: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(GOOD + b"\n\n" + line + b"\r\n" + GOOD + b"\n")
    table, report = read(path)
    assert table.num_rows == 2
    assert report.rejected == {kind: 1}
    assert report.examples[0].where == f"{path}:3"
    assert len(report.examples[0].reason) < 300
    assert (report.rows, report.turns) == (3, 2)


def test_what_looks_odd_but_is_a_turn(tmp_path: Path) -> None:
    lone = json.dumps({**ROW, "input": "cut \ud83d"}).encode()
    rows = [lone, json.dumps({**ROW, "latency_ms": float("inf"), "output": None, "input_tokens": "12"}).encode()]
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD + b"\n" + b"\n".join(rows))
    table, report = read(path)
    assert report.rejected == {}
    turns = table.to_pylist()
    assert turns[1]["input"] == "cut ?"
    assert (turns[2]["latency_ms"], turns[2]["output"], turns[2]["input_tokens"]) == (None, None, 12)


def test_bad_rows_of_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    good = b"2026-10-01T08:00:00Z,s1,hi,hello\n"
    path.write_bytes(
        b"time,session_id,input,output\n" + good + b"2026-10-01T08:00:00Z,s1,hi\n"
        b'2026-10-01T08:00:00Z,s1,"two\nlines",hello\n2026-10-01T08:00:00Z,s1,\xff,hello\n,s1,hi,hello\n' + good
    )
    table, report = read(path)
    assert table.column("input").to_pylist() == ["hi", "two\nlines", "hi"]
    assert report.rejected == {"wrong number of cells": 1, "invalid UTF-8": 1, "missing time": 1}
    assert [e.where.rsplit(":", 1)[1] for e in report.examples] == ["3", "6", "7"]
    assert report.rows == 6


def test_an_open_quote_in_a_csv_does_not_swallow_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('time,session_id,input,output\n2026-10-01T08:00:00Z,s1,"open,hello\n' + "x,y,z,w\n" * 3)
    table, report = read(path)
    assert table.num_rows == 0
    assert report.rejected == {"not CSV": 4}
    assert report.rows == 4


def test_a_header_with_a_column_twice(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("time,session_id,input,input,output\n")
    with pytest.raises(UnreadableSource, match="names input twice"):
        read(tmp_path / "t.csv")


def test_a_cut_off_parquet_file(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows_of(100)), buffer)
    (tmp_path / "t.parquet").write_bytes(buffer.getvalue()[:-200])
    with pytest.raises(UnreadableSource, match="not a whole Parquet file"):
        read(tmp_path / "t.parquet")


def test_bad_rows_of_a_parquet_file(tmp_path: Path) -> None:
    table = pa.table({"time": [1790841600.0, float("nan"), None, 1790841600.0], "session_id": ["a", "b", "c", None],
                      "input": ["x"] * 4, "output": ["y"] * 4})  # fmt: skip
    pq.write_table(table, tmp_path / "t.parquet")
    turns, report = read(tmp_path / "t.parquet")
    assert turns.column("session_id").to_pylist() == ["a"]
    assert report.rejected == {"unreadable time": 1, "missing time": 1, "missing session_id": 1}
    assert report.examples[0].where.endswith("row 2")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("time,session_id,input,output\n".encode("utf-16"), "UTF-16"),
        (bytes(range(1, 256)) * 20, "binary"),
        (b"PK\x03\x04" + b"\x00" * 100, "zip archive"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\x00", "binary"),
    ],
)
def test_files_of_no_known_format(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "t.dat").write_bytes(content)
    with pytest.raises(UnreadableSource, match=said):
        read(tmp_path / "t.dat")


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "t.jsonl", [ROW])
    opened = Path.open

    def refuse(self: Path, *args: Any, **kwargs: Any) -> Any:
        if self == path:
            raise PermissionError(13, "Permission denied")
        return opened(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UnreadableSource, match="permission denied"):
        read(path)


def test_all_rows_bad_is_not_an_error_but_said(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", [{**ROW, "time": None}] * 50)
    table, report = read(path)
    assert table.num_rows == 0
    assert report.rejected == {"missing time": 50}
    assert len(report.examples) == ReadReport.EXAMPLES_PER_REASON


def test_the_wall_clock_is_the_default_now(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", [{**ROW, "time": "2999-01-01T00:00:00Z"}])
    for _, tables, report in read_files([path]):
        assert list(tables) == []
        assert report.rejected == {"time in the future": 1}
    assert read(path, now=NOW.replace(year=2999))[0].num_rows == 1
