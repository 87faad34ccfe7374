"""The store took nothing at the last attempt."""

from __future__ import annotations

from unquiet.selfwatch.facts import Facts
from unquiet.selfwatch.watch import OK, Seen, Watch, failing, said, unknown


def check(facts: Facts, now_us: int) -> Seen:
    """The last commit succeeded."""
    del now_us
    if facts.store_failed is None:
        return unknown("nothing was committed yet")
    if not facts.store_failed:
        return OK
    return failing(
        f"the last commit failed{said(facts.store_error)}",
        "Nothing is lost while the log has room. Check space, permissions and health of the disk under the folder; the "
        "commit is tried again by itself.",
    )


WATCH = Watch("store-failing", "critical", "the last commit to the store failed", "nothing was committed yet", check)
