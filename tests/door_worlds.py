"""Requests and an intake for the tests of the doors."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from lacking import needs_program
from unquiet.doors import DoorCounters, Intake, Limits, TlsFiles
from unquiet.model.bodies import Body
from unquiet.model.errors import WalError, WalFull

NOW_US = 1_790_000_000_000_000
START_NS = NOW_US * 1000
TRACE_ID, SPAN_ID = bytes(range(16)), bytes(range(1, 9))


class NoCleaning:
    """Keeps everything."""

    def traces(self, raw: bytes, source: str) -> bytes:
        return raw

    def logs(self, request: ExportLogsServiceRequest, source: str, raw: bytes | None) -> bool:
        return False

    def json_spans(self, document: dict[str, Any], source: str) -> bool:
        return False

    def json_logs(self, document: dict[str, Any], source: str) -> bool:
        return False

    def turn(self, row: dict[str, Any], source: str) -> bool:
        return False


class Log:
    """Takes bodies until it is told to fail."""

    def __init__(self) -> None:
        self.bodies: list[Body] = []
        self.problem: WalError | None = None
        self.room_problem: WalFull | None = None

    def append(self, body: Body) -> None:
        if self.problem is not None:
            raise self.problem
        self.bodies.append(body)

    def room(self) -> WalFull | None:
        return self.room_problem


def intake_over(log: Log, *, limits: Limits | None = None, cleaner: Any = None) -> Intake:
    return Intake(
        log.append,
        now_us=lambda: NOW_US,
        cleaner=cleaner or NoCleaning(),
        room=lambda: log.room(),
        limits=limits,
        counters=DoorCounters(),
    )


def add_span(request: ExportTraceServiceRequest, **fields: Any) -> Any:
    """Add a good span to the first scope, with some fields changed."""
    part = request.resource_spans[0] if request.resource_spans else request.resource_spans.add()
    scoped = part.scope_spans[0] if part.scope_spans else part.scope_spans.add()
    span = scoped.spans.add(
        trace_id=TRACE_ID,
        span_id=(len(scoped.spans) + 1).to_bytes(8, "big"),
        name="chat",
        start_time_unix_nano=START_NS,
        end_time_unix_nano=START_NS + 1_000_000,
    )
    for name, value in fields.items():
        setattr(span, name, value)
    return span


def traces(count: int = 3) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    for _ in range(count):
        span = add_span(request)
        span.attributes.add(key="greeting").value.string_value = "hello"
        span.attributes.add(key="counts").value.array_value.values.add().int_value = 3
    request.resource_spans[0].resource.attributes.add(key="service.name").value.string_value = "shop"
    return request


def logs(count: int = 3) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    scoped = request.resource_logs.add().scope_logs.add()
    for n in range(count):
        record = scoped.log_records.add(
            time_unix_nano=START_NS + n, trace_id=TRACE_ID, span_id=SPAN_ID, event_name="choice"
        )
        record.body.string_value = "said"
        record.attributes.add(key="index").value.int_value = n
    return request


def json_span(**fields: Any) -> dict[str, Any]:
    return {
        "traceId": TRACE_ID.hex(),
        "spanId": SPAN_ID.hex(),
        "name": "chat",
        "startTimeUnixNano": str(START_NS),
        "endTimeUnixNano": START_NS + 1000,
        "attributes": [
            {"key": "greeting", "value": {"stringValue": "hello"}},
            {
                "key": "counts",
                "value": {"arrayValue": {"values": [{"intValue": "3"}, {"kvlistValue": {"values": []}}]}},
            },
        ],
        "events": [{"name": "said", "timeUnixNano": "5", "attributes": []}],
        "status": {},
    } | fields


def json_traces(*spans: dict[str, Any]) -> dict[str, Any]:
    return {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"scope": {}, "spans": list(spans)}]}]}


def json_log(**fields: Any) -> dict[str, Any]:
    return {
        "timeUnixNano": str(START_NS),
        "traceId": TRACE_ID.hex(),
        "spanId": SPAN_ID.hex(),
        "eventName": "choice",
        "body": {"stringValue": "said"},
        "attributes": [{"key": "index", "value": {"intValue": 1}}],
    } | fields


def json_logs(*records: dict[str, Any]) -> dict[str, Any]:
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": list(records)}]}]}


def tls_files(folder: Path) -> TlsFiles:
    """A key and a certificate for 127.0.0.1, signed by itself."""
    needs_program("openssl")
    files = TlsFiles(folder / "cert.pem", folder / "key.pem")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    places = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(files.key), "-out", str(files.cert)]
    subprocess.run([*command.split(), *places], capture_output=True, check=True)
    return files
