"""Wrong input through the command line: one sentence that helps, the right exit code, no traceback, nothing lost."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import unquiet
from lacking import FULL, needs_full_device
from unquiet.cli import main
from unquiet.model.wording import counted
from unquiet.sources.finding import STORE_FILE
from unquiet.store import Store
from unquiet.store.duckdb_folder import DATABASE

Row = dict[str, Any]

GRACE_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command ended with."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


Cli = Callable[..., Answer]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command in an empty folder, as the shell would; an error that is not explained fails the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UNQUIET_DB", raising=False)

    def run(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["unquiet", *arguments])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Answer(code, captured.out, captured.err)

    return run


def rows_of(days: int = 2, a_day: int = 8) -> list[Row]:
    """Sessions of one turn, evenly over days."""
    start = datetime(2026, 3, 2, tzinfo=UTC)
    return [
        {
            "time": (start + timedelta(days=day, minutes=i * (1440 // a_day))).isoformat(),
            "session_id": f"s{day}-{i}",
            "user_id": f"u{i % 7}",
            "input": f"where is my order {i}",
            "output": f"It is on its way, order {i}",
        }
        for day in range(days)
        for i in range(a_day)
    ]


def lines(rows: list[Row]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def put(name: str, content: bytes | str | list[Row]) -> str:
    """A file in the current folder; rows become JSON lines."""
    data = lines(content) if isinstance(content, list) else content.encode() if isinstance(content, str) else content
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(data)
    return name


def changed(**values: Any) -> list[Row]:
    """The rows with some values replaced in all."""
    return [{**row, **values} for row in rows_of()]


def document(cli: Cli, *arguments: str) -> dict[str, Any]:
    answer = cli("scan", *arguments, "--json")
    assert answer.code in (0, 1), answer.err
    return json.loads(answer.out)


def rejected(cli: Cli, *arguments: str) -> dict[str, int]:
    """What the coverage of a scan counts as rejected, all files together."""
    total: dict[str, int] = {}
    for counts in document(cli, *arguments)["coverage"]["rejected_rows"].values():
        for kind, count in counts.items():
            total[kind] = total.get(kind, 0) + count
    return total


def refused(answer: Answer, *parts: str) -> None:
    """It could not look, says so on standard error alone, and names what the parts say."""
    assert answer.code == 2
    assert answer.out == ""
    for part in parts:
        assert part in answer.err
    assert answer.err.startswith("unquiet: ")
    assert answer.err.count("\n") == 1


UNREADABLE: list[tuple[str, dict[str, bytes | str | list[Row]], list[str], list[str]]] = [
    ("empty file", {"t.jsonl": b""}, ["t.jsonl"], ["t.jsonl: the file is empty", "Check the export"]),
    ("empty folder", {"d/.keep": b""}, ["d"], ["d: the folder holds no file of traffic", "Put turn tables"]),
    (
        "unknown files",
        {"d/a.bin": bytes(range(256)) * 9, "d/b.png": b"\x89PNG\r\n\x1a\n" + bytes(99), "d/c.txt": "hello there\nyou\n"},
        ["d"],
        ["3 x unreadable file", "d/a.bin: a binary file of no known format. What can be read:", "d/c.txt: a turn table needs"],
    ),
    ("missing path", {}, ["nope.jsonl"], ["nope.jsonl: nothing is there. Check the spelling.\n"]),
    ("pattern", {}, ["no*.jsonl"], ["no*.jsonl: nothing is there", "patterns are quoted"]),
    ("long name", {}, ["x" * 5000], ["name too long", "Check the path"]),
    (
        "wrong columns",
        {"t.jsonl": [{"at": 1, "question": "a", "answer": "b"}]},
        ["t.jsonl"],
        ["Columns found: at, question, answer", "--map time=at --map session_id=COLUMN --map input=question --map output=answer."],
    ),
    ("no gzip inside", {"t.jsonl.gz": b"\x1f\x8brubbish" * 50}, ["t.jsonl.gz"], ["nothing could be decompressed"]),
    ("empty gzip", {"t.jsonl.gz": gzip.compress(b"")}, ["t.jsonl.gz"], ["empty inside"]),
    ("UTF-16", {"t.jsonl": lines(rows_of()).decode().encode("utf-16")}, ["t.jsonl"], ["a UTF-16 text; save it as UTF-8"]),
    ("UTF-16 bare", {"t.jsonl": lines(rows_of()).decode().encode("utf-16-le")}, ["t.jsonl"], ["a UTF-16 text; save"]),
    ("no time", {"t.jsonl": changed(time=None)}, ["t.jsonl"], ["16 x missing time", "t.jsonl:1: the time is missing"]),
    ("all 9999", {"t.jsonl": changed(time="9999-01-01T00:00:00Z")}, ["t.jsonl"], ["16 x time in the future", "check its unit"]),
    ("all 1970", {"t.jsonl": changed(time=60)}, ["t.jsonl"], ["16 x time before 2000", "1970-01-01T00:01:00", "check its unit"]),
    ("header only", {"t.csv": "time,session_id,input,output\n"}, ["t.csv"], ["t.csv: the file holds no rows"]),
    ("bare CR", {"t.csv": "time,session_id,input,output\r2026-03-02,s,a,b\r"}, ["t.csv"], ["line ends LF or CR LF"]),
    ("cut Parquet", {"t.parquet": b"PAR1" + bytes(500)}, ["t.parquet"], ["not a whole Parquet file", "Copy or write"]),
]  # fmt: skip


@pytest.mark.parametrize(("files", "paths", "said"), [case[1:] for case in UNREADABLE], ids=[c[0] for c in UNREADABLE])
def test_nothing_that_can_be_read(
    cli: Cli, files: dict[str, bytes | str | list[Row]], paths: list[str], said: list[str]
) -> None:
    for name, content in files.items():
        put(name, content)
    refused(cli("scan", *paths), *said)
    refused(cli("measure", *paths, "--out", "out.jsonl"), said[0])
    assert not Path("out.jsonl").exists()


def test_a_failed_scan_is_not_taken_for_a_quiet_agent(cli: Cli) -> None:
    assert cli("scan", put("t.jsonl", b""), "--db", "db").code == 2
    for command in (["incidents"], ["incident", "x"]):
        refused(cli(*command, "--db", "db"), "no scan has come to its end in db", "unquiet scan PATH --db db")


def test_a_pipe_is_refused_without_waiting_for_it(cli: Cli) -> None:
    Path("d").mkdir()
    os.mkfifo("d/pipe")
    refused(cli("scan", "d/pipe"), "a pipe or device", "Write it to a file")
    put("d/t.jsonl", rows_of())
    answer = cli("scan", "d")
    assert answer.code == 0
    assert "d/pipe: a pipe or device, left out" in answer.out


WRONG_SETTINGS = [
    (["--map", "input=prompt"], ["--map input=prompt names a column that is not there", "Columns found: time, session_id"]),
    (["--map", "inputt=input"], ["--map inputt: no such NAME", "session_id", "served_model"]),
    (["--map", "foo"], ["unquiet: --map foo: expected NAME=COLUMN, for example --map input=question\n"]),
    (["--map", "=input"], ["expected NAME=COLUMN"]),
    (["--map", "input=output", "--map", "input=input"], ["--map input: given twice"]),
    (["--budget", "0"], ["--budget 0: expected", "more than 0 and at most 1000"]),
    (["--budget", "nan", "--learn-days", "-1"], ["--budget nan", "--learn-days -1: expected days, from 0.5 to 60"]),
    (["--learn-days", "nan"], ["--learn-days nan"]),
    (["--changes", "nope.jsonl"], ["nope.jsonl: there is no such file"]),
    (["--changes", "."], ["a folder", "Name the file in it"]),
    (["--changes", "wrong.jsonl"], ["no columns time and kind; found: at, what", "columns time, kind, from, to"]),
    (["--changes", "empty.jsonl"], ["empty.jsonl: the file is empty", "columns time, kind, from, to"]),
    (["--db", "t.jsonl"], ["a file is where a folder is needed", "--db"]),
    (["--db", "t.jsonl/below"], ["a file is where a folder is needed", "--db"]),
]  # fmt: skip


@pytest.mark.parametrize(("options", "said"), WRONG_SETTINGS, ids=[" ".join(options) for options, _ in WRONG_SETTINGS])
def test_wrong_settings(cli: Cli, options: list[str], said: list[str]) -> None:
    put("t.jsonl", rows_of())
    put("wrong.jsonl", [{"at": 1, "what": 2}])
    put("empty.jsonl", "")
    refused(cli("scan", "t.jsonl", *options), *said)


def test_what_click_refuses_ends_with_2(cli: Cli) -> None:
    for arguments in (["scan"], ["scan", "t", "--budget", "x"], ["scam"], ["measure", "t"], ["scan", "--nonsense"]):
        answer = cli(*arguments)
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.startswith("unquiet: ")
        assert "--help`" in answer.err


def test_one_column_may_serve_twice_and_a_mapping_that_is_not_used_is_said(cli: Cli) -> None:
    rows = [{**row, "turn_id": "constant"} for row in rows_of()]
    assert document(cli, put("t.jsonl", rows), "--map", "turn_id=session_id")["turns"] == 16
    span = {"name": "s", "context.span_id": "1", "context.trace_id": "1", "start_time": "2026-03-02T00:00:00Z"}
    assert "--map was not used" in cli("scan", put("spans.jsonl", [span]), "--map", "input=question").err


def test_deploys_with_some_bad_rows(cli: Cli) -> None:
    put("t.jsonl", rows_of())
    bad = '{"time":"x","kind":"app"}\nrubbish\n{"time":null,"kind":"app"}\n{"time":5}\n'
    far = '{"time":"0001-01-01T00:00:00+14:00","kind":"app"}\n'
    put("d.jsonl", '{"time":"2026-03-02","kind":"app"}\n' + bad + far)
    answer = cli("scan", "t.jsonl", "--changes", "d.jsonl")
    assert answer.code == 0
    for part in (
        "d.jsonl: 5 rows not used",
        "1 x not JSON",
        "4 x unreadable change",
        "d.jsonl:2: the time 'x' is neither",
    ):
        assert part in answer.out


def test_a_truncated_gzip_is_used_as_far_as_it_goes_and_said_every_time(cli: Cli) -> None:
    whole = gzip.compress(lines(rows_of()))
    put("t.jsonl.gz", whole[: len(whole) * 2 // 3])
    first, second = cli("scan", "t.jsonl.gz"), cli("scan", "t.jsonl.gz")
    assert first == second
    assert first.code == 0
    assert "t.jsonl.gz: damaged\n" in first.out
    assert "cut off here (Compressed file ended" in first.out
    kept = document(cli, "t.jsonl.gz")
    assert 0 < kept["turns"] < 16
    assert kept["coverage"]["rejected_rows"] == {"t.jsonl.gz": {"damaged file": 1}}
    status = json.loads(cli("status", "--json").out)
    assert status["files"][0]["rejected"] == {"damaged file": 1}
    measured = cli("measure", "t.jsonl.gz", "--out", "out.jsonl")
    assert measured.code == 0
    assert "cut off here" in measured.err
    assert f"{kept['turns']} turns measured, 0 rows not used" in measured.err


def test_what_bears_the_name_of_another_format_is_read_by_its_content(cli: Cli) -> None:
    assert document(cli, put("t.jsonl.gz", rows_of()))["turns"] == 16
    assert document(cli, put("bom.jsonl", b"\xef\xbb\xbf" + lines(rows_of())))["turns"] == 16
    semicolons = "time;session_id;input;output\n" + "2026-03-02;s;a;b\n" * 2 + "2026-03-02;s;a\n2026-03-02;s;a;b;c\n"
    kinds = rejected(cli, put("t.csv", semicolons))
    assert kinds == {"wrong number of cells": 2, "duplicate turn": 1}


@pytest.fixture
def denied(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of files that may not be opened: the tests may run as a user to whom the system denies nothing."""
    names: set[str] = set()
    real = Path.open

    def opened(self: Path, *arguments: Any, **options: Any) -> Any:
        if self.name in names:
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", opened)
    return names


