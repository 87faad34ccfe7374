"""The store: one folder with a DuckDB database and Parquet segments, owned by one process."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import orjson
import pyarrow as pa

from unquiet.model.errors import StoreError
from unquiet.model.evals import EVAL_RESULTS
from unquiet.model.nights import NIGHT_SCORES
from unquiet.model.turns import TURNS
from unquiet.model.voices import VOICE_JOINS, VOICES
from unquiet.store.additive import summed
from unquiet.store.copying import remove_copies
from unquiet.store.duckdb_folder import DATABASE, DuckDBFolder
from unquiet.store.failures import explaining
from unquiet.store.files import Files
from unquiet.store.labels import Labels
from unquiet.store.live import Live
from unquiet.store.lock import FolderLock, may_write
from unquiet.store.outbox import Outbox
from unquiet.store.records import Records
from unquiet.store.removal import Removal
from unquiet.store.retirement import Retirement
from unquiet.store.segments import Segment
from unquiet.store.tables import (
    COUNTS,
    SESSIONS,
    Appended,
    TurnExtent,
    chosen,
    conform,
    session_field,
)
from unquiet.store.writer import SegmentWriter

if TYPE_CHECKING:
    import ibis.expr.types as ir

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Store:
    """Turns, sessions, counts, incidents and state in one folder.

    Not for several threads at once. Reads see what was appended before, also inside an open transaction.
    Every method may raise StoreError, whose text says what to do next; a wrong argument raises ValueError.
    """

    def __init__(self, database: DuckDBFolder, lock: FolderLock | None) -> None:
        self._database = database
        self._lock = lock
        self._writer = SegmentWriter(database)
        self._in_transaction = False
        self._failed = False
        self.labels = Labels(database, self.transaction)
        self.files = Files(database, self.transaction)
        self.live = Live(database, self._writer, self.transaction, self._turn_read)
        self.evals = Records(database, self.transaction, "eval_results", EVAL_RESULTS)
        self.voices = Records(database, self.transaction, "voices", VOICES)
        self.voice_joins = Records(database, self.transaction, "voice_joins", VOICE_JOINS)
        self.nights = Records(database, self.transaction, "night_scores", NIGHT_SCORES)
        self.outbox = Outbox(database, self.transaction)
        self.removal = Removal(database, self._writer, self.transaction)
        self.retirement = Retirement(database, self._writer, self.transaction)

    @classmethod
    def open(cls, folder: Path, *, create: bool = True, memory_mb: int = 1000, threads: int = 2) -> Store:
        """Open a store folder, or make it when `create`.

        Args:
            folder: where the store is or shall be; parents are made too.
            create: False to refuse a folder that holds no store; one that this user may not write can be read then.
            memory_mb: what the database may keep in memory before it spills to disk.
            threads: threads of the database.

        Raises:
            StoreError: the folder is in use, not writable, damaged, of a newer version or not a store.
        """
        if not create and not (folder / DATABASE).is_file():
            raise StoreError(
                f"{folder} holds no unquiet data ({DATABASE} is missing). Run `unquiet scan PATH "
                f"--db {folder}` first, or point --db at the folder that an earlier scan used."
            )
        with explaining(folder, "opening the folder"):
            folder.mkdir(parents=True, exist_ok=True)
            lock = FolderLock(folder) if create or may_write(folder) else None
            if lock is not None:
                remove_copies(folder)
        with contextlib.ExitStack() as undo, explaining(folder, "opening the folder"):
            if lock is not None:
                undo.callback(lock.release)
            database = DuckDBFolder(folder, memory_mb=memory_mb, threads=threads, read_only=lock is None)
            undo.callback(database.close)
            store = cls(database, lock)
            undo.pop_all()
            return store

    def close(self) -> None:
        """Let go of the folder. An open transaction is rolled back."""
        try:
            self._database.close()
        finally:
            if self._lock is not None:
                self._lock.release()

    def __enter__(self) -> Store:
        """The store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    @contextlib.contextmanager
    def transaction(self) -> Generator[None]:
        """What is written inside becomes durable together at the end or, on any error, not at all.

        An inner transaction is part of the outer one: when it fails, the outer one cannot succeed.
        """
        if self._in_transaction:
            whole = False
            try:
                yield
                whole = True
            finally:
                self._failed = self._failed or not whole
            return
        self._in_transaction, self._failed, whole = True, False, False
        try:
            self._database.begin()
            yield
            self._commit()
            whole = True
        finally:
            self._in_transaction = False
            if not whole and self._database.rollback():
                self._writer.rolled_back()
        self._writer.committed()

    def _commit(self) -> None:
        if self._failed:
            raise StoreError(
                f"{self._database.folder}: a part of a step failed, so none of it was stored. See the earlier "
                "error, then run the same command again."
            )
        self._writer.prepare_commit()
        self._database.commit()

    def append_turns(self, turns: pa.Table) -> Appended:
        """Add turns, schema `unquiet.model.turns.TURNS`, in any order; the first of a turn_id stays."""
        new = self.append_new_turns(turns).num_rows
        return Appended(new, turns.num_rows - new)

    def append_new_turns(self, turns: pa.Table) -> pa.Table:
        """The same, and gives the turns that were new."""
        with self.transaction():
            return self._writer.append_turns(conform(turns, TURNS))

    def turn_extent(self) -> TurnExtent:
        """How many turns, from when to when."""
        self._writer.flush("turns")
        row = self._fetch(self._reads.turn_extent()).to_pylist()[0]
        if not row["row_count"]:
            return TurnExtent(0, None, None)
        return TurnExtent(int(row["row_count"]), _moment(row["first_us"]), _moment(row["last_us"]))

    def turns_per_day(self) -> list[tuple[datetime, int]]:
        """The days (their beginning in UTC) that have turns, in order, and how many turns."""
        found = self._segments("turns", None, None)
        if not found:
            return []
        self._database.bind_files("turns", found, TURNS.names)
        rows = self._fetch(self._reads.turns_per_day()).to_pylist()
        return [(row["day"].astimezone(UTC), int(row["row_count"])) for row in rows]

    def turn_count_until(self, moment: datetime) -> int:
        """How many turns began at `moment` or before."""
        found = self._segments("turns", None, moment + MICROSECOND)
        if not found:
            return 0
        self._database.bind_files("turns", found, TURNS.names)
        return int(self._fetch(self._reads.turn_count_until(moment)).to_pylist()[0]["row_count"])

    def _turn_read(self, wanted: pa.Table, start_us: int, end_us: int) -> pa.Table:
        """The turns whose id is in the column `turn_id` of `wanted`, of those with start <= time <= end."""
        found = self._segments("turns", _moment(start_us), _moment(end_us) + MICROSECOND)
        if not found:
            return TURNS.empty_table()
        self._database.bind_files("turns", found, TURNS.names)
        return self._fetch(self._reads.turns_by_id(), {"wanted_turns": wanted}).cast(TURNS)

    def turns_between(self, start: datetime, end: datetime, *, columns: Sequence[str] | None = None) -> pa.Table:
        """Turns with start <= time < end, by (time, turn_id); `columns` of TURNS, all by default."""
        schema = chosen(TURNS, columns)
        found = self._segments("turns", start, end)
        if not found:
            return schema.empty_table()
        self._database.bind_files("turns", found, TURNS.names)
        return self._fetch(self._reads.turns_between(start, end, schema.names)).cast(schema)

    def turns_of_sessions(
        self,
        session_ids: Sequence[str],
        *,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        within: tuple[datetime, datetime] | None = None,
    ) -> pa.Table:
        """Turns of the named sessions, by (time, turn_id), the first `limit` of them.

        `within` (start, end) says when these sessions can have been, so that other files need not be opened;
        turns of the sessions outside of it may or may not be there.
        """
        schema = chosen(TURNS, columns)
        found = self._segments("turns", *(within or (None, None)))
        if not found or not session_ids:
            return schema.empty_table()
        self._database.bind_files("turns", found, TURNS.names)
        wanted = pa.table({"session_id": pa.array(sorted(set(session_ids)), pa.string())})
        expression = self._reads.turns_of_sessions(schema.names, limit)
        return self._fetch(expression, {"wanted": wanted}).cast(schema)

    def append_sessions(self, sessions: pa.Table) -> None:
        """Add closed sessions: the columns of `tables.SESSIONS`, any `s:<signal>` and any `c:<category>`."""
        extra = [name for name in sessions.column_names if name not in SESSIONS.names]
        schema = pa.schema([*SESSIONS, *(session_field(name) for name in extra)])
        with self.transaction():
            self._writer.append("sessions", conform(sessions, schema))

    def sessions_between(
        self,
        start: datetime,
        end: datetime,
        *,
        columns: Sequence[str] | None = None,
        by: Literal["started", "closed"] = "started",
        where: Mapping[str, str] | None = None,
    ) -> pa.Table:
        """Sessions with start <= `by` < end whose facets equal `where`, by (`by`, visit_id).

        `columns` defaults to all that were ever appended; a measured column that some or all of these
        sessions do not have is null for them.
        """
        names = self.session_columns() if columns is None else list(columns)
        schema = pa.schema([session_field(name) for name in names])
        found = self._segments("sessions", start, end, closed=by == "closed")
        if not found:
            return schema.empty_table()
        needed = list(dict.fromkeys([*names, "visit_id", "facets", by]))
        bound = pa.schema([session_field(name) for name in needed])
        self._database.bind_files("sessions", found, needed)
        expression = self._reads.sessions_between(bound, start, end, by, where or {})
        return self._fetch(expression.select(*names)).cast(schema)

    def session_columns(self) -> list[str]:
        """The fixed columns of sessions, then every measured one that was ever appended, by name."""
        self._writer.flush("sessions")
        known = {name for segment in self._database.segments_of("sessions") for name in segment.columns}
        return [*SESSIONS.names, *sorted(known - set(SESSIONS.names))]

    def append_counts(self, counts: pa.Table) -> None:
        """Add counts, schema `tables.COUNTS`; rows with the same (tick, slice, stratum) add up."""
        with self.transaction():
            self._writer.append("counts", conform(counts, COUNTS))

    def counts_between(self, start: datetime, end: datetime, *, slice_name: str | None = None) -> pa.Table:
        """Counts with start <= tick < end, one row a key, by (tick, slice, stratum), null strata first.

        Where lists of a key differ in length, a missing event counts 0.
        """
        found = self._segments("counts", start, end)
        if not found:
            return COUNTS.empty_table()
        self._database.bind_files("counts", found, COUNTS.names)
        rows = self._fetch(self._reads.counts_between(start, end, slice_name)).cast(COUNTS)
        return summed(rows) if _overlapping(found) else rows

    def forget_judgement(self) -> None:
        """Drop all that was concluded from the turns: sessions, counts, states and incidents."""
        with self.transaction():
            for kind in ("sessions", "counts"):
                self._writer.clear(kind)
            for table in ("states", "incidents"):
                self._database.clear(table)

    def save_state(self, name: str, value: bytes) -> None:
        """Keep bytes under a name, in place of the earlier ones."""
        with self.transaction():
            self._database.replace("states", {"name": name, "value": value})

    def forget_state(self, name: str) -> None:
        """Drop what was kept under a name; nothing is no error."""
        with self.transaction():
            self._database.delete("states", {"name": name})

    def load_state(self, name: str) -> bytes | None:
        """The bytes last kept under a name."""
        rows = self._database.select("states", ["value"], where={"name": name})
        return bytes(rows[0][0]) if rows else None

    def put_setting(self, name: str, value: Any) -> None:
        """Keep a small JSON value under a name, in place of the earlier one."""
        with self.transaction():
            self._database.replace("settings", {"name": name, "value": orjson.dumps(value).decode()})

    def get_setting(self, name: str) -> Any:
        """The JSON value last kept under a name, None when there is none."""
        rows = self._database.select("settings", ["value"], where={"name": name})
        return orjson.loads(rows[0][0]) if rows else None

    def upsert_incident(
        self, incident_id: str, document: Mapping[str, object], *, raised_at: datetime, status: str, final: bool = False
    ) -> None:
        """Keep an incident, in place of what was known of it; `final` if it can never be told better than that."""
        row = {
            "incident_id": incident_id,
            "raised_us": _us(raised_at),
            "status": status,
            "document": orjson.dumps(dict(document)).decode(),
            "final": final,
        }
        with self.transaction():
            self._database.replace("incidents", row)

    def incidents(self, *, status: str | None = None) -> list[dict[str, Any]]:
        """The documents of all incidents, or of those with a status, by (raised_at, id)."""
        where = {} if status is None else {"status": status}
        rows = self._database.select("incidents", ["document"], where=where, order=["raised_us", "incident_id"])
        return [orjson.loads(row[0]) for row in rows]

    def incident(self, incident_id: str) -> dict[str, Any] | None:
        """The document of one incident."""
        rows = self._database.select("incidents", ["document"], where={"incident_id": incident_id})
        return orjson.loads(rows[0][0]) if rows else None

    def final_incidents(self) -> dict[str, dict[str, Any]]:
        """The documents of the incidents that are kept as final, by id."""
        rows = self._database.select("incidents", ["incident_id", "document"], where={"final": True})
        return {row[0]: orjson.loads(row[1]) for row in rows}

    @functools.cached_property
    def _reads(self):
        """The named reads, loaded at the first: Ibis takes two seconds that many commands can save."""
        from unquiet.store import reads

        return reads

    def _fetch(self, expression: ir.Table, relations: Mapping[str, pa.Table] | None = None) -> pa.Table:
        """The result of a named read."""
        return self._database.fetch(self._reads.query(expression, "duckdb"), relations)

    def _segments(
        self, kind: str, start: datetime | None, end: datetime | None, *, closed: bool = False
    ) -> list[Segment]:
        """The segments that can hold rows with start <= moment < end; what is pending is written first."""
        self._writer.flush(kind)
        return self._database.segments_between(kind, _us(start), _us(end), closed=closed)


def _overlapping(segments: Sequence[Segment]) -> bool:
    """Whether two files can hold the same tick: inside of one file a key occurs once."""
    bounds = sorted(segment.bounds_us() for segment in segments)
    return any(later[0] <= earlier[1] for earlier, later in itertools.pairwise(bounds))


def _us(moment: datetime | None) -> int | None:
    """Microseconds since 1970; ValueError for a moment without a time zone."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone; give one, for example UTC")
    return (moment - EPOCH) // MICROSECOND


def _moment(us: int) -> datetime:
    return EPOCH + us * MICROSECOND
