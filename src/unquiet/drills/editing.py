"""Turns with other answers: what a failure changes, and what it leaves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.drills import Before

SURE = 0.5
LEAST = 5
"""With fewer examples the traffic does not tell how this agent does it."""


def set_column(turns: pa.Table, name: str, values: pa.Array | pa.ChunkedArray | Sequence[object]) -> pa.Table:
    """`turns` with other values in a column, of the same type."""
    place = turns.column_names.index(name)
    field = turns.schema.field(name)
    column = pa.array(values, field.type) if isinstance(values, Sequence) else values.cast(field.type)
    return turns.set_column(place, field, column)


def times(column: pa.ChunkedArray, factor: float) -> pa.Array:
    """A column of numbers, each times a factor; whole numbers stay whole, unknown ones unknown."""
    values = column.to_numpy(zero_copy_only=False).astype(float) * factor
    return pa.array(np.round(values) if pa.types.is_integer(column.type) else values, from_pandas=True)


def scaled(turns: pa.Table, factors: Sequence[tuple[str, float]]) -> pa.Table:
    """`turns` with columns of numbers times a factor each."""
    for name, factor in factors:
        turns = set_column(turns, name, times(turns.column(name), factor))
    return turns


def answered(turns: pa.Table, outputs: Sequence[str | None]) -> pa.Table:
    """`turns` with other answers; the output tokens keep their ratio to the characters. Latencies stay."""
    before = _lengths(turns.column("output"))
    changed = set_column(turns, "output", outputs)
    after = _lengths(changed.column("output"))
    tokens = turns.column("output_tokens").to_numpy(zero_copy_only=False).astype(float)
    ratio = float(np.nansum(tokens) / max(before[~np.isnan(tokens)].sum(), 1)) if np.isfinite(tokens).any() else 0.0
    scaled = np.where(before > 0, tokens * after / np.maximum(before, 1), after * ratio)
    scaled = np.where(after == before, tokens, np.maximum(np.round(scaled), (after > 0).astype(float)))
    counts = pa.array(scaled, from_pandas=True).cast(pa.int64())
    return set_column(changed, "output_tokens", pc.if_else(pc.is_null(turns.column("output_tokens")), None, counts))


def _lengths(texts: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    return pc.fill_null(pc.utf8_length(texts), 0).to_numpy().astype(float)


def own_texts(before: Before, signal: str, least: int = LEAST) -> list[str]:
    """The different answers that showed a signal before the onset, sorted; none where there are fewer than `least`."""
    return _texts(before, signal, least, showing=True)


def unlike(before: Before, signal: str) -> list[str]:
    """The different answers that did not show a signal before the onset, sorted."""
    return _texts(before, signal, 1, showing=False)


def _texts(before: Before, signal: str, least: int, *, showing: bool) -> list[str]:
    values = before.readings.get(signal)
    if values is None:
        return []
    known = np.nan_to_num(values, nan=-1.0)
    chosen = known >= SURE if showing else (known >= 0) & (known < SURE)
    texts = sorted(set(before.turns.column("output").filter(pa.array(chosen)).drop_null().to_pylist()))
    return texts if len(texts) >= least else []
