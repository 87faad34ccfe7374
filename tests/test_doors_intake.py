"""The intake: what is good is kept, what is bad is dropped and told, nothing is acknowledged that is not durable."""

from __future__ import annotations

import copy
import random
from typing import Any

import orjson
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from door_worlds import (
    NOW_US,
    SPAN_ID,
    START_NS,
    TRACE_ID,
    Log,
    NoCleaning,
    add_span,
    intake_over,
    json_log,
    json_logs,
    json_span,
    json_traces,
    logs,
    traces,
)
from unquiet.conventions.otlp import read_json, read_resource_spans
from unquiet.conventions.otlp_json_faults import nested_deeper
from unquiet.doors import Answer, Limits
from unquiet.doors.answers import JSON, PROTOBUF, Signal
from unquiet.doors.budget import json_weight, proto_weight
from unquiet.model.bodies import Body, BodyKind
from unquiet.model.errors import WalError, WalFull


def send(log: Log, raw: bytes, kind: str = PROTOBUF, signal: Signal = "traces", **world: Any) -> Answer:
    return intake_over(log, **world).receive(signal, kind, raw, "shop")


def told(answer: Answer) -> tuple[int, str]:
    assert (answer.status, answer.content_type) == (200, PROTOBUF)
    partial = ExportTraceServiceResponse.FromString(answer.body).partial_success
    return partial.rejected_spans, partial.error_message


def told_json(answer: Answer) -> dict[str, Any]:
    assert (answer.status, answer.content_type) == (200, JSON)
    return orjson.loads(answer.body).get("partialSuccess", {})


@pytest.mark.parametrize(
    ("signal", "kind", "raw", "body_kind"),
    [
        ("traces", PROTOBUF, traces().SerializeToString(), BodyKind.TRACES_PROTO),
        ("logs", PROTOBUF, logs().SerializeToString(), BodyKind.LOGS_PROTO),
        ("traces", JSON, orjson.dumps(json_traces(*[json_span()] * 3)), BodyKind.TRACES_JSON),
        ("logs", "Application/JSON; charset=utf-8", orjson.dumps(json_logs(*[json_log()] * 3)), BodyKind.LOGS_JSON),
    ],
)
def test_good_bodies_are_kept_as_they_came(signal: Signal, kind: str, raw: bytes, body_kind: BodyKind) -> None:
    log = Log()
    answer = send(log, raw, kind, signal)
    assert (answer.status, answer.body) == (200, b"{}" if "json" in kind.lower() else b"")
    assert log.bodies == [Body(body_kind, "shop", NOW_US, 3, raw)]


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
@pytest.mark.parametrize("signal", ["traces", "logs", "metrics"])
def test_an_empty_request_succeeds_and_keeps_nothing(signal: Signal, kind: str) -> None:
    log = Log()
    answer = send(log, b"{}" if kind == JSON else b"", kind, signal)
    assert (answer.status, answer.body, log.bodies) == (200, b"{}" if kind == JSON else b"", [])


BAD_SPANS = {
    "no trace id": ({"trace_id": b""}, "no valid trace id"),
    "short trace id": ({"trace_id": TRACE_ID[:8]}, "no valid trace id"),
    "zero trace id": ({"trace_id": bytes(16)}, "no valid trace id"),
    "long span id": ({"span_id": TRACE_ID}, "no valid span id"),
    "zero span id": ({"span_id": bytes(8)}, "no valid span id"),
    "short parent": ({"parent_span_id": b"abc"}, "parent span id"),
    "no start": ({"start_time_unix_nano": 0}, "no start time"),
    "start in the first microsecond": ({"start_time_unix_nano": 999}, "no start time"),
}


@pytest.mark.parametrize(("fields", "reason"), BAD_SPANS.values(), ids=BAD_SPANS)
def test_a_bad_span_is_dropped_and_told(fields: dict[str, Any], reason: str) -> None:
    request = traces(2)
    add_span(request, **fields)
    add_span(request, name="the last")
    log = Log()
    rejected, message = told(send(log, request.SerializeToString()))
    assert rejected == 1
    assert message.startswith("1 span(s) rejected: ")
    assert reason in message
    del request.resource_spans[0].scope_spans[0].spans[2]
    assert ExportTraceServiceRequest.FromString(log.bodies[0].payload) == request
    assert log.bodies[0].count == 3


