"""The doors: files of recorded traffic become turn tables.

`read_files` is the way in. A source is one class of the protocol `Source` in a file of its own, and a line in
`BUILT_IN`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from unquiet.sources.agent_logs import AtifTrajectory, InspectLog, OpenClawTelemetry
from unquiet.sources.csv_turns import CsvTurns
from unquiet.sources.finding import find_files
from unquiet.sources.jsonl_turns import JsonTurns
from unquiet.sources.otlp_file import OtlpJson, OtlpProto
from unquiet.sources.parquet_turns import ParquetTurns
from unquiet.sources.protocol import BATCH_ROWS, ReadOptions, Source
from unquiet.sources.reading import NO_ROWS, FileRead, read_with
from unquiet.sources.span_rows import Langfuse, LangSmith, SpanRows

__all__ = ["BUILT_IN", "NO_ROWS", "FileRead", "ReadOptions", "Source", "find_files", "read_files"]

BUILT_IN: tuple[Source, ...] = (
    JsonTurns(),
    CsvTurns(),
    ParquetTurns(),
    OtlpJson(),
    OtlpProto(),
    Langfuse(),
    LangSmith(),
    SpanRows(),
    InspectLog(),
    AtifTrajectory(),
    OpenClawTelemetry(),
)
"""The file formats; where two are equally sure, the first reads the file."""


def read_files(
    paths: Sequence[Path | str],
    mapping: Mapping[str, str] | None = None,
    *,
    now: datetime | None = None,
    batch_rows: int = BATCH_ROWS,
    sources: Sequence[Source] = BUILT_IN,
) -> Iterator[FileRead]:
    """Every file of the paths as `(path, turn tables, report)`.

    `paths` are files, folders and patterns. `mapping` names, for a column of the turn table, the column of
    the file that holds it ({"input": "question"}). `now` (default: the wall clock) is the present: turns
    more than a day later are rejected. The tables follow the schema TURNS, hold at most about `batch_rows`
    rows and keep the order of the file; a report is complete when its tables have been iterated.

    Raises:
        UnreadableSource: a path leads nowhere, or the only file cannot be read (raised while iterating).
    """
    at = now or datetime.now(UTC)
    options = ReadOptions(round(at.timestamp() * 1_000_000), dict(mapping or {}), batch_rows)
    return read_with(sources, paths, options)
