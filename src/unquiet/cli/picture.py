"""A change as two lines of text: the rate of every day, what was to be expected, and where onset and alarm are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from unquiet.incidents.wording import percent

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN = "_.-~=+*#"
"""The same where the output knows no blocks."""

NAME_WIDTH = 10
Days = Sequence[Mapping[str, Any]]


def picture(document: Mapping[str, Any], *, plain: bool = False) -> list[str]:
    """The lines of an incident's picture; none where the document has no days."""
    days: Days = document.get("by_day") or ()
    if not days:
        return []
    top = max(max(float(day["rate"] or 0.0), float(day["expected"] or 0.0)) for day in days)
    blocks = PLAIN if plain else BLOCKS
    first, last = (_date(days[i]["day"]) for i in (0, -1))
    marks = _marks(document, first, len(days))
    legend = ", ".join(f"{sign} {what} {at:%a %d %b}" for sign, what, at in marks)
    signs = {(at - first).days: sign for sign, _, at in marks}
    return [
        _line("per day", _bars(days, "rate", top, blocks), f"0 to {percent(top)} of sessions"),
        _line("expected", _bars(days, "expected", top, blocks), f"{first:%a %d %b} to {last:%a %d %b}"),
        _line("", "".join(signs.get(i, " ") for i in range(len(days))), legend),
    ]


def _line(name: str, bars: str, said: str) -> str:
    return f"{name:<{NAME_WIDTH}}{bars}  {said}"


def _bars(days: Days, key: str, top: float, blocks: str) -> str:
    """One character a day, the higher the more; a blank for a day without sessions."""
    most = len(blocks) - 1
    rates: list[float | None] = [day[key] for day in days]
    return "".join(" " if rate is None else blocks[round(most * rate / top) if top else 0] for rate in rates)


def _marks(document: Mapping[str, Any], first: date, count: int) -> list[tuple[str, str, date]]:
    """Sign, meaning and day of what happened, in order; things of one day share a sign."""
    told = [("^", "onset", document["onset"]["at"]), ("!", "raised", document["raised_at"])]
    if document.get("resolved_at"):
        told.append(("=", "back to before", document["resolved_at"]))
    marks: list[tuple[str, str, date]] = []
    for sign, what, text in told:
        at = _date(text)
        if not 0 <= (at - first).days < count:
            continue
        if marks and marks[-1][2] == at:
            marks[-1] = (marks[-1][0], f"{marks[-1][1]} and {what}", at)
        else:
            marks.append((sign, what, at))
    return marks


def _date(text: str) -> date:
    return datetime.fromisoformat(text).date()
