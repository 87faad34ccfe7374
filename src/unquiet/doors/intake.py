"""From a request body to the log: parsed, checked, cleaned, durable; then it is acknowledged."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from unquiet.conventions.otlp_faults import Faults, count_data_points, drop_bad_log_records, drop_bad_spans
from unquiet.conventions.otlp_json_faults import (
    MalformedError,
    count_json_data_points,
    drop_bad_json_log_records,
    drop_bad_json_spans,
)
from unquiet.doors.answers import JSON, PROTOBUF, Answer, Signal, accepted, media_type, refused
from unquiet.doors.budget import ByteBudget, OverBudgetError, Reservation, json_weight, proto_weight
from unquiet.doors.counters import DoorCounters
from unquiet.doors.settings import Limits
from unquiet.doors.turn_lines import TurnLines, read_turn_lines
from unquiet.model.bodies import Body, BodyKind, Cleaner
from unquiet.model.errors import WalError, WalFull

METRICS_UNUSED = "metrics are not used"
NOT_NOW = {
    "undrained": "Too much was taken already and waits to be counted.",
    "disk": "The disk is nearly full.",
    None: "The log cannot be written.",
}
"""What a sender is told, by the bound that was reached."""

NOUNS: dict[Signal, str] = {"traces": "span", "logs": "log record", "metrics": "data point"}


class _BadData(Exception):
    """What was sent cannot be read; the text says why."""


class Intake:
    """Takes request bodies of any door. All methods may be called from several threads at once."""

    def __init__(
        self,
        append: Callable[[Body], None],
        *,
        now_us: Callable[[], int],
        cleaner: Cleaner,
        room: Callable[[], WalFull | None],
        limits: Limits | None = None,
        counters: DoorCounters | None = None,
    ) -> None:
        """What is taken goes to `append`, which returns when it is durable.

        Args:
            append: raises WalFull or WalError where a body could not be made durable.
            now_us: microseconds since 1970.
            cleaner: what removes what may not be kept.
            room: why nothing is taken now, None where it is; raises WalError.
            limits: bounds; the defaults are those of the OTLP specification.
            counters: what is counted.
        """
        self._append, self._now_us, self._cleaner, self._room = append, now_us, cleaner, room
        self.limits = limits or Limits()
        self.counters = counters or DoorCounters()
        self.budget = ByteBudget(self.limits.inflight_bytes_max)

    def full(self, content_type: str) -> Answer | None:
        """The refusal that any body would get now, None where there is room."""
        try:
            problem = self._room()
        except WalError as error:
            problem = error
        return self._not_now(content_type, problem) if problem else None

    def receive(
        self,
        signal: Signal,
        content_type: str,
        raw_body: bytes,
        source: str,
        reservation: Reservation | None = None,
    ) -> Answer:
        """Take one export request, inflated already; 200 only once it is durable.

        Args:
            signal: what the path or the method says.
            content_type: protobuf or JSON; the answer has the same.
            raw_body: the request.
            source: who sent it.
            reservation: what the door has taken of `budget` for this request, if it has; its own otherwise.
        """
        kind = media_type(content_type)
        if kind not in (PROTOBUF, JSON):
            return refused(415, kind, f"The content type {kind!r} is not known; send {PROTOBUF} or {JSON}.")
        if len(raw_body) > self.limits.body_bytes_max:
            return self.too_large(kind)
        try:
            with self._reserved(reservation) as own:
                own.grow(json_weight(raw_body) if kind == JSON else proto_weight(raw_body))
                if signal == "metrics":
                    return self._metrics(kind, raw_body)
                return self._take(signal, kind, raw_body, source)
        except _BadData as error:
            return refused(400, kind, f"The body is no OTLP request of {signal}: {error}.")
        except OverBudgetError as error:
            return self.over_budget(kind, error)
        except WalError as error:
            return self._not_now(kind, error)

    def turns(self, raw_body: bytes, source: str, reservation: Reservation | None = None) -> Answer:
        """Take JSON lines of the turn table; 200 once they are durable, 400 where no line is a turn."""
        if len(raw_body) > self.limits.body_bytes_max:
            return self.too_large(JSON)
        now_us = self._now_us()
        try:
            with self._reserved(reservation) as own:
                own.grow(2 * len(raw_body))
                lines = read_turn_lines(raw_body, now_us, lambda row: self._cleaner.turn(row, source))
                if lines.count:
                    self._keep(Body(BodyKind.TURNS_JSONL, source, now_us, lines.count, lines.payload), "turns")
        except OverBudgetError as error:
            return self.over_budget(JSON, error)
        except WalError as error:
            return self._not_now(JSON, error)
        self.counters.left_out("turns", lines.rejected_count, 0)
        return _turns_answer(lines)

    def _reserved(self, reservation: Reservation | None) -> AbstractContextManager[Reservation]:
        return self.budget.reserved() if reservation is None else nullcontext(reservation)

    def too_large(self, content_type: str) -> Answer:
        """The refusal of a body over the limit."""
        limit = f"{self.limits.body_bytes_max:,} bytes"
        return refused(413, content_type, f"The body is larger than {limit} after inflation. Export smaller batches.")

    def over_budget(self, content_type: str, error: OverBudgetError) -> Answer:
        """The refusal of a body for whose bytes there is no memory."""
        if error.never:
            return refused(413, content_type, f"The body takes too much memory: {error}. Export smaller batches.")
        text = f"Too many bodies at once: {error}. Send the same again later."
        return refused(503, content_type, text, retry_after_s=1)

    def _not_now(self, content_type: str, error: WalError) -> Answer:
        """The refusal of a body that was not made durable. The error names folders, so it is not for the sender."""
        self.counters.failed(str(error), self._now_us())
        bound = error.bound if isinstance(error, WalFull) else None
        text = f"{NOT_NOW[bound]} Send the same again in {self.limits.retry_after_s} s or later."
        status = 429 if bound == "undrained" else 503
        return refused(status, content_type, text, retry_after_s=self.limits.retry_after_s)

    def _metrics(self, kind: str, raw: bytes) -> Answer:
        if kind == JSON:
            try:
                points = count_json_data_points(_document(raw))
            except MalformedError as error:
                raise _BadData(error) from error
        else:
            points = count_data_points(_message(ExportMetricsServiceRequest, raw))
        self.counters.left_out("metrics", points, 0)
        return accepted("metrics", kind, points, METRICS_UNUSED if points else "")

    def _take(self, signal: Signal, kind: str, raw: bytes, source: str) -> Answer:
        now_us = self._now_us()
        read = self._read_json if kind == JSON else self._read_proto
        body_kind, faults, payload = read(signal, raw, source)
        if faults.kept:
            self._keep(Body(body_kind, source, now_us, faults.kept, payload), signal)
        self.counters.left_out(signal, faults.rejected, faults.cut + faults.keys_dropped)
        message = faults.message(NOUNS[signal], self.limits.attribute_bytes_max)
        return accepted(signal, kind, faults.rejected, message)

    def _keep(self, body: Body, kind: str) -> None:
        self._append(body)
        self.counters.taken(kind, body.source, body.count, len(body.payload), body.arrived_us)

    def _read_proto(self, signal: Signal, raw: bytes, source: str) -> tuple[BodyKind, Faults, bytes]:
        bound = self.limits.attribute_bytes_max
        if signal == "traces":
            spans = _message(ExportTraceServiceRequest, raw)
            faults = drop_bad_spans(spans, raw, value_bytes_max=bound)
            payload = spans.SerializeToString() if faults.changed else raw
            return BodyKind.TRACES_PROTO, faults, self._cleaner.traces(payload, source) if faults.kept else payload
        logs = _message(ExportLogsServiceRequest, raw)
        faults = drop_bad_log_records(logs, raw, value_bytes_max=bound)
        changed = self._cleaner.logs(logs, source, None if faults.changed else raw) if faults.kept else False
        payload = logs.SerializeToString() if changed or faults.changed else raw
        return BodyKind.LOGS_PROTO, faults, payload

    def _read_json(self, signal: Signal, raw: bytes, source: str) -> tuple[BodyKind, Faults, bytes]:
        document = _document(raw)
        traces = signal == "traces"
        check = drop_bad_json_spans if traces else drop_bad_json_log_records
        clean = self._cleaner.json_spans if traces else self._cleaner.json_logs
        try:
            faults = check(document, value_bytes_max=self.limits.attribute_bytes_max)
        except MalformedError as error:
            raise _BadData(error) from error
        changed = clean(document, source) if faults.kept else False
        payload = orjson.dumps(document) if changed or faults.changed else raw
        return BodyKind.TRACES_JSON if traces else BodyKind.LOGS_JSON, faults, payload


def _message(kind: Any, raw: bytes) -> Any:
    try:
        return kind.FromString(raw)
    except DecodeError as error:
        raise _BadData(f"{error} ({len(raw):,} bytes)") from error


def _document(raw: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _BadData(f"no JSON, {error}") from error
    if not isinstance(document, dict):
        raise _BadData("not a JSON object")
    return document


def _turns_answer(lines: TurnLines) -> Answer:
    document: dict[str, Any] = {"accepted": lines.count, "rejected": lines.rejected}
    if lines.rejected_count > len(lines.rejected):
        document["rejected_count"] = lines.rejected_count
    status = 400 if lines.rejected_count and not lines.count else 200
    return Answer(status, JSON, orjson.dumps(document))
