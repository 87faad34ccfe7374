"""The turn table as Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from unquiet.model.errors import UnreadableSource
from unquiet.model.rejections import DAMAGED, ReadReport
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.protocol import ReadOptions
from unquiet.sources.turn_rows import TurnRows, check_columns


class ParquetTurns:
    """Turn table in Parquet; a column `facets` of maps or structs is taken apart into facets."""

    name = "turn table (Parquet)"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with session and time, otherwise the last resort for Parquet."""
        if glimpse.shape != "parquet":
            return 0.0
        return 0.8 if glimpse.has("session_id", "time") else 0.1

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Turns in the order of the rows; places are row numbers, from 1."""
        rows = TurnRows(path, options, report)
        with open_parquet(path) as file:
            check_columns(path, file.schema_arrow.names, options.mapping)
            for batch, places in parquet_batches(path, file, options, report):
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                table = rows.build(columns, places)
                if table.num_rows:
                    yield table
        rows.finish()


def open_parquet(path: Path) -> pq.ParquetFile:
    """The file, opened.

    Raises:
        UnreadableSource: its end, where Parquet keeps its index, is missing or damaged.
    """
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableSource(
            f"{path}: not a whole Parquet file ({str(error).splitlines()[0]}). Copy or write the file again."
        ) from error


def parquet_batches(
    path: Path, file: pq.ParquetFile, options: ReadOptions, report: ReadReport
) -> Iterator[tuple[pa.RecordBatch, list[str]]]:
    """The rows of the file with their places; damage inside ends them and is counted, like rows that are not UTF-8."""
    first = 1
    batches = file.iter_batches(batch_size=options.batch_rows)
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except (pa.ArrowException, OSError) as error:
            reason = (
                f"the file is damaged here ({str(error).splitlines()[0]}); what came before it was kept. Copy it again."
            )
            report.reject(f"{path}:row {first}", reason, DAMAGED)
            return
        places = [f"row {number}" for number in range(first, first + batch.num_rows)]
        first += batch.num_rows
        bad = set(_broken_rows(batch))
        for row in sorted(bad):
            report.rows += 1
            report.reject(
                f"{path}:{places[row]}", "a text of the row is not valid UTF-8; write it anew", "invalid UTF-8"
            )
        if bad:
            good = [row for row in range(batch.num_rows) if row not in bad]
            batch, places = batch.take(pa.array(good, pa.int64())), [places[row] for row in good]
        if places:
            yield batch, places


def _broken_rows(batch: pa.RecordBatch) -> list[int]:
    """Rows whose texts are not UTF-8: Parquet is read without looking at that."""
    if _is_valid(batch):
        return []
    return [row for row in range(batch.num_rows) if not _is_valid(batch.slice(row, 1))]


def _is_valid(batch: pa.RecordBatch) -> bool:
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