def test_a_request_of_bad_spans_only_keeps_nothing() -> None:
    request = ExportTraceServiceRequest()
    add_span(request, trace_id=b"")
    add_span(request, start_time_unix_nano=0)
    log = Log()
    assert told(send(log, request.SerializeToString()))[0] == 2
    assert log.bodies == []


BAD_JSON_SPANS: dict[str, tuple[dict[str, Any], str]] = {
    "no trace id": ({"traceId": None}, "trace id"),
    "a number": ({"traceId": 5}, "trace id"),
    "base64": ({"traceId": "AAECAwQFBgcICQoLDA0ODw=="}, "trace id"),
    "zero": ({"spanId": "0" * 16}, "span id"),
    "not ascii": ({"spanId": "٠١٢٣٤٥٦٧٨٩" + "a" * 6}, "span id"),
    "parent": ({"parentSpanId": "abc"}, "parent"),
    "no start": ({"startTimeUnixNano": "0"}, "start"),
    "start in the first microsecond": ({"startTimeUnixNano": 999}, "start"),
    "start is a list": ({"startTimeUnixNano": [1]}, "start"),
    "start is negative": ({"startTimeUnixNano": -5}, "start"),
    "start is true": ({"startTimeUnixNano": True}, "start"),
    "end is a text": ({"endTimeUnixNano": "tomorrow"}, "wrong type"),
    "end is huge": ({"endTimeUnixNano": "9" * 20}, "wrong type"),
    "name is a list": ({"name": ["chat"]}, "wrong type"),
    "status is a text": ({"status": "ok"}, "wrong type"),
    "events are a text": ({"events": "none"}, "wrong type"),
    "attributes are an object": ({"attributes": {"a": 1}}, "attribute"),
    "attribute without key": ({"attributes": [{"value": {}}]}, "attribute"),
    "value is a text": ({"attributes": [{"key": "a", "value": "b"}]}, "attribute"),
    "text is a number": ({"attributes": [{"key": "a", "value": {"stringValue": 1}}]}, "attribute"),
    "int is a text": ({"attributes": [{"key": "a", "value": {"intValue": "one"}}]}, "attribute"),
    "array is a list": ({"attributes": [{"key": "a", "value": {"arrayValue": []}}]}, "attribute"),
    "inside an array": ({"attributes": [{"key": "a", "value": {"arrayValue": {"values": [1]}}}]}, "attribute"),
    "inside a list": ({"attributes": [{"key": "a", "value": {"kvlistValue": {"values": [1]}}}]}, "attribute"),
    "inside an event": ({"events": [{"attributes": [1]}]}, "attribute"),
    "inside a link": ({"links": [{"attributes": 1}]}, "attribute"),
}


@pytest.mark.parametrize(("fields", "reason"), BAD_JSON_SPANS.values(), ids=BAD_JSON_SPANS)
def test_a_bad_json_span_is_dropped_and_told(fields: dict[str, Any], reason: str) -> None:
    log = Log()
    document = json_traces(json_span(), json_span(**fields), json_span(name="last"))
    partial = told_json(send(log, orjson.dumps(document), JSON))
    assert partial["rejectedSpans"] == "1"
    assert reason in partial["errorMessage"]
    assert orjson.loads(log.bodies[0].payload) == json_traces(json_span(), json_span(name="last"))


GOOD_JSON_SPANS: dict[str, dict[str, Any]] = {
    "capitals": {"traceId": TRACE_ID.hex().upper()},
    "numbers": {"startTimeUnixNano": START_NS, "endTimeUnixNano": float(2**60)},
    "nulls": {"attributes": None, "events": None, "status": None, "parentSpanId": None, "endTimeUnixNano": None},
    "no parent": {"parentSpanId": "0" * 16},
    "unknown fields": {"later": {"spec": [1]}, "flags": 1},
    "null value": {"attributes": [{"key": "a", "value": None}, {"key": "b"}, {"key": "c", "value": {"intValue": -5}}]},
    "null lists": {
        "attributes": [{"key": "a", "value": {"arrayValue": None}}, {"key": "b", "value": {"kvlistValue": {}}}]
    },
}


@pytest.mark.parametrize("fields", GOOD_JSON_SPANS.values(), ids=GOOD_JSON_SPANS)
def test_lenient_where_the_specification_is(fields: dict[str, Any]) -> None:
    log = Log()
    raw = orjson.dumps(json_traces(json_span(**fields)))
    assert told_json(send(log, raw, JSON)) == {}
    assert log.bodies[0].payload == raw
    assert read_json(orjson.loads(raw)).rejected == []


