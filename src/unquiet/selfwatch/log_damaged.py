"""Records of the write-ahead log could not be read back."""

from __future__ import annotations

from unquiet.model.wording import counted
from unquiet.selfwatch.facts import Facts
from unquiet.selfwatch.watch import OK, Seen, Watch, failing, unknown


def check(facts: Facts, now_us: int) -> Seen:
    """Every record of the log was read back as it was written, or what could not be was seen to by somebody."""
    del now_us
    if facts.damaged_records is None or facts.damaged_kept is None:
        return unknown("the log does not report")
    count = max(facts.damaged_records, facts.damaged_kept)
    if not count:
        return OK
    return failing(
        f"{counted(count, 'piece')} of the log could not be read back",
        "What was in them is lost though it was acknowledged: the disk or its file system changed data. Check both. They are kept "
        "in wal/quarantine, in files that end in .bin: move these away when you are done, and this is over ten minutes later.",
    )


WATCH = Watch(
    "log-damaged",
    "error",
    "a piece of the log could not be read back in the last ten minutes, or one is still in `wal/quarantine`",
    "the log does not report",
    check,
)
