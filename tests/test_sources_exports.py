"""Files of spans: OTLP in every wrapping, exports row by row, and what happens when they are damaged."""

from __future__ import annotations

import csv
import gzip
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from unquiet.model.errors import UnreadableSource
from unquiet.model.rejections import ReadReport
from unquiet.sources import read_files
from unquiet.sources.changes import read_changes

NOW = datetime(2026, 11, 1, tzinfo=UTC)
START_NS = 1_790_841_600_000_000_000


def read(path: Path) -> tuple[list[dict[str, Any]], ReadReport]:
    ((_, tables, report),) = read_files([path], now=NOW)
    return [row for table in tables for row in table.to_pylist()], report


def attribute(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def request(number: int, **changes: Any) -> dict[str, Any]:
    """One export request with one model call."""
    message = [{"role": "user", "parts": [{"type": "text", "content": f"question {number}"}]}]
    raw = {
        "traceId": f"{number + 1:032X}",
        "spanId": f"{number + 1:016X}",
        "name": "chat m",
        "startTimeUnixNano": str(START_NS + number * 1_000_000_000),
        "endTimeUnixNano": START_NS + number * 1_000_000_000 + 500_000_000,
        "attributes": [attribute("gen_ai.operation.name", "chat"), attribute("gen_ai.input.messages", json.dumps(message)),
                       attribute("gen_ai.output.messages", '[{"role": "assistant", "content": "yes"}]')],
        "unknownField": {"ignored": True},
        **changes,
    }  # fmt: skip
    return {
        "resourceSpans": [
            {"resource": {"attributes": [attribute("service.name", "shop")]}, "scopeSpans": [{"spans": [raw]}]}
        ]
    }


def proto(number: int, trace_id: bytes | None = None) -> bytes:
    made = ExportTraceServiceRequest()
    span = made.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id = trace_id if trace_id is not None else (number + 1).to_bytes(16, "big")
    span.span_id = (number + 1).to_bytes(8, "big")
    span.name = "chat"
    span.start_time_unix_nano = START_NS
    span.end_time_unix_nano = START_NS + 1_000_000
    for key, value in (
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.completion", "yes"),
        ("gen_ai.prompt", f"question {number}"),
    ):
        item = span.attributes.add()
        item.key, item.value.string_value = key, value
    return made.SerializeToString()


def framed(*messages: bytes) -> bytes:
    return b"".join(len(message).to_bytes(4, "big") + message for message in messages)


def test_otlp_json_in_every_wrapping(tmp_path: Path) -> None:
    lines = "".join(json.dumps(request(i)) + "\n" for i in range(20)).encode()
    (tmp_path / "a.jsonl").write_bytes(lines)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines))
    with pa.CompressedOutputStream(str(tmp_path / "c.zst"), "zstd") as out:
        out.write(lines)
    merged = {"resourceSpans": [part for i in range(20) for part in request(i)["resourceSpans"]]}
    (tmp_path / "d.json").write_text(json.dumps(merged, indent=2))
    expected, report = read(tmp_path / "a.jsonl")
    assert (report.rows, report.turns, report.rejected) == (20, 20, {})
    assert expected[3]["input"] == "question 3"
    assert expected[3]["turn_id"] == f"{4:032x}:{4:016x}"
    assert expected[3]["latency_ms"] == 500
    assert dict(expected[3]["facets"]) == {"service.name": "shop"}
    for name in ("b.jsonl.gz", "c.zst", "d.json"):
        assert read(tmp_path / name)[0] == expected


