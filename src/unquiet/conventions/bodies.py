"""OTLP trace bodies in protobuf -> spans, without a Python object for every attribute."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from unquiet.conventions.messages import Json
from unquiet.conventions.otlp import (
    ERROR_STATUS,
    Telemetry,
    checked_id,
    checked_time,
    has_remote_parent,
    parent_of,
    proto_value,
)
from unquiet.conventions.raw_attributes import RawTraceRequest
from unquiet.model.spans import Span, SpanEvent

REMEMBERED_ATTRIBUTES = 50_000
REMEMBERED_NAMES = 10_000
REMEMBERED_BYTES = 100
"""Attributes longer than this (texts of messages) are not remembered."""

_TEXT = 0x0A
_VALUE = 0x12
_MORE = 0x80


class _Names(dict[bytes, str]):
    """UTF-8 -> name; the same object each time, so that names are compared by their addresses."""

    def __missing__(self, raw: bytes) -> str:
        if len(self) >= REMEMBERED_NAMES:
            self.clear()
        name = self[raw] = sys.intern(raw.decode())
        return name


class _Attributes(dict[bytes, tuple[str, Any]]):
    """KeyValue messages -> (name, value); those with one short text or number are remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.names = _Names()

    def __missing__(self, raw: bytes) -> tuple[str, Any]:
        pair = self.read(raw)
        if not isinstance(pair[1], list | dict):
            if len(self) >= REMEMBERED_ATTRIBUTES:
                self.clear()
            self[raw] = pair
        return pair

    def read(self, raw: bytes) -> tuple[str, Any]:
        """Name and value in a KeyValue message.

        Raises:
            DecodeError: it is none.
        """
        start = _text_start(raw)
        if not start:
            item = KeyValue.FromString(raw)
            return sys.intern(item.key), proto_value(item.value)
        try:
            return self.names[raw[2 : 2 + raw[1]]], raw[start:].decode()
        except UnicodeDecodeError as error:
            raise DecodeError(f"an attribute is not UTF-8: {error}") from None


def _text_start(raw: bytes) -> int:
    """Where the text of a KeyValue begins that holds a name and a text, written as encoders do; else 0.

    Such a message is 0A <length> <name> 12 <length> 0A <length> <text>, lengths as varints.
    """
    size = len(raw)
    if size < 6 or raw[0] != _TEXT or raw[1] >= _MORE:
        return 0
    at = raw[1] + 2
    rest = size - at
    if rest < 4 or raw[at] != _VALUE:
        return 0
    if rest < _MORE + 2:
        # Both lengths are one byte.
        return at + 4 if raw[at + 3] == rest - 4 and raw[at + 2] == _TEXT and raw[at + 1] == rest - 2 else 0
    outer, inner = rest - 3, rest - 6
    if (
        # Both lengths are two bytes.
        raw[at + 1] == outer & 0x7F | _MORE
        and raw[at + 2] == outer >> 7
        and raw[at + 3] == _TEXT
        and raw[at + 4] == inner & 0x7F | _MORE
        and raw[at + 5] == inner >> 7
    ):
        return at + 6
    length, at = _varint(raw, at + 1)
    if at + length != size or raw[at] != _TEXT:
        return 0
    length, at = _varint(raw, at + 1)
    return at if at + length == size else 0


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """The number at a place, and the place after it; -1 where it has more than five bytes."""
    number = 0
    for shift in (0, 7, 14, 21, 28):
        byte = raw[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < _MORE:
            return number, at
    return -1, at


class BodyReader:
    """Reads bodies one after the other; what it remembers of their attributes is bounded."""

    def __init__(self) -> None:
        self._known = _Attributes()

    def read(self, body: bytes) -> Telemetry:
        """The spans in an ExportTraceServiceRequest (or TracesData), as `otlp.read_resource_spans` gives them.

        Raises:
            DecodeError: the body is no such message.
        """
        found = Telemetry()
        for part in RawTraceRequest.FromString(body).resource_spans:
            resource = self._pairs(part.resource.attributes)
            for scoped in part.scope_spans:
                scope = scoped.scope.name
                for raw in scoped.spans:
                    try:
                        found.spans.append(self._span(raw, resource, scope))
                    except ValueError as error:
                        found.rejected.append((f"span {raw.span_id.hex() or raw.name}", str(error)))
        return found

    def _span(self, raw: Any, resource: Json, scope: str) -> Span:
        status, events = raw.status, raw.events
        return Span(
            checked_id(raw.trace_id.hex(), "trace_id"),
            checked_id(raw.span_id.hex(), "span_id"),
            parent_of(raw.parent_span_id.hex()),
            raw.name,
            checked_time(raw.start_time_unix_nano // 1000),
            raw.end_time_unix_nano // 1000 or None,
            status.message if status.code in ERROR_STATUS else None,
            self._pairs(raw.attributes),
            tuple(map(self._event, events)) if events else (),
            resource,
            scope,
            has_remote_parent(raw.flags),
        )

    def _event(self, raw: Any) -> SpanEvent:
        return SpanEvent(raw.name, raw.time_unix_nano // 1000, self._pairs(raw.attributes))

    def _pairs(self, attributes: Iterable[bytes]) -> dict[str, Any]:
        known = self._known
        read = known.read
        return dict([known[raw] if len(raw) <= REMEMBERED_BYTES else read(raw) for raw in attributes])
