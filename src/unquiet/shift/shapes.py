"""The shape of an answer: what kinds of lines follow each other, whatever they say and in whatever language."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

IntArray = npt.NDArray[np.int64]

KINDS = ("paragraph", "list", "numbers", "heading", "code", "table", "bold line")
PARAGRAPH, LIST, NUMBERS, HEADING, CODE, TABLE, BOLD = range(len(KINDS))
LONGEST_SHAPE = 8
"""Changes of kind that are told apart; what follows is left out."""

_STARTS = ((LIST, r"^[-*•·–]\s"), (NUMBERS, r"^\d+[.)、]"), (HEADING, r"^#"), (TABLE, r"^\|"), (BOLD, r"^\*\*"))
_LOOKED_AT = 8


def shapes(texts: pa.Array) -> tuple[IntArray, IntArray]:
    """Row and kind of every run of lines of one kind, in order, at most LONGEST_SHAPE a text; blank lines do not count."""
    lines = pc.split_pattern(texts, "\n")
    row = np.repeat(np.arange(len(texts)), pc.fill_null(pc.list_value_length(lines), 0).to_numpy(zero_copy_only=False))
    starts = pc.utf8_slice_codeunits(pc.utf8_ltrim_whitespace(lines.flatten()), 0, _LOOKED_AT)
    filled = np.flatnonzero(pc.greater(pc.binary_length(starts), 0).to_numpy(zero_copy_only=False))
    starts, row = starts.take(pa.array(filled)), row[filled]
    kind = _kinds(starts)
    fence = pc.starts_with(starts, "```").to_numpy(zero_copy_only=False).astype(np.int64)
    within = np.cumsum(fence) - fence
    before = within[np.searchsorted(row, row)] if len(row) else within
    kind[(fence == 1) | ((within - before) % 2 == 1)] = CODE
    new = np.ones(len(row), bool)
    new[1:] = (row[1:] != row[:-1]) | (kind[1:] != kind[:-1])
    row, kind = row[new], kind[new]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    return row[place < LONGEST_SHAPE], kind[place < LONGEST_SHAPE]


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
