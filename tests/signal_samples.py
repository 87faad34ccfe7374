"""Turn tables made in a line, for the tests of the signals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from unquiet import signals
from unquiet.model.signals import SessionBatch, TurnBatch
from unquiet.model.turns import TURNS


def turns(rows: list[dict[str, Any]]) -> pa.Table:
    """A turn table; what a row leaves out is null, identity and time are filled in."""
    base = dict.fromkeys(TURNS.names)
    full = [
        base | {"turn_id": f"t{place}", "session_id": row.get("session_id", f"s{place}"), "time": place} | row
        for place, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(full, schema=TURNS)


def call(
    name: str, arguments: str = "{}", result: str | None = '{"ok": 1}', error: str | None = None
) -> dict[str, Any]:
    """A tool call."""
    return {"name": name, "arguments": arguments, "result": result, "error": error}


def reading(name: str, **row: Any) -> float:
    """One turn's reading."""
    readings, _, failures = signals.measure_turns(TurnBatch(turns([row])))
    assert failures == {}
    return float(readings[name][0])


def session_reading(name: str, *rows: dict[str, Any]) -> float:
    """The reading of one session made of `rows`."""
    batch = TurnBatch(turns([{"session_id": "one", "turn_index": place} | row for place, row in enumerate(rows)]))
    readings, _, _ = signals.measure_turns(batch)
    values, failures = signals.measure_sessions(SessionBatch(batch, np.array([0, len(rows)]), readings))
    assert failures == {}
    return float(values[name][0])
