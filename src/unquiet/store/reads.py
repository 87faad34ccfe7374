"""The named reads: the closed list of questions that the store is asked, as Ibis expressions.

Tables are unbound: an engine binds the names and compiles the same expression for its dialect. Only filters,
projections and exact sums occur here, because only those agree on every engine; quantiles and distinct
counts are computed outside from mergeable parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from unquiet.model.turns import TURNS
from unquiet.store.tables import COUNTS

WANTED = pa.schema([pa.field("session_id", pa.string())])
"""The session ids asked for: a relation of its own, because a list in the text of a query does not scale."""

WANTED_TURNS = pa.schema([pa.field("turn_id", pa.string())])
"""The turn ids asked for."""

MANIFEST = pa.schema(
    [
        pa.field("kind", pa.string()),
        pa.field("row_count", pa.int64()),
        pa.field("first_us", pa.int64()),
        pa.field("last_us", pa.int64()),
    ]
)
"""What the relation `segments` says of each file, as far as a read needs it."""


def unbound(name: str, schema: pa.Schema) -> ir.Table:
    """A table known by name and schema only."""
    return ibis.table(ibis.Schema.from_pyarrow(schema), name=name)


def query(expression: ir.Table, dialect: str) -> str:
    """The expression as SQL of an engine."""
    return str(ibis.to_sql(expression, dialect=dialect))


def _sum(column: Any) -> Any:
    """An exact sum; engines disagree on its width, so the caller casts the result."""
    return column.sum()


def _entry(column: Any, key: str) -> Any:
    """The value of a key in a map column, null where it is absent."""
    return column.get(key)


def _at(moment: datetime) -> Any:
    return ibis.literal(moment.astimezone(UTC))


@cache
def _turns() -> ir.Table:
    return unbound("turns", TURNS)


@cache
def _counts() -> ir.Table:
    return unbound("counts", COUNTS)


def turn_extent() -> ir.Table:
    """One row: row_count, first_us, last_us (microseconds since 1970) over all turns, from the manifest."""
    segments = unbound("segments", MANIFEST)
    turns = segments.filter(segments.kind == "turns")
    return turns.agg(
        row_count=_sum(turns.row_count),
        first_us=turns.first_us.min(),
        last_us=turns.last_us.max(),
    )


def turns_per_day() -> ir.Table:
    """The days (UTC) that have turns, and how many: day, row_count, by day."""
    turns = _turns()
    time: Any = turns.time
    days = turns.group_by(day=time.truncate("D")).agg(row_count=turns.count())
    return days.order_by(days.day)


def turn_count_until(moment: datetime) -> ir.Table:
    """One row: row_count, the turns with time <= moment."""
    turns = _turns()
    known = turns.filter(turns.time <= _at(moment))
    return known.agg(row_count=known.count())


def turns_between(start: datetime, end: datetime, columns: Sequence[str]) -> ir.Table:
    """Turns with start <= time < end, by (time, turn_id)."""
    turns = _turns()
    chosen = turns.filter(turns.time >= _at(start), turns.time < _at(end))
    return chosen.order_by([chosen.time, chosen.turn_id]).select(*columns)


def turns_of_sessions(columns: Sequence[str], limit: int | None) -> ir.Table:
    """Turns whose session is in the relation `wanted`, by (time, turn_id), the first `limit` of them."""
    turns = _turns()
    chosen = turns.semi_join(unbound("wanted", WANTED), "session_id")
    ordered = chosen.order_by([chosen.time, chosen.turn_id]).select(*columns)
    return ordered if limit is None else ordered.limit(limit)


def turns_by_id() -> ir.Table:
    """Turns whose id is in the relation `wanted_turns`, in any order."""
    return _turns().semi_join(unbound("wanted_turns", WANTED_TURNS), "turn_id").select(*TURNS.names)


def sessions_between(schema: pa.Schema, start: datetime, end: datetime, by: str, where: Mapping[str, str]) -> ir.Table:
    """Sessions with start <= `by` < end whose facets equal `where`, by (`by`, visit_id).

    `schema` is that of the relation `sessions`; it must have visit_id, facets and `by`.
    """
    sessions = unbound("sessions", schema)
    moment = sessions[by]
    conditions = [moment >= _at(start), moment < _at(end)]
    conditions += [_entry(sessions.facets, name) == ibis.literal(value) for name, value in where.items()]
    chosen = sessions.filter(*conditions)
    return chosen.order_by([chosen[by], chosen.visit_id])


def counts_between(start: datetime, end: datetime, slice_name: str | None) -> ir.Table:
    """Stored rows with start <= tick < end, of one slice or all, by (tick, slice, stratum), nulls first.

    A key occurs once a segment; rows of a key are added outside (`additive.summed`), because no expression
    adds lists element by element on every engine.
    """
    counts = _counts()
    conditions = [counts.tick >= _at(start), counts.tick < _at(end)]
    if slice_name is not None:
        conditions.append(counts.slice == ibis.literal(slice_name))
    chosen = counts.filter(*conditions)
    return chosen.order_by([chosen.tick, chosen.slice, chosen.stratum.asc(nulls_first=True)])