def test_log_records_need_a_time_and_lose_invalid_ids() -> None:
    request = logs(4)
    records = request.resource_logs[0].scope_logs[0].log_records
    records[0].time_unix_nano = 0
    records[1].time_unix_nano, records[1].observed_time_unix_nano = 0, START_NS
    records[2].trace_id = b"short"
    records[3].span_id = bytes(8)
    log = Log()
    answer = send(log, request.SerializeToString(), signal="logs")
    partial = ExportLogsServiceResponse.FromString(answer.body).partial_success
    assert (partial.rejected_log_records, "neither a time" in partial.error_message) == (1, True)
    kept = ExportLogsServiceRequest.FromString(log.bodies[0].payload).resource_logs[0].scope_logs[0].log_records
    assert [(one.trace_id, one.span_id) for one in kept] == [(TRACE_ID, SPAN_ID), (b"", b""), (TRACE_ID, b"")]


def test_json_log_records_need_a_time_and_lose_invalid_ids() -> None:
    records = [
        json_log(timeUnixNano=None),
        json_log(timeUnixNano="0", observedTimeUnixNano=START_NS),
        json_log(traceId="short"),
        json_log(spanId=7),
        json_log(body={"kvlistValue": {"values": [{"key": 1}]}}),
        json_log(eventName=None, body=None),
    ]
    log = Log()
    answer = send(log, orjson.dumps(json_logs(*records)), JSON, "logs")
    partial = told_json(answer)
    assert partial["rejectedLogRecords"] == "2"
    kept = orjson.loads(log.bodies[0].payload)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert [(one["traceId"], one["spanId"]) for one in kept] == [
        (TRACE_ID.hex(), SPAN_ID.hex()),
        ("", ""),
        (TRACE_ID.hex(), ""),
        (TRACE_ID.hex(), SPAN_ID.hex()),
    ]


def test_metrics_are_answered_and_not_kept() -> None:
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    metrics.add(name="a").gauge.data_points.add(as_int=1)
    metrics.add(name="b").histogram.data_points.add(count=1)
    metrics[1].histogram.data_points.add(count=2)
    metrics.add(name="c")
    log = Log()
    answer = send(log, request.SerializeToString(), signal="metrics")
    partial = ExportMetricsServiceResponse.FromString(answer.body).partial_success
    assert (partial.rejected_data_points, partial.error_message) == (3, "metrics are not used")
    document = {
        "resourceMetrics": [{"scopeMetrics": [{"metrics": [{"sum": {"dataPoints": [{}, {}]}}, {"name": "x"}]}]}]
    }
    partial_json = told_json(send(log, orjson.dumps(document), JSON, "metrics"))
    assert partial_json == {"rejectedDataPoints": "2", "errorMessage": "metrics are not used"}
    assert log.bodies == []


UNREADABLE = [
    (PROTOBUF, b"\xff" * 100),
    (PROTOBUF, traces().SerializeToString()[:-3]),
    (PROTOBUF, b'{"resourceSpans": []}'),
    (JSON, b""),
    (JSON, b"[]"),
    (JSON, b'{"a": "\xff"}'),
]
MALFORMED: list[tuple[Signal, bytes]] = [
    ("traces", b'{"resourceSpans": "x"}'),
    ("traces", b'{"resourceSpans": [1]}'),
    ("traces", b'{"resourceSpans": [{"resource": 1}]}'),
    ("traces", b'{"resourceSpans": [{"resource": {"attributes": 1}}]}'),
    ("traces", b'{"resourceSpans": [{"scopeSpans": [{"spans": {}}]}]}'),
    ("traces", b'{"resourceSpans": [{"scopeSpans": [{"scope": [], "spans": []}]}]}'),
    ("traces", b'{"later": ' + b"[" * 200 + b"]" * 200 + b"}"),
    ("logs", b'{"resourceLogs": {}}'),
    ("logs", b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [[]]}]}]}'),
    ("metrics", b'{"resourceMetrics": [{"scopeMetrics": 5}]}'),
    ("metrics", b'{"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"sum": []}]}]}]}'),
]


@pytest.mark.parametrize(
    ("signal", "kind", "raw"),
    [
        *((signal, *case) for signal in ("traces", "logs", "metrics") for case in UNREADABLE),
        *((signal, JSON, raw) for signal, raw in MALFORMED),
    ],
)
def test_bad_data_is_a_status_of_its_own_format(signal: Signal, kind: str, raw: bytes) -> None:
    log = Log()
    answer = send(log, raw, kind, signal)
    assert (answer.status, answer.content_type, answer.retry_after_s) == (400, kind, None)
    if kind == JSON:
        status = orjson.loads(answer.body)
        assert (status["code"], f"no OTLP request of {signal}" in status["message"]) == (3, True)
    else:
        assert Status.FromString(answer.body).code == 3
    assert log.bodies == []


