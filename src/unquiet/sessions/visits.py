"""What the turns of a session add up to: one row of the visit table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.sessions import CATEGORY_PREFIX, SIGNAL_PREFIX
from unquiet.model.signals import FloatArray, Reduce
from unquiet.sessions.assemble import ClosedSessions
from unquiet.stats.runs import distinct

IntArray = npt.NDArray[np.int64]
_OF_FIRST = ("session_id", "time", "facets", "model", "served_model")
"""What a visit has of its first turn."""


def visit_table(
    closed: ClosedSessions,
    readings: Mapping[str, tuple[Reduce, FloatArray]],
    session_values: Mapping[str, FloatArray],
    labels: Mapping[str, pa.ListArray],
    extra_facets: Mapping[str, pa.Array],
    session_labels: Mapping[str, pa.ListArray] | None = None,
) -> pa.Table:
    """One row a closed session, schema `unquiet.model.sessions.VISITS` plus one column a signal.

    `readings` holds a value per turn with the way to reduce it, `session_values` a value per session, `labels` a list
    of labels per turn (a session carries the union), `extra_facets` further facets, one text per session, `session_labels` a list
    of labels per session.
    """
    turns, starts = closed.turns, closed.starts
    first = turns.select(list(_OF_FIRST)).take(pa.array(starts[:-1])).combine_chunks()
    last = turns.column("time").take(pa.array(starts[1:] - 1)).combine_chunks()
    started = first.column("time").combine_chunks()
    seconds = pc.cast(pc.divide(started.cast(pa.int64()), 1_000_000), pa.string())
    columns: dict[str, pa.Array] = {
        "visit_id": pc.binary_join_element_wise(first.column("session_id").combine_chunks(), seconds, "@"),
        "session_id": first.column("session_id").combine_chunks(),
        "started": started,
        "ended": last,
        "closed": pa.array(closed.closed_us, pa.timestamp("us", tz="UTC")),
        "user_id": _first_known(turns.column("user_id").combine_chunks(), starts),
        "turn_count": pa.array(np.diff(starts), pa.int32()),
        "facets": _facets(first, extra_facets),
    }
    for name, (reduce, values) in readings.items():
        columns[SIGNAL_PREFIX + name] = pa.array(reduce_turns(values, starts, reduce), from_pandas=True)
    for name, values in session_values.items():
        columns[SIGNAL_PREFIX + name] = pa.array(values, from_pandas=True)
    for name, lists in labels.items():
        columns[CATEGORY_PREFIX + name] = _union(lists, starts)
    for name, lists in (session_labels or {}).items():
        columns[CATEGORY_PREFIX + name] = lists
    return pa.table(columns)


def resumed(closed: ClosedSessions) -> pa.Array:
    """Whether each visit goes on with a session that had rested for longer than the idle time: "yes", "no" or null.

    Told by the index of its first turn, so that it does not depend on what was read before: sources count from 0 or
    from 1. Null where turns have no index.
    """
    first = closed.turns.column("turn_index").combine_chunks().take(pa.array(closed.starts[:-1]))
    return pc.if_else(pc.greater(first, 1), "yes", "no")


def reduce_turns(values: FloatArray, starts: IntArray, reduce: Reduce) -> FloatArray:
    """A session's value from its turns' values, ignoring turns to which the signal does not apply.

    Shapes: values (turns,), starts (sessions + 1,) -> (sessions,). NaN where no turn has a value.
    """
    if len(starts) == 1:
        return np.zeros(0)
    known = ~np.isnan(values)
    count = np.add.reduceat(known.astype(np.int64), starts[:-1])
    if reduce in ("any", "max"):
        out = np.maximum.reduceat(np.where(known, values, -np.inf), starts[:-1])
    elif reduce == "last":
        rows = np.where(known, np.arange(len(values)), -1)
        out = values[np.maximum.reduceat(rows, starts[:-1])]
    else:
        out = np.add.reduceat(np.where(known, values, 0.0), starts[:-1])
        if reduce == "mean":
            out = out / np.maximum(count, 1)
    return np.where(count > 0, out, np.nan)


def _first_known(values: pa.Array, starts: IntArray) -> pa.Array:
    valid = values.is_valid().to_numpy(zero_copy_only=False)
    rows = np.where(valid, np.arange(len(valid)), len(valid))
    first = np.minimum.reduceat(rows, starts[:-1]) if len(starts) > 1 else rows[:0]
    return values.take(pa.array(first, mask=first == len(valid)))


def _union(lists: pa.ListArray, starts: IntArray) -> pa.Array:
    """The distinct labels of each session, ascending; null where no turn has any list."""
    session = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    has_list = lists.is_valid().to_numpy(zero_copy_only=False)
    known = np.bincount(session[has_list], minlength=len(starts) - 1) > 0
    labels, rank = _ranked(pc.list_flatten(lists).cast(pa.string()))
    owner = session[pc.list_parent_indices(lists).to_numpy()]
    pairs = distinct((owner * max(len(labels), 1) + rank).astype(np.uint64)).astype(np.int64)
    of_session, which = np.divmod(pairs, max(len(labels), 1))
    return pa.ListArray.from_arrays(
        pa.array(_offsets(of_session, len(starts) - 1), pa.int32()), labels.take(pa.array(which)), mask=pa.array(~known)
    )


def _ranked(texts: pa.Array) -> tuple[pa.Array, IntArray]:
    """The distinct texts, ascending, and which of them each is; null comes last."""
    coded = texts.dictionary_encode(null_encoding="encode")
    order = pc.sort_indices(coded.dictionary).to_numpy()
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return coded.dictionary.take(pa.array(order)), rank[coded.indices.to_numpy()]


def _offsets(owner: IntArray, count: int) -> IntArray:
    return np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=count))])


def _facets(first: pa.Table, extra: Mapping[str, pa.Array]) -> pa.Array:
    """The facets of a session's first turn, with the model names and the extra ones added where known."""
    maps = first.column("facets").combine_chunks()
    lists = maps.cast(pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())])))
    entries = pc.list_flatten(lists)
    added = {"model": first.column("model"), "served_model": first.column("served_model"), **extra}
    columns = [each.combine_chunks() if isinstance(each, pa.ChunkedArray) else each for each in added.values()]
    values = pa.concat_arrays([entries.field("value"), *(column.cast(pa.string()) for column in columns)])
    keys = pa.concat_arrays([entries.field("key"), *(pa.repeat(key, len(first)) for key in added)])
    owner = np.concatenate([pc.list_parent_indices(lists).to_numpy(), np.tile(np.arange(len(first)), len(added))])
    valid = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
    names, rank = _ranked(keys)
    place = owner[valid] * max(len(names), 1) + rank[valid]
    order = np.argsort(place, kind="stable")
    # Of a key that comes twice, the last counts.
    last = np.append(np.diff(place[order]) != 0, True)[: len(order)]
    kept = valid[order[last]]
    return pa.MapArray.from_arrays(
        pa.array(_offsets(owner[kept], len(first)), pa.int32()),
        names.take(pa.array(rank[kept])),
        values.take(pa.array(kept)),
    )
