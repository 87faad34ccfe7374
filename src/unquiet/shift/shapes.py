"""The shape of an answer: what kinds of lines follow each other, whatever they say and in whatever language."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.shift.texts import Bytes, bytes_of, text_of
from unquiet.stats.runs import spread

IntArray = npt.NDArray[np.int64]

KINDS = ("paragraph", "list", "numbers", "heading", "code", "table", "bold line")
PARAGRAPH, LIST, NUMBERS, HEADING, CODE, TABLE, BOLD = range(len(KINDS))
LONGEST_SHAPE = 8
"""Changes of kind that are told apart; what follows is left out."""

_STARTS = ((LIST, r"^[-*•·–]\s"), (NUMBERS, r"^\d+[.)、]"), (HEADING, r"^#"), (TABLE, r"^\|"), (BOLD, r"^\*\*"))
_LOOKED_AT = 8
_BLANKS = np.zeros(256, bool)
_BLANKS[list(b" \t\n\v\f\r")] = True
_TELLING = _BLANKS.copy()
_TELLING[list(b"-*0123456789#|`\x1c\x1d\x1e\x1f")] = True
_TELLING[0x80:] = True
"""First bytes of lines that may be something else than a paragraph, or blank."""


def shapes(texts: pa.Array) -> tuple[IntArray, IntArray]:
    """Row and kind of every run of lines of one kind, in order, at most LONGEST_SHAPE a text; blank lines do not count."""
    data, offsets = bytes_of(texts)
    row, at, ends = _lines(data, offsets)
    solid = _past_blanks(data, at, ends)
    looked = np.flatnonzero(_TELLING[data[solid]])
    starts = _starts(data, at[looked], solid[looked], ends[looked])
    blank = np.zeros(len(row), bool)
    blank[looked] = pc.equal(pc.binary_length(starts), 0).to_numpy(zero_copy_only=False)
    kind = np.full(len(row), PARAGRAPH, np.int64)
    kind[looked] = _kinds(starts)
    fence = np.zeros(len(row), np.int64)
    fence[looked] = pc.starts_with(starts, "```").to_numpy(zero_copy_only=False)
    row, kind, fence = row[~blank], kind[~blank], fence[~blank]
    within = np.cumsum(fence) - fence
    before = within[np.searchsorted(row, row)] if len(row) else within
    kind[(fence == 1) | ((within - before) % 2 == 1)] = CODE
    new = np.ones(len(row), bool)
    new[1:] = (row[1:] != row[:-1]) | (kind[1:] != kind[:-1])
    row, kind = row[new], kind[new]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    return row[place < LONGEST_SHAPE], kind[place < LONGEST_SHAPE]


def _lines(data: Bytes, offsets: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Row, beginning and end of every line that is not empty, in order."""
    breaks = np.flatnonzero(data == ord("\n"))
    count = np.diff(np.searchsorted(breaks, offsets))
    row = np.repeat(np.arange(len(count)), count + 1)
    first = np.cumsum(count + 1) - count - 1
    begins, ends = np.zeros(len(row), np.int64), np.zeros(len(row), np.int64)
    inner = np.ones(len(row), bool)
    inner[first] = False
    begins[first], begins[inner] = offsets[:-1], breaks + 1
    inner[:] = True
    inner[first + count] = False
    ends[first + count], ends[inner] = offsets[1:], breaks
    some = begins < ends
    return row[some], begins[some], ends[some]


def _past_blanks(data: Bytes, begins: IntArray, ends: IntArray) -> IntArray:
    """Where each line goes on after up to `_LOOKED_AT` ASCII blanks; its last byte where there is nothing else."""
    at = begins.copy()
    left = np.arange(len(at))
    for _ in range(_LOOKED_AT):
        left = left[_BLANKS[data[at[left]]] & (at[left] + 1 < ends[left])]
        at[left] += 1
    return at


def _starts(data: Bytes, begins: IntArray, solid: IntArray, ends: IntArray) -> pa.Array:
    """The first `_LOOKED_AT` characters of lines after white space, which begins at `begins` and may go on at `solid`."""
    high = np.minimum(solid + 4 * _LOOKED_AT, ends)
    for _ in range(3):
        high -= (high < ends) & ((data[np.minimum(high, len(data) - 1)] & 0xC0) == 0x80)
    seen = _pieces(data, solid, high)
    trimmed = pc.utf8_ltrim_whitespace(seen)
    more = pc.not_equal(pc.binary_length(trimmed), pc.binary_length(seen)).to_numpy(zero_copy_only=False) & (
        high < ends
    )
    if more.any():
        whole = pc.utf8_ltrim_whitespace(_pieces(data, begins[more], ends[more]))
        trimmed = pc.replace_with_mask(trimmed, pa.array(more), whole)
    return pc.utf8_slice_codeunits(trimmed, 0, _LOOKED_AT)


def _pieces(data: Bytes, low: IntArray, high: IntArray) -> pa.Array:
    return text_of(data[spread(low, high)], np.concatenate([[0], np.cumsum(high - low)]))


def shape_text(kinds: list[int]) -> str:
    """`paragraph, list, paragraph`."""
    return ", ".join(KINDS[kind] for kind in kinds)


def _kinds(starts: pa.Array) -> IntArray:
    kind = np.full(len(starts), PARAGRAPH, np.int64)
    marked = np.flatnonzero(pc.match_substring_regex(starts, r"^[-*•·–\d#|]").to_numpy(zero_copy_only=False))
    some = starts.take(pa.array(marked))
    for code, pattern in _STARTS:
        kind[marked[pc.match_substring_regex(some, pattern).to_numpy(zero_copy_only=False)]] = code
    return kind
