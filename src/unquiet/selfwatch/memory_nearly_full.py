"""The process comes near the memory that it may use."""

from __future__ import annotations

from unquiet.selfwatch.facts import Facts
from unquiet.selfwatch.watch import OK, Seen, Watch, failing, unknown

MOST_SHARE = 0.9


def check(facts: Facts, now_us: int) -> Seen:
    """The process uses less than most of what it may."""
    del now_us
    used, limit = facts.memory_bytes, facts.memory_limit_bytes
    if used is None or not limit:
        return unknown("the memory in use, or its limit, is not known")
    if used < MOST_SHARE * limit:
        return OK
    return failing(
        f"{used / 1e6:.0f} of {limit / 1e6:.0f} MB are in use",
        "Give it more memory, or fewer streams: fewer facets to slice by. If the system stops the process, nothing "
        "acknowledged is lost.",
    )


WATCH = Watch(
    "memory-nearly-full",
    "warning",
    f"the process uses {MOST_SHARE * 100:.0f} % of the memory that it may",
    "the system does not say",
    check,
)
