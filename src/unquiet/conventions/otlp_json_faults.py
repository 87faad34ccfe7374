"""The rules of `otlp_faults` for OTLP/JSON, whose ids are hexadecimal and whose types nobody has checked yet."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from unquiet.conventions.otlp_faults import (
    BAD_PARENT_ID,
    EARLIEST_NS,
    NO_SPAN_ID,
    NO_START,
    NO_TIME,
    NO_TRACE_ID,
    VALUE_BYTES_MAX,
    Faults,
    cut_text,
    is_long_key,
)

Json = dict[str, Any]

DEPTH_MAX = 100
"""How deep a document may be nested; protobuf has the same bound."""

BAD_ATTRIBUTE = "an attribute that is not {key, value} with a value of its stated type"
BAD_FIELD = "a field with a value of the wrong type"

_TRACE_ID = re.compile(r"(?!0{32})[0-9a-fA-F]{32}", re.ASCII)
_SPAN_ID = re.compile(r"(?!0{16})[0-9a-fA-F]{16}", re.ASCII)
_UINT64 = re.compile(r"[0-9]{1,20}", re.ASCII)
_INT64 = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_POINTS = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")


class MalformedError(ValueError):
    """A document that is no OTLP at all; the text says where and why."""


class _Flaw(Exception):
    """One span or log record is malformed; the text is the reason."""


def nested_deeper(value: Any, levels: int = DEPTH_MAX) -> bool:
    """Whether a JSON value is nested deeper than so many levels."""
    level = [value]
    for _ in range(levels):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def drop_bad_json_spans(document: Json, *, value_bytes_max: int = VALUE_BYTES_MAX) -> Faults:
    """Take out of a document what breaks the rules.

    Raises:
        MalformedError: it is no list of resources, scopes and spans, or nested too deep.
    """
    return _drop_bad(document, ("resourceSpans", "scopeSpans", "spans"), _check_span, value_bytes_max)


def drop_bad_json_log_records(document: Json, *, value_bytes_max: int = VALUE_BYTES_MAX) -> Faults:
    """Take out of a document what breaks the rules.

    Raises:
        MalformedError: it is no list of resources, scopes and log records, or nested too deep.
    """
    return _drop_bad(document, ("resourceLogs", "scopeLogs", "logRecords"), _check_log, value_bytes_max)


def count_json_data_points(document: Json) -> int:
    """How many data points a document holds.

    Raises:
        MalformedError: it is no list of resources, scopes and metrics.
    """
    count = 0
    for part in _objects(document, "resourceMetrics"):
        for scoped in _objects(part, "scopeMetrics"):
            for metric in _objects(scoped, "metrics"):
                count += sum(len(_objects(_object(metric, kind), "dataPoints")) for kind in _POINTS)
    return count


def _drop_bad(
    document: Json, names: tuple[str, str, str], check: Callable[[Json, _Bounds], None], value_bytes_max: int
) -> Faults:
    if nested_deeper(document):
        raise MalformedError(f"the document is nested deeper than {DEPTH_MAX} levels")
    faults = Faults()
    bounds = _Bounds(value_bytes_max, faults)
    resources, scopes, items = names
    for part in _objects(document, resources):
        _outer_attributes(_object(part, "resource"), bounds, resources)
        for scoped in _objects(part, scopes):
            _outer_attributes(_object(scoped, "scope"), bounds, scopes)
            good: list[Json] = []
            for item in _objects(scoped, items):
                try:
                    check(item, bounds)
                except _Flaw as flaw:
                    faults.dropped[str(flaw)] += 1
                else:
                    good.append(item)
            faults.kept += len(good)
            if len(good) < len(scoped.get(items) or ()):
                scoped[items] = good
                faults.changed = True
    return faults


def _object(parent: Json, name: str) -> Json:
    value = parent.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise MalformedError(f"{name} is a {type(value).__name__}, not an object")
    return value


def _objects(parent: Json, name: str) -> list[Json]:
    value = parent.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise MalformedError(f"{name} is not a list of objects")
    return value


def _outer_attributes(holder: Json, bounds: _Bounds, name: str) -> None:
    try:
        bounds.attributes(holder)
    except _Flaw as flaw:
        raise MalformedError(f"{name} has {flaw}") from flaw


def _check_span(span: Json, bounds: _Bounds) -> None:
    if not _matches(_TRACE_ID, span.get("traceId")):
        raise _Flaw(NO_TRACE_ID)
    if not _matches(_SPAN_ID, span.get("spanId")):
        raise _Flaw(NO_SPAN_ID)
    parent = span.get("parentSpanId")
    if parent and parent != "0" * 16 and not _matches(_SPAN_ID, parent):
        raise _Flaw(BAD_PARENT_ID)
    if not _is_nanos(span.get("startTimeUnixNano")) or int(span["startTimeUnixNano"]) < EARLIEST_NS:
        raise _Flaw(NO_START)
    _check_times(span, "endTimeUnixNano")
    _check_text(span, "name")
    if not isinstance(span.get("status"), dict | None):
        raise _Flaw(BAD_FIELD)
    bounds.attributes(span)
    for event in _flawless_objects(span, "events"):
        _check_times(event, "timeUnixNano")
        _check_text(event, "name")
        bounds.attributes(event)
    for link in _flawless_objects(span, "links"):
        bounds.attributes(link)


def _check_log(record: Json, bounds: _Bounds) -> None:
    _check_times(record, "timeUnixNano")
    _check_times(record, "observedTimeUnixNano")
    if not int(record.get("timeUnixNano") or 0) and not int(record.get("observedTimeUnixNano") or 0):
        raise _Flaw(NO_TIME)
    _check_text(record, "eventName")
    bounds.attributes(record)
    if record.get("body") is not None:
        bounds.value(record["body"])
    for name, pattern in (("traceId", _TRACE_ID), ("spanId", _SPAN_ID)):
        if record.get(name) and not _matches(pattern, record[name]):
            # It belongs to no span; without a trace id, a span id means nothing.
            record[name] = ""
            bounds.faults.changed = True
    if record.get("spanId") and not record.get("traceId"):
        record["spanId"] = ""
        bounds.faults.changed = True


def _check_times(holder: Json, name: str) -> None:
    if holder.get(name) not in (None, "") and not _is_nanos(holder[name]):
        raise _Flaw(BAD_FIELD)


def _check_text(holder: Json, name: str) -> None:
    if not isinstance(holder.get(name), str | None):
        raise _Flaw(BAD_FIELD)


def _flawless_objects(parent: Json, name: str) -> list[Json]:
    try:
        return _objects(parent, name)
    except MalformedError as error:
        raise _Flaw(BAD_FIELD) from error


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_nanos(value: Any) -> bool:
    if isinstance(value, str):
        return _UINT64.fullmatch(value) is not None and int(value) < 1 << 64
    return _is_whole(value) and 0 <= value < 1 << 64


def _is_whole(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())


class _Bounds:
    """Checks attributes, drops those with long keys and cuts large values."""

    def __init__(self, value_bytes_max: int, faults: Faults) -> None:
        self.value_bytes_max, self.faults = value_bytes_max, faults

    def attributes(self, holder: Json, name: str = "attributes") -> None:
        """Check the attributes of a holder; raises _Flaw."""
        items = holder.get(name)
        if items is None:
            return
        long = 0
        for item in self._key_values(items):
            if is_long_key(item["key"]):
                long += 1
            elif item.get("value") is not None:
                self.value(item["value"])
        if long:
            holder[name] = [item for item in items if not is_long_key(item["key"])]
            self.faults.keys_dropped += long
            self.faults.changed = True

    def _key_values(self, items: Any) -> Iterator[Json]:
        if not isinstance(items, list):
            raise _Flaw(BAD_ATTRIBUTE)
        for item in items:
            if not isinstance(item, dict) or not isinstance(item.get("key"), str):
                raise _Flaw(BAD_ATTRIBUTE)
            yield item

    def value(self, value: Any) -> None:
        """Check one AnyValue; raises _Flaw."""
        if not isinstance(value, dict):
            raise _Flaw(BAD_ATTRIBUTE)
        for kind, content in value.items():
            if kind in ("stringValue", "bytesValue"):
                self._text(value, kind, content)
            elif kind == "intValue":
                if not (_matches(_INT64, content) or _is_whole(content)):
                    raise _Flaw(BAD_ATTRIBUTE)
            elif kind == "arrayValue":
                for item in self._values(content):
                    self.value(item)
            elif kind == "kvlistValue" and self._values(content):
                self.attributes(content, "values")

    def _text(self, value: Json, kind: str, content: Any) -> None:
        if not isinstance(content, str):
            raise _Flaw(BAD_ATTRIBUTE)
        cut = cut_text(content, self.value_bytes_max)
        if cut is not None:
            # Bytes are written in base64: a whole number of groups stays readable.
            value[kind] = cut if kind == "stringValue" else cut[: len(cut) // 4 * 4]
            self.faults.cut += 1
            self.faults.changed = True

    def _values(self, content: Any) -> list[Any]:
        values = content.get("values") if isinstance(content, dict) else content
        if values is None:
            return []
        if not isinstance(content, dict) or not isinstance(values, list):
            raise _Flaw(BAD_ATTRIBUTE)
        return values
