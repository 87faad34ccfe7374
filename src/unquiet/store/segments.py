"""Segment files: Parquet written beside the database, complete on disk before the manifest names them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unquiet.store.turn_keys import Keys

KEY_KINDS = ("keys", "spans")
"""Segments that hold sorted keys: of the turns, and of the spans that turns were made of."""

KINDS = ("turns", "sessions", "counts", *KEY_KINDS)
"""The subfolders, one a kind of segment."""

# A read decompresses whole groups: wide turns need small ones, so that one session costs little.
_ROW_GROUP_ROWS = {"turns": 4096, "sessions": 16_384, "counts": 65_536}

SMALL_BYTES = 2 << 20
"""Segments below this are merged with others of their size."""

# Free text hardly repeats: a dictionary of it costs time and gains nothing.
_REPEATING: dict[str, list[str]] = {
    "turns": ["session_id", "user_id", "finish_reason", "model", "served_model", "facets.key_value.key",
              "facets.key_value.value", "tool_calls.list.element.name"],
    "sessions": ["user_id", "stratum", "facets.key_value.key", "facets.key_value.value"],
    "counts": ["tick", "slice", "stratum"],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Segment:
    """One file as the manifest knows it: moments in microseconds since 1970, inclusive; None without rows.

    `first_us` and `last_us` bound the column that the file is sorted by (time, started, tick);
    `first_closed_us` and `last_closed_us` bound `closed` of sessions.
    """

    kind: str
    file: str
    row_count: int
    byte_count: int
    first_us: int | None = None
    last_us: int | None = None
    first_closed_us: int | None = None
    last_closed_us: int | None = None
    columns: tuple[str, ...] = ()

    def bounds_us(self, *, closed: bool = False) -> tuple[int, int]:
        """First and last moment of a segment with rows, inclusive, of its order or of `closed`."""
        first, last = (self.first_closed_us, self.last_closed_us) if closed else (self.first_us, self.last_us)
        if first is None or last is None:
            raise ValueError(f"segment {self.file} of {self.kind} has no such bounds")
        return first, last


def bounds_us(table: pa.Table, column: str) -> tuple[int, int]:
    """Smallest and largest moment of a timestamp column, microseconds since 1970."""
    moments = table.column(column).cast(pa.int64()).to_numpy()
    return int(moments.min()), int(moments.max())


def write_parquet(folder: Path, kind: str, file: str, table: pa.Table) -> Segment:
    """Write a sorted table as a durable segment file; raises OSError."""

    def write(handle: IO[bytes]) -> None:
        pq.write_table(
            table,
            handle,
            compression="zstd",
            compression_level=1,
            row_group_size=_ROW_GROUP_ROWS[kind],
            use_dictionary=_REPEATING[kind],  # pyright: ignore[reportArgumentType]
        )

    size = _write_durably(folder / kind / file, write)
    sorted_by = {"turns": "time", "sessions": "started", "counts": "tick"}[kind]
    first, last = bounds_us(table, sorted_by)
    closed = bounds_us(table, "closed") if kind == "sessions" else (None, None)
    return Segment(kind, file, table.num_rows, size, first, last, *closed, tuple(table.column_names))


def write_keys(folder: Path, kind: str, file: str, keys: Keys) -> Segment:
    """Write a run of keys as a durable segment file; raises OSError."""
    size = _write_durably(folder / kind / file, lambda handle: np.save(handle, keys, allow_pickle=False))
    return Segment(kind, file, len(keys), size)


def _write_durably(path: Path, write: Callable[[IO[bytes]], None]) -> int:
    """Write to a temporary name, sync, rename, sync the folder. Returns the size in bytes."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as handle:
        write(handle)
        handle.flush()
        os.fsync(handle.fileno())
        size = handle.tell()
    part.replace(path)
    sync_folder(path.parent)
    return size


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, where the system lets a folder be opened."""
    if os.name == "nt":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def sync_file(path: Path) -> None:
    """Make what was written to a file durable."""
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())


def is_segment_name(kind: str, name: str) -> bool:
    """Whether a file name is one that this store gives: nothing else is ever removed."""
    stem, _, rest = name.partition(".")
    prefix, _, number = stem.partition("-")
    return prefix == kind and number.isdigit() and rest.removesuffix(".part") in {"parquet", "npy"}


def read_parquet(folder: Path, segment: Segment, columns: Sequence[str] | None = None) -> pa.Table:
    """All rows of a segment, with the types that were written; all columns, or some."""
    with pq.ParquetFile(folder / segment.kind / segment.file) as file:
        return file.read(columns=None if columns is None else list(columns))


def size_class(byte_count: int) -> int:
    """0 below 32 kB, 1 below 256 kB, 2 below 2 MB and so on."""
    return ((byte_count >> 15).bit_length() + 2) // 3
