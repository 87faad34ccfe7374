"""Spans come after their session was judged: counted, but seen by no signal."""

from __future__ import annotations

from unquiet.selfwatch.facts import Facts
from unquiet.selfwatch.watch import OK, Seen, Watch, failing, unknown

MOST_SHARE = 0.1
LEAST_SPANS = 20


def check(facts: Facts, now_us: int) -> Seen:
    """Nearly all spans come before their session closes."""
    del now_us
    if facts.late is None:
        return unknown("late spans are not reported")
    late = facts.late
    if late.hits < LEAST_SPANS or late.value < MOST_SHARE:
        return OK
    return failing(
        f"{late.hits} of {late.of} spans of the last ten minutes came after their session had closed",
        "An exporter or collector holds spans back, or sends what it had kept. If that is usual there, lengthen the idle time "
        "that closes a session.",
    )


WATCH = Watch(
    "spans-late",
    "warning",
    f"{MOST_SHARE * 100:.0f} % of the spans of the last ten minutes, and {LEAST_SPANS} at least, came after their session "
    "had closed",
    "the drain does not report",
    check,
)
