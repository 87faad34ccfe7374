"""Tokens of the beginning of an answer, in any language: words, single characters of scripts without blanks, a few marks.

Lower-cased; digits are all the same digit, so that an order number is no news. Letters of scripts that are written without
blanks between words (Chinese, Japanese, Thai and their neighbours) are tokens of their own.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

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
WORD_BREAKS = r"[^\p{L}\p{M}\p{N}'¶•`?!%€$£]+"


def head(texts: pa.Array) -> pa.Array:
    """The beginnings of texts, lower-cased."""
    return pc.utf8_lower(pc.utf8_slice_codeunits(pc.utf8_ltrim_whitespace(texts), 0, HEAD_CHARACTERS))


def tokens(heads: pa.Array) -> pa.ListArray:
    """Tokens of the beginnings that `head` cut, list<string> of the same length; null stays null."""
    text = heads
    for pattern, instead in MARKS:
        text = pc.replace_substring_regex(text, pattern, instead)
    text = _spaced(text)
    text = pc.utf8_trim(pc.replace_substring_regex(text, WORD_BREAKS, " "), " ")
    return pc.split_pattern(text, " ")


def _spaced(text: pa.Array) -> pa.Array:
    """Blanks around every letter of a script that has none; texts without such letters are left alone."""
    wide = pc.fill_null(pc.match_substring_regex(text, f"[{UNSPACED}]"), False)
    if not pc.any(wide).as_py():
        return text
    return pc.if_else(wide, pc.replace_substring_regex(text, f"([{UNSPACED}])", r" \1 "), text)
