"""The DuckDB side of the folder store: connection, tables, manifest, inserts and merges, all of its SQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from unquiet.model.errors import StoreError
from unquiet.store.failures import explained, explaining
from unquiet.store.segments import KINDS, SMALL_BYTES, Segment, sync_file, sync_folder
from unquiet.store.tables import CATEGORY_PREFIX, SIGNAL_PREFIX
from unquiet.store.turn_keys import Keys

DATABASE = "unquiet.duckdb"
FRESH = "unquiet.duckdb.fresh"
SPILL = "spill"
SCHEMA_VERSION = 1

_TABLES = (
    "CREATE TABLE unquiet_schema (version INTEGER NOT NULL)",
    """CREATE TABLE segments (
        seq BIGINT NOT NULL, kind VARCHAR NOT NULL, file VARCHAR NOT NULL,
        row_count BIGINT NOT NULL, byte_count BIGINT NOT NULL, first_us BIGINT, last_us BIGINT,
        first_closed_us BIGINT, last_closed_us BIGINT, columns VARCHAR[] NOT NULL)""",
    """CREATE TABLE sources (
        seq BIGINT NOT NULL, fingerprint VARCHAR NOT NULL, path VARCHAR NOT NULL, row_count BIGINT NOT NULL,
        turn_count BIGINT NOT NULL, details VARCHAR NOT NULL)""",
    "CREATE TABLE states (name VARCHAR NOT NULL, value BLOB NOT NULL)",
    "CREATE TABLE settings (name VARCHAR NOT NULL, value VARCHAR NOT NULL)",
    """CREATE TABLE incidents (
        incident_id VARCHAR NOT NULL, raised_us BIGINT NOT NULL, status VARCHAR NOT NULL,
        document VARCHAR NOT NULL)""",
)

_ADDED = (
    "ALTER TABLE incidents ADD COLUMN IF NOT EXISTS final BOOLEAN DEFAULT false",
    """CREATE TABLE IF NOT EXISTS arrivals (
        batch BIGINT NOT NULL, turn_id VARCHAR NOT NULL, session_id VARCHAR NOT NULL, turn_index INTEGER,
        time_us BIGINT NOT NULL, ends BOOLEAN NOT NULL)""",
    "CREATE TABLE IF NOT EXISTS pushes (batch BIGINT NOT NULL, watermark_us BIGINT NOT NULL)",
)
"""What folders of earlier versions do not have; an earlier version can still use a folder that has it."""

_OPTIONS = (
    "SET TimeZone = 'UTC'",
    "SET arrow_large_buffer_size = true",
    "SET preserve_insertion_order = false",
    "SET enable_progress_bar = false",
)

_SEGMENT_COLUMNS = "kind, file, row_count, byte_count, first_us, last_us, first_closed_us, last_closed_us, columns"

_ABSENT = {SIGNAL_PREFIX: "CAST(NULL AS FLOAT)", CATEGORY_PREFIX: "CAST(NULL AS VARCHAR[])"}
"""What a measured column of sessions is in segments that do not have it, by the beginning of its name."""

Row = tuple[Any, ...]


class DuckDBFolder:
    """One connection to `unquiet.duckdb` in a folder. Every method may raise StoreError."""

    def __init__(self, folder: Path, *, memory_mb: int, threads: int, read_only: bool = False) -> None:
        self.folder, self.read_only = folder, read_only
        if not read_only:
            _check_new(folder / DATABASE)
            (folder / FRESH).unlink(missing_ok=True)
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{memory_mb}MB",
            "threads": threads,
            "temp_directory": "" if read_only else str(folder / SPILL),
        }
        self._open()

    def _open(self) -> None:
        path = self.folder / DATABASE
        try:
            self._connection = duckdb.connect(str(path), read_only=self.read_only, config=self._config)
        except duckdb.Error as error:
            raise _unopened(path, error) from error
        try:
            for option in _OPTIONS:
                self.run(option)
            self._check_schema()
        except StoreError:
            self._connection.close()
            raise

    def has_table(self, name: str) -> bool:
        """Whether there is such a table."""
        return bool(self.run("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [name]))

    def _check_schema(self) -> None:
        names = {row[0] for row in self.run("SELECT table_name FROM duckdb_tables()")}
        if not names:
            self.run("BEGIN")
            for statement in _TABLES:
                self.run(statement)
            self.run("INSERT INTO unquiet_schema VALUES (?)", [SCHEMA_VERSION])
            self._add_missing()
            self.run("COMMIT")
            return
        path = self.folder / DATABASE
        if "unquiet_schema" not in names:
            raise StoreError(
                f"{path} is a DuckDB database, but not one of unquiet (tables: {', '.join(sorted(names))}). "
                "Choose another folder with --db."
            )
        version = self.run("SELECT max(version) FROM unquiet_schema")[0][0]
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"{path} has schema version {version}; this unquiet knows version {SCHEMA_VERSION}. Upgrade "
                "unquiet to the version that wrote it, or choose another folder with --db."
            )
        if not self.read_only:
            self._add_missing()

    def _add_missing(self) -> None:
        for statement in _ADDED:
            self.run(statement)

    def close(self) -> None:
        """Write what is in the log to the database file and let go of it."""
        with explaining(self.folder, "closing the database"):
            self._connection.close()

    def rewrite(self) -> None:
        """Write the database file anew: what was deleted is not in it any more, as it is in the free blocks of the old one.

        Outside of a transaction. A crash leaves the old file or the new one, each complete.
        """
        path, fresh = self.folder / DATABASE, self.folder / FRESH
        with explaining(self.folder, "writing the database anew"):
            fresh.unlink(missing_ok=True)
            self.run(f"ATTACH {_text(str(fresh))} AS fresh")
            self.run(f"COPY FROM DATABASE {_quoted(path.stem)} TO fresh")
            self.run("DETACH fresh")
            self._connection.close()
            try:
                shutil.copymode(path, fresh)
                sync_file(fresh)
                fresh.replace(path)
                sync_folder(self.folder)
                shutil.rmtree(self.folder / SPILL, ignore_errors=True)
            finally:
                self._open()

    def run(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Execute one statement with positional values; the rows of its result."""
        with explaining(self.folder, "using the database"):
            return self._connection.execute(sql, list(values)).fetchall()

    def make_table(self, name: str, schema: pa.Schema) -> None:
        """Make an empty table with the columns of an Arrow schema; where nothing may be written, for this connection only."""
        kind = "TEMP TABLE" if self.read_only else "TABLE"
        with explaining(self.folder, "using the database"):
            self._connection.register("no_rows", schema.empty_table())
            try:
                self._connection.execute(f"CREATE {kind} {name} AS SELECT * FROM no_rows")  # noqa: S608
            finally:
                self._connection.unregister("no_rows")

    def begin(self) -> None:
        """Start a transaction."""
        self.run("BEGIN")

    def commit(self) -> None:
        """Make the transaction durable."""
        self.run("COMMIT")

    def rollback(self) -> bool:
        """Abandon the transaction, if there is one (a failed COMMIT ends it too).

        False when the database cannot go on at all, for example after a full disk: it must be opened again.
        """
        try:
            self._connection.execute("ROLLBACK")
        except duckdb.TransactionException:
            return True
        except duckdb.Error:
            return False
        return True

    def select(
        self,
        table: str,
        columns: Sequence[str],
        *,
        where: Mapping[str, object] | None = None,
        order: Sequence[str] = (),
    ) -> list[Row]:
        """Rows of a table whose columns equal `where`, by `order`."""
        sql = f"SELECT {', '.join(columns)} FROM {table}"  # noqa: S608
        if where:
            sql += " WHERE " + " AND ".join(f"{name} = ?" for name in where)
        if order:
            sql += f" ORDER BY {', '.join(order)}"
        return self.run(sql, list((where or {}).values()))

    def replace(self, table: str, row: Mapping[str, object]) -> None:
        """Insert a row in place of those with the same value in its first column."""
        key, *_ = row
        self.delete(table, {key: row[key]})
        self.insert(table, row)

    def delete(self, table: str, where: Mapping[str, object]) -> None:
        """Delete the rows whose columns equal `where`."""
        conditions = " AND ".join(f"{name} = ?" for name in where)
        self.run(f"DELETE FROM {table} WHERE {conditions}", list(where.values()))  # noqa: S608

    def clear(self, table: str) -> None:
        """Delete all rows of a table."""
        self.run(f"DELETE FROM {table}")  # noqa: S608

    def insert(self, table: str, row: Mapping[str, object]) -> None:
        """Insert one row."""
        marks = ", ".join("?" for _ in row)
        self.run(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))  # noqa: S608

    def insert_rows(self, table: str, rows: pa.Table) -> None:
        """Insert the rows of an Arrow table, by the names of its columns."""
        with explaining(self.folder, "using the database"):
            self._connection.register("new_rows", rows)
            try:
                names = ", ".join(_quoted(name) for name in rows.column_names)
                self._connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM new_rows")  # noqa: S608
            finally:
                self._connection.unregister("new_rows")

    def delete_rows(self, table: str, keys: pa.Table) -> None:
        """Delete the rows whose value is in the one column of `keys`, under its name."""
        (name,) = keys.column_names
        with explaining(self.folder, "using the database"):
            self._connection.register("gone_rows", keys)
            try:
                self._connection.execute(f"DELETE FROM {table} WHERE {name} IN (SELECT {name} FROM gone_rows)")  # noqa: S608
            finally:
                self._connection.unregister("gone_rows")

    def next_seq(self, table: str) -> int:
        """One more than the largest `seq` of a table."""
        return self.run(f"SELECT coalesce(max(seq), 0) + 1 FROM {table}")[0][0]  # noqa: S608

    def add_segment(self, seq: int, segment: Segment) -> None:
        """Name a file in the manifest: from the commit on it is there for readers."""
        values = [seq, *(getattr(segment, name) for name in _SEGMENT_COLUMNS.split(", ")[:-1])]
        marks = ", ".join("?" for _ in range(len(values) + 1))
        self.run(
            f"INSERT INTO segments (seq, {_SEGMENT_COLUMNS}) VALUES ({marks})",  # noqa: S608
            [*values, list(segment.columns)],
        )

    def drop_segments(self, files: Iterable[str]) -> None:
        """Take files out of the manifest."""
        for file in files:
            self.run("DELETE FROM segments WHERE file = ?", [file])

    def segments(self, condition: str = "true", values: Sequence[object] = ()) -> list[Segment]:
        """Files of the manifest that meet a condition in SQL, in the order of writing."""
        rows = self.run(
            f"SELECT {_SEGMENT_COLUMNS} FROM segments WHERE {condition} ORDER BY seq",  # noqa: S608
            values,
        )
        return [Segment(*row[:-1], columns=tuple(row[-1])) for row in rows]

    def segments_of(self, kind: str) -> list[Segment]:
        """All files of a kind."""
        return self.segments("kind = ?", [kind])

    def small_segments(self, kind: str) -> list[Segment]:
        """Files of a kind that are worth merging."""
        return self.segments("kind = ? AND byte_count < ?", [kind, SMALL_BYTES])

    def segments_between(
        self, kind: str, start_us: int | None, end_us: int | None, *, closed: bool = False
    ) -> list[Segment]:
        """Files that can hold rows with start <= moment < end, by `closed` or by what they are sorted by."""
        first, last = ("first_closed_us", "last_closed_us") if closed else ("first_us", "last_us")
        return self.segments(
            f"kind = ? AND {last} >= coalesce(?, {last}) AND {first} < coalesce(?, {first} + 1)",
            [kind, start_us, end_us],
        )

    def hash_ids(self, ids: pa.ChunkedArray) -> Keys:
        """The lower 64 bits of the MD5 of each text, in order; the same in every version of every engine."""
        # Numbered, because the order of rows is not kept otherwise.
        rows = pa.table({"place": np.arange(len(ids)), "id": ids})
        with explaining(self.folder, "using the database"):
            self._connection.register("ids", rows)
            relation = self._connection.sql("SELECT place, md5_number_lower(id) AS key FROM ids")
            found = relation.to_arrow_table()
            self._connection.unregister("ids")
        keys = np.empty(len(ids), dtype=np.uint64)
        keys[found.column("place").to_numpy()] = found.column("key").to_numpy()
        return keys

    def bind_files(self, name: str, segments: Sequence[Segment], columns: Sequence[str]) -> None:
        """Make `name` a relation over segment files with exactly `columns`."""
        present = {column for segment in segments for column in segment.columns}
        items = [
            _quoted(column) if column in present else f"{_absent(name, column)} AS {_quoted(column)}"
            for column in columns
        ]
        same = len({frozenset(segment.columns) for segment in segments}) == 1
        files = ", ".join(_text(str(self.folder / segment.kind / segment.file)) for segment in segments)
        self.run(
            f"CREATE OR REPLACE TEMP VIEW {_quoted(name)} AS SELECT {', '.join(items)} "  # noqa: S608
            f"FROM read_parquet([{files}], union_by_name = {str(not same).lower()})"
        )

    def fetch(self, query: str, relations: Mapping[str, pa.Table] | None = None) -> pa.Table:
        """The result of a query; `relations` are Arrow tables that it mentions beside bound files."""
        relations = relations or {}
        with explaining(self.folder, "reading"):
            for name, table in relations.items():
                self._connection.register(name, table)
            result = self._connection.sql(query).to_arrow_table()
            for name in relations:
                self._connection.unregister(name)
        return result


