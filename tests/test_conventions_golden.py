"""The reading of spans gives the turns that it gave when these digests were made, by code without any shortcut.

A change that is meant to read spans otherwise makes the digests anew: the failing test shows the new one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
import pytest

import hostile_spans
from unquiet.conventions.drafts import table_of
from unquiet.conventions.span_turns import turns_of
from unquiet.conventions.traces import Traces
from unquiet.model.spans import Span, SpanEvent
from unquiet.model.turns import TURNS
from unquiet.sources import read_files

CHUNK = 100
HOSTILE = (
    "8e00ef6f210845c2", "df0c874c74500f93", "10281724da3d230c", "44524bc8f80a7ab2", "9f97fcafd9690299",
    "a7e84d58bdf6aa24", "97ef23263df05901", "d2f2ae643f32683e", "5ea8e8ccbfadbd3b", "88a170eb26049548",
    "677cc8048a451926", "873916b3f10d56c5", "fd9aab1626dff63b", "d3d146ddca05e182", "5762c28bb51da8d9",
    "6c37818762698305",
)  # fmt: skip
PLAIN = (
    "199cd364ce06ca73", "0116ca5ab2a1428c", "386075a4d1e306f7", "92593c2dc9b1cf06",
)  # fmt: skip
LOGS = "d2970a8fdf72555c"
FIXTURES = "54f34873049d1e65"
NOW = datetime(2100, 1, 1, tzinfo=UTC)


def digest(tables: Iterable[pa.Table]) -> str:
    found = blake2b(digest_size=8)
    for table in tables:
        assert table.schema == TURNS
        table.validate(full=True)
        found.update(json.dumps(table.to_pylist(), default=str).encode())
    return found.hexdigest()


def chunk(make: Callable[[int], list[Span]], number: int) -> str:
    seeds = range(number * CHUNK, (number + 1) * CHUNK)
    return digest([table_of([turn for seed in seeds for turn in turns_of(make(seed))])])


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_spans(number: int) -> None:
    assert chunk(hostile_spans.trace, number) == HOSTILE[number]


@pytest.mark.parametrize("number", range(len(PLAIN)))
def test_plain_spans(number: int) -> None:
    assert chunk(hostile_spans.plain, number) == PLAIN[number]


def test_events_that_travel_as_logs() -> None:
    traces = Traces()
    for seed in range(CHUNK):
        for number, span in enumerate(hostile_spans.trace(seed)):
            if number % 3:
                traces.add(span, 0)
            for event in span.events:
                traces.add_event(SpanEvent(event.name, event.time_us, event.attributes, event.body), span, 0)
    assert digest([table_of(traces.rest())]) == LOGS


def test_recorded_exports(shared: Path) -> None:
    folder = shared / "data" / "trace_fixtures"
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "README.md")
    assert digest(table for _, tables, _ in read_files(files, now=NOW) for table in tables) == FIXTURES