def test_bad_spans_are_rejected_one_by_one(tmp_path: Path) -> None:
    bad = [{"traceId": ""}, {"spanId": "0" * 16}, {"startTimeUnixNano": 0}, {"startTimeUnixNano": "soon"}]
    future = {"startTimeUnixNano": str(START_NS + 90 * 86_400 * 10**9)}
    requests = [
        request(0),
        *(request(i + 1, **changes) for i, changes in enumerate([*bad, future])),
        {"resourceSpans": 7},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in requests) + "{broken\n")
    rows, report = read(path)
    assert [row["input"] for row in rows] == ["question 0"]
    assert report.rejected_count == 6
    assert report.rejected["time in the future"] == 1
    assert any(example.where.endswith(":2: span 0000000000000002") for example in report.examples)


def test_otlp_protobuf_framed_bare_and_compressed(tmp_path: Path) -> None:
    (tmp_path / "framed").write_bytes(framed(*(proto(i) for i in range(5))))
    (tmp_path / "framed.gz").write_bytes(gzip.compress(framed(*(proto(i) for i in range(5)))))
    (tmp_path / "bare").write_bytes(proto(0))
    rows, report = read(tmp_path / "framed")
    assert [row["input"] for row in rows] == [f"question {i}" for i in range(5)]
    assert (report.rows, report.rejected) == (5, {})
    assert read(tmp_path / "framed.gz")[0] == rows
    assert read(tmp_path / "bare")[0] == rows[:1]


def test_damaged_protobuf_keeps_what_came_before(tmp_path: Path) -> None:
    whole = framed(proto(0), b"\x0a\x05nothing to see", proto(2), proto(3, trace_id=b""), proto(4))
    path = tmp_path / "framed"
    path.write_bytes(whole[:-10])
    rows, report = read(path)
    assert [row["input"] for row in rows] == ["question 0", "question 2"]
    assert report.rejected["not OTLP"] == 1
    assert report.rejected["damaged file"] == 1
    assert report.rejected_count == 3
    path.write_bytes(gzip.compress(framed(*(proto(i) for i in range(400))))[:-300])
    rows, report = read(path)
    assert 0 < len(rows) < 400
    assert report.rejected == {"damaged file": 1}


def test_text_that_begins_with_an_empty_line_is_no_protobuf(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("\n\n\ntime,session_id,input,output\n")
    rows, report = read(path)
    assert rows == []
    assert report.notes == [f"{path}: the file holds no rows"]
    path.write_text("\n\n\ntime,session_id,input,output\n2026-10-01T08:00:00Z,s,hi,yo\n")
    assert [row["input"] for row in read(path)[0]] == ["hi"]


OBSERVATIONS: list[dict[str, Any]] = [
    {"id": "o1", "traceId": "t1", "type": "AGENT", "name": "clerk", "startTime": "2026-10-01T08:00:00.000Z",
     "endTime": "2026-10-01T08:00:03.000Z", "input": '{"question": "hi"}', "output": "yo", "parentObservationId": None,
     "sessionId": "c1", "userId": "u1", "level": "DEFAULT", "metadata": '{"tenant": "acme"}', "model": None,
     "usageDetails": "{}", "promptVersion": 4},
    {"id": "o2", "traceId": "t1", "type": "GENERATION", "name": "llm", "startTime": "2026-10-01T08:00:01.000Z",
     "endTime": "2026-10-01T08:00:02.000Z", "input": '[{"role": "user", "content": "hi"}]',
     "output": '{"role": "assistant", "content": "yo"}', "parentObservationId": "o1", "sessionId": "c1", "userId": "u1",
     "level": "DEFAULT", "metadata": "{}", "model": "m", "usageDetails": '{"input": 3, "output": 1}', "promptVersion": 4},
]  # fmt: skip


def check_langfuse(rows: list[dict[str, Any]]) -> None:
    (turn,) = rows
    assert (turn["input"], turn["output"], turn["session_id"], turn["user_id"]) == ("hi", "yo", "c1", "u1")
    assert (turn["model"], turn["input_tokens"], turn["latency_ms"]) == ("m", 3, 3000)
    assert dict(turn["facets"]) == {"tenant": "acme", "prompt.version": "4"}


def test_langfuse_observations_in_every_format(tmp_path: Path) -> None:
    (tmp_path / "o.jsonl").write_text("".join(json.dumps(row) + "\n" for row in reversed(OBSERVATIONS)))
    (tmp_path / "o.json").write_text(json.dumps(OBSERVATIONS))
    pq.write_table(pa.Table.from_pylist(OBSERVATIONS), tmp_path / "o.parquet")
    with gzip.open(tmp_path / "o.csv.gz", "wt", newline="") as file:
        writer = csv.DictWriter(file, list(OBSERVATIONS[0]))
        writer.writeheader()
        writer.writerows(OBSERVATIONS)
    for name in ("o.jsonl", "o.json", "o.parquet", "o.csv.gz"):
        rows, report = read(tmp_path / name)
        check_langfuse(rows)
        assert (report.rows, report.rejected) == (2, {})


def test_langfuse_traces_without_observations(tmp_path: Path) -> None:
    row = {"id": "t1", "timestamp": "2026-10-01T08:00:00Z", "name": "chat", "sessionId": "c1", "userId": "u1", "release": "r7",
           "input": "hi", "output": "yo", "latency": 1.5, "tags": [], "bookmarked": False, "totalCost": 0}  # fmt: skip
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(row) + "\n" + json.dumps({**row, "id": "t2", "timestamp": None}) + "\n")
    (turn,), report = read(path)
    assert (turn["input"], turn["output"], turn["session_id"], turn["latency_ms"]) == ("hi", "yo", "c1", 1500)
    assert dict(turn["facets"]) == {"trace.name": "chat", "release": "r7"}
    assert report.rejected_count == 1


