"""The outbox: notices that were decided, to whom each has to go, and what became of it. All in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Literal

import orjson

from unquiet.model.alerts import Notice
from unquiet.store.duckdb_folder import DuckDBFolder

_TABLES = (
    """CREATE TABLE IF NOT EXISTS notices (
        seq BIGINT NOT NULL, id VARCHAR NOT NULL, key VARCHAR NOT NULL, phase VARCHAR NOT NULL, at_us BIGINT NOT NULL,
        put_us BIGINT NOT NULL, document VARCHAR NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS deliveries (
        seq BIGINT NOT NULL, sink VARCHAR NOT NULL, key VARCHAR NOT NULL, phase VARCHAR NOT NULL, state VARCHAR NOT NULL,
        attempts INTEGER NOT NULL, put_us BIGINT NOT NULL, next_us BIGINT NOT NULL, at_us BIGINT, why VARCHAR NOT NULL)""",
)
_WAITING = "SELECT seq, sink, key, phase, attempts, put_us, next_us FROM deliveries WHERE state = 'pending'"
_LOG = """SELECT d.at_us, n.id, n.key, n.phase, coalesce(d.sink, ''), coalesce(d.state, 'no sink'),
        coalesce(d.attempts, 0), coalesce(d.why, 'no sink is configured'), n.put_us
    FROM notices n LEFT JOIN deliveries d ON d.seq = n.seq
    ORDER BY coalesce(d.at_us, n.put_us) DESC, n.seq DESC, d.sink LIMIT ?"""
_FIRING = """SELECT d.sink, n.document FROM deliveries d JOIN notices n ON n.seq = d.seq
    WHERE d.sink = ? AND d.phase IN ('opened', 'updated') AND d.state = 'delivered'
        AND NOT EXISTS (SELECT 1 FROM deliveries later WHERE later.sink = d.sink AND later.key = d.key
            AND later.seq > d.seq AND (later.state = 'delivered' OR later.phase = 'resolved'))
    ORDER BY n.seq"""
_KEPT = """SELECT max(seq) FROM notices GROUP BY key
    UNION SELECT max(seq) FROM notices WHERE phase IN ('opened', 'updated') GROUP BY key, phase"""
_FIELDS = ("id", "key", "phase", "severity", "at_us", "title", "url")
_ARRIVED_SINCE_OPENING = """SELECT count(*) FROM deliveries
    WHERE sink = ? AND key = ? AND seq < ? AND state = 'delivered' AND seq >= (
        SELECT coalesce(max(seq), 0) FROM deliveries WHERE sink = ? AND key = ? AND seq < ? AND phase = 'opened')"""

Transaction = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What has to be sent to a sink next: `notice`, after `attempts` that failed.

    `before` are earlier notices of the key that were not delivered and are not sent by themselves any more: a resolution
    has overtaken them. `opening_told` is whether the sink has got the opening that the notice belongs to; where it has
    not, the message has to say both. `seqs` are all notices that are settled with this one. `put_us` is when the notice
    was put, `next_us` from when on it is due.
    """

    sink: str
    notice: Notice
    before: tuple[Notice, ...]
    opening_told: bool
    attempts: int
    put_us: int
    next_us: int
    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What was decided last about a key: the `last` notice, and when an update was (None: never)."""

    last: Notice
    updated_us: int | None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What became of one notice at one sink, and why.

    `state` is pending, delivered, given up or no sink; `at_us` is the last attempt, None where there was none.
    """

    at_us: int | None
    id: str
    key: str
    phase: str
    sink: str
    state: Literal["pending", "delivered", "given up", "no sink"]
    attempts: int
    why: str
    put_us: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    seq: int
    sink: str
    key: str
    phase: str
    attempts: int
    put_us: int
    next_us: int


class Outbox:
    """The outbox of a folder. What was put is sent until it is delivered or given up, also after a restart.

    Moments are microseconds since 1970. Every method may raise StoreError.
    """

    def __init__(self, database: DuckDBFolder, transaction: Transaction) -> None:
        self._database = database
        self._transaction = transaction
        # Folders of earlier versions do not have them.
        for table, statement in zip(("notices", "deliveries"), _TABLES, strict=True):
            if not database.read_only:
                database.run(statement)
            elif not database.has_table(table):
                database.run(statement.replace("CREATE", "CREATE TEMP", 1))

    def put(self, notice: Notice, sinks: Iterable[str], now_us: int, *, arrived: Collection[str] = ()) -> bool:
        """Keep a notice for these sinks, some of which have it already; False, and nothing is changed, where its id is known."""
        if self._database.select("notices", ["seq"], where={"id": notice.id}):
            return False
        with self._transaction():
            seq = self._database.next_seq("notices")
            shared: dict[str, object] = {"seq": seq, "key": notice.key, "phase": notice.phase, "put_us": now_us}
            own = {"id": notice.id, "at_us": notice.at_us, "document": _packed(notice)}
            self._database.insert("notices", shared | own)
            for sink in dict.fromkeys(sinks):
                row = {"sink": sink, "state": "pending", "attempts": 0, "next_us": now_us, "at_us": None, "why": ""}
                if sink in arrived:
                    row |= {"state": "delivered", "attempts": 1, "at_us": now_us}
                self._database.insert("deliveries", shared | row)
        return True

    def due(self, now_us: int, limit: int, *, sink: str | None = None) -> list[Delivery]:
        """What may be sent now, the longest due first: of each key and sink the first that waits.

        A resolution takes along what waits before it, so that nobody is told of an opening that is over.
        """
        values: list[object] = [] if sink is None else [sink]
        sql = f"{_WAITING}{'' if sink is None else ' AND sink = ?'} ORDER BY sink, key, seq"
        rows = [_Waiting(*row) for row in self._database.run(sql, values)]
        heads = [_head(list(group)) for _, group in groupby(rows, key=attrgetter("sink", "key"))]
        ripe = sorted(
            (head for head in heads if head[0].next_us <= now_us), key=lambda head: (head[0].next_us, head[0].seq)
        )
        return [self._delivery(head) for head in ripe[:limit]]

    def next_due_us(self) -> int | None:
        """When the next delivery is due, None where nothing waits."""
        return self._database.run("SELECT min(next_us) FROM deliveries WHERE state = 'pending'")[0][0]

    def delivered(self, delivery: Delivery, at_us: int) -> None:
        """Note that it arrived, and what went with it."""
        *before, last = delivery.seqs
        with self._transaction():
            self._settle([last], delivery.sink, "delivered", at_us, "")
            self._settle(before, delivery.sink, "delivered", at_us, f"told together with {delivery.notice.id}")

    def failed(self, delivery: Delivery, at_us: int, why: str, next_us: int | None) -> None:
        """Note that it did not arrive, why, and when to try again: never, where `next_us` is None."""
        with self._transaction():
            self._settle(
                delivery.seqs, delivery.sink, "given up" if next_us is None else "pending", at_us, why, next_us
            )

    def log(self, limit: int) -> list[LogEntry]:
        """What was sent, what was not, and why; the latest first, a row for each notice and sink."""
        return [LogEntry(*row) for row in self._database.run(_LOG, [limit])]

    def told(self) -> dict[str, Told]:
        """The last notice of every key, and when its last update was; what `notices_for` goes by."""
        sql = "SELECT key, max(at_us) FROM notices WHERE phase = 'updated' GROUP BY key"
        updated: dict[str, int] = dict(self._database.run(sql))
        last = "SELECT document FROM notices WHERE seq IN (SELECT max(seq) FROM notices GROUP BY key) ORDER BY seq"
        notices = [_unpacked(row[0]) for row in self._database.run(last)]
        return {notice.key: Told(notice, updated.get(notice.key)) for notice in notices}

    def firing(self, sink: str) -> list[Notice]:
        """Of each key that is open at a sink, the notice that arrived last; none where a resolution waits or was given up."""
        return [_unpacked(row[1]) for row in self._database.run(_FIRING, [sink])]

    @property
    def pending_count(self) -> int:
        """How many deliveries wait."""
        return sum(self.pending().values())

    def pending(self) -> dict[str, int]:
        """How many deliveries wait, by sink."""
        return dict(self._database.run("SELECT sink, count(*) FROM deliveries WHERE state = 'pending' GROUP BY sink"))

    @property
    def oldest_pending_us(self) -> int | None:
        """When the oldest delivery that waits was put, None where nothing waits."""
        return self._database.run("SELECT min(put_us) FROM deliveries WHERE state = 'pending'")[0][0]

    def prune(self, before_us: int) -> int:
        """Forget notices that were put before a moment and that nobody waits for; how many.

        The last notice, opening and update of every key stay: nothing is told twice for being forgotten.
        """
        waiting = "SELECT seq FROM deliveries WHERE state = 'pending'"
        chosen = f"put_us < ? AND seq NOT IN ({_KEPT}) AND seq NOT IN ({waiting})"
        with self._transaction():
            rows = self._database.run(f"DELETE FROM notices WHERE {chosen} RETURNING seq", [before_us])  # noqa: S608
            self._database.run("DELETE FROM deliveries WHERE seq NOT IN (SELECT seq FROM notices)")
        return len(rows)

    def _settle(
        self, seqs: Sequence[int], sink: str, state: str, at_us: int, why: str, next_us: int | None = None
    ) -> None:
        for seq in seqs:
            self._database.run(
                "UPDATE deliveries SET state = ?, at_us = ?, why = ?, attempts = attempts + 1, next_us = coalesce(?, next_us) "
                "WHERE seq = ? AND sink = ? AND state = 'pending'",
                [state, at_us, why, next_us, seq, sink],
            )

    def _delivery(self, head: Sequence[_Waiting]) -> Delivery:
        first, last = head[0], head[-1]
        notices = [self._notice(row.seq) for row in head]
        told = self._opening_told(first) if last.phase != "opened" else False
        overtaken = any(row.phase == "opened" for row in head[:-1])
        return Delivery(
            sink=last.sink,
            notice=notices[-1],
            before=tuple(notices[:-1]),
            opening_told=told and not overtaken,
            attempts=first.attempts,
            put_us=last.put_us,
            next_us=first.next_us,
            seqs=tuple(row.seq for row in head),
        )

    def _notice(self, seq: int) -> Notice:
        return _unpacked(self._database.select("notices", ["document"], where={"seq": seq})[0][0])

    def _opening_told(self, row: _Waiting) -> bool:
        """Whether a message arrived since the last opening before this row; any message, where none was opened here."""
        values: list[object] = [row.sink, row.key, row.seq] * 2
        return bool(self._database.run(_ARRIVED_SINCE_OPENING, values)[0][0])


def _head(waiting: list[_Waiting]) -> list[_Waiting]:
    """What is sent first of the deliveries of a key and sink: one, or all up to the first resolution."""
    place = next((i for i, row in enumerate(waiting) if row.phase == "resolved"), 0)
    return waiting[: place + 1]


def _packed(notice: Notice) -> str:
    fields: dict[str, object] = {name: getattr(notice, name) for name in _FIELDS}
    fields |= {"lines": list(notice.lines), "labels": dict(notice.labels), "document": dict(notice.document)}
    return orjson.dumps(fields).decode()


def _unpacked(text: str) -> Notice:
    fields: dict[str, Any] = orjson.loads(text)
    fields["lines"] = tuple(fields["lines"])
    return Notice(**fields)
