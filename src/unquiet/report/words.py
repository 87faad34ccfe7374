"""Moments, spans and the values of panels as people read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from unquiet.model.wording import counted, percent
from unquiet.report.plain import one_line

Document = Mapping[str, Any]

_TITLE = re.compile(
    r"^(?P<subject>.*?)(?: \((?P<measure>[^()]*)\))?: [\d.]+ % -> [\d.]+ %(?P<numbered> of sessions)? since ", re.DOTALL
)
MIX = "mix"


def moment(text: str, *, year: bool = False) -> str:
    """An ISO moment in UTC: `Tue 10 Mar 14:09 UTC`, with the year `Tue 10 Mar 2026, 14:09 UTC`."""
    at = datetime.fromisoformat(text)
    return f"{at:%a %d %b %Y, %H:%M} UTC" if year else f"{at:%a %d %b %H:%M} UTC"


def day(text: str) -> str:
    """`Tue 10 Mar`."""
    return f"{date.fromisoformat(text[:10]):%a %d %b}"


def span(begin: str, end: str) -> str:
    """The time between two moments: `18 min`, `2 h 11 min`, `3 days 4 h`; empty where the second is the earlier."""
    minutes = round((datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds() / 60)
    if minutes < 0:
        return ""
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min"
    return f"{counted(hours // 24, 'day')} {hours % 24} h"


def interval(onset: Document) -> str:
    """`between 13:37 and 14:23, most likely 14:09`, with days where the interval leaves the day."""
    at, low, high = (datetime.fromisoformat(onset[name]) for name in ("at", "earliest", "latest"))
    form = "%H:%M" if low.date() == at.date() == high.date() else "%a %d %b %H:%M"
    return f"between {low:{form}} and {high:{form}}, most likely {at:{form}}"


def subject(document: Document) -> tuple[str, str]:
    """What the agent does, without numbers, and what is counted where it is a number: `answers more briefly`, `shorter than ...`.

    `refuses refund requests in German (de-DE)` counts itself, so the second is empty.
    """
    found = _TITLE.match(document["title"])
    if not found:
        return one_line(document["title"], 300), ""
    what, bracket = found["subject"], found["measure"]
    if bracket and (not found["numbered"] or document["signal"] == MIX):
        return one_line(f"{what} ({bracket})", 300), ""
    return one_line(what, 300), one_line(bracket or "")


def doing(document: Document) -> str:
    """The same with who does it: `the agent refuses ...`; of an incident of the mix the users do it."""
    what, _ = subject(document)
    return what if document["signal"] == MIX else f"the agent {what}"


def where(slice_: Mapping[str, str]) -> str:
    """A slice by its facets: `intent=refund, locale=de-DE`."""
    named = (f"{one_line(name, 60)}={one_line(value, 80)}" for name, value in slice_.items())
    return ", ".join(named) or "all traffic"


def share(rate: float | None) -> str:
    """A rate, or that it is not known."""
    return "unknown" if rate is None or rate != rate else percent(rate)


def panel_value(value: float | None, unit: str) -> str:
    """A value of a panel with its unit; `-` where there is none."""
    if value is None:
        return "-"
    if unit == "share":
        return percent(value)
    if unit == "ms":
        return f"{value / 1000:.1f} s" if value >= 1000 else f"{value:.0f} ms"
    return f"{value:.0f}"


def panel_verdict(panel: Document) -> str:
    """What a panel did since the onset, and before: `fired Sat 14 Mar 00:00 UTC (1 of 6; before 1 of 8)`."""
    if panel["verdict"] == "unknown":
        return str(panel["why"]) if str(panel["why"]).startswith("not ") else f"unknown: {panel['why']}"
    if panel["verdict"] == "flat":
        return f"flat ({panel['why']})" if panel["why"] else "flat"
    counts = f"{panel['fired']} of {panel['judged']}; before {panel['fired_before']} of {panel['judged_before']}"
    return f"fired {day(panel['first_fired_at'])} ({counts})"
