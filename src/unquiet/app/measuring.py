"""Measure: the signals of files as a table, without judging anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from unquiet import signals
from unquiet.app.scanning import nothing_read
from unquiet.model.errors import ConfigError
from unquiet.model.rejections import ReadReport
from unquiet.pipeline.measuring import measure_turn_table, measure_visits
from unquiet.sources import find_files, read_files


@dataclass(frozen=True, slots=True)
class Measurement:
    """How many rows were written, and the reports of the files."""

    rows: int
    reports: list[tuple[str, ReadReport]]


def measure_files(paths: Sequence[str], mapping: Mapping[str, str], out: Path, *, per_session: bool) -> Measurement:
    """Write one row a turn (or a session) to `out`, all of it or, on any error, nothing.

    Raises:
        UnreadableSource: no turn could be read. ConfigError: the ending of `out` is not .parquet or .jsonl, or it
            cannot be written.
    """
    _check_out(out, paths)
    tables: list[pa.Table] = []
    reports: list[tuple[str, ReadReport]] = []
    for read in read_files(paths, mapping):
        tables.extend(read.tables if per_session else [measure_turn_table(table) for table in read.tables])
        reports.append((str(read.path), read.report))
    if not tables:
        raise nothing_read(paths, [report for _, report in reports])
    whole = pa.concat_tables(tables, promote_options="default")
    if per_session:
        whole = measure_visits(whole)
    try:
        _write(whole, out)
    except OSError as error:
        raise ConfigError(f"--out {out}: cannot be written ({error.strerror or error}). Name another file.") from error
    return Measurement(whole.num_rows, reports)


def needing_history() -> tuple[str, ...]:
    """The signals that a file alone cannot tell: they compare a session with those that a scan has learned from."""
    return tuple(info.name for info in signals.HISTORY_SIGNALS)


def _check_out(out: Path, paths: Sequence[str]) -> None:
    if out.suffix not in (".parquet", ".jsonl"):
        raise ConfigError(f"--out {out}: expected a name that ends in .parquet or .jsonl")
    if out.is_dir():
        raise ConfigError(f"--out {out}: a folder is there. Name a file.")
    if not out.parent.is_dir():
        raise ConfigError(f"--out {out}: there is no folder {out.parent}. Make it, or name another file.")
    if out.exists() and any(out.samefile(path) for path in find_files(paths)):
        raise ConfigError(f"--out {out}: is one of the files to be measured. Name another file.")


def _write(table: pa.Table, out: Path) -> None:
    part = out.with_name(f".{out.name}.part")
    try:
        with part.open("wb") as file:
            if out.suffix == ".parquet":
                pq.write_table(table, file)
            else:
                for batch in table.to_batches(max_chunksize=10_000):
                    file.writelines(orjson.dumps(row, default=str) + b"\n" for row in batch.to_pylist())
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
