"""Spans found in the bytes of a request: the same as by looking at every span."""

from __future__ import annotations

import random

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from unquiet.conventions.wire import marked

WORD = b"needle"


def find(raw: bytes, start: int) -> int:
    return raw.find(WORD, start)


def request(rng: random.Random) -> ExportTraceServiceRequest:
    made = ExportTraceServiceRequest()
    for _ in range(rng.randrange(4)):
        part = made.resource_spans.add(schema_url=rng.choice(["", "needle"]))
        part.resource.dropped_attributes_count = rng.randrange(300)
        for _ in range(rng.randrange(3)):
            scoped = part.scope_spans.add()
            scoped.scope.name = rng.choice(["", "needle", "s" * 200])
            for _ in range(rng.randrange(6)):
                text = rng.choice(["", "needle", "nee", "dle", "x" * 300, "x" * 20_000 + "needle"])
                scoped.spans.add(
                    name=text,
                    start_time_unix_nano=rng.randrange(2**63),
                    flags=rng.randrange(2**32),
                    kind=rng.randrange(5),
                )
    return made


def naive(made: ExportTraceServiceRequest) -> set[int]:
    spans = [span for part in made.resource_spans for scoped in part.scope_spans for span in scoped.spans]
    return {number for number, span in enumerate(spans) if WORD in span.SerializeToString()}


def test_the_same_as_by_looking_at_every_span() -> None:
    rng = random.Random(1)
    for _ in range(200):
        made = request(rng)
        raw = made.SerializeToString()
        # A later version's fields of every wire type stand between those that are known.
        later = b"\xf8\x3e\x96\x01" + b"\xf9\x3e" + b"8" * 8 + b"\xfd\x3e" + b"4" * 4 + b"\xfa\x3e\x06needle"
        for data in (raw, later + raw, raw + later, raw + made.SerializeToString()):
            whole = ExportTraceServiceRequest.FromString(data)
            assert marked(data, find) == naive(whole)


def test_a_match_across_two_spans_hides_none() -> None:
    made = ExportTraceServiceRequest()
    scoped = made.resource_spans.add().scope_spans.add()
    for name in ("x", "y", "z"):
        scoped.spans.add(name=name)
    raw = made.SerializeToString()
    places = [raw.index(name) for name in (b"x", b"y")]

    def overlapping(_: bytes, start: int) -> int:
        """Finds at x what goes on into the next span, where y is."""
        return next((place for place in places if place >= start), -1)

    assert marked(raw, overlapping) == {0, 1}


def test_bytes_that_are_no_request_are_told() -> None:
    good = b"\x0a\x04\x12\x02\x12\x00"
    assert marked(good, lambda _raw, start: start) == set(), "an empty span has no place to be found at"
    for bad in (b"\x0a\x05\x12", b"\x0a", b"\x0b\x0c", b"\x0a\x03\x12\x09x", b"\xff" * 12, b"\x0a\x80"):
        assert marked(bad, lambda _raw, start: start) is None
