"""What a running service keeps beside the turns, so that it goes on after a crash exactly where it was.

The judgement is a function of the turns and of the moments up to which it was asked for: both are kept as a journal
(arrivals, pushes) since the last saved state, and done again after a restart.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.store.duckdb_folder import DuckDBFolder
from unquiet.store.turn_keys import Keys
from unquiet.store.writer import SegmentWriter

ARRIVALS = pa.schema(
    [
        pa.field("batch", pa.int64(), nullable=False),
        pa.field("turn_id", pa.string(), nullable=False),
        pa.field("session_id", pa.string(), nullable=False),
        pa.field("turn_index", pa.int32()),
        pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("ends", pa.bool_(), nullable=False),
    ]
)
"""Turns that came in for the judgement: the batch they came with, and what a session is assembled of."""


class Live:
    """The journal of a service. Every method may raise StoreError."""

    def __init__(
        self,
        database: DuckDBFolder,
        writer: SegmentWriter,
        transaction: Callable[[], AbstractContextManager[None]],
        read: Callable[[pa.Table, int, int], pa.Table],
    ) -> None:
        self._database, self._writer, self._transaction, self._read = database, writer, transaction, read

    def turns_of(self, keys: pa.Table) -> pa.Table:
        """The whole turns of `keys` (columns turn_id and time), in their order.

        Raises:
            KeyError: a turn is not there.
        """
        at = keys.column("time").cast(pa.int64())
        if not len(at):
            return self._read(pa.table({"turn_id": pa.array([], pa.string())}), 0, 0)
        ids = keys.select(["turn_id"])
        found = self._read(ids, pc.min(at).as_py(), pc.max(at).as_py())
        rows = pc.index_in(ids.column("turn_id").combine_chunks(), value_set=found.column("turn_id").combine_chunks())
        if rows.null_count:
            raise KeyError(f"{rows.null_count} of {len(rows)} turns are not in the folder any more")
        return found.take(rows)

    def present(self, keys: pa.Table) -> pa.Table:
        """Those of `keys` (columns turn_id and time) whose turns are there."""
        if not keys.num_rows:
            return keys
        at = keys.column("time").cast(pa.int64())
        found = self._read(keys.select(["turn_id"]), pc.min(at).as_py(), pc.max(at).as_py())
        return keys.filter(pc.is_in(keys.column("turn_id"), value_set=found.column("turn_id").combine_chunks()))

    def unknown_spans(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """True where a span is neither known nor earlier in `keys`; shape (len(keys),)."""
        return self._writer.unknown("spans", keys)

    def remember_spans(self, keys: Keys) -> None:
        """Keep the spans that were made into turns, or that came too late for one: they are not taken again."""
        with self._transaction():
            self._writer.remember("spans", keys[self._writer.unknown("spans", keys)])

    def add_arrivals(self, arrivals: pa.Table) -> None:
        """Add to the journal, schema ARRIVALS."""
        with self._transaction():
            self._database.insert_rows("arrivals", _stored(arrivals))

    def arrivals(self) -> pa.Table:
        """The arrivals since the last saved state and those that it had not judged yet, by batch, time and turn."""
        table = self._database.fetch("SELECT * FROM arrivals ORDER BY batch, time_us, turn_id")
        at = table.column("time_us").cast(pa.timestamp("us", tz="UTC"))
        return table.drop_columns("time_us").append_column("time", at).select(ARRIVALS.names).cast(ARRIVALS)

    def add_push(self, batch: int, watermark_us: int) -> None:
        """Note that all arrivals up to `batch` and up to the watermark were judged."""
        with self._transaction():
            self._database.insert("pushes", {"batch": batch, "watermark_us": watermark_us})

    def pushes(self) -> list[tuple[int, int]]:
        """Batch and watermark of the pushes since the last saved state, in order."""
        rows = self._database.select("pushes", ["batch", "watermark_us"], order=["batch", "watermark_us"])
        return [(int(batch), int(watermark)) for batch, watermark in rows]

    def restart_journal(self, waiting: pa.Table) -> None:
        """The state is saved: only the arrivals that it has not judged, schema ARRIVALS, are still to be kept."""
        with self._transaction():
            self._database.clear("arrivals")
            self._database.clear("pushes")
            if waiting.num_rows:
                self.add_arrivals(waiting)


def _stored(arrivals: pa.Table) -> pa.Table:
    at = arrivals.column("time").cast(pa.int64())
    return arrivals.drop_columns("time").append_column("time_us", at)