def test_a_file_that_may_not_be_read(cli: Cli, denied: set[str]) -> None:
    put("d/secret.jsonl", rows_of())
    put("d/t.jsonl", changed(user_id="u"))
    denied.add("secret.jsonl")
    refused(cli("scan", "d/secret.jsonl"), "d/secret.jsonl: permission denied. Allow this user to read it")
    answer = cli("scan", "d", "--db", "db")
    assert answer.code == 0
    assert "d/secret.jsonl: file not used\n  permission denied" in answer.out
    assert "1 of 2 files could not be read" in answer.out
    assert json.loads(cli("status", "--db", "db", "--json").out)["files"][0]["rejected"] == {"unreadable file": 1}
    denied.clear()
    assert "could not be read" not in cli("scan", "d", "--db", "db").out
    assert len(json.loads(cli("status", "--db", "db", "--json").out)["files"]) == 2


def test_equal_bad_files_are_told_by_their_own_names(cli: Cli) -> None:
    for name in ("a", "b"):
        put(f"d/{name}.jsonl", lines(rows_of()) + b"rubbish\n")
        put(f"d/{name}.txt", "hello\n")
    answer = cli("scan", "d")
    for name in ("a", "b"):
        assert (
            f"d/{name}.jsonl: 1 row not used\n  1 x not JSON\n  d/{name}.jsonl:17: the line is not JSON" in answer.out
        )
        assert f"d/{name}.txt: file not used\n  a turn table needs" in answer.out


