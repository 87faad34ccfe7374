"""OTLP payloads, JSON or protobuf -> spans and log events (opentelemetry-proto, specification 1.11)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from unquiet.conventions.evaluations import EVALUATION_RESULT
from unquiet.conventions.messages import Json
from unquiet.model.spans import Span, SpanEvent

ERROR_STATUS = (2, "STATUS_CODE_ERROR", "2")
"""Codes of a span that failed, as protobuf and as the JSON of exporters write them."""

_KNOWN_REMOTE = 0x300
"""Span.flags: the first bit says that it is known whether the parent is remote, the second that it is."""


@dataclass(slots=True)
class Telemetry:
    """What a payload held.

    `events` are log records, each with a span that bears its ids and resource; `verdicts` are those of them that say what a
    judge thinks of a span, or of a response without one. `rejected` are (place, reason) of spans that cannot be used;
    `metric_count` counts metrics, `log_count` other log records that name no span.
    """

    spans: list[Span] = field(default_factory=list[Span])
    events: list[tuple[SpanEvent, Span]] = field(default_factory=list[tuple[SpanEvent, Span]])
    verdicts: list[tuple[SpanEvent, Span]] = field(default_factory=list[tuple[SpanEvent, Span]])
    rejected: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    metric_count: int = 0
    log_count: int = 0

    def extend(self, other: Telemetry) -> None:
        """Add another payload's content."""
        self.spans += other.spans
        self.events += other.events
        self.verdicts += other.verdicts
        self.rejected += other.rejected
        self.metric_count += other.metric_count
        self.log_count += other.log_count


def read_json(payload: Json) -> Telemetry:
    """An OTLP/JSON payload (ExportTraceServiceRequest, ExportLogsServiceRequest, or TracesData).

    Unknown fields are ignored; spans without ids or times are rejected one by one.
    """
    found = Telemetry()
    for part in _objects(payload, "resourceSpans"):
        resource = _json_attributes(_object(part, "resource").get("attributes"))
        for scoped in (*_objects(part, "scopeSpans"), *_objects(part, "instrumentationLibrarySpans")):
            scope = str(_object(scoped, "scope").get("name") or "")
            for raw in _objects(scoped, "spans"):
                _keep(found, raw, resource, scope)
    for part in _objects(payload, "resourceLogs"):
        resource = _json_attributes(_object(part, "resource").get("attributes"))
        for scoped in _objects(part, "scopeLogs"):
            scope = str(_object(scoped, "scope").get("name") or "")
            for raw in _objects(scoped, "logRecords"):
                _keep_log(found, raw, resource, scope)
    for part in _objects(payload, "resourceMetrics"):
        found.metric_count += sum(len(_objects(scoped, "metrics")) for scoped in _objects(part, "scopeMetrics"))
    return found


def _object(parent: Json, name: str) -> Json:
    value = parent.get(name)
    return cast("Json", value) if isinstance(value, dict) else {}


def _objects(parent: Json, name: str) -> list[Json]:
    value = parent.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _keep(found: Telemetry, raw: Json, resource: Json, scope: str) -> None:
    try:
        found.spans.append(_json_span(raw, resource, scope))
    except (ValueError, TypeError) as error:
        found.rejected.append((f"span {raw.get('spanId') or raw.get('name')}", str(error)))


def _keep_log(found: Telemetry, raw: Json, resource: Json, scope: str) -> None:
    try:
        event, bearer = _json_log(raw, resource, scope)
    except (ValueError, TypeError) as error:
        found.rejected.append((f"log record {raw.get('eventName') or ''}", str(error)))
        return
    _file_event(found, event, bearer)


def _file_event(found: Telemetry, event: SpanEvent, bearer: Span) -> None:
    if event.name == EVALUATION_RESULT:
        found.verdicts.append((event, bearer))
    elif bearer.trace_id and bearer.span_id:
        found.events.append((event, bearer))
    else:
        found.log_count += 1


def _json_span(raw: Json, resource: Json, scope: str) -> Span:
    status = _object(raw, "status")
    end = _micros(raw.get("endTimeUnixNano"))
    return Span(
        trace_id=checked_id(_json_id(raw.get("traceId")), "traceId"),
        span_id=checked_id(_json_id(raw.get("spanId")), "spanId"),
        parent_id=parent_of(_json_id(raw.get("parentSpanId"))),
        name=str(raw.get("name") or ""),
        start_us=checked_time(_micros(raw.get("startTimeUnixNano"))),
        end_us=end or None,
        error=str(status.get("message") or "") if status.get("code") in ERROR_STATUS else None,
        attributes=_json_attributes(raw.get("attributes")),
        events=tuple(_json_event(event) for event in _objects(raw, "events")),
        resource=resource,
        scope=scope,
        remote_parent=has_remote_parent(raw.get("flags")),
    )


def _json_event(raw: Json) -> SpanEvent:
    return SpanEvent(
        str(raw.get("name") or ""), _micros(raw.get("timeUnixNano")), _json_attributes(raw.get("attributes"))
    )


