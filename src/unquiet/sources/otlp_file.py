"""OTLP as the collector's file exporter writes it: JSON lines, or protobuf with a length before each message.

Single documents (one export request or TracesData, JSON or protobuf) read as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from unquiet.conventions.otlp import Telemetry, read_json, read_resource_logs, read_resource_spans
from unquiet.model.errors import UnreadableSource
from unquiet.model.rejections import DAMAGED, ReadReport
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.json_records import DOCUMENT_LIMIT_BYTES, JsonRecords
from unquiet.sources.protocol import ReadOptions
from unquiet.sources.span_file import span_tables
from unquiet.sources.stream import DAMAGE, open_bytes, read_exactly, read_head

_ROOTS = ("resourceSpans", "resourceLogs", "resourceMetrics")


class OtlpJson:
    """OTLP in JSON: one export request a line, or one document."""

    name = "OTLP (JSON)"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure where a record has resource spans, logs or metrics."""
        return 0.95 if glimpse.shape == "json" and any(map(glimpse.has, _ROOTS)) else 0.0

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Turns of the traces, each when the trace is complete."""
        return span_tables(path, self.payloads(path, options, report), options, report)

    def payloads(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[tuple[str | int, Telemetry]]:
        """What the file holds, with its places."""
        for batch in JsonRecords(path, options, report):
            for record, place in zip(batch.records, batch.places, strict=True):
                yield place, read_json(record)


class OtlpProto:
    """OTLP in protobuf: messages with their length (4 bytes, big-endian) before them, or one message."""

    name = "OTLP (protobuf)"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure where the first bytes have the form of resource spans or logs."""
        if glimpse.shape not in ("binary", "text"):
            return 0.0
        head = glimpse.head
        if _is_message(head):
            return 0.9
        return 0.9 if head[4:5] == b"\x0a" and _is_message(head[4:]) else 0.0

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Turns of the traces, each when the trace is complete."""
        return span_tables(path, self.payloads(path, options, report), options, report)

    def payloads(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[tuple[str | int, Telemetry]]:
        """What the file holds, with its places."""
        framed = not _is_message(read_head(path, 4096))
        messages = _frames(path, options, report) if framed else iter([_whole(path)])
        for number, message in enumerate(messages, 1):
            try:
                yield f"message {number}", _decoded(message)
            except DecodeError as error:
                report.rows += 1
                report.reject(f"{path}:message {number}", f"the message is no OTLP protobuf ({error})", "not OTLP")


def _decoded(message: bytes) -> Telemetry:
    """Spans, or log records: both messages have the same outer form, so the inner one tells.

    Raises:
        DecodeError: it is neither.
    """
    try:
        spans = ExportTraceServiceRequest.FromString(message)
    except DecodeError:
        return read_resource_logs(ExportLogsServiceRequest.FromString(message).resource_logs)
    found = read_resource_spans(spans.resource_spans)
    if found.spans or _has_spans(spans):
        return found
    return read_resource_logs(ExportLogsServiceRequest.FromString(message).resource_logs)


def _has_spans(request: ExportTraceServiceRequest) -> bool:
    scopes = [scoped for part in request.resource_spans for scoped in part.scope_spans]
    return any(len(span.span_id) == 8 for scoped in scopes for span in scoped.spans)


def _is_message(head: bytes) -> bool:
    """Whether bytes begin like a list of resource spans: field 1 with a length, in it field 1, 2 or 3."""
    # Texts may begin with an empty line, but they hold no control characters.
    if head[:1] != b"\x0a" or not any(byte < 9 or 14 <= byte < 32 for byte in head[:256]):
        return False
    length, start = 0, 1
    for shift in range(5):
        byte = head[start : start + 1]
        if not byte:
            return False
        length |= (byte[0] & 0x7F) << (7 * shift)
        start += 1
        if byte[0] < 0x80:
            break
    inside = head[start : start + 1]
    return length > 1 and inside in (b"\x0a", b"\x12", b"\x1a")


def _whole(path: Path) -> bytes:
    data = read_head(path, DOCUMENT_LIMIT_BYTES + 1)
    if len(data) > DOCUMENT_LIMIT_BYTES:
        raise UnreadableSource(
            f"{path}: one protobuf message of more than {DOCUMENT_LIMIT_BYTES:,} bytes. "
            "Export in smaller batches (the collector's batch processor limits them)."
        )
    return data


def _frames(path: Path, options: ReadOptions, report: ReadReport) -> Iterator[bytes]:
    with open_bytes(path) as stream:
        number = 1
        while True:
            try:
                size = read_exactly(stream, 4)
                if not size:
                    return
                length = int.from_bytes(size, "big")
                if len(size) == 4 and length <= options.line_limit_bytes:
                    message = read_exactly(stream, length)
                    if len(message) == length:
                        yield message
                        number += 1
                        continue
                limit = f"{options.line_limit_bytes:,} bytes"
                reason = f"the file is cut off here, or a message is longer than {limit}"
            except DAMAGE as error:
                reason = f"the file is damaged here ({error})"
            report.reject(f"{path}:message {number}", f"{reason}; what came before it was kept", DAMAGED)
            return
