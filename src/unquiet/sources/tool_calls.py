"""The column of tool calls: lists of {name, arguments, result, error}, or their JSON text."""

from __future__ import annotations

from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.turns import TOOL_CALL
from unquiet.sources.columns import Column, Flaws, is_text_type, json_text

_ALLOWED = "a list of {name, arguments, result, error}, or its JSON text, is needed"
_FIELDS = ("name", "arguments", "result", "error")


def tool_call_column(values: Column, flaws: Flaws) -> pa.Array:
    """The tool calls of every row; rows that hold something else are flaws."""
    if not isinstance(values, list):
        native = _native(values)
        if native is not None:
            return native
        values = values.to_pylist()
    if str in set(map(type, values)):
        values = [_parsed(value, row, flaws) for row, value in enumerate(values)]
    flat = list(chain.from_iterable(v for v in values if v.__class__ is list))
    odd = set(map(type, values)) - {list, type(None)} or set(map(type, flat)) - {dict}
    if odd:
        values = [_checked(value, row, flaws) for row, value in enumerate(values)]
        flat = list(chain.from_iterable(v for v in values if v is not None))
    return _assembled(values, flat)


def _assembled(values: list[Any], flat: list[dict[str, Any]]) -> pa.Array:
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum([0 if v is None else len(v) for v in values], out=offsets[1:])
    missing = pa.array([v is None for v in values], type=pa.bool_())
    columns = [_texts(_field(flat, name), kind.type) for name, kind in zip(_FIELDS, TOOL_CALL, strict=True)]
    calls = pa.StructArray.from_arrays(columns, fields=list(TOOL_CALL))
    return pa.ListArray.from_arrays(pa.array(offsets), calls, type=pa.list_(TOOL_CALL), mask=missing)


def _field(calls: list[dict[str, Any]], name: str) -> list[Any]:
    try:
        return list(map(itemgetter(name), calls))
    except KeyError:
        return [call.get(name) for call in calls]


def _texts(values: list[Any], to: pa.DataType) -> pa.Array:
    if set(map(type, values)) <= {str, type(None)}:
        return pa.array(values, type=to)
    return pa.array([v if v is None or v.__class__ is str else json_text(v) for v in values], type=to)


def _native(values: pa.Array) -> pa.Array | None:
    """The column as it is, where Arrow already has it as a list of objects of texts."""
    kind = values.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not pa.types.is_struct(kind.value_type):
        return None
    inner = kind.value_type
    if any(not (is_text_type(f.type) or pa.types.is_null(f.type)) for f in inner if f.name in _FIELDS):
        return None
    offsets = pc.subtract(values.offsets, values.offsets[0])
    calls = (
        values.flatten()
        if values.null_count == 0
        else values.values.slice(values.offsets[0].as_py(), values.offsets[-1].as_py() - values.offsets[0].as_py())
    )
    columns = [
        pc.cast(pc.struct_field(calls, name), kind.type)
        if inner.get_field_index(name) >= 0
        else pa.nulls(len(calls), kind.type)
        for name, kind in zip(_FIELDS, TOOL_CALL, strict=True)
    ]
    struct = pa.StructArray.from_arrays(columns, fields=list(TOOL_CALL))
    return pa.ListArray.from_arrays(
        pc.cast(offsets, pa.int32()), struct, type=pa.list_(TOOL_CALL), mask=pc.is_null(values)
    )


def _parsed(value: Any, row: int, flaws: Flaws) -> Any:
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        flaws.add(row, "wrong type of tool_calls", f"tool_calls is the text {value[:40]!r}; {_ALLOWED}")
        return None


def _checked(value: Any, row: int, flaws: Flaws) -> list[dict[str, Any]] | None:
    if value is None:
        return None
    if isinstance(value, list) and all(isinstance(call, dict) for call in value):
        return value
    if isinstance(value, dict) and "name" in value:
        return [value]
    flaws.add(row, "wrong type of tool_calls", f"tool_calls is {json_text(value)[:40]}; {_ALLOWED}")
    return None
