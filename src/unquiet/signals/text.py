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
    return cast("Bools", pc.fill_null(array, False).to_numpy(zero_copy_only=False))


def floats(array: pa.Array) -> FloatArray:
    """A numeric or boolean Arrow array as float64, shape (len(array),); null becomes NaN."""
    number = (
        array.cast(pa.float64()) if not pa.types.is_boolean(array.type) else array.cast(pa.int8()).cast(pa.float64())
    )
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


def head(batch: TurnBatch) -> pa.Array:
    """The first `HEAD_CHARACTERS` of each answer, ASCII letters in lower case; empty where there is none."""

    def make() -> pa.Array:
        text, long = filled(batch, "output"), pa.array(characters(batch) > HEAD_CHARACTERS)
        cut = pc.utf8_slice_codeunits(text.filter(long), 0, HEAD_CHARACTERS)
        return pc.ascii_lower(pc.replace_with_mask(text, long, cut) if len(cut) else text)

    return batch.once("text:head", make)


def tail(batch: TurnBatch) -> pa.Array:
    """The last `TAIL_CHARACTERS` of each answer without closing white space, ASCII letters lower case."""

    def make() -> pa.Array:
        trimmed = pc.ascii_rtrim_whitespace(filled(batch, "output"))
        return pc.ascii_lower(pc.utf8_slice_codeunits(trimmed, -TAIL_CHARACTERS, None))

    return batch.once("text:tail", make)


def characters(batch: TurnBatch, column: str = "output") -> FloatArray:
    """Length in characters, shape (len(batch),); NaN where there is no text."""
    return batch.once(f"characters:{column}", lambda: floats(pc.utf8_length(batch.column(column))))


Bytes = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


def utf8_bytes(batch: TurnBatch, column: str) -> Bytes:
    """The UTF-8 bytes of a large_string column, null as empty, and where each value lies.

    Returns (bytes, offsets): value i is `bytes[offsets[i]:offsets[i + 1]]`, and offsets[0] is 0.
    """
    return batch.once(f"bytes:{column}", lambda: bytes_of(filled(batch, column)))


def bytes_of(text: pa.Array) -> Bytes:
    """The UTF-8 bytes of a large_string array without nulls, and where each value lies, as `utf8_bytes` returns them."""
    if len(text) == 0:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, ends, data = text.buffers()
    offsets = np.frombuffer(ends, np.int64)[text.offset : text.offset + len(text) + 1]
    held = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return held[offsets[0] : offsets[-1]], offsets - offsets[0]


def text_of(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> pa.Array:
    """The large_string array whose values are `data[offsets[i]:offsets[i + 1]]`, which must be UTF-8."""
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))


def count_places(places: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many of the ascending byte `places` fall into each value, shape (len(offsets) - 1,)."""
    return np.diff(np.searchsorted(places, offsets))


def holds(batch: TurnBatch, column: str, characters: str) -> Bools:
    """True where a text has one of some ASCII characters, shape (len(batch),): costs a tenth of a regular expression."""

    def make() -> Bools:
        data, offsets = utf8_bytes(batch, column)
        return np.any([count_places(np.flatnonzero(data == ord(each)), offsets) > 0 for each in characters], axis=0)

    return batch.once(f"holds:{column}:{characters}", make)


def beyond_ascii(batch: TurnBatch) -> Bools:
    """True where an answer has a character beyond ASCII, shape (len(batch),)."""

    def make() -> Bools:
        size = pc.binary_length(filled(batch, "output")).to_numpy(zero_copy_only=False)
        return size > np.nan_to_num(characters(batch))

    return batch.once("text:beyond ascii", make)


def matched(text: pa.Array, pattern: str, rows: Bools) -> Bools:
    """True where a text matches, of those of `rows` only; shape (len(text),)."""
    if rows.all():
        return bools(pc.match_substring_regex(text, pattern))
    found = np.zeros(len(text), np.bool_)
    some = np.flatnonzero(rows)
    if len(some):
        found[some] = bools(pc.match_substring_regex(text.take(pa.array(some)), pattern))
    return found


def letters(batch: TurnBatch, column: str = "output") -> FloatArray:
    """Length in characters where a Han character or kana counts as three, shape (len(batch),); NaN where there is no text."""
    return batch.once(f"letters:{column}", lambda: characters(batch, column) + 2 * ideographs(batch, column))


def ideographs(batch: TurnBatch, column: str = "output") -> npt.NDArray[np.int64]:
    """Han characters and kana in each text, shape (len(batch),): one says about as much as three letters."""

    def make() -> npt.NDArray[np.int64]:
        _, offsets = utf8_bytes(batch, column)
        return count_places(ideographs_at(batch, column), offsets)

    return batch.once(f"ideographs:{column}", make)


def ideographs_at(batch: TurnBatch, column: str) -> npt.NDArray[np.int64]:
    """Where Han characters and kana begin in the bytes of `utf8_bytes`, ascending."""
    return batch.once(f"ideographs at:{column}", lambda: ideograph_places(utf8_bytes(batch, column)[0]))


def ideograph_places(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Where Han characters and kana begin in UTF-8, ascending; E3 80 is punctuation."""
    at = np.flatnonzero((data >= 0xE3) & (data <= 0xE9))
    follows = data[np.minimum(at + 1, len(data) - 1)]
    return at[(data[at] != 0xE3) | (follows >= 0x81)]


def fences(batch: TurnBatch) -> npt.NDArray[np.int64]:
    """Code fences (runs of three backticks or more) in each answer, shape (len(batch),)."""

    def make() -> npt.NDArray[np.int64]:
        data, offsets = utf8_bytes(batch, "output")
        ticks = np.flatnonzero(data == ord("`"))
        if len(ticks) < 3:
            return np.zeros(len(batch), np.int64)
        row = np.repeat(np.arange(len(batch)), count_places(ticks, offsets))
        begins = np.concatenate([[True], (np.diff(ticks) != 1) | (np.diff(row) != 0)])
        three = (ticks[2:] - ticks[:-2] == 2) & (row[2:] == row[:-2])
        return np.bincount(row[:-2][begins[:-2] & three], minlength=len(batch))

    return batch.once("text:fences", make)
