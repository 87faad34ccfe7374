"""Ticks are not judged when they are due."""

from __future__ import annotations

from unquiet.selfwatch.facts import Facts
from unquiet.selfwatch.watch import OK, Seen, Watch, duration, failing, said, unknown

GRACE_S = 90.0


def check(facts: Facts, now_us: int) -> Seen:
    """The last tick is no older than the distance of two."""
    del now_us
    if facts.tick_age_s is None:
        return unknown("no tick was judged yet")
    if facts.tick_age_s < facts.tick_every_s + GRACE_S:
        return OK
    return failing(
        f"the last tick was judged {duration(facts.tick_age_s)} ago, one is due every "
        f"{duration(facts.tick_every_s)}{said(facts.tick_error)}",
        "No incident can be raised meanwhile. Look into the log for the error of detection; what was taken in is judged when "
        "it goes on.",
    )


WATCH = Watch(
    "detection-stalled",
    "critical",
    f"a tick is overdue by {GRACE_S:.0f} s",
    "no tick was judged since the start",
    check,
)
