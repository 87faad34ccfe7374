"""The fast reading of OTLP bodies gives the spans that the messages of opentelemetry-proto give."""

from __future__ import annotations

import random
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from unquiet.conventions import bodies
from unquiet.conventions.bodies import BodyReader
from unquiet.conventions.otlp import read_json, read_resource_spans

LENGTHS = (
    0,
    1,
    3,
    90,
    120,
    121,
    122,
    123,
    124,
    125,
    126,
    127,
    128,
    129,
    130,
    131,
    140,
    4000,
    16370,
    16380,
    16384,
    16390,
)


def any_value(rng: random.Random, depth: int = 0) -> AnyValue:
    kind = rng.randrange(9 if depth < 3 else 6)
    if kind < 2:
        return AnyValue(string_value=rng.choice("xé") * rng.choice(LENGTHS))
    if kind == 2:
        return AnyValue(int_value=rng.choice((0, 1, -1, 127, 128, 2**63 - 1, -(2**63))))
    if kind == 3:
        return AnyValue(double_value=rng.choice((0.0, -1.5, 1e300)))
    if kind == 4:
        return rng.choice((AnyValue(bool_value=False), AnyValue(bool_value=True), AnyValue(bytes_value=b"\xff\x00")))
    if kind == 5:
        return AnyValue()
    made = AnyValue()
    if kind < 8:
        made.array_value.values.extend(any_value(rng, depth + 1) for _ in range(rng.randrange(3)))
    else:
        made.kvlist_value.values.extend(pairs(rng, 2, depth + 1))
    return made


def pairs(rng: random.Random, most: int, depth: int = 0) -> list[KeyValue]:
    names = ("", "k", "gen_ai.operation.name", "é", "n" * 127, "n" * 128, "dup", "dup")
    return [
        KeyValue(key=rng.choice(names))
        if rng.random() < 0.1
        else KeyValue(key=rng.choice(names), value=any_value(rng, depth))
        for _ in range(rng.randrange(most))
    ]


def request(seed: int) -> ExportTraceServiceRequest:
    rng = random.Random(seed)
    made = ExportTraceServiceRequest()
    for _ in range(rng.randrange(3)):
        part = made.resource_spans.add()
        part.resource.attributes.extend(pairs(rng, 4))
        for _ in range(rng.randrange(3)):
            scoped = part.scope_spans.add()
            scoped.scope.name = rng.choice(("", "scope"))
            scoped.scope.attributes.extend(pairs(rng, 2))
            for _ in range(rng.randrange(4)):
                _span(rng, scoped.spans.add())
    return made


def _span(rng: random.Random, span: Any) -> None:
    span.trace_id, span.span_id = rng.randbytes(16), rng.randbytes(8)
    if rng.random() < 0.1:
        span.trace_id, span.span_id = rng.choice(((b"", b"s"), (bytes(16), b"s"), (b"t", b""), (b"t", bytes(8))))
    span.parent_span_id = rng.choice((b"", rng.randbytes(8)))
    span.name, span.flags = rng.choice(("", "a", "é")), rng.choice((0, 1, 0x100, 0x200, 0x301))
    span.start_time_unix_nano = rng.choice((0, 999, 1000, 10**18, 2**64 - 1))
    span.end_time_unix_nano = rng.choice((0, 10**18 + 5))
    span.attributes.extend(pairs(rng, 6))
    span.links.add().attributes.extend(pairs(rng, 2))
    if rng.random() < 0.5:
        span.status.CopyFrom(
            rng.choice((Status(code=1), Status(code=2), Status(code=2, message="boom"), Status(message="m")))
        )
    for _ in range(rng.randrange(2)):
        event = span.events.add(name="exception", time_unix_nano=7)
        event.attributes.extend(pairs(rng, 3))


def test_bodies_read_as_through_the_messages() -> None:
    reader = BodyReader()
    spans = 0
    for seed in range(300):
        made = request(seed)
        found = reader.read(made.SerializeToString())
        assert repr(found) == repr(read_resource_spans(made.resource_spans))
        spans += len(found.spans)
    assert spans > 100


def kv(value: bytes, key: bytes = b"\x0a\x01k") -> bytes:
    return key + b"\x12" + bytes([len(value)]) + value


ODD = {
    "length in more bytes than it takes": b"\x0a\x01k\x12\x85\x00\x0a\x82\x00hi",
    "value before name": b"\x12\x04\x0a\x02hi\x0a\x01k",
    "value twice": kv(b"\x0a\x02hi") + b"\x12\x04\x0a\x02yo",
    "two values in one": kv(b"\x0a\x02hi\x18\x07"),
    "unknown field": kv(b"\x0a\x02hi") + b"\xf8\x01\x07",
    "only a name": b"\x0a\x01k",
    "nothing": b"",
    "text after a number": kv(b"\x18\x07\x0a\x02hi"),
}


def body_of(raw: bytes) -> bytes:
    """A body of one span with one attribute in the given bytes."""
    whole = b"\x0a\x10" + b"t" * 16 + b"\x12\x08" + b"s" * 8 + b"\x39" + bytes([0, 0, 0, 0, 0, 0, 1, 0])
    for tag, inner in ((b"", b"\x4a"), (b"\x12", b""), (b"\x12", b""), (b"\x0a", b"")):
        if inner:
            whole += inner + _length(raw) + raw
        else:
            whole = tag + _length(whole) + whole
    return whole


def _length(raw: bytes) -> bytes:
    size = len(raw)
    return bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])


@pytest.mark.parametrize("name", ODD)
def test_attributes_that_no_encoder_writes(name: str) -> None:
    body = body_of(ODD[name])
    expected = read_resource_spans(ExportTraceServiceRequest.FromString(body).resource_spans)
    assert len(expected.spans) == 1
    assert BodyReader().read(body) == expected


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=40) | st.binary(max_size=12).map(lambda raw: kv(b"\x0a" + bytes([len(raw)]) + raw)))
def test_damaged_attributes_are_refused_as_by_the_messages(raw: bytes) -> None:
    body = body_of(raw)
    try:
        expected = read_resource_spans(ExportTraceServiceRequest.FromString(body).resource_spans)
    except DecodeError:
        with pytest.raises(DecodeError):
            BodyReader().read(body)
    else:
        assert repr(BodyReader().read(body)) == repr(expected)


def test_a_body_that_is_no_request_is_refused() -> None:
    with pytest.raises(DecodeError):
        BodyReader().read(b"\x0a\xff")


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "REMEMBERED_ATTRIBUTES", 10)
    reader = BodyReader()
    for number in range(100):
        (span,) = reader.read(body_of(kv(b"\x0a\x03" + b"%03d" % number))).spans
        assert span.attributes == {"k": f"{number:03d}"}
        assert len(reader._known) <= 10


@pytest.mark.parametrize(
    ("flags", "remote"), [(0, False), (0x100, False), (0x200, False), (0x300, True), (0x301, True)]
)
def test_remote_parents(flags: int, remote: bool) -> None:
    made = ExportTraceServiceRequest()
    span = made.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.start_time_unix_nano, span.flags = b"t" * 16, b"s" * 8, 10**18, flags
    payload = {"traceId": "a1", "spanId": "b2", "startTimeUnixNano": "1000000000", "flags": flags}
    found = (
        BodyReader().read(made.SerializeToString()),
        read_resource_spans(made.resource_spans),
        read_json({"resourceSpans": [{"scopeSpans": [{"spans": [payload]}]}]}),
    )
    assert [telemetry.spans[0].remote_parent for telemetry in found] == [remote] * 3