RUNS: list[dict[str, Any]] = [
    {"id": "r1", "name": "clerk", "run_type": "chain", "trace_id": "r1", "parent_run_id": None, "session_id": "the-project",
     "start_time": "2026-10-01T08:00:00", "end_time": "2026-10-01T08:00:02", "inputs": {"input": "hi"},
     "outputs": {"output": "yo"}, "error": None, "extra": {"metadata": {"thread_id": "c1", "tier": "gold"}}},
    {"id": "r2", "name": "ChatOpenAI", "run_type": "llm", "trace_id": "r1", "parent_run_id": "r1", "session_id": "the-project",
     "start_time": "2026-10-01T08:00:00.5", "end_time": "2026-10-01T08:00:01", "prompt_tokens": 3, "completion_tokens": 1,
     "inputs": {"messages": [[{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"],
                               "kwargs": {"content": "hi"}}]]},
     "outputs": {"generations": [[{"text": "yo", "generation_info": {"finish_reason": "stop"}}]]}, "error": None,
     "extra": {"invocation_params": {"model": "m"}, "metadata": {"thread_id": "c1"}}},
]  # fmt: skip


def test_langsmith_runs_know_the_conversation_from_the_project(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(run) + "\n" for run in RUNS))
    (tmp_path / "r.json").write_text(json.dumps(RUNS, indent=1))
    for name in ("r.jsonl", "r.json"):
        (turn,), _ = read(tmp_path / name)
        assert (turn["input"], turn["output"], turn["session_id"]) == ("hi", "yo", "c1")
        assert (turn["model"], turn["input_tokens"], turn["latency_ms"]) == ("m", 3, 2000)
        assert dict(turn["facets"])["tier"] == "gold"