def test_a_store_is_no_traffic(cli: Cli) -> None:
    assert STORE_FILE == DATABASE
    put("t.jsonl", rows_of())
    first = cli("scan", ".", "--db", "hist")
    assert first.out.count("hist: a store of unquiet, left out") == 1
    assert "hist/" not in first.out
    assert cli("scan", ".", "--db", "hist").out == first.out
    refused(cli("scan", "hist", "--db", "x"), "hist: what unquiet keeps of earlier scans", "unquiet status --db hist")
    cli("scan", "t.jsonl")
    refused(cli("scan", ".unquiet"), ".unquiet: what unquiet keeps of earlier scans", "Name the files")


def test_an_unclosed_quote_says_what_it_hides(cli: Cli) -> None:
    good = [f"2026-03-02T0{i}:00:00Z,s{i},a,b\n" for i in range(9)]
    header = "time,session_id,input,output\n"
    put("end.csv", header + "".join(good[:3]) + '2026-03-02,s,"a,b\n' + "".join(good[3:]))
    put("later.csv", header + "".join(good[:3]) + '2026-03-02,s,"a,b\n' + "".join(good[3:6]) + '2026-03-03,s,"x",y\n')
    for name, count in (("end", 7), ("later", 5)):
        answer = cli("scan", f"{name}.csv")
        assert f"{name}.csv: {count} rows not used" in answer.out
        assert f"{name}.csv:5: a quote opens in this row" in answer.out
        assert f"it hides {count} lines, to line {4 + count}." in answer.out
        assert "3 turns" in answer.out


