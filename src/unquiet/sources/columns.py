"""Columns of a file, as Python lists or Arrow arrays, made into the types of the turn table."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.conventions.times import BadTimeError, number_to_us, to_us

Column: TypeAlias = "list[Any] | pa.Array"
IntArray: TypeAlias = npt.NDArray[np.int64]


@dataclass(slots=True)
class Flaws:
    """Rows of a batch that cannot become turns: row -> (kind, reason); the first flaw of a row counts."""

    rows: dict[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])
    zone_assumed: bool = False

    def add(self, row: int, kind: str, reason: str) -> None:
        """Mark a row."""
        self.rows.setdefault(row, (kind, reason))


def json_text(value: object) -> str:
    """A value as text: texts as they are, everything else as JSON."""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # integers of more than 64 bits
        return json.dumps(value, default=str, ensure_ascii=False)


def null_column(count: int, of: pa.DataType) -> pa.Array:
    """A column of nulls."""
    return pa.nulls(count, of)


def is_text_type(kind: pa.DataType) -> bool:
    """Whether an Arrow type is a text."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def plain(values: Column) -> list[Any]:
    """The column as Python values."""
    return values if isinstance(values, list) else values.to_pylist()


def decoded(array: pa.Array) -> pa.Array:
    """The array with its values themselves where it holds places in a dictionary."""
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def text_column(values: Column, to: pa.DataType, convert: Callable[[Any], str | None]) -> pa.Array:
    """A text column; values that are not texts go through `convert` (None: no value)."""
    if not isinstance(values, list):
        array = decoded(values)
        if is_text_type(array.type):
            return pc.cast(array, to)
        values = array.to_pylist()
    try:
        return pa.array(values, type=to)
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return pa.array([v if v is None or isinstance(v, str) else convert(v) for v in values], type=to)


def scalar_text(value: Any) -> str | None:
    """A scalar as text (numbers without needless digits, true, false); None for NaN and what is no scalar."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return (
            None if math.isnan(value) else str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        )
    if value is None or isinstance(value, dict | list | tuple):
        return None
    return str(value)


def id_column(values: Column, name: str, flaws: Flaws) -> pa.Array:
    """A text column in which every row needs a value: texts or numbers."""

    def convert(value: Any) -> str | None:
        return scalar_text(value) if not isinstance(value, bool) else None

    result = text_column(values, pa.string(), convert)
    empty = pc.or_kleene(pc.is_null(result), pc.equal(result, ""))
    for row in np.flatnonzero(pc.fill_null(empty, fill_value=True).to_numpy(zero_copy_only=False)):
        got = values[int(row)]
        got = got.as_py() if isinstance(got, pa.Scalar) else got
        kind = f"missing {name}" if got is None or got == "" else f"wrong type of {name}"
        flaws.add(int(row), kind, f"{name} is {_described(got)}; a text or a number is needed")
    return pc.fill_null(result, "")


def _described(value: Any) -> str:
    if value is None or value == "":
        return "missing"
    return f"{json_text(value)[:40]} ({type(value).__name__})"


def number_column(values: Column, name: str, to: pa.DataType, flaws: Flaws) -> pa.Array:
    """A number column; NaN and infinities become null, texts are read as numbers, anything else is a flaw."""
    numbers = _numbers(values, name, flaws)
    if pa.types.is_floating(numbers.type):
        numbers = pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, numbers.type))
        if pa.types.is_integer(to):
            numbers = pc.round(numbers)
    return _fit(numbers, name, to, flaws)


def _numbers(values: Column, name: str, flaws: Flaws) -> pa.Array:
    if not isinstance(values, list) and (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
        return values
    listed = plain(values)
    kinds = set(map(type, listed)) - {type(None)}
    if kinds - {int, float}:
        listed = [_number(value, row, name, flaws) for row, value in enumerate(listed)]
    return pa.array(listed, type=pa.float64()) if float in kinds or kinds - {int} else _int_array(listed)


def _int_array(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values, type=pa.int64())
    except (OverflowError, pa.ArrowInvalid):
        return pa.array(values, type=pa.float64())


def _fit(values: pa.Array, name: str, to: pa.DataType, flaws: Flaws) -> pa.Array:
    """Cast; values out of the range of the type are flaws."""
    if pa.types.is_integer(to):
        bound = float(2 ** (to.bit_width - 1))
        wide = pc.cast(values, pa.float64(), safe=False)
        out = pc.fill_null(pc.greater_equal(pc.abs(wide), bound), fill_value=False)
        for row in np.flatnonzero(out.to_numpy(zero_copy_only=False)):
            flaws.add(
                int(row),
                f"wrong value of {name}",
                f"{name} is {values[int(row)]}; it must be below {bound:.0f}",
            )
        values = pc.if_else(out, pa.scalar(None, values.type), values)
    return pc.cast(values, to, safe=False)


def _number(value: Any, row: int, name: str, flaws: Flaws) -> float | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, bool | list | dict):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    flaws.add(row, f"wrong type of {name}", f"{name} is {_described(value)}; a number is needed")
    return None


def time_column(values: Column, flaws: Flaws) -> IntArray:
    """Microseconds since 1970, shape (rows,); rows without a moment are flaws and hold 0."""
    if not isinstance(values, list):
        if pa.types.is_timestamp(values.type):
            flaws.zone_assumed |= values.type.tz is None
            values = pc.cast(values, pa.timestamp("us", values.type.tz), safe=False)
            return _filled(pc.cast(values, pa.int64()), flaws)
        values = pc.cast(values, pa.string()).to_pylist() if is_text_type(values.type) else values.to_pylist()
    fast = _fast_times(values, flaws)
    if fast is not None:
        return fast
    result = np.zeros(len(values), dtype=np.int64)
    for row, value in enumerate(values):
        try:
            result[row], zoned = to_us(value)
            flaws.zone_assumed |= not zoned
        except (BadTimeError, OverflowError) as error:
            missing = value is None or value == ""
            kind = "missing time" if missing else "unreadable time"
            flaws.add(row, kind, str(error) if not missing else "the time is missing")
    return result


def _fast_times(values: list[Any], flaws: Flaws) -> IntArray | None:
    """The common cases without a loop in Python; None where a value needs a closer look."""
    kinds = set(map(type, values))
    if kinds == {str}:
        texts = pa.array(values, type=pa.string())
        for tz in ("UTC", None):
            try:
                parsed = pc.cast(texts, pa.timestamp("us", tz))
            except pa.ArrowInvalid:
                continue
            flaws.zone_assumed |= tz is None
            return pc.cast(parsed, pa.int64()).to_numpy(zero_copy_only=False)
        return None
    if kinds and kinds <= {int, float}:
        try:
            return np.fromiter(map(number_to_us, values), dtype=np.int64, count=len(values))
        except (BadTimeError, OverflowError):
            return None
    return None


def _filled(values: pa.Array, flaws: Flaws) -> IntArray:
    for row in np.flatnonzero(pc.is_null(values).to_numpy(zero_copy_only=False)):
        flaws.add(int(row), "missing time", "the time is missing")
    return pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
