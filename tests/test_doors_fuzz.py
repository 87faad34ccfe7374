"""Ten thousand damaged bodies: a right status each time, and what is kept can be read."""

from __future__ import annotations

import random
import resource
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from door_worlds import Log, add_span, intake_over, json_log, json_logs, json_span, json_traces, logs, traces
from unquiet.conventions.otlp import read_json, read_resource_logs, read_resource_spans
from unquiet.doors import Answer, Limits
from unquiet.doors.answers import JSON, PROTOBUF, Signal
from unquiet.model.bodies import BodyKind

SEED = 20261129
MUTATIONS = 2500
"""A combination of signal and format; there are four."""


def rich_traces() -> bytes:
    request = traces(5)
    span = add_span(request, parent_span_id=bytes(range(1, 9)))
    span.status.code = 2
    event = span.events.add(name="said", time_unix_nano=7)
    inner = event.attributes.add(key="list").value.kvlist_value.values.add(key="inner")
    inner.value.array_value.values.add().string_value = "ü" * 300
    span.links.add(trace_id=bytes(16)).attributes.add(key="n").value.double_value = 0.5
    span.attributes.add(key="raw").value.bytes_value = bytes(range(256))
    return request.SerializeToString()


def rich_json() -> bytes:
    many = [json_span(name=f"span {n}", parentSpanId="", links=[{"attributes": []}]) for n in range(4)]
    return orjson.dumps(json_traces(*many))


CASES: list[tuple[Signal, str, bytes]] = [
    ("traces", PROTOBUF, rich_traces()),
    ("logs", PROTOBUF, logs(6).SerializeToString()),
    ("traces", JSON, rich_json()),
    ("logs", JSON, orjson.dumps(json_logs(*[json_log() for _ in range(5)]))),
]


def flip(body: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8, 40))):
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)


def cut(body: bytearray, rng: random.Random) -> None:
    del body[rng.randrange(len(body)) :]


def splice(body: bytearray, rng: random.Random) -> None:
    start, end = sorted(rng.randrange(len(body)) for _ in range(2))
    at = rng.randrange(len(body))
    body[at:at] = body[start:end] * rng.choice((1, 1, 2, 20))


def drop(body: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(body))
    del body[start : start + rng.choice((1, 2, 9, 60))]


def lengthen(body: bytearray, rng: random.Random) -> None:
    """A wrong length, or a number that says nothing true."""
    at = rng.randrange(len(body))
    wrong = (
        b"\x7f",
        b"\xff\x7f",
        b"\xff\xff\xff\xff\x0f",
        b"\x00",
        b"\xff" * 9 + b"\x01",
        b"99999999999999999999",
        b"-1",
    )
    body[at : at + 1] = rng.choice(wrong)


def swap_words(body: bytearray, rng: random.Random) -> None:
    """Another JSON value where one was, so that the document stays whole."""
    old = rng.choice((b"[]", b"{}", b'""', b'"chat"', b"1", b'"3"', b"null", b'"said"', b'"hello"'))
    new = rng.choice(
        (b"[]", b"{}", b'""', b"null", b"true", b"-1", b"1e400", b"0.5", b'"\\ud83d\\ude00"', b"[[[]]]", b'{"a":[1]}')
    )
    places = [at for at in range(len(body)) if body.startswith(old, at)]
    if places:
        at = rng.choice(places)
        body[at : at + len(old)] = new


def bend(body: bytearray, rng: random.Random) -> None:
    """A sound protobuf message with wrong fields in some of its spans or log records."""
    for kind in (ExportTraceServiceRequest, ExportLogsServiceRequest):
        try:
            request: Any = kind.FromString(bytes(body))
        except DecodeError:
            continue
        for part in request.resource_spans if kind is ExportTraceServiceRequest else request.resource_logs:
            for scoped in part.scope_spans if kind is ExportTraceServiceRequest else part.scope_logs:
                items = scoped.spans if kind is ExportTraceServiceRequest else scoped.log_records
                for item in items:
                    if item.trace_id and rng.random() < 0.3:
                        bend_item(item, rng)
        body[:] = request.SerializeToString()


def bend_item(item: Any, rng: random.Random) -> None:
    name = rng.choice(("trace_id", "span_id", "time", "attribute"))
    if name == "time":
        field = "start_time_unix_nano" if hasattr(item, "start_time_unix_nano") else "time_unix_nano"
        setattr(item, field, rng.choice((0, 0, 1, 2**64 - 1)))
    elif name == "attribute":
        item.attributes.add(key="k" * rng.choice((0, 5, 1025, 3000))).value.string_value = "v" * rng.choice(
            (0, 9, 3000)
        )
    else:
        setattr(item, name, rng.choice((b"", bytes(8), bytes(16), rng.randbytes(rng.randrange(20)))))


MUTATIONS_OF: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip,
    cut,
    splice,
    drop,
    lengthen,
    swap_words,
    bend,
)


def mutated(body: bytes, rng: random.Random) -> Iterator[bytes]:
    for _ in range(MUTATIONS):
        changed = bytearray(body)
        for mutation in rng.choices(MUTATIONS_OF, k=rng.choice((1, 1, 1, 2, 3))):
            if changed:
                mutation(changed, rng)
        yield bytes(changed)


def check_kept(log: Log) -> int:
    """What was kept is read without any fault; how many spans or log records that is."""
    (body,) = log.bodies
    if body.kind in (BodyKind.TRACES_JSON, BodyKind.LOGS_JSON):
        found = read_json(orjson.loads(body.payload))
    elif body.kind == BodyKind.TRACES_PROTO:
        found = read_resource_spans(ExportTraceServiceRequest.FromString(body.payload).resource_spans)
    else:
        found = read_resource_logs(ExportLogsServiceRequest.FromString(body.payload).resource_logs)
    assert found.rejected == []
    assert len(found.spans) + len(found.events) + found.log_count == body.count
    return body.count


def check_answer(answer: Answer, kind: str) -> None:
    assert answer.status in (200, 400, 413)
    assert answer.content_type == kind
    document: Any = orjson.loads(answer.body) if kind == JSON else None
    if answer.status != 200:
        message = document["message"] if kind == JSON else Status.FromString(answer.body).message
        assert message == answer.message
        assert answer.message


@pytest.mark.parametrize(("signal", "kind", "body"), CASES, ids=[f"{signal} {kind}" for signal, kind, _ in CASES])
def test_damaged_bodies_get_a_right_status(signal: Signal, kind: str, body: bytes) -> None:
    rng = random.Random(f"{SEED} {signal} {kind}")
    log = Log()
    intake = intake_over(log, limits=Limits(body_bytes_max=20_000, attribute_bytes_max=500))
    statuses: dict[int, int] = {}
    whole = partial = 0
    memory_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for changed in mutated(body, rng):
        log.bodies.clear()
        answer = intake.receive(signal, kind, changed, "fuzz")
        check_answer(answer, kind)
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
        if log.bodies:
            assert answer.status == 200
            whole += check_kept(log) > 0
        partial += answer.status == 200 and bool(answer.message)
    growth_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory_before) / 1024
    assert growth_mb < 100
    assert statuses.keys() == {200, 400, 413}
    assert min(whole, partial) > 50, "the mutations reach behind the parser"
    log.bodies.clear()
    assert intake.receive(signal, kind, body, "fuzz").status == 200
    assert log.bodies[0].payload == body
    assert intake.budget.used_bytes == 0
