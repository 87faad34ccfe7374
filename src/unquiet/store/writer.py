"""Appends: gathered into segments, deduplicated, written before the commit that makes them visible."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from unquiet.model.errors import StoreError
from unquiet.store.additive import in_order, summed
from unquiet.store.duckdb_folder import DuckDBFolder
from unquiet.store.failures import explaining
from unquiet.store.segments import (
    KEY_KINDS,
    KINDS,
    Segment,
    is_segment_name,
    read_parquet,
    size_class,
    write_keys,
    write_parquet,
)
from unquiet.store.turn_keys import Keys, TurnKeys, load_run

PENDING_BYTES_MAX = 64 << 20
"""Rows wait in memory until there is this much of a kind, so that small batches do not become small files."""

MERGE_COUNT = 8
"""So many small segments of similar size become one: a row is rewritten at most once for each size class."""

_SORTED_BY = {
    "turns": ("time", "turn_id"),
    "sessions": ("started", "visit_id"),
    "counts": ("tick",),
}


class SegmentWriter:
    """Writes segment files for the transaction that its owner has open in the database.

    The owner calls `prepare_commit` before COMMIT, then `committed`; or `rolled_back` after ROLLBACK.
    """

    def __init__(self, database: DuckDBFolder) -> None:
        self._database = database
        self._folder = database.folder
        self._pending: dict[str, list[pa.Table]] = {kind: [] for kind in _SORTED_BY}
        self._written: list[Segment] = []
        self._dropped: list[Segment] = []
        for kind in KINDS:
            (self._folder / kind).mkdir(exist_ok=True)
        self._check_files()
        if not database.read_only:
            self._sweep()
        self._keys = {kind: self._load_keys(kind) for kind in KEY_KINDS}
        self._next_seq = database.next_seq("segments")

    def append_turns(self, turns: pa.Table) -> pa.Table:
        """Add those of the turns whose id is new, of the same id twice the first; gives those that were added."""
        if not turns.num_rows:
            return turns
        keys = self._database.hash_ids(turns.column("turn_id"))
        fresh = self.unknown("keys", keys)
        self.remember("keys", keys[fresh])
        added = turns if fresh.all() else turns.filter(pa.array(fresh))
        self.append("turns", added)
        return added

    def unknown(self, kind: str, keys: Keys) -> npt.NDArray[np.bool_]:
        """True where a key of a kind is neither known nor earlier in `keys`; shape (len(keys),)."""
        return self._keys[kind].unknown(keys)

    def remember(self, kind: str, keys: Keys) -> None:
        """Add keys of a kind that `unknown` said are new."""
        self._keys[kind].add(keys)

    def append(self, kind: str, rows: pa.Table) -> None:
        """Add rows to what is pending, and write a segment when there is enough."""
        if not rows.num_rows:
            return
        step = max(1, PENDING_BYTES_MAX * rows.num_rows // max(1, rows.nbytes))
        for start in range(0, rows.num_rows, step):
            pending = self._pending[kind]
            pending.append(rows.slice(start, step))
            if sum(table.nbytes for table in pending) >= PENDING_BYTES_MAX:
                self.flush(kind)

    def flush(self, kind: str) -> None:
        """Write what is pending of a kind as a segment and name it in the manifest, not yet committed."""
        pending = self._pending[kind]
        if pending:
            self._write(kind, pending)
            pending.clear()

    def replace(self, segment: Segment, rows: pa.Table) -> None:
        """Put rows in place of a segment, which goes once that is committed; without any rows it only goes."""
        if rows.num_rows:
            self._write(segment.kind, [rows])
        self._drop([segment])

    def clear(self, kind: str) -> None:
        """Drop all rows of a kind."""
        self._pending[kind].clear()
        self._drop(self._database.segments_of(kind))

    def prepare_commit(self) -> None:
        """Write everything pending, merge small segments, and write the keys of the turns."""
        for kind in _SORTED_BY:
            self.flush(kind)
            self._merge_small(kind)
        for kind, known in self._keys.items():
            for run in known.unstored():
                seq, file = self._name(kind, "npy")
                with explaining(self._folder, f"writing {kind}"):
                    self._record(seq, write_keys(self._folder, kind, file, run.keys))
                run.file = file
            if gone := known.superseded():
                self._drop([run for run in self._database.segments_of(kind) if run.file in gone])

    def committed(self) -> None:
        """The files of the transaction are there for good; those that it replaced go away."""
        for known in self._keys.values():
            known.commit()
        self._remove(self._dropped)
        self._forget()

    def rolled_back(self) -> None:
        """The files of the transaction go away, unless the manifest says that it was committed after all.

        That happens when Ctrl-C arrives just after the commit; so what is known is read again.
        """
        for pending in self._pending.values():
            pending.clear()
        stored = {segment.file for segment in self._database.segments()}
        self._remove([segment for segment in self._written if segment.file not in stored])
        self._keys = {kind: self._load_keys(kind) for kind in KEY_KINDS}
        self._forget()

    def _forget(self) -> None:
        self._written = []
        self._dropped = []

    def _load_keys(self, kind: str) -> TurnKeys:
        stored = self._database.segments_of(kind)
        return TurnKeys([load_run(self._folder / kind / run.file, run.file) for run in stored])

    def _write(self, kind: str, tables: Sequence[pa.Table]) -> None:
        rows = pa.concat_tables(tables, promote_options="default")
        rows = (
            summed(in_order(rows))
            if kind == "counts"
            else rows.sort_by([(name, "ascending") for name in _SORTED_BY[kind]])
        )
        seq, file = self._name(kind, "parquet")
        with explaining(self._folder, f"writing {kind}"):
            self._record(seq, write_parquet(self._folder, kind, file, rows))

    def _merge_small(self, kind: str) -> None:
        """Merge the segments of a size class when there are enough: the number of files stays small.

        An append every few minutes for a year would otherwise leave a file for each.
        """
        classes: dict[int, list[Segment]] = {}
        for segment in self._database.small_segments(kind):
            classes.setdefault(size_class(segment.byte_count), []).append(segment)
        for found in classes.values():
            if len(found) >= MERGE_COUNT:
                with explaining(self._folder, f"reading {kind}"):
                    tables = [read_parquet(self._folder, segment) for segment in found]
                self._write(kind, tables)
                self._drop(found)

    def _name(self, kind: str, suffix: str) -> tuple[int, str]:
        seq = self._next_seq
        self._next_seq += 1
        return seq, f"{kind}-{seq:012d}.{suffix}"

    def _record(self, seq: int, segment: Segment) -> None:
        self._written.append(segment)
        self._database.add_segment(seq, segment)

    def _drop(self, segments: list[Segment]) -> None:
        """Take replaced files out of the manifest; they are removed once that is committed."""
        self._dropped += segments
        self._database.drop_segments([segment.file for segment in segments])

    def _remove(self, segments: list[Segment]) -> None:
        for segment in segments:
            # What cannot be removed now (a file still mapped on Windows) is swept at the next opening.
            with contextlib.suppress(OSError):
                (self._folder / segment.kind / segment.file).unlink(missing_ok=True)

    def _check_files(self) -> None:
        """Every file of the manifest must be there in full."""
        for segment in self._database.segments():
            path = self._folder / segment.kind / segment.file
            size = path.stat().st_size if path.is_file() else None
            if size != segment.byte_count:
                got = "is missing" if size is None else f"has {size} bytes instead of {segment.byte_count}"
                raise StoreError(
                    f"{path} {got}: something else changed the folder. Restore the file from a backup, or "
                    "move the folder away and scan your files again into a new one."
                )

    def _sweep(self) -> None:
        """Remove files that a crash left: named like ours, not in the manifest."""
        stored = {segment.file for segment in self._database.segments()}
        for kind in KINDS:
            for path in (self._folder / kind).iterdir():
                if path.name not in stored and is_segment_name(kind, path.name):
                    path.unlink()