def test_a_log_that_grows(cli: Cli) -> None:
    put("t.jsonl", rows_of(2))
    cli("scan", "t.jsonl", "--db", "db")
    put("t.jsonl", rows_of(3))
    answer = cli("scan", "t.jsonl", "--db", "db")
    assert "t.jsonl: 16 turns known already" in answer.out
    assert "not used" not in answer.out


def test_invalid_utf8_costs_its_row_only(cli: Cli) -> None:
    bad = b'{"time":"2026-03-02","session_id":"q","input":"\xff\xfe","output":"x"}\n'
    assert rejected(cli, put("t.jsonl", lines(rows_of()) + bad)) == {"invalid UTF-8": 1}
    pq.write_table(pa.Table.from_pylist(rows_of()), "t.parquet", compression="NONE", use_dictionary=False)
    put("t.parquet", Path("t.parquet").read_bytes().replace(b"order 3", b"order \xff").replace(b"s1-5", b"s1\xff5"))
    found = document(cli, "t.parquet")
    assert found["coverage"]["rejected_rows"] == {"t.parquet": {"invalid UTF-8": 3}}
    assert found["turns"] == 13


def test_a_corrupted_parquet_among_good_files(cli: Cli) -> None:
    pq.write_table(pa.Table.from_pylist(rows_of()), "good.parquet")
    data = bytearray(Path("good.parquet").read_bytes())
    put("d/footer.parquet", bytes(data[:-300]))
    data[4:200] = bytes(196)
    put("d/pages.parquet", bytes(data))
    put("d/t.jsonl", rows_of())
    found = document(cli, "d")
    assert found["turns"] == 16
    assert found["coverage"]["rejected_rows"]["d/footer.parquet"] == {"unreadable file": 1}
    assert found["coverage"]["rejected_rows"]["d/pages.parquet"] == {"damaged file": 1}


