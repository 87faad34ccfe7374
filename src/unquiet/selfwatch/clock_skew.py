"""The clock of a source is not ours: onsets and sessions of its traffic are misplaced."""

from __future__ import annotations

from unquiet.selfwatch.facts import Facts
from unquiet.selfwatch.watch import OK, Seen, Watch, duration, failing, listed, unknown

MOST_AHEAD_S = 60.0
MOST_BEHIND_S = 1800.0
"""Exporters send within seconds; a session is closed after half an hour."""


def check(facts: Facts, now_us: int) -> Seen:
    """The spans of every source end about when they arrive."""
    del now_us
    if facts.skew_s is None:
        return unknown("the times of spans are not compared with their arrival")
    told = [
        f"{name or 'the source without a name'} is {duration(abs(skew))} {'ahead' if skew < 0 else 'behind'}"
        for name, skew in facts.skew_s.items()
        if skew <= -MOST_AHEAD_S or skew >= MOST_BEHIND_S
    ]
    if told:
        return failing(
            f"times of spans do not fit their arrival: {listed(told)}",
            "Synchronise the clocks of both machines (NTP). Behind may also be a backlog or a backfill: then it ends with it.",
        )
    return OK if facts.skew_s else unknown("no span has arrived yet", "Point an exporter here.")


WATCH = Watch(
    "clock-skew",
    "warning",
    f"the spans of a source end {MOST_AHEAD_S:.0f} s after their arrival, or {MOST_BEHIND_S / 60:.0f} minutes before it "
    "(median of its latest bodies)",
    "no span has arrived since the start",
    check,
)
