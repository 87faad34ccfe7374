"""What is wrong with single spans and log records of an OTLP request: dropped and told, the rest is kept.

The rules are those of opentelemetry-proto 1.11: a span has a trace id of 16 bytes and a span id of 8, neither all zero,
and a start time, a microsecond after 1970 or later. A log record has a time; ids that are not valid mean that it belongs
to no span.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

KEY_BYTES_MAX = 1024
"""Attributes with a longer key are dropped."""

VALUE_BYTES_MAX = 1 << 20
"""Texts and bytes in attributes are cut here, if nothing else is asked for."""

NO_TRACE_ID = "no valid trace id (16 bytes, not all zero)"
NO_SPAN_ID = "no valid span id (8 bytes, not all zero)"
BAD_PARENT_ID = "a parent span id that is not 8 bytes"
NO_START = "no start time"
NO_TIME = "neither a time nor an observed time"

EARLIEST_NS = 1000
"""Times are kept in microseconds since 1970, where 0 means: not known."""

_ZERO_TRACE, _ZERO_SPAN = bytes(16), bytes(8)

_FIELD_1, _FIELD_7, _VALUE_TAG = 0x0A, 0x3A, 0x12
"""Tags: a key, or a text in a value; bytes in a value; the value that follows a key."""

_LENGTH_BYTES = 4
"""A length in a body of up to 256 MiB takes no more."""

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]


@dataclass(slots=True)
class Faults:
    """What was found in one request.

    `kept` counts the spans or log records that stay; `dropped` counts the others by reason; `cut` and `keys_dropped`
    count attribute values that were cut and attributes that were dropped for their key. `changed` is true where the
    request is no longer what was sent.
    """

    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter[str])
    cut: int = 0
    keys_dropped: int = 0
    changed: bool = False

    @property
    def rejected(self) -> int:
        """How many spans or log records were dropped."""
        return self.dropped.total()

    def message(self, what: str, value_bytes_max: int) -> str:
        """What the sender is told, empty where there is nothing to tell. `what` is "span" or "log record"."""
        parts = [f"{count:,} {what}(s) rejected: {reason}." for reason, count in sorted(self.dropped.items())]
        if self.cut:
            parts.append(f"{self.cut:,} attribute value(s) cut at {value_bytes_max:,} bytes.")
        if self.keys_dropped:
            parts.append(f"{self.keys_dropped:,} attribute(s) dropped: a key is at most {KEY_BYTES_MAX:,} bytes.")
        return " ".join(parts)


def drop_bad_spans(request: ExportTraceServiceRequest, raw: bytes, *, value_bytes_max: int = VALUE_BYTES_MAX) -> Faults:
    """Take out of a request what breaks the rules; `raw` is what it was parsed from."""
    faults = Faults()
    large = _may_hold_large(raw, value_bytes_max)
    for part in request.resource_spans:
        for scoped in part.scope_spans:
            _keep_good(scoped.spans, _span_fault, faults)
            if large:
                _bound_attributes(scoped.scope.attributes, value_bytes_max, faults)
                for span in scoped.spans:
                    for holder in (span, *span.events, *span.links):
                        _bound_attributes(holder.attributes, value_bytes_max, faults)
        if large:
            _bound_attributes(part.resource.attributes, value_bytes_max, faults)
    return faults


def drop_bad_log_records(
    request: ExportLogsServiceRequest, raw: bytes, *, value_bytes_max: int = VALUE_BYTES_MAX
) -> Faults:
    """Take out of a request what breaks the rules; `raw` is what it was parsed from."""
    faults = Faults()
    large = _may_hold_large(raw, value_bytes_max)
    for part in request.resource_logs:
        for scoped in part.scope_logs:
            _keep_good(scoped.log_records, _log_fault, faults)
            for record in scoped.log_records:
                faults.changed |= _clear_invalid_ids(record)
            if large:
                _bound_attributes(scoped.scope.attributes, value_bytes_max, faults)
                for record in scoped.log_records:
                    _bound_attributes(record.attributes, value_bytes_max, faults)
                    _bound_values([record.body], value_bytes_max, faults)
        if large:
            _bound_attributes(part.resource.attributes, value_bytes_max, faults)
    return faults


def count_data_points(request: ExportMetricsServiceRequest) -> int:
    """How many data points a request holds."""
    return sum(
        len(getattr(metric, kind).data_points)
        for part in request.resource_metrics
        for scoped in part.scope_metrics
        for metric in scoped.metrics
        if (kind := metric.WhichOneof("data")) is not None
    )


def _span_fault(span: Any) -> str | None:
    trace_id, span_id = span.trace_id, span.span_id
    if len(trace_id) != 16 or trace_id == _ZERO_TRACE:
        return NO_TRACE_ID
    if len(span_id) != 8 or span_id == _ZERO_SPAN:
        return NO_SPAN_ID
    if span.start_time_unix_nano < EARLIEST_NS:
        return NO_START
    return BAD_PARENT_ID if len(span.parent_span_id) not in (0, 8) else None


def _log_fault(record: Any) -> str | None:
    return None if record.time_unix_nano or record.observed_time_unix_nano else NO_TIME


def _clear_invalid_ids(record: Any) -> bool:
    trace_id, span_id = record.trace_id, record.span_id
    if not trace_id and not span_id:
        return False
    if len(trace_id) != 16 or trace_id == _ZERO_TRACE:
        record.trace_id = record.span_id = b""
        return True
    if span_id and (len(span_id) != 8 or span_id == _ZERO_SPAN):
        record.span_id = b""
        return True
    return False


def _keep_good(items: Any, fault_of: Any, faults: Faults) -> None:
    """Drop the items of a repeated field that have a fault."""
    reasons = [fault_of(item) for item in items]
    bad = len(reasons) - reasons.count(None)
    faults.kept += len(reasons) - bad
    if not bad:
        return
    good = [item for item, reason in zip(items, reasons, strict=True) if reason is None]
    faults.dropped.update(reason for reason in reasons if reason is not None)
    faults.changed = True
    # Rebuilt, because to delete one by one moves all that follow each time.
    del items[:]
    items.extend(good)


def _may_hold_large(raw: bytes, value_bytes_max: int) -> bool:
    """Whether a message can hold a long key or a large value: true too often, but not for ordinary requests.

    To look at every attribute costs more than all the rest; fields with a great length are found in the bytes instead.
    A key that is not followed by its value, as no serializer writes it, is not found.
    """
    data = np.frombuffer(raw, dtype=np.uint8)
    starts, lengths, ends = _long_fields(data, _FIELD_1)
    if not len(starts):
        return False
    inside = ~np.isin(starts, _top_level_starts(raw))
    starts, lengths, ends = starts[inside], lengths[inside], ends[inside]
    followed = data[np.minimum(ends, len(data) - 1)] == _VALUE_TAG
    if np.any(followed & (lengths > KEY_BYTES_MAX) & (ends < len(data))):
        return True
    if len(raw) <= value_bytes_max:
        return False
    return any(np.any(found > value_bytes_max) for found in (lengths, _long_fields(data, _FIELD_7)[1]))


def _long_fields(data: Bytes, tag: int) -> tuple[Numbers, Numbers, Numbers]:
    """Start, length and end of what looks like a field with this tag and 1,024 bytes or more."""
    starts = np.flatnonzero(data[: max(len(data) - KEY_BYTES_MAX, 0)] == tag)
    # A length of 1,024 takes two bytes and more: the first of them says that another follows.
    starts = starts[data[starts + 1] >= 0x80]
    lengths = np.zeros(len(starts), dtype=np.int64)
    ends = starts + 1
    more = np.ones(len(starts), dtype=np.bool_)
    for place in range(_LENGTH_BYTES):
        byte = np.where(more, data[starts + 1 + place], 0).astype(np.int64)
        lengths |= (byte & 0x7F) << (7 * place)
        ends += more
        more = byte >= 0x80
    ends += lengths
    real = ~more & (lengths >= KEY_BYTES_MAX) & (ends <= len(data))
    return starts[real], lengths[real], ends[real]


def _top_level_starts(raw: bytes) -> list[int]:
    """Where the resources of a request begin: fields 1 whose length says nothing about attributes."""
    starts: list[int] = []
    at = 0
    while at < len(raw) and raw[at] == _FIELD_1:
        starts.append(at)
        length, at = _varint(raw, at + 1)
        at += length
    return starts


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """The number at a place, and the place behind it."""
    number = shift = 0
    while at < len(raw):
        byte = raw[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80 or shift > 56:
            break
        shift += 7
    return number, at


def _bound_attributes(attributes: Any, value_bytes_max: int, faults: Faults) -> None:
    """Drop attributes with long keys and cut large values, at every depth."""
    good = [item for item in attributes if not is_long_key(item.key)]
    if len(good) < len(attributes):
        faults.keys_dropped += len(attributes) - len(good)
        faults.changed = True
        del attributes[:]
        attributes.extend(good)
    _bound_values([item.value for item in attributes], value_bytes_max, faults)


def _bound_values(values: Sequence[Any], value_bytes_max: int, faults: Faults) -> None:
    for value in values:
        kind = value.WhichOneof("value")
        if kind == "string_value" and (cut := cut_text(value.string_value, value_bytes_max)) is not None:
            value.string_value = cut
        elif kind == "bytes_value" and len(value.bytes_value) > value_bytes_max:
            value.bytes_value = value.bytes_value[:value_bytes_max]
        else:
            if kind == "array_value":
                _bound_values(value.array_value.values, value_bytes_max, faults)
            elif kind == "kvlist_value":
                _bound_attributes(value.kvlist_value.values, value_bytes_max, faults)
            continue
        faults.cut += 1
        faults.changed = True


def is_long_key(key: str) -> bool:
    """Whether an attribute with this key is dropped."""
    return len(key) * 4 > KEY_BYTES_MAX and len(key.encode()) > KEY_BYTES_MAX


def cut_text(text: str, bytes_max: int) -> str | None:
    """The beginning of a text that fits into so many bytes of UTF-8, None where all of it does."""
    if len(text) * 4 <= bytes_max:
        return None
    data = text.encode()
    return data[:bytes_max].decode(errors="ignore") if len(data) > bytes_max else None
