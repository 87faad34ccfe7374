"""Tokens of the beginning of an answer, in any language: words, single characters of scripts without blanks, a few marks.

Lower-cased; digits are all the same digit, so that an order number is no news. Letters of scripts that are written without
blanks between words (Chinese, Japanese, Thai and their neighbours) are tokens of their own.
"""

from __future__ import annotations

import sys
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.shift.texts import bytes_of, text_of

IntArray = npt.NDArray[np.int64]

HEAD_CHARACTERS = 200
"""How much of an answer is cut into tokens."""

UNSPACED = r"\x{0E00}-\x{0EFF}\x{1000}-\x{109F}\x{1780}-\x{17FF}\x{2E80}-\x{9FFF}\x{F900}-\x{FAFF}\x{20000}-\x{3FFFF}"
"""Scripts without blanks: Thai, Lao, Burmese, Khmer, Kana, Han."""

PARAGRAPH, FENCE, ITEM = "¶", "```", "•"
MARKS = (
    (r"\s*```", f" {FENCE} "),
    (r"\s*\n\s*(?:[-*•]|\d+[.)])\s", f" {ITEM} "),
    (r"\s*\n\s*", f" {PARAGRAPH} "),
    (r"\d+(?:[.,:]\d+)*", "0"),
    (r"[’`´]([a-zé])", r"'\1"),
)
_NEEDED = (1, 2, 2, 4, 9)
"""Flags of the bytes of which each mark needs one."""

_FLAGS = np.zeros(256, np.uint8)
_FLAGS[ord("`")], _FLAGS[ord("\n")], _FLAGS[ord("0") : ord("9") + 1] = 1, 2, 4
_FLAGS[["’".encode()[0], "´".encode()[0]]] = 8

_BREAK, _WITHIN, _ALONE, _UNKNOWN = range(4)
WORD_BREAKS = r"[^\p{L}\p{M}\p{N}'¶•`?!%€$£]+"


def head(texts: pa.Array) -> pa.Array:
    """The beginnings of texts, lower-cased."""
    begins = pc.utf8_ltrim_whitespace(pc.utf8_slice_codeunits(texts, 0, 2 * HEAD_CHARACTERS))
    cut = pc.and_(
        pc.less(pc.utf8_length(begins), HEAD_CHARACTERS), pc.greater(pc.binary_length(texts), 2 * HEAD_CHARACTERS)
    )
    if pc.any(cut).as_py():
        begins = pc.replace_with_mask(begins, pc.fill_null(cut, False), pc.utf8_ltrim_whitespace(texts.filter(cut)))
    return pc.utf8_lower(pc.utf8_slice_codeunits(begins, 0, HEAD_CHARACTERS))


def token_texts(heads: pa.Array) -> tuple[IntArray, pa.Array]:
    """The row and the text of every token of the beginnings that `head` cut, in order; null has none.

    What `tokens` says in regular expressions, byte by byte: for many texts at once.
    """
    data, offsets = bytes_of(_marked(pc.fill_null(heads, "")))
    within, alone = _kinds(data)
    begins = within.copy()
    begins[1:] &= ~within[:-1] | alone[1:] | alone[:-1]
    begins[1:] &= (data[1:] & 0xC0) != 0x80
    first = offsets[:-1][offsets[:-1] < offsets[1:]]
    begins[first] = within[first]
    starts = np.flatnonzero(begins)
    last = within.copy()
    last[:-1] &= ~within[1:] | begins[1:]
    ends = np.cumsum(np.flatnonzero(last) - starts + 1)
    row = np.repeat(np.arange(len(offsets) - 1), np.diff(np.searchsorted(starts, offsets)))
    return row, text_of(data[within], np.concatenate([[0], ends]))


def _marked(text: pa.Array) -> pa.Array:
    """The texts with the replacements of `MARKS`, each only where a character of it is."""
    data, offsets = bytes_of(text)
    some = np.flatnonzero(np.diff(offsets))
    flags = np.zeros(len(text), np.uint8)
    if len(some):
        flags[some] = np.bitwise_or.reduceat(_FLAGS[data], offsets[some])
    for (pattern, instead), flag in zip(MARKS, _NEEDED, strict=True):
        at = pa.array((flags & flag) != 0)
        if pc.any(at).as_py():
            text = pc.replace_with_mask(text, at, pc.replace_substring_regex(text.filter(at), pattern, instead))
    return text


def _kinds(data: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Whether each byte of UTF-8 belongs to a token, and whether to a character that is a token of its own."""
    kind = _known_kinds()
    within, alone = kind[data] != _BREAK, np.zeros(len(data), np.bool_)
    lead = np.flatnonzero(data >= 0xC0)
    if not len(lead):
        return within, alone
    size = 2 + (data[lead] >= 0xE0).astype(np.int64) + (data[lead] >= 0xF0)
    code = data[lead].astype(np.int64) & (0x7F >> size)
    for place in range(1, 4):
        more = size > place
        code[more] = (code[more] << 6) | (data[lead[more] + place] & 0x3F)
    _learn(code)
    for place in range(4):
        more = size > place
        within[lead[more] + place] = kind[code[more]] != _BREAK
        alone[lead[more] + place] = kind[code[more]] == _ALONE
    return within, alone


def _learn(codes: IntArray) -> None:
    """Ask the regular expressions about characters that were not met before."""
    kind = _known_kinds()
    new = np.unique(codes[kind[codes] == _UNKNOWN])
    if not len(new):
        return
    letters = pa.array([chr(code) for code in new])
    found = np.full(len(new), _WITHIN, np.uint8)
    found[pc.match_substring_regex(letters, f"[{UNSPACED}]").to_numpy(zero_copy_only=False)] = _ALONE
    found[pc.match_substring_regex(letters, WORD_BREAKS).to_numpy(zero_copy_only=False)] = _BREAK
    kind[new] = found


@cache
def _known_kinds() -> npt.NDArray[np.uint8]:
    """The kind of every character: of ASCII from the start, of others once they are met."""
    kind = np.full(sys.maxunicode + 1, _UNKNOWN, np.uint8)
    ascii_letters = pa.array([chr(code) for code in range(128)])
    breaks = pc.match_substring_regex(ascii_letters, WORD_BREAKS).to_numpy(zero_copy_only=False)
    kind[:128] = np.where(breaks, _BREAK, _WITHIN)
    return kind


def tokens(heads: pa.Array) -> pa.ListArray:
    """Tokens of the beginnings that `head` cut, list<string> of the same length; null stays null."""
    text = heads
    for pattern, instead in MARKS:
        text = pc.replace_substring_regex(text, pattern, instead)
    text = _spaced(text)
    text = pc.utf8_trim(pc.replace_substring_regex(text, WORD_BREAKS, " "), " ")
    return pc.split_pattern(text, " ")


def _spaced(text: pa.Array) -> pa.Array:
    """Blanks around every letter of a script that has none."""
    return pc.replace_substring_regex(text, f"([{UNSPACED}])", r" \1 ")
