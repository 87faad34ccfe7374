"""What was taken in is not worked off: the drain hangs, fails again and again, or falls behind."""

from __future__ import annotations

from unquiet.selfwatch.facts import Facts
from unquiet.selfwatch.watch import OK, Seen, Watch, duration, failing, said, unknown

MOST_AGE_S = 60.0
MOST_FAILURES = 3
MOST_LAG_S = 600.0

NEXT = (
    "Nothing is lost: bodies wait in the log. Look into the service's log for the drain's error, and at processor, disk and "
    "memory; a restart begins again where the drain stopped."
)


def check(facts: Facts, now_us: int) -> Seen:
    """The drain goes on and is not far behind."""
    del now_us
    waiting, lag, age, failures = facts.undrained_bytes, facts.undrained_s, facts.drain_age_s, facts.drain_failures
    if failures is not None and failures >= MOST_FAILURES:
        return failing(f"the drain failed {failures} times in a row{said(facts.drain_error)}", NEXT)
    if age is not None and age >= MOST_AGE_S and waiting != 0:
        amount = "an unknown amount" if waiting is None else f"{waiting / 1e6:.1f} MB"
        return failing(f"no progress for {duration(age)}, {amount} waiting{said(facts.drain_error)}", NEXT)
    if lag is not None and lag >= MOST_LAG_S:
        why = "more comes in than is worked off, or the service was away"
        return failing(f"the oldest body has waited for {duration(lag)} since it arrived: {why}", NEXT)
    missing = [
        name
        for name, value in (("bytes", waiting), ("lag", lag), ("progress", age), ("failures", failures))
        if value is None
    ]
    return unknown(f"the drain does not report its {', '.join(missing)}") if missing else OK


WATCH = Watch(
    "drain-stalled",
    "critical",
    f"bodies wait and the drain made no progress for {MOST_AGE_S:.0f} s, or it failed {MOST_FAILURES} times in a row, or the "
    f"oldest body has waited for {MOST_LAG_S / 60:.0f} minutes since it arrived",
    "the drain does not report",
    check,
)
