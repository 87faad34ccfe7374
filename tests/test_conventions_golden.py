"""The reading of spans gives the turns that it gave when these digests were made, by code without any shortcut.

A change that is meant to read spans otherwise makes the digests anew: the failing test shows the new one.
"""

from __future__ import annotations

import json
import os
import shutil
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

CHUNK = 500
HOSTILE = (
    "7b7b7a091566d067", "5c15ada2c50566eb", "dafbc26f9b35cc7e", "e5bacdb244d66eda", "8011bf524026c452",
    "2df798dde525a8f8", "1a89102b96d11f80", "cf7aa7ed6059e6e9",
)  # fmt: skip
PLAIN = (
    "82fdddcc5307fe02", "231535137c29d044",
)  # fmt: skip
LOGS = "8d63a3319d11a621"
FIXTURES = "f6c5e46ac3a4fe26"
WRITTEN = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
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


def test_recorded_exports(shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "trace_fixtures"
    shutil.copytree(shared / "data" / "trace_fixtures", folder, copy_function=shutil.copyfile)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "README.md")
    for path in files:  # a log without times is dated by its file
        os.utime(path, (WRITTEN, WRITTEN))
    assert digest(table for _, tables, _ in read_files(files, now=NOW) for table in tables) == FIXTURES
