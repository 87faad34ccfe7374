"""Doors turn spans away: what they describe is not watched."""

from __future__ import annotations

from unquiet.selfwatch.facts import Facts
from unquiet.selfwatch.watch import OK, Seen, Watch, failing, listed, unknown

MOST_SHARE = 0.05
LEAST_SPANS = 10


def check(facts: Facts, now_us: int) -> Seen:
    """Nearly all offered spans are taken in."""
    del now_us
    if facts.rejected is None or facts.offered is None:
        return unknown("the doors do not report what they reject")
    count = sum(facts.rejected.values())
    if count < LEAST_SPANS or count < MOST_SHARE * facts.offered:
        return OK
    worst = [f"{reason}: {n}" for reason, n in sorted(facts.rejected.items(), key=lambda item: -item[1])[:3] if n]
    return failing(
        f"{count} of {max(count, facts.offered)} spans of the last ten minutes were rejected ({listed(worst)})",
        "The exporter is told the reason with every rejection; see its log. Correct what it sends, or its limits and token.",
    )


WATCH = Watch(
    "spans-rejected",
    "error",
    f"doors rejected {MOST_SHARE * 100:.0f} % of the spans offered in the last ten minutes, and {LEAST_SPANS} at least",
    "the doors do not report",
    check,
)
