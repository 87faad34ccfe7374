"""A failure that would have been heard a month ago would not be heard now: unquiet has become deaf to it."""

from __future__ import annotations

from datetime import UTC, datetime

from unquiet.selfwatch.facts import Facts
from unquiet.selfwatch.watch import OK, Seen, Watch, duration, failing, listed, said, unknown

MOST_AGE_S = 50 * 3600.0
"""Two nights, and two hours for a night that took long."""


def check(facts: Facts, now_us: int) -> Seen:
    """Every drill that was found in the last month is found in the last night."""
    nights = facts.nights
    if nights is None:
        return unknown("the scorecards of drills are not reported")
    if nights.lost:
        at = "" if nights.last_us is None else f" since the night of {_day(nights.last_us)}"
        return failing(
            f"no longer found: {listed(nights.lost)}{at}, and in the nights of the last month they were",
            "Failures like these would go unheard now. Look at what changed in the traffic or in unquiet (volume, facets, content, "
            "languages, version) with `unquiet status`, and rehearse with `unquiet drill --preset NAME` on a copy of the folder.",
        )
    if not nights.expected:
        return OK
    if nights.last_us is None:
        return unknown(f"no night was rehearsed yet{said(nights.error)}", "Wait for the night, and for enough traffic.")
    age_s = (now_us - nights.last_us) / 1e6
    if age_s >= MOST_AGE_S:
        return unknown(
            f"the last night was rehearsed {duration(age_s)} ago{said(nights.error)}",
            "Look into the output of the service for what ended the night.",
        )
    return OK


def _day(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%a %d %b}"


WATCH = Watch(
    "drill-lost",
    "error",
    "a drill that was found in the nights of the last month was not found in the last one (see `unquiet drill --nightly`)",
    f"nightly drills are configured, and none has run for {MOST_AGE_S / 3600:.0f} hours",
    check,
)
