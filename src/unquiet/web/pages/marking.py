"""Texts of sessions in pieces: what answers began or stopped to say is marked where it stands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from unquiet.report.plain import cut, plain
from unquiet.web.pages.documents import Piece

Change = Literal["new", "gone"]

NOT_CAPTURED = "(content was not captured)"
STEP = " -> "
"""Between the tools of a step."""

LEAST_LETTERS = 4
"""A phrase with fewer letters stands everywhere and shows nothing."""

MARKED: Mapping[str, Change] = {"new": "new", "more": "new", "less": "gone", "gone": "gone"}
_SIGNS = {"0": r"\d+(?:[.,]\d+)*", "¶": r"", "•": r""}
"""What stands in phrases for any number, a new line, an item of a list."""


def phrases_of(answers: Sequence[Mapping[str, Any]], change: Change) -> re.Pattern[str] | None:
    """A pattern of the phrases that answers began (`new`) or stopped (`gone`) to say; None where there are none."""
    texts = [
        str(each.get("text", ""))
        for each in answers
        if each["what"] in ("phrase", "opening") and MARKED.get(each["change"]) == change
    ]
    found = [_pattern(text) for text in sorted(texts, key=len, reverse=True) if _letters(text) >= LEAST_LETTERS]
    return re.compile("|".join(found), re.IGNORECASE) if found else None


def tools_of(answers: Sequence[Mapping[str, Any]], change: Change) -> frozenset[str]:
    """The tools that the agent began (`new`) or stopped (`gone`) to go on to."""
    steps = [each for each in answers if each["what"] == "tool step" and MARKED.get(each["change"]) == change]
    return frozenset(str(each.get("text", "")).rpartition(STEP)[2] for each in steps)


def pieces(text: str | None, phrases: re.Pattern[str] | None, change: Change) -> list[Piece]:
    """A text as it may be shown, the phrases in it marked; a long one cut in its middle."""
    if text is None:
        return [Piece(text=NOT_CAPTURED, mark="cut")]
    part = cut(text)
    found = _marked(str(part["head"]), phrases, change)
    if part["left_out"]:
        found.append(Piece(text=f"[... {part['left_out']} characters not shown ...]", mark="cut"))
        found += _marked(str(part["tail"]), phrases, change)
    return found


def _marked(text: str, phrases: re.Pattern[str] | None, change: Change) -> list[Piece]:
    found, at = list[Piece](), 0
    for hit in phrases.finditer(text) if phrases is not None else ():
        if hit.start() > at:
            found.append(Piece(text=text[at : hit.start()]))
        found.append(Piece(text=hit[0], mark=change))
        at = hit.end()
    return [*found, Piece(text=text[at:])] if at < len(text) else found


def _pattern(text: str) -> str:
    """Words in their order with signs or blanks between them, as they were taken apart."""
    words = [_SIGNS[word] if word in _SIGNS else re.escape(word) for word in plain(text).split()]
    return r"[\W_]{0,8}".join(filter(None, words))


def _letters(text: str) -> int:
    # Scripts without blanks say in one sign what others say in three letters.
    return sum(3 if ord(each) > 0x2E7F else 1 for each in text if each.isalpha())
