"""Texts of others made harmless to read: without control characters and overrides of direction, long ones cut."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

HEAD, TAIL = 900, 300
"""Characters of a longer text that are shown of its beginning and of its end: a change may sit in either."""

LINE = 160
"""Characters of a name that are shown on one line."""

MOST_MARKS = 3
"""Marks above and below a letter; scripts that need them need no more, and a tower of them hides the lines around it."""

JOINERS = {"\u200c", "\u200d"}
"""Invisible, but words of some scripts and signs of emoji are put together with them."""

_MARK = r"[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]"
_MARKS = re.compile(f"({_MARK}{{{MOST_MARKS}}}){_MARK}+")


def plain(text: str | None) -> str:
    """A text as it may be shown: line breaks stay, what cannot be seen is written as its code, `[U+202E]`."""
    if text is None:
        return ""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    shown = "".join(each if each == "\n" or each.isprintable() else _code(each) for each in lines)
    return _MARKS.sub(r"\1", shown)


def one_line(text: str | None, most: int = LINE) -> str:
    """A name or a title: on one line, cut after `most` characters."""
    flat = " ".join(plain((text or "")[: 4 * most]).split())
    return flat if len(flat) <= most else flat[: most - 3].rstrip() + "..."


def cut(text: str) -> Mapping[str, str | int]:
    """A text in two parts, `head` and `tail`, with the number of characters `left_out` between them (0: all is in `head`)."""
    if len(text) <= HEAD + TAIL + 80:
        return {"head": plain(text), "tail": "", "left_out": 0}
    return {"head": plain(text[:HEAD]), "tail": plain(text[-TAIL:]), "left_out": len(text) - HEAD - TAIL}


def _code(each: str) -> str:
    if each in JOINERS:
        return each
    if each == "\t" or unicodedata.category(each) == "Zs":
        return " "
    return f"[U+{ord(each):04X}]"
