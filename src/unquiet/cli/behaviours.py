"""Names of events as people read them: `refusal`, `tool mix (refund > end)`, `tool calls (lowest 10 %)`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from unquiet.incidents.wording import percent

_EVENT = re.compile(r"(?P<signal>[^:<>]+)(?P<test>:|>=|<q|>q|$)(?P<value>.*)", re.DOTALL)


def readable(event: str) -> str:
    """The name of an event, in words."""
    signal, test, value = _parts(event)
    words = signal.replace("_", " ")
    if test == ":":
        return f"{words} ({value.replace('END', 'end')})"
    if test == ">=":
        return words if value == "0.5" else f"{words} ({value} and more)"
    if test:
        tail = float(value) if test == "<q" else 1.0 - float(value)
        return f"{words} ({'lowest' if test == '<q' else 'highest'} {percent(tail)})"
    return words


def moved_with(document: Mapping[str, Any]) -> list[str]:
    """The other behaviours that moved with an incident's own, clearest first; a score once, whatever its levels."""
    seen: set[str] = {document["signal"]}
    names: list[str] = []
    for event in document["moved"]:
        signal, test, _ = _parts(event)
        if signal in seen and (test != ":" or signal == document["signal"]):
            continue
        seen.add(signal)
        names.append(readable(event))
    return list(dict.fromkeys(names))


def _parts(event: str) -> tuple[str, str, str]:
    found = _EVENT.fullmatch(event)
    return (found["signal"], found["test"], found["value"]) if found else (event, "", "")
