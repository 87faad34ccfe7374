"""Retirement: rows that are old enough, or the oldest where the folder is too large, go with the files that hold them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from unquiet.store.duckdb_folder import DATABASE, DuckDBFolder
from unquiet.store.failures import explaining
from unquiet.store.segments import Segment, read_parquet
from unquiet.store.writer import SegmentWriter

Transaction = Callable[[], AbstractContextManager[None]]
IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

MOMENT = {"turns": "time", "sessions": "started", "counts": "tick"}
"""The column by which rows of a kind are old."""

SHED = ("turns", "sessions")
"""Kinds that go when the folder is too large."""


@dataclass(frozen=True, slots=True)
class Due:
    """What is to go: rows of a kind from before a moment (microseconds since 1970).

    A file that is old in part is written anew only if more than `worth` of its rows are old.
    """

    kind: str
    before_us: int
    worth: float = 0.5


@dataclass(frozen=True, slots=True)
class Gone:
    """Rows that went, by kind, and the segments whose files go with the commit."""

    rows: dict[str, int]
    dropped: tuple[Segment, ...] = ()


class Retirement:
    """What grows old in a folder. Part of the interface of the store: every method may raise StoreError."""

    def __init__(self, database: DuckDBFolder, writer: SegmentWriter, transaction: Transaction) -> None:
        self._database, self._writer, self._transaction = database, writer, transaction

    def size(self) -> int:
        """Bytes of the folder's segments and database; the log and its quarantine have bounds of their own."""
        path = self._database.folder / DATABASE
        stored = sum(segment.byte_count for segment in self._database.segments())
        with explaining(self._database.folder, "looking at the database"):
            return stored + path.stat().st_size

    def retire(self, due: Sequence[Due]) -> Gone:
        """Drop what is due: whole files, and parts of others where that is worth writing them anew."""
        rows = dict.fromkeys(MOMENT, 0)
        dropped: list[Segment] = []
        with self._transaction():
            for each in due:
                self._writer.flush(each.kind)
                for segment in self._database.segments_of(each.kind):
                    count = self._retire(segment, each)
                    if count:
                        rows[each.kind] += count
                        dropped.append(segment)
        return Gone(rows, tuple(dropped))

    def cut_us(self, excess: int, until_us: int) -> int:
        """The moment before which the oldest turns and sessions take up `excess` bytes, at most `until_us`.

        A row is taken for as large as the others of its file.
        """
        at, size = [np.zeros(0, np.int64)], [np.zeros(0)]
        for kind in SHED:
            self._writer.flush(kind)
            for segment in self._database.segments_between(kind, None, until_us):
                moments = self._moments(segment)
                at.append(moments)
                size.append(np.full(len(moments), segment.byte_count / max(segment.row_count, 1)))
        moments, sizes = np.concatenate(at), np.concatenate(size)
        order = np.argsort(moments, kind="stable")
        enough = int(np.searchsorted(np.cumsum(sizes[order]), excess))
        return min(int(moments[order[enough]]) + 1, until_us) if enough < len(order) else until_us

    def _retire(self, segment: Segment, due: Due) -> int:
        """Drop the old rows of a segment, if it is worth it; how many."""
        first, last = segment.bounds_us()
        if first >= due.before_us:
            return 0
        if last < due.before_us:
            self._writer.replace(segment, pa.table({}))
            return segment.row_count
        old = self._moments(segment) < due.before_us
        count = int(old.sum())
        if count <= due.worth * segment.row_count:
            return 0
        with explaining(self._database.folder, f"reading {segment.kind}"):
            rows = read_parquet(self._database.folder, segment)
        self._writer.replace(segment, rows.filter(pa.array(~old)))
        return count

    def _moments(self, segment: Segment) -> IntArray:
        column = MOMENT[segment.kind]
        with explaining(self._database.folder, f"reading {segment.kind}"):
            table = read_parquet(self._database.folder, segment, [column])
        return table.column(column).cast(pa.int64()).to_numpy()
