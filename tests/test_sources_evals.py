"""The evals door: every format tells the same two cases; what is special in each; what is wrong is said and counted."""

from __future__ import annotations

import copy
import gzip
import os
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest

from eval_reports import (
    ASKED,
    BLOCKED,
    DEEPEVAL,
    INSPECT,
    INSPECT_HEADER,
    JUNIT,
    PROMPTFOO,
    PROMPTFOO_RESULTS,
    PYTEST,
    REPORTS,
    SAMPLES,
    archive,
    inspect_sample,
    metric,
)
from unquiet.conventions.steps import short_hash
from unquiet.model.errors import UnreadableSource
from unquiet.model.evals import EVAL_RESULTS
from unquiet.model.rejections import DAMAGED, UNREADABLE, ReadReport
from unquiet.sources.evals import read_content, read_evals

NOW = datetime(2026, 3, 20, tzinfo=UTC)
RAN = datetime(2026, 3, 10, 2, tzinfo=UTC)


def read(folder: Path, name: str, content: bytes | str | dict[str, Any]) -> tuple[list[dict[str, Any]], ReadReport]:
    """The results in one file, and what was said of it."""
    path = folder / name
    data = orjson.dumps(content) if isinstance(content, dict) else content
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    os.utime(path, (RAN.timestamp(), RAN.timestamp()))
    (found,) = read_evals([path], now=NOW)
    tables = list(found.tables)
    assert all(table.schema.equals(EVAL_RESULTS) for table in tables)
    rows = pa.concat_tables(tables).to_pylist() if tables else []
    return [row | {"facets": dict(row["facets"] or ())} for row in rows], found.report


@pytest.mark.parametrize("name", REPORTS)
def test_every_format_tells_the_same_two_cases(tmp_path: Path, name: str) -> None:
    rows, report = read(tmp_path, name, REPORTS[name]())
    assert (report.rows, report.turns, report.rejected) == (2, 2, {})
    assert [(row["input"], row["status"]) for row in rows] == [(ASKED, "passed"), (BLOCKED, "failed")]
    assert [row["time"] for row in rows] == [RAN, RAN]
    assert {row["run"] for row in rows} == {rows[0]["run"]}
    assert rows[0]["facets"]["locale"] == "de-DE"
    assert rows[1]["reason"]
    assert rows[1]["checks"][0]["passed"] is False
    assert rows[0]["result_id"] != rows[1]["result_id"]


@pytest.mark.parametrize("name", REPORTS)
def test_the_same_report_again_has_the_same_ids_under_any_name_and_compression(tmp_path: Path, name: str) -> None:
    content = REPORTS[name]()
    ids = [row["result_id"] for row in read(tmp_path, name, content)[0]]
    (tmp_path / "copy").mkdir()
    assert [row["result_id"] for row in read(tmp_path / "copy", name, content)[0]] == ids
    if not name.endswith(".eval"):
        packed, _ = read(tmp_path, f"{name}.gz", gzip.compress(content, mtime=0))
        assert [(row["input"], row["status"]) for row in packed] == [(ASKED, "passed"), (BLOCKED, "failed")]


def test_the_served_path_is_told_as_turns_tell_it(tmp_path: Path) -> None:
    for name in ("promptfoo.json", "inspect.json", "inspect.eval"):
        rows, _ = read(tmp_path, name, REPORTS[name]())
        assert (rows[0]["model"], rows[0]["prompt_hash"]) == ("gpt-9", short_hash("Be a bank."))
    assert rows[0]["tools_hash"] == short_hash('[{"name":"block_card"}]')
    assert rows[0]["facets"]["served_model"] == "gpt-9-0301"
    assert read(tmp_path, "d.json", DEEPEVAL)[0][0]["model"] == "gpt-9"


# JUnit


def test_junit_suites_lie_in_suites(tmp_path: Path) -> None:
    text = """<testsuites timestamp="2026-03-10T02:00:00+01:00"><testsuite name="outer"><properties>
    <property name="model" value="m-1"/></properties><testsuite name="inner">
    <testcase name="a" timestamp="2026-03-10T02:30:00Z"/></testsuite><testcase name="b"/></testsuite>
    <testsuite name="other" hostname="ci-2"><testcase name="a"/><error message="no judge"/></testsuite></testsuites>"""
    rows, report = read(tmp_path, "r.xml", text)
    assert [(row["suite"], row["case_name"], row["status"], row["model"]) for row in rows] == [
        ("outer / inner", "a", "passed", "m-1"),
        ("outer", "b", "passed", "m-1"),
        ("other", "a", "passed", None),
        ("other", "other (the suite itself)", "error", None),
    ]
    assert [f"{row['time']:%H:%M}" for row in rows] == ["02:30", "01:00", "01:00", "01:00"]
    assert [row["run"] for row in rows[1:3]] == [
        "outer 2026-03-10T01:00:00+00:00",
        "other ci-2 2026-03-10T01:00:00+00:00",
    ]
    assert rows[0]["run"] == rows[1]["run"]
    assert not report.notes


