"""Little room is left on the disk under the folder."""

from __future__ import annotations

from unquiet.selfwatch.facts import Facts
from unquiet.selfwatch.watch import OK, Seen, Watch, failing, unknown

GIB = 1 << 30
LEAST_BYTES = GIB
LEAST_SHARE, AMPLE_BYTES = 0.05, 20 * GIB


def check(facts: Facts, now_us: int) -> Seen:
    """There is room: what doors need, a GiB, and on all but large disks 5 %."""
    del now_us
    free, total = facts.disk_free_bytes, facts.disk_total_bytes
    if free is None:
        return unknown(
            "the free space is not known", "Check that the folder's file system can be asked for its free space."
        )
    share = None if not total else free / total
    least = max(LEAST_BYTES, facts.disk_limit_bytes)
    if free >= least and share is None:
        return unknown(
            "the size of the disk is not known", "Check that the folder's file system can be asked for its size."
        )
    if free >= least and (free >= AMPLE_BYTES or (share or 0.0) >= LEAST_SHARE):
        return OK
    part = "" if share is None else f", {share * 100:.1f} % of the disk"
    return failing(
        f"{free / GIB:.2f} GiB are free{part}",
        "Free some space or shorten the retention. Below `storage.disk_free_mb_min` doors answer 503 and exporters must wait.",
    )


WATCH = Watch(
    "disk-nearly-full",
    "error",
    "less than 1 GiB or than `storage.disk_free_mb_min` is free, or less than 5 % of the disk and less than 20 GiB",
    "the file system does not say",
    check,
)
