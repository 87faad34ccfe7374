"""What a sender is told, in its own format: OTLP responses and google.rpc.Status, as protobuf or JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import orjson
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

Signal = Literal["traces", "logs", "metrics"]

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

_RESPONSES: dict[Signal, tuple[Any, str, str]] = {
    "traces": (ExportTraceServiceResponse, "rejected_spans", "rejectedSpans"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records", "rejectedLogRecords"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points", "rejectedDataPoints"),
}

_RPC_CODES = {400: 3, 401: 16, 404: 5, 405: 12, 408: 4, 413: 8, 415: 3, 429: 8, 431: 3, 503: 14}
"""google.rpc.Code by HTTP status."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one request, whatever it came over.

    `status` is an HTTP status; `message` says why it is not 200, or what was left out. `retry_after_s` is set where the
    same request may be taken later.
    """

    status: int
    content_type: str
    body: bytes
    retry_after_s: int | None = None
    message: str = ""


def media_type(content_type: str) -> str:
    """A Content-Type without its parameters, in small letters."""
    return content_type.partition(";")[0].strip().lower()


def accepted(signal: Signal, content_type: str, rejected: int, message: str) -> Answer:
    """200; a partial success where something was rejected or there is something to say."""
    kind, proto_name, json_name = _RESPONSES[signal]
    if content_type == JSON:
        partial = {json_name: str(rejected)} if rejected else {}
        document = {"partialSuccess": partial | {"errorMessage": message}} if message else {}
        return Answer(200, JSON, orjson.dumps(document), message=message)
    response = kind()
    if message:
        setattr(response.partial_success, proto_name, rejected)
        response.partial_success.error_message = message
    return Answer(200, PROTOBUF, response.SerializeToString(), message=message)


def refused(status: int, content_type: str, message: str, *, retry_after_s: int | None = None) -> Answer:
    """Any failure, as google.rpc.Status: in protobuf for senders of protobuf, in JSON for all others."""
    code = _RPC_CODES[status]
    if content_type == PROTOBUF:
        return Answer(status, PROTOBUF, Status(code=code, message=message).SerializeToString(), retry_after_s, message)
    return Answer(status, JSON, orjson.dumps({"code": code, "message": message}), retry_after_s, message)