@pytest.mark.parametrize(
    ("inside", "status", "reason"),
    [
        ("", "passed", None),
        ('<failure type="E" message="wrong">long</failure>', "failed", "wrong"),
        ("<failure>only text</failure>", "failed", "only text"),
        ('<error message="broke"/>', "error", "broke"),
        ('<skipped message="later"/>', "not_run", "later"),
        ('<skipped type="pytest.xfail" message="known"/>', "failed", "known"),
        ('<error message="in teardown"/><failure message="and wrong"/>', "failed", "and wrong"),
        ("<flakyFailure/><system-out>said</system-out>", "passed", None),
    ],
)
def test_what_became_of_a_case_in_junit(tmp_path: Path, inside: str, status: str, reason: str | None) -> None:
    xml = f'<testsuite name="s" timestamp="2026-03-10T02:00:00Z"><testcase name="a">{inside}</testcase></testsuite>'
    (row,), _ = read(tmp_path, "r.xml", xml)
    assert (row["status"], row["reason"]) == (status, reason)
    assert row["output"] == ("said" if "system-out" in inside else None)


def test_idle_cases_namespaces_and_attempts_in_junit(tmp_path: Path) -> None:
    xml = """<t:testsuite xmlns:t="urn:x" name="s" timestamp="2026-03-10T02:00:00"><t:testcase name="a" status="notrun"/>
    <t:testcase name="b"><t:failure/></t:testcase><t:testcase name="b"/></t:testsuite>"""
    rows, report = read(tmp_path, "r.xml", xml.replace("t:testsuite", "testsuite").replace("t:testcase", "testcase"))
    assert [row["status"] for row in rows] == ["not_run", "failed", "passed"]
    assert len({row["result_id"] for row in rows}) == 3
    assert [note.partition(": ")[2] for note in report.notes] == ["the times name no zone: taken as UTC"]


def test_a_junit_report_without_a_time_is_as_old_as_its_file_and_named_by_its_content(tmp_path: Path) -> None:
    xml = '<testsuite name="s"><testcase name="a"/></testsuite>'
    (row,), report = read(tmp_path, "r.xml", xml)
    assert row["time"] == RAN
    assert "names no time; the time at which the file was written stands for it" in report.notes[0]
    (again,), _ = read(tmp_path, "other.xml", xml)
    assert again["result_id"] == row["result_id"]
    (bad,), report = read(tmp_path, "r.xml", xml.replace('name="s"', 'name="s" timestamp="yesterday"'))
    assert bad["time"] == RAN
    assert "'yesterday'" in report.notes[0]


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE t [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE t [<!ENTITY a SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE t SYSTEM "http://127.0.0.1:9/x.dtd">',
    ],
)
def test_xml_that_can_harm_is_refused(tmp_path: Path, head: str) -> None:
    with pytest.raises(UnreadableSource, match="declares a document type or entities"):
        read(tmp_path, "r.xml", f'{head}<testsuite name="&b;"><testcase name="a"/></testsuite>')


def test_a_cut_off_junit_report_gives_the_cases_before_the_cut(tmp_path: Path) -> None:
    rows, report = read(tmp_path, "r.xml", JUNIT[: JUNIT.index("<failure")])
    assert [row["input"] for row in rows] == [ASKED]
    assert report.rejected == {DAMAGED: 1}
    assert "cut off" in report.examples[0].reason


# promptfoo


