"""Exports that keep one span (or one trace) a row: Langfuse, LangSmith, Phoenix; JSON, CSV or Parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from unquiet.conventions.exports import langfuse_spans, langsmith_runs, langsmith_span, row_span
from unquiet.conventions.otlp import Telemetry
from unquiet.model.rejections import ReadReport
from unquiet.model.spans import Span
from unquiet.sources.csv_turns import CsvColumns
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.json_records import JsonRecords, Record
from unquiet.sources.parquet_turns import open_parquet, parquet_batches
from unquiet.sources.protocol import ReadOptions
from unquiet.sources.span_file import span_tables
from unquiet.sources.stream import read_head

SpansOf = Callable[[Record], Iterable[Span]]


class Langfuse:
    """Langfuse: full trace exports, batch and blob exports of traces or observations."""

    name = "Langfuse export"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with observations of a trace; fairly sure with the columns of a trace."""
        if glimpse.has("trace.id") and "observations" in glimpse.keys:
            return 0.95
        if glimpse.has("startTime", "traceId") or glimpse.has("parent_observation_id", "trace_id"):
            return 0.9
        columns = (
            "sessionId",
            "userId",
            "observations",
            "release",
            "bookmarked",
            "totalCost",
            "htmlPath",
            "tags",
        )
        is_trace = glimpse.has("id", "timestamp", "name") and sum(name in glimpse.keys for name in columns) >= 3
        return 0.85 if is_trace else 0.0

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """One turn a trace that shows a request or an answer, else the turns of its observations."""
        return _tables(path, options, report, langfuse_spans)


class LangSmith:
    """LangSmith: runs as its API, its bulk export and its SDK's tracing requests hold them."""

    name = "LangSmith runs"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with the type and the inputs of a run."""
        batch = glimpse.has("post.run_type") or glimpse.has("patch.run_type")
        return 0.95 if batch or glimpse.has("run_type", "inputs") else 0.0

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Turns of the traces."""
        return _tables(path, options, report, lambda row: map(langsmith_span, langsmith_runs(row)))


class SpanRows:
    """OpenInference spans as data frames (Phoenix), and spans as the OpenTelemetry SDK prints them."""

    name = "OpenInference spans (Phoenix)"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with the ids of a span's context and its start."""
        flat = glimpse.has("context.span_id", "context.trace_id")
        plain = glimpse.has("span_id", "trace_id") and any(key.startswith("attributes") for key in glimpse.keys)
        return 0.9 if (flat or plain) and glimpse.has("start_time") else 0.0

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Turns of the traces."""
        return _tables(path, options, report, lambda row: [row_span(row)])


def _tables(path: Path, options: ReadOptions, report: ReadReport, spans_of: SpansOf) -> Iterator[pa.Table]:
    return span_tables(path, _payloads(path, options, report, spans_of), options, report)


def _payloads(
    path: Path, options: ReadOptions, report: ReadReport, spans_of: SpansOf
) -> Iterator[tuple[str | int, Telemetry]]:
    for row, place in records(path, options, report):
        payload = Telemetry()
        try:
            payload.spans.extend(spans_of(row))
        except (ValueError, TypeError) as error:
            payload.rejected.append((str(row.get("id") or row.get("name") or "row"), str(error)))
        yield place, payload


def records(path: Path, options: ReadOptions, report: ReadReport) -> Iterator[tuple[Record, str | int]]:
    """The rows of a JSON, CSV or Parquet file as objects, with their places."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic == b"PAR1":
        yield from _parquet_records(path, options, report)
        return
    if _is_json(path):
        for batch in JsonRecords(path, options, report):
            yield from zip(batch.records, batch.places, strict=True)
        return
    for columns, places in CsvColumns(path, options, report):
        for values, place in zip(zip(*columns.values(), strict=True), places, strict=True):
            yield dict(zip(columns, values, strict=True)), place


def _is_json(path: Path) -> bool:
    return read_head(path, 1024).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")


def _parquet_records(path: Path, options: ReadOptions, report: ReadReport) -> Iterator[tuple[dict[str, Any], str]]:
    with open_parquet(path) as file:
        for batch, places in parquet_batches(path, file, options, report):
            yield from zip(batch.to_pylist(), places, strict=True)
