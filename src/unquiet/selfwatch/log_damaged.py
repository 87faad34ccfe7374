"""Records of the write-ahead log could not be read back."""

from __future__ import annotations

from unquiet.model.wording import counted
from unquiet.selfwatch.facts import Facts
from unquiet.selfwatch.watch import OK, Seen, Watch, failing, unknown


def check(facts: Facts, now_us: int) -> Seen:
    """Every record of the log was read back as it was written."""
    del now_us
    if facts.damaged_records is None:
        return unknown("the log does not report")
    if facts.damaged_records == 0:
        return OK
    return failing(
        f"{counted(facts.damaged_records, 'record')} of the log could not be read back",
        "What was in them is lost though it was acknowledged: the disk or its file system changed data. Check both. The "
        "damaged segments are kept in the folder; move them away when you are done.",
    )


WATCH = Watch(
    "log-damaged",
    "error",
    "a segment of the log holds records that cannot be read back",
    "the log does not report",
    check,
)