def result(**more: Any) -> dict[str, Any]:
    return copy.deepcopy(PROMPTFOO_RESULTS[1]) | more


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({}, "failed"),
        ({"failureReason": 2, "error": "API error: 500", "gradingResult": None}, "error"),
        ({"failureReason": None, "error": "API error: 500", "gradingResult": None}, "error"),
        ({"gradingResult": {"componentResults": [{"pass": False, "metadata": {"graderError": True}}]}}, "error"),
        ({"success": True, "gradingResult": None, "testCase": {}}, "undecided"),
        ({"success": True, "gradingResult": None, "error": None}, "passed"),
    ],
)
def test_what_became_of_a_case_in_promptfoo(tmp_path: Path, more: dict[str, Any], status: str) -> None:
    (row,), _ = read(tmp_path, "p.jsonl", orjson.dumps(result(**more)))
    assert row["status"] == status


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai:gpt-4.1", "gpt-4.1"),
        ("openai:chat:gpt-4.1", "gpt-4.1"),
        ("anthropic:messages:claude-x", "claude-x"),
        ("bedrock:vendor.model-v2:0", "vendor.model-v2:0"),
        ("ollama:chat:llama:8b", "llama:8b"),
        ("file://agent.py", None),
        ("python:agent.py", None),
        ("https://agent.example/x", None),
        ("echo", None),
    ],
)
def test_the_model_in_the_id_of_a_provider(tmp_path: Path, provider: str, model: str | None) -> None:
    (row,), _ = read(tmp_path, "p.jsonl", orjson.dumps(result(provider={"id": provider})))
    assert (row["model"], row["facets"]["provider"]) == (model, provider)


def test_a_plain_prompt_is_not_the_request(tmp_path: Path) -> None:
    plain = {"raw": "You are a bank. Answer: block my card"}
    (row,), _ = read(tmp_path, "p.jsonl", orjson.dumps(result(prompt=plain)))
    assert (row["input"], row["prompt_hash"]) == (BLOCKED, "418e0c9c5ec4")
    (row,), _ = read(tmp_path, "p.jsonl", orjson.dumps(result(prompt=plain, vars={"text": "hello"}, testCase={})))
    assert row["input"] == "hello"
    (row,), _ = read(tmp_path, "p.jsonl", orjson.dumps(result(prompt=plain, vars={}, testCase={"description": "d"})))
    assert (row["input"], row["case_name"]) == (plain["raw"], "d")


def test_both_files_of_one_run_of_promptfoo_hold_the_same_results(tmp_path: Path) -> None:
    ids = [
        [row["result_id"] for row in read(tmp_path, name, REPORTS[name]())[0]]
        for name in ("promptfoo.json", "promptfoo.jsonl")
    ]
    assert ids[0] == ids[1]


# Inspect


@pytest.mark.parametrize(
    ("grade", "status", "score"),
    [("C", "passed", 1.0), ("I", "failed", 0.0), ("N", "failed", 0.0), ("P", "undecided", 0.5), (True, "passed", 1.0),
     (1, "passed", 1.0), (0.0, "failed", 0.0), (0.7, "undecided", 0.7), (7, "undecided", 7.0), ("good", "undecided", None)],
)  # fmt: skip
def test_what_became_of_a_sample(tmp_path: Path, grade: Any, status: str, score: float | None) -> None:
    rows, _ = read(
        tmp_path, "i.json", INSPECT | {"samples": [inspect_sample("balance", ASKED, "3", grade), SAMPLES[1]]}
    )
    assert (rows[0]["status"], rows[0]["score"]) == (status, score)


def test_samples_that_broke_were_not_scored_or_never_ran(tmp_path: Path) -> None:
    broken = SAMPLES[0] | {"error": {"message": "timeout"}}
    log = INSPECT_HEADER | {"status": "error", "error": {"message": "rate limit"}, "samples": [broken]}
    rows, _ = read(tmp_path, "i.json", log)
    assert [(row["case_name"], row["status"], row["reason"]) for row in rows] == [
        ("balance", "error", "timeout"),
        ("block", "not_run", "rate limit"),
    ]
    rows, _ = read(tmp_path, "i.json", INSPECT | {"samples": [SAMPLES[0] | {"scores": None}, SAMPLES[1]]})
    assert (rows[0]["status"], rows[0]["reason"]) == ("not_run", "it was not scored")
    rows, _ = read(tmp_path, "i.json", log | {"status": "started"})
    assert [row["case_name"] for row in rows] == ["balance"]


def test_a_scorer_with_several_values_is_several_checks(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, "i.eval", archive(samples=[inspect_sample("balance", ASKED, "3", {"a": "C", "b": 0})]))
    assert [(check["kind"], check["passed"]) for check in rows[0]["checks"]] == [
        ("includes.a", True),
        ("includes.b", False),
    ]
    assert [row["status"] for row in rows] == ["failed", "not_run"]


