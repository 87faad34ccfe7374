"""The turn table as Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from unquiet.model.errors import UnreadableSource
from unquiet.model.rejections import ReadReport
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
        first = 1
        with open_parquet(path) as file:
            check_columns(path, file.schema_arrow.names, options.mapping)
            for batch in parquet_batches(path, file, options, report):
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                places = [f"row {number}" for number in range(first, first + batch.num_rows)]
                table = rows.build(columns, places)
                first += batch.num_rows
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
) -> Iterator[pa.RecordBatch]:
    """The rows of the file; damage inside ends them and is counted."""
    batches = file.iter_batches(batch_size=options.batch_rows)
    while True:
        try:
            yield next(batches)
        except StopIteration:
            return
        except (pa.ArrowException, OSError) as error:
            reason = f"the file is damaged here ({str(error).splitlines()[0]}); what came before it was kept"
            report.reject(f"{path}:row {report.rows + 1}", reason, "damaged file")
            return
