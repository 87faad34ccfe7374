"""Made-up rows for the tests of the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from unquiet.model.turns import TURNS
from unquiet.store import COUNTS, SESSIONS

START = datetime(2026, 3, 1, tzinfo=UTC)
FOREVER = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def turn(number: int, **changes: Any) -> dict[str, Any]:
    """A turn with every column filled, a minute after the one before."""
    row: dict[str, Any] = {
        "turn_id": f"turn-{number:06d}",
        "session_id": f"session-{number // 3}",
        "turn_index": number % 3,
        "time": at(number),
        "user_id": f"user-{number % 7}",
        "input": f"Wo ist mein Paket {number}?",
        "output": "It's on its way. \U0001f69a",
        "tool_calls": [{"name": "track", "arguments": '{"id": 1}', "result": None, "error": "timeout"}],
        "finish_reason": "stop",
        "error": None,
        "latency_ms": 12.5,
        "input_tokens": 10,
        "output_tokens": 2**40,
        "reasoning_tokens": 3,
        "cost_usd": 0.25,
        "model": "m",
        "served_model": "m-1",
        "facets": [("locale", "de"), ("tenant", "a'b")],
    }
    return row | changes


def turns(rows: Iterable[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=TURNS)


def numbered(start: int, end: int) -> pa.Table:
    return turns(turn(number) for number in range(start, end))


def sessions(rows: Sequence[dict[str, Any]], extra: dict[str, pa.DataType] | None = None) -> pa.Table:
    """Sessions of which only visit_id and started (minutes) need be given; a session closes after an hour."""
    schema = pa.schema([*SESSIONS, *((extra or {}).items())])
    filled = [
        {
            "session_id": f"of-{row['visit_id']}",
            "ended": at(row["started"] + 5),
            "closed": at(row["started"] + 60),
            **row,
            "started": at(row["started"]),
        }
        for row in rows
    ]
    return pa.Table.from_pylist(filled, schema=schema)


def counts(rows: Iterable[tuple[float, str, str | None, int, list[int]]]) -> pa.Table:
    """Counts from (minute, slice, stratum, n, events)."""
    names = COUNTS.names
    return pa.Table.from_pylist(
        [dict(zip(names, (at(minute), *rest), strict=True)) for minute, *rest in rows], schema=COUNTS
    )
