"""A behaviour signal fails on turns: the monitor is blind in one eye."""

from __future__ import annotations

from unquiet.selfwatch.facts import Facts
from unquiet.selfwatch.watch import OK, Seen, Watch, failing, listed, unknown

MOST_SHARE = 0.05
LEAST_FAILURES = 5


def check(facts: Facts, now_us: int) -> Seen:
    """Every signal measures nearly all turns."""
    del now_us
    if facts.signals is None:
        return unknown("failures of measurement are not reported")
    bad = {n: s for n, s in facts.signals.items() if s.hits >= LEAST_FAILURES and s.value >= MOST_SHARE}
    if bad:
        told = [f"{name} ({share.hits} of {share.of} turns)" for name, share in bad.items()]
        return failing(
            f"measurements fail: {listed(told)}",
            "These behaviours are not watched on the turns on which it fails. The log has the first error of each signal; "
            "report it with the version of unquiet.",
        )
    if any(share.of for share in facts.signals.values()):
        return OK
    return unknown(
        "nothing was measured yet", "Wait until the first sessions are over: they are measured then, not turn by turn."
    )


WATCH = Watch(
    "signal-failing",
    "error",
    f"a signal failed on {MOST_SHARE * 100:.0f} % of the latest turns, and on {LEAST_FAILURES} at least",
    "nothing was measured yet",
    check,
)