def test_a_bomb_in_an_archive_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unquiet.sources.evals.CONTENT_LIMIT_BYTES", 100_000)
    big = inspect_sample("big", "x" * 1_000_000, "3", "C")
    (found,) = read_content("i.eval", archive(samples=[SAMPLES[0], big]), round(NOW.timestamp() * 1e6))
    assert [table.num_rows for table in found.tables] == [1]
    assert found.report.rejected == {DAMAGED: 1}
    assert found.report.examples[0].where == "i.eval:samples/big_epoch_1.json"


def test_real_logs_of_inspect(shared: Path) -> None:
    logs = shared / "data" / "trace_fixtures" / "inspect_ai"
    rows = pa.concat_tables([table for found in read_evals([logs], now=NOW) for table in found.tables])
    assert rows.num_rows == 17
    assert rows.column("input").null_count == rows.column("checks").null_count == 0


# DeepEval


@pytest.mark.parametrize(
    ("metrics", "success", "status"),
    [
        ([metric(True), metric(True)], True, "passed"),
        ([metric(True), metric(False)], False, "failed"),
        ([metric(True), metric(False, error="judge is down")], False, "error"),
        ([metric(False), metric(False, error="judge is down")], False, "failed"),
        ([metric(True), metric(False, flaky=True)], True, "passed"),
        ([], None, "not_run"),
        ([{"name": "M", "score": 0.4}], None, "undecided"),
    ],
)
def test_what_became_of_a_case_in_deepeval(tmp_path: Path, metrics: Any, success: bool | None, status: str) -> None:
    case = {"name": "c", "input": ASKED, "metricsData": metrics, "success": success}
    (row,), _ = read(tmp_path, "d.json", DEEPEVAL | {"testCases": [case]})
    assert row["status"] == status
    assert (row["checks"] or [{}])[0].get("expected") in (">= 0.5", None)


def test_conversations_in_deepeval(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": ASKED}, {"role": "assistant", "content": "3"}]
    case = {
        "name": "conversational_test_case_0",
        "turns": turns,
        "expectedOutcome": "told",
        "metricsData": [metric(True)],
    }
    rows, report = read(
        tmp_path, "d.json", DEEPEVAL | {"testCases": [], "conversationalTestCases": [case | {"success": True}]}
    )
    assert [(row["case_name"], row["input"], row["output"], row["expected"]) for row in rows] == [
        (ASKED, ASKED, "3", "told")
    ]
    assert "names no time" in report.notes[0]


# pytest-json-report


def test_outcomes_of_pytest(tmp_path: Path) -> None:
    outcomes = ["passed", "xpassed", "failed", "xfailed", "error", "skipped", "strange"]
    tests = [{"nodeid": f"t::{each}", "outcome": each} for each in outcomes]
    collectors = [{"nodeid": "", "outcome": "passed"}, {"nodeid": "b.py", "outcome": "failed", "longrepr": "E  import"}]
    rows, report = read(tmp_path, "p.json", PYTEST | {"tests": tests, "collectors": collectors})
    assert [row["status"] for row in rows] == ["passed", "passed", "failed", "failed", "error", "not_run", "error"]
    assert (rows[-1]["case_name"], rows[-1]["reason"]) == ("b.py (not collected)", "E  import")
    assert rows[0]["suite"] == "bank"
    assert report.rejected == {"unreadable case": 1}
    rows, report = read(tmp_path, "p.json", {name: value for name, value in PYTEST.items() if name != "tests"})
    assert not rows
    assert "lists no tests" in report.notes[0]


# What is wrong


FLAWS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut": lambda content: content[: 2 * len(content) // 3],
    "utf-16": lambda content: content.decode("latin-1").encode("utf-16"),
    "latin-1": lambda content: content.replace(b"balance", b"b\xe4lance"),
    "other": lambda _: b"hello, this is a letter\n",
    "list": lambda _: b"[1, 2, 3]",
    "future": lambda content: content.replace(b"2026-03-10", b"2099-03-10").replace(b"1773108000", b"4077000000"),
    "zero": lambda content: content.replace(b"2026-03-10", b"1970-01-01").replace(b"1773108000", b"0"),
    "huge": lambda content: content,
}
# What holds no text or no times to spoil; the lines of JSONL are read one by one.
TIMELESS = ("inspect.eval", "promptfoo.jsonl", "test_run_20260310_020000.json")
NO_FLAWS = {("latin-1", "inspect.eval"), ("huge", "promptfoo.jsonl")} | {
    (flaw, name) for flaw in ("future", "zero") for name in TIMELESS
}