def _json_log(raw: Json, resource: Json, scope: str) -> tuple[SpanEvent, Span]:
    attributes = _json_attributes(raw.get("attributes"))
    name = str(raw.get("eventName") or attributes.get("event.name") or "")
    at = _micros(raw.get("timeUnixNano")) or _micros(raw.get("observedTimeUnixNano"))
    event = SpanEvent(name, at, attributes, _json_value(raw.get("body")))
    return event, _bearer(_json_id(raw.get("traceId")), _json_id(raw.get("spanId")), event, resource, scope)


def _bearer(trace_id: str, span_id: str, event: SpanEvent, resource: Json, scope: str) -> Span:
    return Span(trace_id, span_id, None, event.name, event.time_us, event.time_us, resource=resource, scope=scope)


def _json_id(value: Any) -> str:
    return str(value or "").lower()


def checked_id(text: str, name: str) -> str:
    """The id of a span.

    Raises:
        ValueError: it is missing or all zeros.
    """
    if not text.strip("0"):
        raise ValueError(f"the span has no {name}")
    return text


def checked_time(micros: int) -> int:
    """A span's start, microseconds since 1970.

    Raises:
        ValueError: it is missing.
    """
    if micros <= 0:
        raise ValueError("the span has no start time")
    return micros


def parent_of(text: str) -> str | None:
    """The id of a parent, None where the span is a root: some exporters write zeros then."""
    return text if text.strip("0") else None


def has_remote_parent(flags: Any) -> bool:
    """Whether Span.flags say that the span's parent lies in another process."""
    return isinstance(flags, int) and flags & _KNOWN_REMOTE == _KNOWN_REMOTE


def _micros(nanos: Any) -> int:
    if nanos is None or nanos == "":
        return 0
    return int(nanos) // 1000


def _json_attributes(raw: Any) -> dict[str, Any]:
    items = raw if isinstance(raw, list) else []
    return {str(item.get("key")): _json_value(item.get("value")) for item in items if isinstance(item, dict)}


def _json_value(raw: Any) -> Any:
    """The value in an AnyValue."""
    if not isinstance(raw, dict) or not raw:
        return None
    kind, value = next(iter(cast("Json", raw).items()))
    if kind == "intValue":
        return int(value)
    if kind == "arrayValue":
        return [_json_value(item) for item in _objects(cast("Json", value or {}), "values")]
    if kind == "kvlistValue":
        return _json_attributes(cast("Json", value or {}).get("values"))
    return value


def read_resource_spans(parts: Iterable[ResourceSpans]) -> Telemetry:
    """Protobuf spans, by resource."""
    found = Telemetry()
    for part in parts:
        resource = _proto_attributes(part.resource.attributes)
        for scoped in part.scope_spans:
            for raw in scoped.spans:
                try:
                    found.spans.append(_proto_span(raw, resource, scoped.scope.name))
                except ValueError as error:
                    found.rejected.append((f"span {raw.span_id.hex() or raw.name}", str(error)))
    return found


def read_resource_logs(parts: Iterable[ResourceLogs]) -> Telemetry:
    """Protobuf log records, by resource."""
    found = Telemetry()
    for part in parts:
        resource = _proto_attributes(part.resource.attributes)
        for scoped in part.scope_logs:
            for raw in scoped.log_records:
                attributes = _proto_attributes(raw.attributes)
                name = raw.event_name or str(attributes.get("event.name") or "")
                at = (raw.time_unix_nano or raw.observed_time_unix_nano) // 1000
                event = SpanEvent(name, at, attributes, proto_value(raw.body))
                bearer = _bearer(raw.trace_id.hex(), raw.span_id.hex(), event, resource, scoped.scope.name)
                _file_event(found, event, bearer)
    return found


def _proto_span(raw: Any, resource: Json, scope: str) -> Span:
    return Span(
        trace_id=checked_id(raw.trace_id.hex(), "trace_id"),
        span_id=checked_id(raw.span_id.hex(), "span_id"),
        parent_id=parent_of(raw.parent_span_id.hex()),
        name=raw.name,
        start_us=checked_time(raw.start_time_unix_nano // 1000),
        end_us=raw.end_time_unix_nano // 1000 or None,
        error=raw.status.message if raw.status.code in ERROR_STATUS else None,
        attributes=_proto_attributes(raw.attributes),
        events=tuple(
            SpanEvent(event.name, event.time_unix_nano // 1000, _proto_attributes(event.attributes))
            for event in raw.events
        ),
        resource=resource,
        scope=scope,
        remote_parent=has_remote_parent(raw.flags),
    )


def _proto_attributes(raw: Iterable[Any]) -> dict[str, Any]:
    return {item.key: proto_value(item.value) for item in raw}


def proto_value(raw: Any) -> Any:
    """The value in an AnyValue message; None where it has none."""
    kind = raw.WhichOneof("value")
    if kind is None:
        return None
    value = getattr(raw, kind)
    if kind == "array_value":
        return [proto_value(item) for item in value.values]
    if kind == "kvlist_value":
        return _proto_attributes(value.values)
    return value
