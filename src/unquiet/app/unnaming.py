"""Documents without the ids of some sessions and users: lists become shorter, in texts the ids are blotted out."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

from unquiet.model.slices import NOBODY

STRUCTURE = frozenset(
    {
        "id",
        "status",
        "signal",
        "event",
        "direction",
        "change",
        "what",
        "kind",
        "raised_at",
        "resolved_at",
        "told_at",
        "at",
    }
)
"""Fields that say what a document is; never somebody's id, even if somebody is called so."""

LEAST_DIGITS = 6
"""A shorter number in a text is hardly ever an id."""


def without(document: Any, ids: Collection[str]) -> Any:
    """The document without the ids; the same object where there is none in it.

    They leave lists; of the evidence of an incident whole pairs go. In texts they are replaced where they stand as words.
    """
    known = frozenset(ids)
    words = sorted((each for each in known if each and not (each.isdigit() and len(each) < LEAST_DIGITS)), key=len)
    pattern = (
        re.compile(r"(?<![\w@])(?:" + "|".join(map(re.escape, reversed(words))) + r")(?![\w@])") if words else None
    )
    return _without(document, known, _blotter(pattern))


def _blotter(pattern: re.Pattern[str] | None) -> Callable[[str], str]:
    def blot(text: str) -> str:
        return text if pattern is None or pattern.search(text) is None else pattern.sub(NOBODY, text)

    return blot


def _without(value: Any, ids: frozenset[str], blot: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return blot(value)
    if isinstance(value, list):
        items = [_without(item, ids, blot) for item in value if not (isinstance(item, str) and item in ids)]
        same = len(items) == len(value) and all(new is old for new, old in zip(items, value, strict=True))
        return value if same else items
    if not isinstance(value, dict):
        return value
    made: dict[Any, Any] = {}
    for key, item in (_paired(value, ids) if {"before", "after"} <= value.keys() else value).items():
        named = key if not isinstance(key, str) or key.isidentifier() else blot(key)
        if key in STRUCTURE and isinstance(item, str):
            made[key] = item
        elif isinstance(item, str) and item and item in ids:
            made[named] = NOBODY
        else:
            made[named] = _without(item, ids, blot)
    same = made.keys() == value.keys() and all(made[key] is value[key] for key in value)
    return value if same else made


def _paired(value: dict[Any, Any], ids: frozenset[str]) -> dict[Any, Any]:
    """Evidence without the pairs of which one is gone; lists that are no pairs lose only what is gone."""
    before, after = value["before"], value["after"]
    if not (isinstance(before, list) and isinstance(after, list)) or len(before) != len(after):
        return value
    kept = [pair for pair in zip(before, after, strict=True) if pair[0] not in ids and pair[1] not in ids]
    if len(kept) == len(before):
        return value
    return {**value, "before": [pair[0] for pair in kept], "after": [pair[1] for pair in kept]}
