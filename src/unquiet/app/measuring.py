"""Measure: the signals of files as a table, without judging anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from unquiet.model.errors import ConfigError, UnreadableSource
from unquiet.pipeline.measuring import measure_turn_table, measure_visits
from unquiet.sources import read_files


def measure_files(paths: Sequence[str], mapping: Mapping[str, str], out: Path, *, per_session: bool) -> tuple[int, int]:
    """Write one row a turn (or a session) to `out`; returns rows written and rows rejected.

    Raises:
        UnreadableSource: no turn could be read. ConfigError: the ending of `out` is not .parquet or .jsonl, or it
            cannot be written.
    """
    if out.suffix not in (".parquet", ".jsonl"):
        raise ConfigError(f"--out {out}: expected a name that ends in .parquet or .jsonl")
    tables: list[pa.Table] = []
    rejected = 0
    for read in read_files(paths, mapping):
        tables.extend(read.tables if per_session else [measure_turn_table(table) for table in read.tables])
        rejected += read.report.rejected_count
    if not tables:
        raise UnreadableSource(f"no turn could be read from {', '.join(map(str, paths))} ({rejected} rows rejected)")
    whole = pa.concat_tables(tables, promote_options="default")
    if per_session:
        whole = measure_visits(whole)
    try:
        _write(whole, out)
    except OSError as error:
        raise ConfigError(f"--out {out}: {error.strerror or error}") from error
    return whole.num_rows, rejected


def _write(table: pa.Table, out: Path) -> None:
    if out.suffix == ".parquet":
        pq.write_table(table, out)
        return
    with out.open("wb") as file:
        for batch in table.to_batches(max_chunksize=10_000):
            file.writelines(orjson.dumps(row, default=str) + b"\n" for row in batch.to_pylist())