ODD_TIMES: list[tuple[Any, str]] = [
    (float("nan"), "unreadable time"),
    (None, "missing time"),
    ("", "missing time"),
    ("yesterday", "unreadable time"),
    (-5, "unreadable time"),
    (True, "unreadable time"),
    ([1], "unreadable time"),
    (10**30, "unreadable time"),
    ("2026-13-45T00:00:00Z", "unreadable time"),
    (0, "time before 2000"),
    ("1970-01-01T00:00:00Z", "time before 2000"),
    ("0001-01-01T00:00:00+14:00", "time before 2000"),
    ("2099-01-01T00:00:00Z", "time in the future"),
    ("9999-12-31T23:59:59-14:00", "time in the future"),
    (253402300799, "time before 2000"),  # the last second of 9999, but taken as milliseconds
]


def test_odd_times_are_counted_and_do_not_stretch_the_record(cli: Cli) -> None:
    rows = rows_of(a_day=20)
    expected: dict[str, int] = {}
    for row, (value, kind) in zip(rows, ODD_TIMES, strict=False):
        row["time"] = value
        expected[kind] = expected.get(kind, 0) + 1
    started = time.monotonic()
    found = document(cli, put("t.jsonl", rows))
    assert found["coverage"]["rejected_rows"] == {"t.jsonl": expected}
    assert found["turns"] == len(rows) - len(ODD_TIMES)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("value", ["1970-01-01T00:00:00Z", "1900-01-01T00:00:00Z", "2099-01-01T00:00:00Z"])
def test_one_stray_time_alone_in_its_batch(cli: Cli, value: str) -> None:
    """All times are texts of one form, which are read in one go."""
    rows = rows_of()
    rows[3]["time"] = value
    assert document(cli, put("t.jsonl", rows))["turns"] == 15


def test_epoch_times_in_any_unit_are_the_same(cli: Cli) -> None:
    seconds = [datetime.fromisoformat(row["time"]).timestamp() for row in rows_of()]
    spans = set()
    for unit in (lambda s: s, lambda s: s * 1000, lambda s: str(round(s))):
        put("t.jsonl", [{**row, "time": unit(s)} for row, s in zip(rows_of(), seconds, strict=True)])
        assert cli("scan", "t.jsonl", "--db", f"db{len(list(Path().glob('db*')))}").code == 0
    for folder in Path().glob("db*"):
        status = json.loads(cli("status", "--json", "--db", str(folder)).out)
        spans.add((status["first"], status["last"], status["turns"]))
    assert len(spans) == 1


