"""Which turn a judge spoke of: evaluation results name a span, turns are named by the first of theirs."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc

from unquiet.conventions.evaluations import TOOL
from unquiet.store import Store

BEFORE = timedelta(days=2)
"""A turn began at most so long before a judge spoke of it; what is judged later stays without a session."""


def join_verdicts(store: Store) -> int:
    """Give the evaluation results that have no session yet the session and the turn of their trace; how many found one.

    A result of a span inside of a turn belongs to the turn; where a trace holds several turns, only the session is certain.

    Raises:
        StoreError: it cannot be read or kept.
    """
    known = store.evals.read(["result_id", "time", "tool", "session_id", "turn_id"])
    mine = pc.and_(pc.equal(known.column("tool"), TOOL), pc.is_valid(known.column("turn_id")))
    open_ones = known.filter(pc.and_(mine, pc.is_null(known.column("session_id"))))
    if not open_ones.num_rows:
        return 0
    start, end = pc.min(open_ones.column("time")).as_py() - BEFORE, pc.max(open_ones.column("time")).as_py() + BEFORE
    turns = _traced(store.turns_between(start, end, columns=["turn_id", "session_id"]))
    wanted = _traced(open_ones.select(["result_id", "turn_id"])).rename_columns(["result_id", "place", "trace"])
    found = wanted.join(turns, "trace", join_type="inner")
    if not found.num_rows:
        return 0
    joined = {row["result_id"]: row for row in found.to_pylist()}
    whole = store.evals.read()
    whole = whole.filter(pc.is_in(whole.column("result_id"), pa.array(sorted(joined), pa.string())))
    rows = [row | _of(joined[row["result_id"]]) for row in whole.to_pylist()]
    store.evals.replace(pa.Table.from_pylist(rows, schema=whole.schema))
    return len(rows)


def _traced(table: pa.Table) -> pa.Table:
    """The table with the trace in its turn ids; one row a trace where it has sessions: the first turn, and whether it is alone."""
    trace = pc.list_element(pc.split_pattern(table.column("turn_id"), ":", max_splits=1), 0)
    table = table.append_column("trace", trace)
    if "session_id" not in table.column_names:
        return table
    grouped = table.group_by("trace", use_threads=False).aggregate(
        [("session_id", "min"), ("session_id", "max"), ("turn_id", "min"), ("turn_id", "count")]
    )
    return grouped.filter(pc.equal(grouped.column("session_id_min"), grouped.column("session_id_max"))).select(
        ["trace", "session_id_min", "turn_id_min", "turn_id_count"]
    )


def _of(row: dict[str, object]) -> dict[str, object]:
    alone = row["turn_id_count"] == 1
    return {"session_id": row["session_id_min"], "turn_id": row["turn_id_min"] if alone else row["place"]}
