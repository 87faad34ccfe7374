"""The sentence that a tired person understands."""

from __future__ import annotations

from datetime import UTC, datetime

from unquiet.incidents.exposure import Exposure
from unquiet.incidents.places import place
from unquiet.model.incidents import Onset
from unquiet.model.slices import Slice
from unquiet.model.wording import percent


def title(phrase: str, where: Slice, onset: Onset, exposed: Exposure, measure: str = "") -> str:
    """What changed, for whom, by how much, since when, how many, in one sentence.

    `refuses refund requests in German: 2 % -> 61 % since Tue 17 Mar 14:10 (13:50-14:35 UTC), about 96 sessions`.
    `measure` says what the percentages of a number count: `shorter than 90 % of usual answers`.
    """
    rates = f"{percent(exposed.expected_rate)} -> {percent(exposed.after_rate)}"
    subject = place(phrase, where)
    if measure:
        subject, rates = f"{subject} ({measure})", f"{rates} of sessions"
    count = round(abs(exposed.excess))
    return f"{subject}: {rates} since {span(onset)}, about {count} {'session' if count == 1 else 'sessions'}"


def span(onset: Onset) -> str:
    """`Tue 24 Mar 14:10 (13:50-14:35 UTC)`, with days where the interval leaves the day."""
    at, low, high = (datetime.fromtimestamp(us / 1e6, UTC) for us in (onset.at_us, onset.earliest_us, onset.latest_us))
    if low.date() == at.date() == high.date():
        return f"{at:%a %d %b %H:%M} ({low:%H:%M}-{high:%H:%M} UTC)"
    return f"{at:%a %d %b %H:%M} ({low:%d %b %H:%M} - {high:%d %b %H:%M} UTC)"