def test_a_lone_turn_years_before_neither_stalls_nor_starts_learning(cli: Cli) -> None:
    rows = rows_of(days=4, a_day=72)
    options = ("--learn-days", "3")
    plain = document(cli, put("t.jsonl", rows), *options)
    stray = {**rows[0], "time": "2019-03-01T00:00:00Z", "session_id": "old"}
    started = time.monotonic()
    found = document(cli, put("u.jsonl", [*rows, stray]), *options)
    assert time.monotonic() - started < 30
    assert plain["streams"] > 0
    assert {key: found[key] for key in plain if key != "coverage"} == {
        key: plain[key] for key in plain if key != "coverage"
    }
    assert found["coverage"].pop("left_out").startswith("1 turn from 2019-03-01 to 2019-03-01 not judged")
    assert found["coverage"] == plain["coverage"]
    assert "1 turn from 2019-03-01" in cli("scan", "u.jsonl", *options).out


def test_hardly_any_traffic(cli: Cli) -> None:
    one = rows_of()[:1]
    for name, rows, turns in [
        ("one", one, 1),
        ("same", [{**row, "time": one[0]["time"], "input": "a", "output": "b"} for row in rows_of()], 16),
        ("session", changed(session_id="s"), 16),
        ("twice", rows_of() * 2, 16),
        ("equal", one * 16, 1),
    ]:
        answer = cli("scan", put(f"{name}.jsonl", rows))
        assert answer.code == 0
        assert counted(turns, "turn") in answer.out
        assert "nothing was judged" in answer.out
        assert ("known already" in answer.out) == (name in ("twice", "equal"))


def test_the_same_file_twice_changes_nothing(cli: Cli, tmp_path: Path) -> None:
    put("t.jsonl", rows_of())
    first = document(cli, "t.jsonl", "--db", "db")
    assert document(cli, "t.jsonl", str(tmp_path / "t.jsonl"), "--db", "db") == first
    again = document(cli, put("copy.jsonl", lines(rows_of()) + b"\n"), "--db", "db")
    assert again["turns"] == first["turns"]
    assert again["coverage"]["rejected_rows"] == {"copy.jsonl": {"duplicate turn": 16}}


def test_looking_before_anything_was_scanned(cli: Cli) -> None:
    commands = (["incidents"], ["status"], ["incident", "x"])
    for command in commands:
        refused(cli(*command), "nothing has been scanned here yet", "unquiet scan PATH")
        refused(cli(*command, "--db", "nowhere"), "nowhere holds no unquiet data", "--db nowhere")
    for content in (b"", b"\xff\xfe\x00", b"/gone/away\n"):
        put(".unquiet/last", content)
        for command in commands:
            refused(cli(*command))


def test_an_unknown_incident(cli: Cli) -> None:
    cli("scan", put("t.jsonl", rows_of()), "--db", "db")
    refused(cli("incident", "nope", "--db", "db"), "no incident nope in db", "it has none")


