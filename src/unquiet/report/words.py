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
NOTHING_UNUSUAL = "nothing unusual"
WHOLE_HOURS_FROM = 10
"""From so many hours on a span does not say its minutes."""


def moment(text: str, *, year: bool = False) -> str:
    """An ISO moment in UTC: `Tue 10 Mar 14:09 UTC`, with the year `Tue 10 Mar 2026, 14:09 UTC`."""
    at = datetime.fromisoformat(text)
    return f"{at:%a %d %b %Y, %H:%M} UTC" if year else f"{at:%a %d %b %H:%M} UTC"


def day(text: str) -> str:
    """`Tue 10 Mar`."""
    return f"{date.fromisoformat(text[:10]):%a %d %b}"


def span(begin: str, end: str) -> str:
    """The time between two moments: `18 min`, `2 h 11 min`, `21 h`, `3 days 4 h`; empty where the second is the earlier."""
    minutes = round((datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds() / 60)
    if minutes < 0:
        return ""
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < WHOLE_HOURS_FROM:
        return f"{hours} h {rest} min"
    if hours < 48:
        return f"{round(minutes / 60)} h"
    return f"{counted(hours // 24, 'day')} {hours % 24} h"


def interval(onset: Document) -> str:
    """`between 13:37 and 14:23, most likely 14:09`, with days where the interval leaves the day."""
    form = _onset_form(onset)
    return f"{bounds(onset)}, most likely {datetime.fromisoformat(onset['at']):{form}}"


def bounds(onset: Document) -> str:
    """The same without its most likely moment: `between 13:37 and 14:23`."""
    low, high = (datetime.fromisoformat(onset[name]) for name in ("earliest", "latest"))
    form = _onset_form(onset)
    return f"between {low:{form}} and {high:{form}}"


def _onset_form(onset: Document) -> str:
    days = {datetime.fromisoformat(onset[name]).date() for name in ("at", "earliest", "latest")}
    return "%H:%M" if len(days) == 1 else "%a %d %b %H:%M"


def is_inside(at: str, onset: Document) -> bool:
    """Whether a moment lies in the interval of an onset."""
    low, high = (datetime.fromisoformat(onset[name]) for name in ("earliest", "latest"))
    return low <= datetime.fromisoformat(at) <= high


def fit(at: str, onset: Document) -> str:
    """Where a change lies against an onset: `inside the possible start time, 51 min after the most likely moment`."""
    early = span(at, onset["at"])
    away = f"{early} before" if early else f"{span(onset['at'], at)} after"
    if is_inside(at, onset):
        place = "inside the possible start time"
    else:
        place = f"{'before' if early else 'after'} the possible start time"
    return f"{place}, {away} the most likely moment"


def amount(found: Document, noun: str, *, named: str = "") -> str:
    """A number with its interval: `about 52 conversations (48 to 57)`; `52 conversations` where rounding leaves no interval."""
    said, low, high = counted(round(found["estimate"]), noun), round(found["low"]), round(found["high"])
    return said if low == high else f"about {said} ({named}{low} to {high})"


def people(users: int | None, excess: Document) -> str:
    """`about 91 users`; `52 users` where the number of conversations, `excess`, has no interval; empty where unknown."""
    if not users:
        return ""
    about = "" if round(excess["low"]) == round(excess["high"]) else "about "
    return about + counted(users, "user")


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


def panel_chip(verdict: str) -> str:
    """The verdict on a panel in a word or two."""
    return NOTHING_UNUSUAL if verdict == "flat" else verdict


def panel_verdict(panel: Document) -> str:
    """What a panel did since the onset, and before: `fired Sat 14 Mar 00:00 UTC (1 of 6; before 1 of 8)`."""
    if panel["verdict"] == "unknown":
        return str(panel["why"]) if str(panel["why"]).startswith("not ") else f"unknown: {panel['why']}"
    if panel["verdict"] == "flat":
        return f"{NOTHING_UNUSUAL} since ({panel['why']})" if panel["why"] else f"{NOTHING_UNUSUAL} since"
    counts = f"{panel['fired']} of {panel['judged']}; before {panel['fired_before']} of {panel['judged_before']}"
    return f"fired {day(panel['first_fired_at'])} ({counts})"
