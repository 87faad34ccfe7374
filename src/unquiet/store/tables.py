"""What the store keeps beside turns, as Arrow schemas, and the small records that it answers with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from unquiet.model.rejections import Rejection

UTC_US = pa.timestamp("us", tz="UTC")
"""Every moment in the store: microseconds, UTC."""

SESSIONS = pa.schema(
    [
        pa.field("visit_id", pa.string(), nullable=False),
        pa.field("session_id", pa.string(), nullable=False),
        pa.field("started", UTC_US, nullable=False),
        pa.field("ended", UTC_US),
        pa.field("closed", UTC_US, nullable=False),
        pa.field("user_id", pa.string()),
        pa.field("turn_count", pa.int32()),
        pa.field("stratum", pa.string()),
        pa.field("facets", pa.map_(pa.string(), pa.string())),
    ]
)
"""The fixed columns of closed sessions.

Measured columns follow, any number, and may differ from one append to the next: `s:<signal>` holds a
float32 (null: does not apply), `c:<category>` a list<string> of labels.
"""

COUNTS = pa.schema(
    [
        pa.field("tick", UTC_US, nullable=False),
        pa.field("slice", pa.string(), nullable=False),
        pa.field("stratum", pa.string()),
        pa.field("n", pa.int32(), nullable=False),
        pa.field("events", pa.list_(pa.int32()), nullable=False),
    ]
)
"""Additive counts: of `n` sessions in (tick, slice, stratum), `events[i]` showed event i.

The order of the events is the writer's and must not change within a store; new ones go to the end.
"""

SIGNAL_PREFIX = "s:"
CATEGORY_PREFIX = "c:"


@dataclass(frozen=True, slots=True)
class Appended:
    """How many rows of an append were new, and how many were already known (or twice in the batch)."""

    new: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class TurnExtent:
    """How many turns there are, and the times of the first and the last (None when there are none)."""

    count: int
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A source that was read to its end, identified by the fingerprint of its content."""

    fingerprint: str
    path: str
    rows: int
    turns: int
    rejected: Mapping[str, int] = field(default_factory=dict[str, int])
    examples: Sequence[Rejection] = ()
    notes: Sequence[str] = ()


def session_field(name: str) -> pa.Field:
    """The field of a session column by its name; ValueError for a name that sessions cannot have."""
    if name in SESSIONS.names:
        return SESSIONS.field(name)
    if name.startswith(SIGNAL_PREFIX):
        return pa.field(name, pa.float32())
    if name.startswith(CATEGORY_PREFIX):
        return pa.field(name, pa.list_(pa.string()))
    allowed = ", ".join(SESSIONS.names)
    raise ValueError(f"session column {name!r}: expected one of {allowed}, s:<signal> or c:<category>")


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """`table` with exactly the columns and types of `schema`; ValueError when it cannot be.

    A null in a column that must not have one is an error too: Arrow does not check it on a cast.
    """
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        raise ValueError(f"columns missing: {', '.join(missing)}; got {', '.join(table.column_names)}")
    table = table.select(schema.names)
    for column in schema:
        if not column.nullable and table.column(column.name).null_count:
            raise ValueError(f"column {column.name!r} has nulls; every row needs a value")
    return table if table.schema.equals(schema) else table.cast(schema)


def chosen(schema: pa.Schema, columns: Sequence[str] | None) -> pa.Schema:
    """The part of a schema that was asked for; ValueError for a name that is not in it."""
    if columns is None:
        return schema
    if not columns:
        raise ValueError(f"no column asked for; expected some of {', '.join(schema.names)}")
    unknown = [name for name in columns if name not in schema.names]
    if unknown:
        raise ValueError(f"columns {', '.join(unknown)}: expected some of {', '.join(schema.names)}")
    return pa.schema([schema.field(name) for name in columns])