def test_a_folder_that_is_no_store_or_a_damaged_one(cli: Cli) -> None:
    put("t.jsonl", rows_of())
    put("other/a.txt", "x")
    refused(cli("status", "--db", "other"), "other holds no unquiet data")
    put("fake/unquiet.duckdb", "rubbish" * 1000)
    cli("scan", "t.jsonl", "--db", "db")
    database = Path("db/unquiet.duckdb")
    whole = database.read_bytes()
    damaged = {
        "head": os.urandom(4096) + whole[4096:],
        "second": whole[:4096] + os.urandom(4096) + whole[8192:],
        "middle": whole[:20000] + os.urandom(100_000) + whole[120_000:],
        "half": whole[: len(whole) // 2],
        "gone": b"",
    }
    for command in (["scan", "t.jsonl"], ["status"]):
        refused(cli(*command, "--db", "fake"), "damaged", "move the folder away")
        for content in damaged.values():
            database.write_bytes(content)
            answer = cli(*command, "--db", "db")
            refused(answer, "backup")
            assert "in use" not in answer.err
    database.write_bytes(whole)
    assert cli("status", "--db", "db").code == 0


def test_a_folder_in_use(cli: Cli) -> None:
    put("t.jsonl", rows_of())
    with Store.open(Path("db")):
        for command in (["scan", "t.jsonl"], ["status"], ["incidents"]):
            refused(cli(*command, "--db", "db"), "in use by another unquiet", str(os.getpid()), "wait until it ends")
    assert cli("scan", "t.jsonl", "--db", "db").code == 0


def test_measure_spares_what_is_there(cli: Cli) -> None:
    put("t.jsonl", rows_of())
    Path("dir.parquet").mkdir()
    for out, said in [
        ("x.txt", "ends in .parquet or .jsonl"),
        ("nodir/x.parquet", "there is no folder nodir"),
        ("t.jsonl/x.jsonl", "there is no folder t.jsonl"),
        ("dir.parquet", "a folder is there"),
        ("t.jsonl", "one of the files to be measured"),
    ]:
        refused(cli("measure", "t.jsonl", "--out", out), f"--out {out}", said)
    assert Path("t.jsonl").read_bytes() == lines(rows_of())
    put("old.jsonl", "kept")
    assert cli("measure", put("bad.jsonl", changed(time=None)), "--out", "old.jsonl").code == 2
    assert Path("old.jsonl").read_text() == "kept"
    assert cli("measure", "t.jsonl", "--out", "old.jsonl").code == 0
    assert len(Path("old.jsonl").read_text().splitlines()) == 16
    assert list(Path().glob(".*.part")) == []


def environment(**values: str) -> dict[str, str]:
    """That of this process, with the code that is tested."""
    return {**os.environ, "PYTHONPATH": str(Path(unquiet.__file__).parents[1]), **values}


def started(arguments: list[str], **values: str) -> subprocess.Popen[str]:
    """The program as a process of its own, in the current folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "unquiet", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**values),
    )


def ended(process: subprocess.Popen[str]) -> Answer:
    out, err = process.communicate(timeout=GRACE_S)
    assert "Traceback" not in err
    return Answer(process.returncode, out, err)


MEASURE = """import json, resource, subprocess, sys
done = subprocess.run([sys.executable, "-m", "unquiet", *sys.argv[1:]], capture_output=True, text=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps([done.returncode, done.stdout, done.stderr, peak // (1024 if sys.platform == "darwin" else 1)]))
"""
"""Starts the program from a small process: a child is charged with the memory of the process that it was forked from."""


def measured(arguments: list[str]) -> tuple[Answer, int]:
    """What the program answered, and its own peak memory in kB."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=2 * GRACE_S,
    )
    code, out, err, peak_kb = json.loads(done.stdout)
    assert "Traceback" not in err
    return Answer(code, out, err), peak_kb


def test_a_line_of_200_mb_is_skipped_in_bounded_memory(cli: Cli) -> None:
    path = Path("big.jsonl")
    try:
        with path.open("wb") as file:
            file.write(lines(rows_of()) + b'{"time":"2026-03-02","session_id":"big","output":"","input":"')
            for _ in range(200):
                file.write(b"x" * 1_000_000)
            file.write(b'"}\n')
        answer, peak_kb = measured(["scan", "big.jsonl"])
        assert answer.code == 0
        assert "1 x over-long line" in answer.out
        assert "16 turns" in answer.out
        with path.open("r+b") as file:
            file.write(b"[")
        answer, whole_kb = measured(["scan", "big.jsonl"])
        refused(answer, "one JSON document of more than", "Write one object a line")
        assert whole_kb < 1_500_000
        assert peak_kb < 800_000
    finally:
        path.unlink(missing_ok=True)


def test_interrupted_while_reading_and_run_again(cli: Cli) -> None:
    for name in ("a", "b"):
        many = [{**row, "session_id": f"{name}{k}-{row['session_id']}"} for k in range(15) for row in rows_of(10, 60)]
        put(f"d/{name}.jsonl", many)
    undisturbed = document(cli, "d", "--db", "plain")
    process = started(["scan", "d", "--json", "--db", "db"])
    begun = time.monotonic()
    while not list(Path().glob("db/turns/*")):  # the first file is being written
        assert process.poll() is None
        assert time.monotonic() - begun < GRACE_S
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    answer = ended(process)
    assert answer.code == 130
    assert "interrupted" in answer.err
    assert "run the same command again" in answer.err
    assert document(cli, "d", "--db", "db") == undisturbed


@pytest.mark.parametrize("arguments", [["scan", "t.jsonl"], ["scan", "t.jsonl", "--json"], ["status"]])
def test_a_reader_that_goes_away_is_no_error(cli: Cli, arguments: list[str]) -> None:
    cli("scan", put("t.jsonl", rows_of()))
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(
        [sys.executable, "-m", "unquiet", *arguments], stdout=write, stderr=subprocess.PIPE, env=environment()
    )
    os.close(write)
    _, err = process.communicate(timeout=GRACE_S)
    assert err == b""
    assert process.returncode == 0


def test_a_full_disk_behind_standard_output(cli: Cli) -> None:
    needs_full_device()
    put("t.jsonl", rows_of())
    for extra in ([], ["--json"]):
        with FULL.open("wb") as full:
            command = [sys.executable, "-m", "unquiet", "scan", "t.jsonl", *extra]
            done = subprocess.run(
                command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment()
            )
        assert done.returncode == 2
        assert done.stderr.startswith("unquiet: standard output cannot be written (No space left on device)")
        assert "Traceback" not in done.stderr


def test_piped_output_is_plain(cli: Cli) -> None:
    put("t.jsonl", [*rows_of(), {**rows_of()[0], "time": "grün", "session_id": "x"}])
    answer = ended(started(["scan", "t.jsonl"], PYTHONIOENCODING="ascii"))
    assert answer.code == 0
    assert answer.err == ""
    assert re.search(r"the time 'gr\\xfcn' is neither", answer.out)
    assert re.search(r"[\x00-\x09\x0b-\x1f]", answer.out) is None


def test_a_scan_that_failed_is_not_the_last_one(cli: Cli) -> None:
    put("t.jsonl", rows_of())
    put("bad.jsonl", changed(time=None))
    assert cli("scan", "t.jsonl", "--db", "my hist").code == 0
    for wrong in (["nosuch.jsonl"], ["bad.jsonl"], ["t.jsonl", "--map", "input=nosuch"]):
        assert cli("scan", *wrong).code == 2
    assert "in my hist\n" in cli("incidents").out
    assert json.loads(cli("status", "--json").out)["folder"] == "my hist"
    assert cli("scan", "t.jsonl").code == 0
    assert "in .unquiet/scans/" in cli("incidents").out


def test_an_interrupted_scan_is_the_last_one_and_wants_to_go_on(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    put("t.jsonl", rows_of())

    def stopped(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("unquiet.app.scanning.replay", stopped)
        answer = cli("scan", "t.jsonl")
    assert answer.code == 130
    assert "run the same command again to go on" in answer.err
    assert "run the same scan again" in " ".join(cli("status").out.split())
    refused(cli("incidents"), "no scan has come to its end")


def test_a_store_that_may_only_be_read(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("scan", put("t.jsonl", rows_of()), "--db", "db")
    told = [cli(*command, "--db", "db") for command in (["status"], ["incidents"])]
    monkeypatch.setattr("unquiet.store.folder.may_write", lambda folder: False)
    held = Path("db/unquiet.duckdb").read_bytes()
    assert [cli(*command, "--db", "db") for command in (["status"], ["incidents"])] == told
    refused(cli("label", "refusal", "--db", "db", "--count", "1"), "this user may only read it")
    assert Path("db/unquiet.duckdb").read_bytes() == held


def test_options_that_make_no_sense(cli: Cli) -> None:
    put("t.jsonl", rows_of())
    for command in (["scan", "t.jsonl"], ["status"], ["incidents"], ["label", "refusal"]):
        refused(cli(*command, "--db", ""), "--db '': expected a folder")
    cli("scan", "t.jsonl")
    refused(cli("label", "refusal", "--json"), "--json is for the report. Give --report too.")
