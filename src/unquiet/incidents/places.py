"""Where a change is, in words: `refund requests in German (de-DE) for tenant harbor where channel is web`."""

from __future__ import annotations

import re

from unquiet.incidents.tongues import code_of, language_name
from unquiet.model.slices import Slice

REQUEST = "request"
"""The facet made of the text of the requests."""

_INTENT = re.compile(r"(?:^|[._-])(?:intent|task|use_?case|topic)(?:$|[._-])", re.IGNORECASE)
_LANGUAGE = re.compile(r"(?:^|[._-])(?:lang|language|locale)(?:$|[._-])", re.IGNORECASE)
_OTHER_LANGUAGE = re.compile(r"output|answer|response|target|programming|code", re.IGNORECASE)
_TENANT = re.compile(
    r"(?:^|[._-])(?P<who>tenant|customer|client|account|organi[sz]ation|org|workspace|team)(?:$|[._-](?:id|name)$)",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[^\W\d]{3,}(?: \w+)*")
_MOST_LETTERS = 48

Condition = tuple[str, str]


def place(phrase: str, where: Slice) -> str:
    """The phrase and the slice, joined: `refuses refund requests in German`, `calls no tool in all traffic`.

    A phrase of one word takes the requests as its object. What no rule knows is said as `where facet is value`.
    """
    if not where.conditions:
        return f"{phrase} in all traffic"
    left = _without_repeated_language(list(where.conditions))
    requests, left = _requests(left)
    language, left = _language(left)
    if language and not requests:
        requests = "requests"
    tenants = [f"for {found} {value}" for facet, value in left if (found := _tenant(facet))]
    others = [f"{facet} is {value}" for facet, value in left if not _tenant(facet)]
    joined = requests if " " not in phrase else f"on {requests}"
    parts = [phrase, joined if requests else "", language, *tenants, f"where {' and '.join(others)}" if others else ""]
    return " ".join(part for part in parts if part)


def _requests(conditions: list[Condition]) -> tuple[str, list[Condition]]:
    """What is asked, from the first facet that says so, and the other conditions."""
    ranked = sorted(conditions, key=lambda pair: "intent" not in pair[0].lower())
    for facet, value in ranked:
        words = _asked(facet, value)
        if words:
            return words, [pair for pair in conditions if pair != (facet, value)]
    return "", conditions


def _asked(facet: str, value: str) -> str:
    if facet == REQUEST:
        kind = re.sub(r" \(\d+\)$", "", value)
        return "requests of a new kind" if value == "(new kind)" else f'requests like "{kind}"'
    if not _INTENT.search(facet):
        return ""
    words = re.sub(r"[\s_./-]+", " ", value).strip()
    words = re.sub(r" ?\brequests?$", "", words, flags=re.IGNORECASE)
    return f"{words} requests" if _WORDS.fullmatch(words) and len(words) <= _MOST_LETTERS else ""


def _language(conditions: list[Condition]) -> tuple[str, list[Condition]]:
    for facet, value in conditions:
        name = language_name(value) if _tells_language(facet) else None
        if name:
            return f"in {name}", [pair for pair in conditions if pair != (facet, value)]
    return "", conditions


def _without_repeated_language(conditions: list[Condition]) -> list[Condition]:
    """Leave out a language that a locale beside it says more exactly."""
    tongues = [(len(value), pair) for pair in conditions if _tells_language(pair[0]) and code_of(value := pair[1])]
    if len(tongues) < 2 or len({code_of(pair[1]) for _, pair in tongues}) > 1:
        return conditions
    exact = max(tongues)[1]
    return [pair for pair in conditions if pair == exact or pair not in [other for _, other in tongues]]


def _tells_language(facet: str) -> bool:
    return bool(_LANGUAGE.search(facet)) and not _OTHER_LANGUAGE.search(facet)


def _tenant(facet: str) -> str:
    match = _TENANT.search(facet)
    return match["who"].lower() if match else ""
