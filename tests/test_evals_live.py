"""What judges say of production turns: read from files and from the log of the service, joined to turns, forgotten with them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from eval_reports import JUNIT
from unquiet.app.adding import add_records
from unquiet.app.eval_joining import join_verdicts
from unquiet.app.eval_runs import eval_runs
from unquiet.app.forgetting import forget
from unquiet.app.scanning import ScanResult, ingest
from unquiet.cli import unquiet
from unquiet.conventions.live_traces import LiveTraces
from unquiet.model.bodies import Body, BodyKind
from unquiet.service.draining import Drain
from unquiet.service.span_keys import Keys
from unquiet.sources.evals import read_evals
from unquiet.store import Store
from unquiet.wal import START, Entry, Position

AT = datetime(2026, 3, 10, 2, tzinfo=UTC)
NANOS = round(AT.timestamp()) * 1_000_000_000
TRACE, AGENT, CALL = "a1" * 16, "b1" * 8, "c1" * 8


def attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = {str: "stringValue", float: "doubleValue"}
    return [{"key": name, "value": {kinds[type(value)]: value}} for name, value in values.items()]


def span(span_id: str, operation: str, parent: str = "", **more: Any) -> dict[str, Any]:
    said = {"gen_ai.operation.name": operation, "gen_ai.conversation.id": "session-7"}
    messages = {
        "gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "content": "block my card"}]}]',
        "gen_ai.output.messages": '[{"role": "assistant", "parts": [{"type": "text", "content": "no"}]}]',
    }
    times = {"startTimeUnixNano": str(NANOS), "endTimeUnixNano": str(NANOS + 10**9)}
    ids = {"traceId": TRACE, "spanId": span_id, "parentSpanId": parent, "name": operation}
    return {**ids, **times, "attributes": attributes(said | messages), **more}


def verdict(label: str | None, span_id: str = CALL, **said: Any) -> dict[str, Any]:
    """A log record in which a judge speaks of a span."""
    told = {"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.value": 0.25, **said}
    if label is not None:
        told["gen_ai.evaluation.score.label"] = label
    where = {"traceId": TRACE, "spanId": span_id} if span_id else {}
    at = {"timeUnixNano": str(NANOS + 60 * 10**9)}
    return {"eventName": "gen_ai.evaluation.result", **where, **at, "attributes": attributes(told)}


def logs(*records: dict[str, Any]) -> dict[str, Any]:
    service = {"attributes": attributes({"service.name": "bank"})}
    return {"resourceLogs": [{"resource": service, "scopeLogs": [{"logRecords": list(records)}]}]}


def spans(*listed: dict[str, Any]) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(listed)}]}]}


TRAFFIC = spans(span(AGENT, "invoke_agent"), span(CALL, "chat", AGENT))


def written(path: Path, *payloads: dict[str, Any]) -> Path:
    path.write_bytes(b"\n".join(map(orjson.dumps, payloads)))
    return path


@pytest.mark.parametrize(
    ("label", "more", "status"),
    [
        ("relevant", {}, "passed"),
        ("Not relevant", {}, "failed"),
        ("pass", {"error.type": "timeout"}, "error"),
        ("yes", {}, "undecided"),
        (None, {}, "undecided"),
    ],
)
def test_what_a_judge_said(tmp_path: Path, label: str | None, more: dict[str, str], status: str) -> None:
    path = written(
        tmp_path / "logs.jsonl", logs(verdict(label, **{"gen_ai.evaluation.explanation": "off topic", **more}))
    )
    (found,) = read_evals([path], now=AT + timedelta(days=1))
    (row,) = [row for table in found.tables for row in table.to_pylist()]
    assert (row["status"], row["score"], row["case_name"], row["suite"]) == (status, 0.25, "relevance", "relevance")
    assert (row["run"], row["turn_id"]) == ("relevance 2026-03-10", f"{TRACE}:{CALL}")
    assert row["checks"][0]["reason"] == more.get("error.type", "off topic")
    assert dict(row["facets"]).get("score.label") == label
    assert dict(row["facets"])["service.name"] == "bank"


def test_a_scan_takes_what_judges_said_and_joins_it_to_the_turn(tmp_path: Path) -> None:
    on_span = {"name": "gen_ai.evaluation.result", "timeUnixNano": str(NANOS + 10**9)}
    told = attributes({"gen_ai.evaluation.name": "tone", "gen_ai.evaluation.score.label": "fail"})
    traffic = spans(span(AGENT, "invoke_agent", events=[on_span | {"attributes": told}]), span(CALL, "chat", AGENT))
    nameless = verdict("pass")
    nameless["attributes"] = []
    path = written(tmp_path / "all.jsonl", traffic, logs(verdict("relevant"), verdict("pass", ""), nameless))
    with Store.open(tmp_path / "db") as store:
        result = ScanResult({})
        ingest(store, [str(path)], {}, result, lambda _what, _share: None)
        assert result.reports[0][1].verdicts == 4
        assert not any("none of an agent" in note for note in result.reports[0][1].notes)
        assert join_verdicts(store) == 1
        assert join_verdicts(store) == 0
        rows = {row["case_name"] + str(row["turn_id"]): row for row in store.evals.read().to_pylist()}
        assert {key: row["session_id"] for key, row in rows.items()} == {
            f"relevance{TRACE}:{AGENT}": "session-7",
            "relevanceNone": None,
            f"tone{TRACE}:{AGENT}": "session-7",
        }
        assert sum(run["on_turns"] for run in eval_runs(store)["runs"]) == 2


def test_what_judges_said_of_forgotten_sessions_goes_and_the_suite_stays(tmp_path: Path) -> None:
    path = written(
        tmp_path / "all.jsonl", TRAFFIC, logs(verdict("relevant", **{"gen_ai.evaluation.explanation": "Knefwort"}))
    )
    (tmp_path / "r.xml").write_text(JUNIT)
    with Store.open(tmp_path / "db") as store:
        ingest(store, [str(path)], {}, ScanResult({}), lambda _what, _share: None)
        add_records(store, store.evals, read_evals([tmp_path / "r.xml"]))
        assert store.evals.count() == 3
        assert forget(store, {"session-7"}, set()).evals == 1
        assert store.evals.count() == 2
    assert not any(b"Knefwort" in file.read_bytes() for file in (tmp_path / "db").rglob("*") if file.is_file())


def test_results_on_turns_age_with_them(tmp_path: Path) -> None:
    path = written(tmp_path / "all.jsonl", logs(verdict("relevant")))
    (tmp_path / "r.xml").write_text(JUNIT)
    with Store.open(tmp_path / "db") as store:
        add_records(store, store.evals, read_evals([path, tmp_path / "r.xml"]))
        assert store.evals.retire("turn_id", round(AT.timestamp() * 1e6)) == 0
        assert store.evals.retire("turn_id", round(AT.timestamp() * 1e6) + 61_000_000) == 1
        assert store.evals.count() == 2


def test_the_service_keeps_what_judges_said_once(tmp_path: Path) -> None:
    now_us = round(AT.timestamp() * 1e6) + 120_000_000
    body = orjson.dumps(logs(verdict("relevant"), verdict("pass", **{"gen_ai.evaluation.name": "tone"})))
    late = orjson.dumps(logs(verdict("fail") | {"timeUnixNano": "1000"}))

    def unknown(keys: Keys) -> Any:
        return keys == keys

    drain = Drain(LiveTraces[Position](1.0, 60.0), unknown, START)
    kinds = BodyKind.LOGS_JSON
    for number, payload in enumerate((body, body, late)):
        drain.add([Entry(Body(kinds, "", now_us, 2, payload), Position(1, number + 1))])
    drained = drain.take(now_us)
    assert drained.verdicts.num_rows == 4
    assert drained.counts == Counter({"evaluation results": 4, "rejected evaluation results: time before 2000": 1})
    with Store.open(tmp_path / "db") as store:
        assert store.evals.append(drained.verdicts).new == 2


def test_a_body_of_logs_in_protobuf_tells_the_same() -> None:
    from unquiet.conventions.otlp import read_json, read_resource_logs

    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.event_name = "gen_ai.evaluation.result"
    record.trace_id, record.span_id = bytes.fromhex(TRACE), bytes.fromhex(CALL)
    assert [b.span_id for _, b in read_resource_logs(request.resource_logs).verdicts] == [CALL]
    assert [b.span_id for _, b in read_json(logs(verdict("pass"))).verdicts] == [CALL]


def test_the_command_adds_once_and_lists(tmp_path: Path) -> None:
    (tmp_path / "r.xml").write_text(JUNIT)
    with Store.open(tmp_path / "db"):
        pass
    db = ["--db", str(tmp_path / "db")]
    assert "no run of an evaluation suite" in CliRunner().invoke(unquiet, ["evals", *db]).output
    first = CliRunner().invoke(unquiet, ["evals", str(tmp_path / "r.xml"), *db])
    assert (first.exit_code, first.output) == (0, "2 eval results added\n")
    again = CliRunner().invoke(unquiet, ["evals", str(tmp_path / "r.xml"), *db])
    assert again.output == f"{tmp_path}/r.xml: 2 eval results known already\n0 eval results added\n"
    listed = CliRunner().invoke(unquiet, ["evals", *db])
    assert listed.output == (
        "Tue 10 Mar 02:00 UTC  bank (junit)\n  1 passed, 1 failed; every request known; model not told\n"
    )
    document = orjson.loads(CliRunner().invoke(unquiet, ["evals", "--json", *db]).stdout)
    assert document["schema"] == "unquiet.evals/1"
    assert (document["runs"][0]["passed"], document["runs"][0]["failed"]) == (1, 1)
    later = JUNIT.replace("2026-03-10", "2026-03-11")
    (tmp_path / "later.xml").write_text(later)
    document = orjson.loads(CliRunner().invoke(unquiet, ["evals", str(tmp_path / "later.xml"), "--json", *db]).stdout)
    assert (len(document["runs"]), document["added"], document["files"][0]["used"]) == (2, 2, 2)
