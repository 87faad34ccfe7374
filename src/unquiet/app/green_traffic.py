"""The traffic around an incident: the affected sessions, others since the onset, and those before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet import intents
from unquiet.gap.green import path_name
from unquiet.model.sessions import SIGNAL_PREFIX
from unquiet.store import Store

Vectors = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

MOST_AFFECTED = 600
MOST_OTHERS = 6_000
"""Sessions that are looked at; of more, so many at equal distances in order of time."""

BEFORE = timedelta(days=14)
AFFECTED, SINCE, EARLIER = 0, 1, 2
"""What a session is: claimed by the incident, another since its onset, or one from before."""

TOOL_ERROR = SIGNAL_PREFIX + "tool_error"


@dataclass(frozen=True, slots=True, eq=False)
class Around:
    """n sessions whose first request was captured, as parallel arrays.

    `kind` is AFFECTED, SINCE or EARLIER, `vectors` (n, d) those of the first requests. `facets` holds, for each session, facet
    (as `path_name` writes it) to value. `several` says whether a session had several turns, `tool_failed` whether a call of
    a tool failed. `claimed` is how many sessions the incident claims, with or without text.
    """

    session_ids: Sequence[str]
    kind: IntArray
    vectors: Vectors
    inputs: pa.Array
    outputs: pa.Array
    facets: Sequence[Mapping[str, str]]
    several: BoolArray
    tool_failed: BoolArray
    claimed: int

    def rows(self, *kinds: int) -> IntArray:
        """The rows of some kinds."""
        return np.flatnonzero(np.isin(self.kind, kinds))


def load_around(store: Store, document: Mapping[str, Any], end: datetime) -> Around:
    """Read the traffic from two weeks before the onset to the end of the incident."""
    onset, earliest = (datetime.fromisoformat(document["onset"][name]).astimezone(UTC) for name in ("at", "earliest"))
    claimed = set(document["session_ids"])
    columns = _columns(store)
    since = store.sessions_between(onset, end, columns=columns)
    mine = pc.is_in(since.column("session_id"), value_set=pa.array(sorted(claimed), pa.string()))
    early = store.sessions_between(earliest - BEFORE, earliest, columns=columns)
    parts = [
        (AFFECTED, _spread(since.filter(mine), MOST_AFFECTED)),
        (SINCE, _spread(since.filter(pc.invert(mine)), MOST_OTHERS)),
        (EARLIER, _spread(early, MOST_OTHERS)),
    ]
    window = (earliest - BEFORE - timedelta(days=1), end + timedelta(days=1))
    return _read(store, parts, window, len(claimed))


def load_period(store: Store, start: datetime, end: datetime) -> Around:
    """Read sessions that began in a period, all of the kind SINCE."""
    sessions = store.sessions_between(start, end, columns=_columns(store))
    window = (start - timedelta(days=1), end + timedelta(days=1))
    return _read(store, [(SINCE, _spread(sessions, MOST_OTHERS))], window, 0)


def _columns(store: Store) -> list[str]:
    failed = [TOOL_ERROR] if TOOL_ERROR in store.session_columns() else []
    return ["session_id", "facets", "turn_count", *failed]


def _read(
    store: Store, parts: Sequence[tuple[int, pa.Table]], window: tuple[datetime, datetime], claimed: int
) -> Around:
    sessions = pa.concat_tables([table for _, table in parts]).combine_chunks()
    kind = np.repeat([each for each, _ in parts], [table.num_rows for _, table in parts])
    names: list[str] = sessions.column("session_id").to_pylist()
    columns = ["session_id", "input", "output", "model", "served_model", "facets"]
    turns = store.turns_of_sessions(names, columns=columns, within=window)
    first = pc.index_in(sessions.column("session_id"), value_set=turns.column("session_id").combine_chunks())
    text = pc.fill_null(pc.utf8_trim_whitespace(turns.column("input").take(first)), "")
    known = np.flatnonzero(pc.not_equal(text, "").to_numpy(zero_copy_only=False))
    turns, sessions = turns.take(first.take(pa.array(known))).combine_chunks(), sessions.take(pa.array(known))
    inputs = turns.column("input").combine_chunks()
    return Around(
        [names[i] for i in known],
        kind[known].astype(np.int64),
        intents.embed(inputs),
        inputs,
        turns.column("output").combine_chunks(),
        _facets(turns, sessions),
        sessions.column("turn_count").fill_null(1).to_numpy() > 1,
        _failed(sessions),
        claimed,
    )


def _spread(table: pa.Table, most: int) -> pa.Table:
    """At most so many rows, at equal distances."""
    if table.num_rows <= most:
        return table
    return table.take(pa.array(np.linspace(0, table.num_rows - 1, most).astype(np.int64)))


def _failed(sessions: pa.Table) -> BoolArray:
    if TOOL_ERROR not in sessions.column_names:
        return np.zeros(sessions.num_rows, bool)
    return sessions.column(TOOL_ERROR).fill_null(0.0).to_numpy() > 0


def _facets(turns: pa.Table, sessions: pa.Table) -> list[dict[str, str]]:
    """What the turn says, and what was made of the session."""
    own, made = turns.column("facets").to_pylist(), sessions.column("facets").to_pylist()
    models = [turns.column(name).to_pylist() for name in ("model", "served_model")]
    out: list[dict[str, str]] = []
    for row, pairs in enumerate(zip(own, made, strict=True)):
        told = {path_name(key): value for part in pairs for key, value in part or ()}
        told |= {
            name: column[row]
            for name, column in zip(("model", "served_model"), models, strict=True)
            if column[row] is not None
        }
        out.append(told)
    return out
