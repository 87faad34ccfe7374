"""Nothing arrives at a time at which traffic is usual."""

from __future__ import annotations

from unquiet.selfwatch.facts import Facts, Silence
from unquiet.selfwatch.watch import OK, Seen, Watch, duration, failing, unknown

FRESH_S = 3600.0
UNLEARNED_S = 72 * 3600.0
"""Longer than a weekend: before a week is known, nobody can tell a quiet weekend from traffic that stopped."""

NEXT = (
    "Check that agents run, and that their exporter still sends here: its address, its token, its own log. If less traffic is "
    "right, it counts as usual after some weeks."
)


def check(facts: Facts, now_us: int) -> Seen:
    """Arrivals are no fewer than the learned week explains."""
    age_s = None if facts.last_arrival_us is None else (now_us - facts.last_arrival_us) / 1e6
    if facts.silence is not None:
        return failing(_told(facts.silence, now_us), NEXT) if facts.silence.unusual else OK
    if age_s is None:
        return unknown("nothing has arrived yet", "Point an exporter here: see the how-to of your tracing.")
    if age_s >= UNLEARNED_S:
        return failing(f"nothing has arrived for {duration(age_s)}; what is usual is not learned yet", NEXT, "warning")
    if age_s >= FRESH_S:
        return unknown(
            f"nothing has arrived for {duration(age_s)}; whether that is usual is known after a week of traffic",
            "If agents should be busy now, check their exporter.",
        )
    return OK


def _told(silence: Silence, now_us: int) -> str:
    span = duration((now_us - silence.since_us) / 1e6)
    came = "nothing has arrived" if silence.count == 0 else f"{silence.count} arrivals"
    return f"{came} in {span}, about {silence.expected:.0f} are usual at this time of the week"


WATCH = Watch(
    "traffic-stopped",
    "error",
    "arrivals fall below 5 % of what the learned week lets expect for this hour, with a probability below 1e-6 by chance. Before "
    f"a week is known: nothing for {UNLEARNED_S / 3600:.0f} hours (a warning)",
    "nothing ever arrived, or nothing for an hour and no week is known yet",
    check,
)
