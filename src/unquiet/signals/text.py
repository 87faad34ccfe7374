"""Views of the turns' text that several signals share; each is computed once for a batch."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.signals import FloatArray, TurnBatch

HEAD_CHARACTERS = 1500
"""How much of an answer the wording families read, in characters."""

TAIL_CHARACTERS = 300
"""How much of an answer's end is read for what it closes with, in characters."""

Bools = npt.NDArray[np.bool_]


def bools(array: pa.Array) -> Bools:
    """A boolean Arrow array as numpy, shape (len(array),); null counts as False."""
    return cast(Bools, pc.fill_null(array, False).to_numpy(zero_copy_only=False))


def floats(array: pa.Array) -> FloatArray:
    """A numeric or boolean Arrow array as float64, shape (len(array),); null becomes NaN."""
    number = array.cast(pa.float64()) if not pa.types.is_boolean(array.type) else array.cast(pa.int8()).cast(pa.float64())
    return np.array(pc.fill_null(number, float("nan")).to_numpy(zero_copy_only=False), dtype=np.float64)


def present(batch: TurnBatch, column: str) -> Bools:
    """True where `column` has a value, shape (len(batch),)."""
    return batch.once(f"present:{column}", lambda: bools(pc.is_valid(batch.column(column))))


def where(known: Bools, values: npt.NDArray[np.generic]) -> FloatArray:
    """`values` as float64, NaN where `known` is False; both of shape (n,)."""
    return np.where(known, values.astype(np.float64), np.nan)


def filled(batch: TurnBatch, column: str) -> pa.Array:
    """A text column with null replaced by the empty string."""
    return batch.once(f"filled:{column}", lambda: pc.fill_null(batch.column(column), ""))


def plain(text: pa.Array) -> pa.Array:
    """Lower case, with typographic apostrophes made plain."""
    lowered = pc.utf8_lower(text)
    return pc.replace_substring(lowered, "\u2019", "'")


def head(batch: TurnBatch) -> pa.Array:
    """The first `HEAD_CHARACTERS` of each answer, lower case, apostrophes plain; empty where there is no answer."""
    return batch.once(
        "text:head", lambda: plain(pc.utf8_slice_codeunits(filled(batch, "output"), 0, HEAD_CHARACTERS))
    )


def tail(batch: TurnBatch) -> pa.Array:
    """The last `TAIL_CHARACTERS` of each answer without closing white space, lower case, apostrophes plain."""

    def make() -> pa.Array:
        trimmed = pc.ascii_rtrim_whitespace(filled(batch, "output"))
        return plain(pc.utf8_slice_codeunits(trimmed, -TAIL_CHARACTERS, None))

    return batch.once("text:tail", make)


def characters(batch: TurnBatch, column: str = "output") -> FloatArray:
    """Length in characters, shape (len(batch),); NaN where there is no text."""
    return batch.once(f"characters:{column}", lambda: floats(pc.utf8_length(batch.column(column))))


def utf8_buffers(text: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes of a large_string array without nulls, and the offsets of its values.

    Returns (bytes, offsets); value i is `bytes[offsets[i]:offsets[i + 1]]`, offsets[0] is 0.
    """
    if len(text) == 0:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    buffers = text.buffers()
    offsets = np.frombuffer(buffers[1], np.int64)[text.offset : text.offset + len(text) + 1]
    data = np.frombuffer(buffers[2], np.uint8) if buffers[2] is not None else np.zeros(0, np.uint8)
    return data[offsets[0] : offsets[-1]], offsets - offsets[0]


def sums_per_value(per_byte: npt.NDArray[np.generic], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Sum of `per_byte` within each value's byte range, shape (len(offsets) - 1,)."""
    running = np.concatenate([np.zeros(1, np.int64), np.cumsum(per_byte, dtype=np.int64)])
    return running[offsets[1:]] - running[offsets[:-1]]
