"""Facets: every column that is not part of the turn itself, as one map column of texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.sources.columns import Column, decoded, is_text_type, scalar_text

FACET_MAP = pa.map_(pa.string(), pa.string())


def facet_column(values: Column) -> tuple[pa.Array, bool]:
    """The scalars of a column as texts (null: absent), and whether some values were no scalars."""
    if isinstance(values, list):
        kinds = set(map(type, values)) - {type(None)}
        if kinds <= {str}:
            return pa.array(values, type=pa.string()), False
        if kinds == {int} and max(map(abs, filter(None, values)), default=0) < 2**63:
            return pc.cast(pa.array(values, type=pa.int64()), pa.string()), False
        texts = [scalar_text(value) for value in values]
        return pa.array(texts, type=pa.string()), bool(kinds & {dict, list, tuple})
    array = decoded(values)
    if is_text_type(array.type) or pa.types.is_boolean(array.type) or pa.types.is_integer(array.type):
        return pc.cast(array, pa.string()), False
    if pa.types.is_nested(array.type) or pa.types.is_binary(array.type):
        return pa.nulls(len(array), pa.string()), array.null_count < len(array)
    return pa.array([scalar_text(value) for value in array.to_pylist()], type=pa.string()), False


def facet_map(columns: Mapping[str, pa.Array], count: int) -> pa.Array:
    """One map a row of the columns that have a value there, keys in order of their names."""
    names = sorted(name for name, column in columns.items() if column.null_count < count)
    if not names:
        return pa.MapArray.from_arrays(np.zeros(count + 1, dtype=np.int32), _empty(), _empty())
    valid = np.stack([pc.is_valid(columns[name]).to_numpy(zero_copy_only=False) for name in names], axis=1)
    rows, slots = np.nonzero(valid)
    offsets = np.zeros(count + 1, dtype=np.int32)
    np.cumsum(valid.sum(axis=1), out=offsets[1:])
    stacked = pa.concat_arrays([columns[name] for name in names])
    keys = pa.array(names, type=pa.string()).take(pa.array(slots))
    return pa.MapArray.from_arrays(offsets, keys, stacked.take(pa.array(slots * count + rows)))


def unpacked(values: Column) -> dict[str, list[Any]]:
    """The columns inside a column of maps or objects (a table that has its facets in one column)."""
    rows = values if isinstance(values, list) else values.to_pylist()
    columns: dict[str, list[Any]] = {}
    for row, value in enumerate(rows):
        if not isinstance(value, dict | list):
            continue
        items = value.items() if isinstance(value, dict) else value
        for item in items:
            if isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[0], str):
                columns.setdefault(item[0], [None] * len(rows))[row] = item[1]
    return columns


def _empty() -> pa.Array:
    return pa.array([], type=pa.string())
