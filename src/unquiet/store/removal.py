"""Removal: rows taken out of segments and the database for good, by whose they are or by their age.

Segments are written anew without the rows and the old files removed; the keys of turns stay, so that an export that is sent
again is not stored anew. The database keeps deleted rows in free blocks of its file until it is written anew: see `compact`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.errors import StoreError
from unquiet.model.slices import NOBODY
from unquiet.store.copying import remove_copies
from unquiet.store.duckdb_folder import DuckDBFolder
from unquiet.store.failures import explaining
from unquiet.store.segments import Segment, read_parquet
from unquiet.store.writer import SegmentWriter

Transaction = Callable[[], AbstractContextManager[None]]
Edit = Callable[[Any], Any]
"""Gives a document without what must go; the same object where there is nothing."""

_WHO = ("session_id", "user_id")
_DOCUMENTS = (
    ("incidents", "incident_id", "document"),
    ("settings", "name", "value"),
    ("sources", "fingerprint", "details"),
    ("states", "name", "value"),
    ("notices", "seq", "document"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """Whose rows these are: sessions that go as a whole, users whose turns go wherever they are, and how many rows."""

    sessions: frozenset[str]
    users: frozenset[str]
    turn_count: int
    session_count: int


@dataclass(frozen=True, slots=True)
class Removed:
    """How much was removed: rows of turns and of sessions, labels, eval results; the segments whose files go with the commit."""

    turns: int = 0
    sessions: int = 0
    labels: int = 0
    evals: int = 0
    dropped: tuple[Segment, ...] = ()


class Removal:
    """What can be removed of a folder. Part of the interface of the store: every method may raise StoreError."""

    def __init__(self, database: DuckDBFolder, writer: SegmentWriter, transaction: Transaction) -> None:
        self._database, self._writer, self._transaction = database, writer, transaction

    def find(self, session_ids: Collection[str], user_ids: Collection[str]) -> Found:
        """The rows of sessions and users.

        The sessions of a user go as a whole, turns of an unknown user included; of a session that others share only the
        user's turns go.
        """
        users = frozenset(user_ids)
        if not users:
            whole = frozenset(session_ids)
            return Found(whole, users, self._count("turns", whole, users), self._count("sessions", whole, users))
        theirs = {session for session, user in self._pairs("sessions") if user in users}
        shared: set[str] = set()
        for session, user in self._pairs("turns"):
            if user in users:
                theirs.add(session)
        for session, user in self._pairs("turns"):
            if session in theirs and user is not None and user not in users:
                shared.add(session)
        whole = frozenset(theirs - shared) | frozenset(session_ids)
        turns, sessions = (self._count(kind, whole, users) for kind in ("turns", "sessions"))
        return Found(whole, users, turns, sessions)

    def own_facets(self, found: Found) -> set[tuple[str, str]]:
        """The facet values (facet, value) that no other turn has."""
        own: set[tuple[str, str]] = set()
        for _, table in self._read("turns", (*_WHO, "facets")):
            own |= _facets(table.filter(_theirs(table, found.sessions, found.users)))
        for _, table in self._read("turns", (*_WHO, "facets")):
            if not own:
                break
            own -= _facets(table.filter(pc.invert(_theirs(table, found.sessions, found.users))))
        return own

    def remove(self, found: Found) -> Removed:
        """Remove the rows, their labels, and their ids from the names of slices; what was counted stays."""
        counts = {"turns": 0, "sessions": 0}
        gone: list[Segment] = []
        turn_ids: list[str] = []
        with self._transaction():
            for kind in counts:
                for segment, who in self._read(kind, _WHO):
                    theirs = _theirs(who, found.sessions, found.users)
                    if not pc.any(theirs).as_py():
                        continue
                    table = self._rows(segment)
                    if kind == "turns":
                        turn_ids += table.column("turn_id").filter(theirs).to_pylist()
                    counts[kind] += int(pc.sum(theirs).as_py())
                    self._writer.replace(segment, table.filter(pc.invert(theirs)))
                    gone.append(segment)
            gone += self._rename_slices(found)
            labels = self._forget_labels(found, turn_ids)
            evals = self._forget_evals(found, turn_ids)
            self._database.delete_rows("arrivals", pa.table({"turn_id": pa.array(turn_ids, pa.string())}))
        return Removed(counts["turns"], counts["sessions"], labels, evals, tuple(gone))

    def edit_documents(self, edit: Edit) -> dict[str, int]:
        """Edit incidents, settings, notes on sources and states that are JSON; how many of each were changed, by table."""
        changed = dict.fromkeys((table for table, _, _ in _DOCUMENTS), 0)
        with self._transaction():
            for table, key, column in _DOCUMENTS:
                for name, text in self._database.select(table, [key, column]):
                    document = _json(text)
                    edited = edit(document)
                    if edited is document:
                        continue
                    data = orjson.dumps(edited)
                    value = data if isinstance(text, bytes) else data.decode()
                    self._database.run(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", [value, name])  # noqa: S608
                    changed[table] += 1
        return changed

    def drop_states(self, names: Sequence[str]) -> None:
        """Drop what was kept under names."""
        with self._transaction():
            for name in names:
                self._database.delete("states", {"name": name})

    def states_with(self, ids: Collection[str]) -> list[str]:
        """The names of states that hold one of the ids as it is, by name."""
        wanted = [each.encode() for each in ids]
        rows = self._database.select("states", ["name", "value"], order=["name"])
        return [name for name, value in rows if any(each in bytes(value) for each in wanted)]

    def compact(self) -> None:
        """Write the database file anew, without the rows that were deleted. Not inside a transaction."""
        self._database.rewrite()

    def check_gone(self, segments: Sequence[Segment]) -> None:
        """See that the files of segments that were replaced are not there any more, nor copies of them; after the commit."""
        with explaining(self._database.folder, "removing copies of it"):
            remove_copies(self._database.folder, all_of_them=True)
        left = [path for each in segments if (path := self._database.folder / each.kind / each.file).exists()]
        if left:
            raise StoreError(
                f"{', '.join(map(str, left))} could not be removed, though nothing uses them any more. Close what holds them "
                "open, then run the same command again."
            )

    def _read(self, kind: str, columns: Sequence[str]) -> Iterator[tuple[Segment, pa.Table]]:
        self._writer.flush(kind)
        for segment in self._database.segments_of(kind):
            with explaining(self._database.folder, f"reading {kind}"):
                table = read_parquet(self._database.folder, segment, columns)
            yield segment, table

    def _rows(self, segment: Segment) -> pa.Table:
        with explaining(self._database.folder, f"reading {segment.kind}"):
            return read_parquet(self._database.folder, segment)

    def _pairs(self, kind: str) -> Iterator[tuple[str, str | None]]:
        """Session and user of rows, each pair once a segment."""
        for _, table in self._read(kind, _WHO):
            pairs = table.group_by(list(_WHO), use_threads=False).aggregate([])
            yield from zip(*(pairs.column(name).to_pylist() for name in _WHO), strict=True)

    def _count(self, kind: str, sessions: frozenset[str], users: frozenset[str]) -> int:
        return sum(int(pc.sum(_theirs(table, sessions, users)).as_py() or 0) for _, table in self._read(kind, _WHO))

    def _rename_slices(self, found: Found) -> list[Segment]:
        """Slices whose facet has an id as its value get another name in the counts; the segments that had them."""
        ids = found.sessions | found.users
        changed: list[Segment] = []
        for segment, table in self._read("counts", ["slice"]):
            names: list[str] = table.column("slice").unique().to_pylist()
            other = {name: new for name in names if (new := _renamed(name, ids)) != name}
            if other:
                rows = self._rows(segment)
                told = pa.array([other.get(name, name) for name in rows.column("slice").to_pylist()], pa.string())
                place = rows.column_names.index("slice")
                self._writer.replace(segment, rows.set_column(place, rows.field(place), told))
                changed.append(segment)
        return changed

    def _forget_labels(self, found: Found, turn_ids: Sequence[str]) -> int:
        rows = self._database.run("SELECT DISTINCT turn_id, session_id FROM labels")
        known = set(turn_ids)
        theirs = [turn for turn, session in rows if session in found.sessions or turn in known]
        for turn in theirs:
            self._database.delete("labels", {"turn_id": turn})
        return len(theirs)

    def _forget_evals(self, found: Found, turn_ids: Sequence[str]) -> int:
        """What was said of their turns; a suite's own results are of nobody."""
        before = self._database.run("SELECT count(*) FROM eval_results")[0][0]
        for name, values in (("session_id", sorted(found.sessions)), ("turn_id", turn_ids)):
            self._database.delete_rows("eval_results", pa.table({name: pa.array(values, pa.string())}))
        return before - self._database.run("SELECT count(*) FROM eval_results")[0][0]


def _theirs(table: pa.Table, sessions: Collection[str], users: Collection[str]) -> pa.ChunkedArray:
    """Which rows are of these sessions or users; never null."""
    ids = (pa.array(sorted(each), pa.string()) for each in (sessions, users))
    one, other = (pc.is_in(table.column(name), value_set) for name, value_set in zip(_WHO, ids, strict=True))
    return pc.or_(one, other)


def _facets(table: pa.Table) -> set[tuple[str, str]]:
    maps = table.column("facets").combine_chunks()
    entries = pc.list_flatten(maps.cast(pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())]))))
    pairs = pa.table({"key": entries.field("key"), "value": entries.field("value")})
    found = pairs.group_by(["key", "value"], use_threads=False).aggregate([])
    return set(zip(found.column("key").to_pylist(), found.column("value").to_pylist(), strict=True))


def _renamed(name: str, ids: Collection[str]) -> str:
    """The name of a slice (`facet=value, facet=value`) without ids for values."""
    for part in name.split(", "):
        facet, _, value = part.partition("=")
        if value in ids:
            name = name.replace(part, f"{facet}={NOBODY}")
    return name


def _json(text: str | bytes) -> Any:
    """The document in a text; None where it is something else."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