def test_phoenix_data_frames(tmp_path: Path) -> None:
    rows = [
        {"name": "agent", "span_kind": "AGENT", "parent_id": None, "start_time": datetime(2026, 10, 1, 8, tzinfo=UTC),
         "end_time": datetime(2026, 10, 1, 8, 0, 2, tzinfo=UTC), "status_code": "OK", "status_message": "",
         "context.span_id": "a", "context.trace_id": "t", "attributes.input.value": "hi", "attributes.output.value": "yo",
         "attributes.session.id": "c1", "attributes.llm.input_messages": None, "attributes.llm.token_count.prompt": None},
        {"name": "llm", "span_kind": "LLM", "parent_id": "a", "start_time": datetime(2026, 10, 1, 8, tzinfo=UTC),
         "end_time": datetime(2026, 10, 1, 8, 0, 1, tzinfo=UTC), "status_code": "ERROR", "status_message": "slow",
         "context.span_id": "b", "context.trace_id": "t", "attributes.input.value": None, "attributes.output.value": None,
         "attributes.session.id": "c1", "attributes.llm.token_count.prompt": 3.0,
         "attributes.llm.input_messages": [{"message.role": "user", "message.content": "hi"}]},
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "spans.parquet")
    nested = [
        {"context": {"trace_id": "t", "span_id": row["context.span_id"]}, "parent_id": row["parent_id"], "name": row["name"],
         "span_kind": row["span_kind"], "start_time": row["start_time"].isoformat(), "end_time": row["end_time"].isoformat(),
         "attributes": {"session": {"id": "c1"}, "input": {"value": row["attributes.input.value"]},
                        "output": {"value": row["attributes.output.value"]},
                        "llm": {"token_count": {"prompt": row["attributes.llm.token_count.prompt"]}}}}
        for row in rows
    ]  # fmt: skip
    (tmp_path / "spans.jsonl").write_text("".join(json.dumps(row) + "\n" for row in nested))
    for name in ("spans.parquet", "spans.jsonl"):
        (turn,), _ = read(tmp_path / name)
        assert (turn["input"], turn["output"], turn["session_id"]) == ("hi", "yo", "c1")
        assert (turn["input_tokens"], turn["latency_ms"], turn["error"]) == (3, 2000, None)


def test_an_inspect_archive_with_a_broken_member(tmp_path: Path) -> None:
    sample = {
        "id": 1,
        "epoch": 1,
        "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}],
    }
    path = tmp_path / "log.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "header.json", json.dumps({"eval": {"task": "t", "created": "2026-10-01T08:00:00Z", "model": "m"}})
        )
        archive.writestr("samples/1_epoch_1.json", json.dumps(sample))
        archive.writestr("samples/2_epoch_1.json", "{broken")
    (turn,), report = read(path)
    assert (turn["input"], turn["output"], turn["model"]) == ("hi", "yo", "m")
    assert report.rejected == {"damaged file": 1}
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UnreadableSource, match="damaged or cut off"):
        read(path)


def test_changes(tmp_path: Path) -> None:
    rows = [{"time": "2026-10-02T08:00:00Z", "kind": "prompt", "from": "v1", "to": "v2"},
            {"time": 1790841600, "kind": "release", "to": 7}, {"time": "soon", "kind": "x"}, {"time": 1790841600}]  # fmt: skip
    path = tmp_path / "deploys.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = ReadReport()
    changes = read_changes(path, report)
    assert [(change.kind, change.before, change.after) for change in changes] == [
        ("release", None, "7"),
        ("prompt", "v1", "v2"),
    ]
    assert changes[0].at == datetime(2026, 10, 1, 8, tzinfo=UTC)
    assert changes[1].source == f"{path}:1"
    assert (report.rows, report.rejected) == (4, {"unreadable change": 2})
    (tmp_path / "d.csv").write_text("time,kind,from,to\n2026-10-02T08:00:00Z,prompt,v1,v2\n2026-10-01,release,,7\n")
    assert [(c.kind, c.before, c.after) for c in read_changes(tmp_path / "d.csv", ReadReport())] == [
        ("release", None, "7"),
        ("prompt", "v1", "v2"),
    ]


@pytest.mark.parametrize("content", ["", '{"when": 1}\n', "a,b\n1,2\n"])
def test_no_changes_in_the_file_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "d.jsonl").write_text(content)
    with pytest.raises(UnreadableSource, match="time, kind, from, to"):
        read_changes(tmp_path / "d.jsonl", ReadReport())