def test_large_attributes_are_cut_and_long_keys_dropped() -> None:
    request = traces(1)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.attributes.add(key="k" * 1024).value.string_value = "kept"
    span.attributes.add(key="k" * 1025).value.string_value = "dropped"
    span.attributes.add(key="text").value.string_value = "é" * 3000
    inner = span.attributes.add(key="list").value.kvlist_value.values.add(key="inner")
    inner.value.array_value.values.add().bytes_value = b"x" * 6000
    span.events.add(name="e").attributes.add(key="é" * 600).value.int_value = 1
    span.attributes.add(key="fits").value.string_value = "y" * 5001
    log = Log()
    answer = send(log, request.SerializeToString(), limits=Limits(attribute_bytes_max=5001))
    rejected, message = told(answer)
    assert rejected == 0
    assert message == ("2 attribute value(s) cut at 5,001 bytes. 2 attribute(s) dropped: a key is at most 1,024 bytes.")
    kept = ExportTraceServiceRequest.FromString(log.bodies[0].payload).resource_spans[0].scope_spans[0].spans[0]
    values = {one.key: one.value for one in kept.attributes}
    assert set(values) == {"greeting", "counts", "k" * 1024, "text", "list", "fits"}
    assert values["text"].string_value == "é" * 2500
    assert len(values["list"].kvlist_value.values[0].value.array_value.values[0].bytes_value) == 5001
    assert len(kept.events[0].attributes) == 0


@pytest.mark.parametrize("place", ["resource", "scope", "span", "event", "link", "log", "body"])
@pytest.mark.parametrize("size", [1025, 1_200_000])
def test_long_keys_and_large_values_are_found_wherever_they_are(place: str, size: int) -> None:
    """The shortcut through the bytes must not miss any place."""
    key, value = ("k" * size, "v") if size < 10_000 else ("k", "v" * size)
    log = Log()
    if place in ("log", "body"):
        request: Any = logs(3)
        record = request.resource_logs[0].scope_logs[0].log_records[1]
        pair = record.attributes.add() if place == "log" else record.body.kvlist_value.values.add()
    else:
        request = traces(3)
        part = request.resource_spans[0]
        span = part.scope_spans[0].spans[1]
        holders = {
            "resource": part.resource,
            "scope": part.scope_spans[0].scope,
            "span": span,
            "event": span.events.add(),
            "link": span.links.add(),
        }
        pair = holders[place].attributes.add()
    pair.key, pair.value.string_value = key, value
    answer = send(log, request.SerializeToString(), signal="logs" if place in ("log", "body") else "traces")
    assert ("dropped" if size < 10_000 else "cut") in answer.message
    assert len(log.bodies[0].payload) < (2000 if size < 10_000 else (1 << 20) + 2000)


def test_large_json_attributes_are_cut_and_long_keys_dropped() -> None:
    attributes = [
        {"key": "k" * 1025, "value": {"intValue": 1}},
        {"key": "text", "value": {"arrayValue": {"values": [{"stringValue": "é" * 3000}]}}},
        {"key": "bytes", "value": {"bytesValue": "QUJD" * 2000}},
        {"key": "list", "value": {"kvlistValue": {"values": [{"key": "k" * 2000}]}}},
    ]
    log = Log()
    raw = orjson.dumps(json_traces(json_span(attributes=attributes)))
    partial = told_json(send(log, raw, JSON, limits=Limits(attribute_bytes_max=5001)))
    assert partial == {
        "errorMessage": "2 attribute value(s) cut at 5,001 bytes. 2 attribute(s) dropped: a key is at most 1,024 bytes."
    }
    kept = orjson.loads(log.bodies[0].payload)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"]
    assert kept[0]["value"]["arrayValue"]["values"][0]["stringValue"] == "é" * 2500
    assert kept[1]["value"]["bytesValue"] == "QUJD" * 1250
    assert kept[2] == {"key": "list", "value": {"kvlistValue": {"values": []}}}


