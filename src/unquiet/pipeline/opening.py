"""Turns of sessions that are open: their keys, while the texts stay where they are stored."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.turns import TURNS
from unquiet.sessions import ENDS, KEYS

Texts = Callable[[pa.Table], pa.Table]
"""Keys of turns (columns turn_id, session_id, turn_index, time) -> the whole turns, in the same order."""

NO_END = ("", "false", "no", "0")
"""Values of an end marker that say that the session goes on, in lower case."""


def assembled(turns: pa.Table, end_marker: str | None, *, whole: bool) -> pa.Table:
    """What the assembler takes of turns: all columns or the keys, and whether each ends its session, where one can."""
    rows = turns.select(TURNS.names if whole else list(KEYS))
    if end_marker is None:
        return rows
    if ENDS in turns.column_names:
        return rows.append_column(ENDS, turns.column(ENDS))
    return rows.append_column(ENDS, _ends(turns.column("facets"), end_marker))


def empty_keys(end_marker: str | None) -> pa.Table:
    """No turn, as the assembler holds it."""
    return assembled(TURNS.empty_table(), end_marker, whole=False)


def _ends(facets: pa.ChunkedArray, marker: str) -> pa.Array:
    value = pc.map_lookup(facets.combine_chunks(), pa.scalar(marker), "first")
    said = pc.invert(pc.is_in(pc.utf8_lower(value), value_set=pa.array(NO_END)))
    return pc.and_(pc.is_valid(value), said)