def _check_new(path: Path) -> None:
    """Refuse to make a new database beside segment files, whose owner it cannot be."""
    if path.exists() and path.stat().st_size > 0:
        return
    for kind in KINDS:
        if any((path.parent / kind).glob("*")):
            raise StoreError(
                f"{path.parent} has a folder {kind!r} with files, but its {DATABASE} is missing or empty. "
                "Restore it from a backup, or choose an empty folder with --db."
            )
    # A crash can leave it empty before its first block; the database refuses to open that.
    path.unlink(missing_ok=True)


def _unopened(path: Path, error: duckdb.Error) -> StoreError:
    """Why a database file could not be opened."""
    if "set lock on" in str(error) or "used by another process" in str(error):
        return StoreError(
            f"{path} is in use by another program ({error}). One process owns a folder: close the other, or "
            "choose another folder with --db."
        )
    if "Permission denied" in str(error) or "Read-only file system" in str(error):
        return explained(path.parent, "opening the database", error)
    return StoreError(
        f"{path} cannot be opened: {error}. It is damaged, or something else wrote it. Restore it from a "
        "backup, or move the folder away and scan your files again into a new one."
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _absent(kind: str, column: str) -> str:
    """A column that no segment has: a signal not measured then, or a number that an older version did not keep of turns."""
    return _ABSENT[column[:2]] if kind == "sessions" else "CAST(NULL AS DOUBLE)"