class Redacting(NoCleaning):
    """Changes what is inside, and notes who sent it."""

    def __init__(self) -> None:
        self.sources: list[str] = []

    def traces(self, raw: bytes, source: str) -> bytes:
        self.sources.append(source)
        request = ExportTraceServiceRequest.FromString(raw)
        request.resource_spans[0].scope_spans[0].spans[0].name = "redacted"
        return request.SerializeToString()

    def json_logs(self, document: dict[str, Any], source: str) -> bool:
        document["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["body"] = {"stringValue": "redacted"}
        return True

    def turn(self, row: dict[str, Any], source: str) -> bool:
        if "input" not in row:
            return False
        row["input"] = "redacted"
        return True


def test_what_is_cleaned_is_written_clean() -> None:
    log, cleaner = Log(), Redacting()
    intake = intake_over(log, cleaner=cleaner)
    assert intake.receive("traces", PROTOBUF, traces().SerializeToString(), "shop").status == 200
    assert intake.receive("logs", JSON, orjson.dumps(json_logs(json_log())), "shop").status == 200
    turns = b'{"time":1790000000,"session_id":"a","input":"secret"}\n{"time":1790000000,"session_id":"b"}\n'
    assert intake.turns(turns, "shop").status == 200
    spans = ExportTraceServiceRequest.FromString(log.bodies[0].payload)
    assert read_resource_spans(spans.resource_spans).spans[0].name == "redacted"
    assert b"said" not in log.bodies[1].payload
    assert log.bodies[2].payload == (
        b'{"time":1790000000,"session_id":"a","input":"redacted"}\n{"time":1790000000,"session_id":"b"}\n'
    )
    assert cleaner.sources == ["shop"]


@pytest.mark.parametrize(
    ("problem", "status"),
    [(WalFull("/a/wal is long", "undrained"), 429), (WalFull("/a is full", "disk"), 503), (WalError("/a broke"), 503)],
)
def test_a_body_that_is_not_durable_is_not_acknowledged(problem: WalError, status: int) -> None:
    log = Log()
    log.problem = problem
    intake = intake_over(log)
    turn = b'{"time":1790000000,"session_id":"a"}'
    for answer in (
        intake.receive("traces", PROTOBUF, traces().SerializeToString(), ""),
        intake.receive("logs", JSON, orjson.dumps(json_logs(json_log())), ""),
        intake.turns(turn, ""),
    ):
        assert (answer.status, answer.retry_after_s) == (status, 5)
        assert "again in 5 s" in answer.message
        assert str(problem) not in answer.message, "it names folders"
    assert intake.counters.dump()["accepted"] == {}
    assert intake.counters.dump()["last_problem"] == {"text": str(problem), "at_us": NOW_US}
    log.problem = None
    assert intake.turns(turn, "").status == 200


def test_a_body_over_the_limit_is_refused() -> None:
    log = Log()
    raw = traces(20).SerializeToString()
    for kind in (PROTOBUF, JSON):
        answer = send(log, raw, kind, limits=Limits(body_bytes_max=len(raw) - 1))
        assert (answer.status, answer.retry_after_s) == (413, None)
    assert send(log, raw, limits=Limits(body_bytes_max=len(raw))).status == 200


def nested(tag: int, content: bytes) -> bytes:
    length, out = len(content), bytearray([tag << 3 | 2])
    while length > 127:
        out.append(length & 127 | 128)
        length >>= 7
    return bytes(out) + bytes([length]) + content


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (PROTOBUF, nested(1, nested(2, b"\x12\x00" * 8_000_000))),
        (PROTOBUF, b"\x0a\x00" * 8_000_000),
        (PROTOBUF, nested(1, nested(2, nested(2, b"\x4a\x02\x12\x00" * 4_000_000)))),
        (JSON, b'{"a":[' + b"{}," * 5_000_000 + b"{}]}"),
        (JSON, b'{"a":[' + b"[]," * 5_000_000 + b"[]]}"),
    ],
    ids=["spans", "resources", "attributes", "objects", "lists"],
)
def test_a_body_that_would_grow_beyond_all_bounds_is_not_parsed(kind: str, raw: bytes) -> None:
    """16 MB of empty spans take 1.3 GB once they are parsed."""
    answer = send(Log(), raw, kind)
    assert (answer.status, "too much memory" in answer.message) == (413, True)


