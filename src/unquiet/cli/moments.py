"""Moments as people read them: `Tue 10 Mar 14:09 UTC`, the date once where it is the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime


def moment(text: str) -> str:
    """An ISO moment in UTC as a person writes it: `Tue 17 Mar 14:10 UTC`."""
    return f"{datetime.fromisoformat(text):%a %d %b %H:%M} UTC"


def clock(text: str, near: datetime) -> str:
    """A moment, its date only where it is not that of `near`."""
    at = datetime.fromisoformat(text)
    return f"{at:%H:%M}" if at.date() == near.date() else f"{at:%a %d %b %H:%M}"


def interval(onset: Mapping[str, str]) -> str:
    """`Tue 10 Mar 14:09 UTC (13:31 to 14:23)`."""
    at = datetime.fromisoformat(onset["at"])
    return f"{moment(onset['at'])} ({clock(onset['earliest'], at)} to {clock(onset['latest'], at)})"
