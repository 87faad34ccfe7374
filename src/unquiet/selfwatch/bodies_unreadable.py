"""Something that a door took could not be made into turns: it is put aside, and not watched."""

from __future__ import annotations

from unquiet.selfwatch.facts import Facts
from unquiet.selfwatch.watch import OK, Seen, Watch, failing, said, unknown


def check(facts: Facts, now_us: int) -> Seen:
    """Whatever was taken in was understood."""
    del now_us
    if facts.unreadable is None or facts.put_aside is None:
        return unknown("what could not be read is not reported")
    count = max(facts.unreadable, facts.put_aside)
    if not count:
        return OK
    return failing(
        f"{count} bodies, traces or turns that were acknowledged could not be read{said(facts.unreadable_error)}",
        "What is in them is not watched; everything else is. This is a defect: report the place of the error and the version of "
        "unquiet. They are kept in wal/quarantine: remove them when you are done.",
    )


WATCH = Watch(
    "bodies-unreadable",
    "error",
    "a body, a trace or a turn could not be read in the last ten minutes, or one is still in `wal/quarantine`",
    "the log does not report",
    check,
)