def test_weights_of_ordinary_bodies_are_a_few_times_their_size() -> None:
    rng = random.Random(3)
    request = traces(1)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.attributes.add(key="text").value.string_value = "".join(rng.choices("abc def\n", k=2000))
    scoped = request.resource_spans[0].scope_spans[0]
    scoped.spans.extend([copy.deepcopy(span) for _ in range(1000)])
    raw = request.SerializeToString()
    assert 2 * len(raw) < proto_weight(raw) < 20 * len(raw)
    document = orjson.dumps(json_traces(*[json_span(name="x" * 2000)] * 1000))
    assert len(document) < json_weight(document) < 3 * len(document)


def test_turn_lines_are_taken_one_by_one() -> None:
    lines = [
        b'{"time":"2026-09-21T10:00:00Z","session_id":"a"}',
        b"{not json",
        b"",
        b'["a"]',
        b'{"time":"2026-09-21T10:00:00Z"}',
        b'{"session_id":"a"}',
        b'{"time":"yesterday","session_id":"a"}',
        b'{"time":"1999-09-21T10:00:00Z","session_id":"a"}',
        b'{"time":1790090000,"session_id":"a"}',
        b'{"time":1790000000,"session_id":7}\r',
        b'{"time":1790000000,"session_id":true}',
        b'{"time":1790000000,"session_id":"a","x":' + b"[" * 150 + b"]" * 150 + b"}",
        b'{"time":1790000000,"session_id":"last"}',
    ]
    log = Log()
    answer = intake_over(log).turns(b"\n".join(lines), "shop")
    document = orjson.loads(answer.body)
    assert (answer.status, answer.content_type, document["accepted"]) == (200, JSON, 3)
    assert [one["line"] for one in document["rejected"]] == [2, 4, 5, 6, 7, 8, 9, 11, 12]
    assert all(len(one["reason"]) > 5 for one in document["rejected"])
    (body,) = log.bodies
    assert (body.kind, body.count) == (BodyKind.TURNS_JSONL, 3)
    assert body.payload.split() == [lines[0], *lines[9].split(), lines[12]]


def test_turn_lines_without_any_turn_are_refused_and_none_are_fine() -> None:
    log = Log()
    intake = intake_over(log)
    many = intake.turns(b"x\n" * 1000, "")
    document = orjson.loads(many.body)
    assert (many.status, document["accepted"], len(document["rejected"]), document["rejected_count"]) == (
        400,
        0,
        100,
        1000,
    )
    assert intake.turns(b"\n \n", "").status == 200
    raw = b'{"time":1790000000,"session_id":"a"}\n\n{"time":1790000000,"session_id":"b"}'
    assert intake.turns(raw, "").status == 200
    assert [body.payload for body in log.bodies] == [raw]


def test_what_happened_is_counted() -> None:
    log = Log()
    intake = intake_over(log)
    request = traces(4)
    add_span(request, trace_id=b"")
    raw = request.SerializeToString()
    intake.receive("traces", PROTOBUF, raw, "shop")
    intake.receive("logs", PROTOBUF, logs(2).SerializeToString(), "desk")
    for n in range(100):
        intake.counters.answered("http", 200, n / 1000)
    intake.counters.answered("grpc", 503, 9.0)
    dump = intake.counters.dump()
    assert dump["accepted"] == {"traces": 4, "logs": 2}
    assert dump["rejected"]["traces"] == 1
    assert dump["bodies"] == {"grpc 503": 1, "http 200": 100}
    assert dump["last_arrival_us"] == {"shop": NOW_US, "desk": NOW_US}
    assert (dump["ack_p50_s"], dump["ack_p99_s"]) == (0.05, 0.099)
    assert intake.budget.used_bytes == 0


def test_depth_of_documents() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = {"a": [deep]} if len(str(deep)) % 2 else [deep]
    assert not nested_deeper({"a": [{"b": 1}] * 1000}, 3)
    assert nested_deeper({"a": [{"b": []}]}, 3)
    assert nested_deeper(deep, 99)


@pytest.mark.parametrize("levels", [10, 30, 60])
def test_deep_values_are_written_again_as_they_were(levels: int) -> None:
    request = traces(1)
    add_span(request, trace_id=b"")
    span = request.resource_spans[0].scope_spans[0].spans[0]
    value = span.attributes.add(key="deep").value
    for _ in range(levels):
        value = value.array_value.values.add()
    log = Log()
    answer = send(log, request.SerializeToString())
    # Each level takes two of the 100 that protobuf reads.
    assert answer.status == (200 if levels < 47 else 400)
    if log.bodies:
        kept = ExportTraceServiceRequest.FromString(log.bodies[0].payload)
        assert kept.resource_spans[0].scope_spans[0].spans[0] == span