@pytest.mark.parametrize(
    ("flaw", "name"), [(flaw, name) for flaw in FLAWS for name in REPORTS if (flaw, name) not in NO_FLAWS]
)
def test_what_is_wrong_is_said_or_counted(name: str, flaw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never a crash, never a silent loss: an error, or the cases that are good and a rejection that says why."""
    content = REPORTS[name]()
    if flaw == "huge":
        monkeypatch.setattr("unquiet.sources.evals.CONTENT_LIMIT_BYTES", 300)
    spoiled = FLAWS[flaw](content)
    assert flaw == "huge" or spoiled != content, "this file does not hold what would be wrong"
    try:
        found = read_content(name, spoiled, round(NOW.timestamp() * 1e6))
    except UnreadableSource as error:
        said = str(error)
    else:
        said = ""
    if said:
        assert said.endswith(".")
        assert len(said) > 40
        assert flaw not in ("future", "zero")
        return
    rows = sum(table.num_rows for table in found[0].tables)
    report = found[0].report
    assert rows == report.turns < 2
    assert report.rejected_count
    assert all(example.reason for example in report.examples)
    if flaw in ("future", "zero"):
        assert list(report.rejected) == ["time in the future" if flaw == "future" else "time before 2000"]
        assert report.rejected_count == 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.json", PROMPTFOO | {"results": {"version": 3, "results": {"a": 1}, "stats": {}}}),
        ("i.json", {"eval": {"task": None}, "status": "success", "samples": []}),
    ],
)
def test_a_wrong_shape_is_an_error(tmp_path: Path, name: str, content: dict[str, Any]) -> None:
    with pytest.raises(UnreadableSource):
        read(tmp_path, name, content)


@pytest.mark.parametrize(
    ("name", "content", "count"),
    [
        ("p.json", PROMPTFOO | {"results": PROMPTFOO["results"] | {"results": [1, {"success": "yes"}, PROMPTFOO_RESULTS[0]]}}, 2),
        ("p.jsonl", b'7\n{"gradingResult": 1, "vars": 2}\n' + orjson.dumps(PROMPTFOO_RESULTS[0]), 2),
        ("i.json", INSPECT | {"samples": [None, {"epoch": 1}, *SAMPLES]}, 2),
        ("d.json", DEEPEVAL | {"testCases": [None, *DEEPEVAL["testCases"]]}, 1),
        ("t.json", PYTEST | {"tests": [7, {"nodeid": "x"}, *PYTEST["tests"]]}, 2),
    ],
)  # fmt: skip
def test_cases_of_a_wrong_shape_are_counted(tmp_path: Path, name: str, content: Any, count: int) -> None:
    rows, report = read(tmp_path, name, content)
    assert rows
    assert report.rejected_count == count
    assert report.rows == len(rows) + count


@pytest.mark.parametrize("value", [None, 1, [], "x", {"a": []}, [None], True])
@pytest.mark.parametrize("name", ["promptfoo.json", "inspect.json", "pytest.json", "test_run_20260310_020000.json"])
def test_any_field_may_hold_anything(tmp_path: Path, name: str, value: Any) -> None:
    """Each field of each case in turn is something else: no crash."""
    whole = orjson.loads(REPORTS[name]())
    lists = {"promptfoo.json": ("results", "results"), "inspect.json": ("samples",), "pytest.json": ("tests",)}
    places = lists.get(name, ("testCases",))
    cases = whole
    for place in places:
        cases = cases[place]
    for field in list(cases[0]):
        kept = cases[0][field]
        cases[0][field] = value
        _, report = read(tmp_path, name, whole)
        assert report.rows >= 2
        cases[0][field] = kept


def test_an_unreadable_file_among_others_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(JUNIT)
    (tmp_path / "b.eval").write_bytes(archive()[:100])
    reports = []
    for found in read_evals([tmp_path], now=NOW):
        list(found.tables)
        reports.append(found.report)
    assert [report.rejected for report in reports] == [{}, {UNREADABLE: 1}]


def test_a_damaged_member_of_an_archive_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.eval"
    path.write_bytes(archive())
    with zipfile.ZipFile(path, "a") as made:
        made.writestr("samples/zz_epoch_1.json", b'{"id": ')
    rows, report = read(tmp_path, "x.eval", path.read_bytes())
    assert len(rows) == 2
    assert report.rejected == {DAMAGED: 1}
