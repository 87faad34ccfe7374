"""Suspects: changes that were made near the onset. Consistent with the change, never its cause."""

from __future__ import annotations

from collections.abc import Sequence

from unquiet.model.changes import Change
from unquiet.model.incidents import Onset

HOUR_US = 3_600_000_000
NEAR_US = 24 * HOUR_US
SAME_US = 6 * HOUR_US
MOST = 5
SEEN = "first seen in traffic"


def rank_suspects(changes: Sequence[Change], onset: Onset) -> list[Change]:
    """Changes from a day before the onset interval to its end, the nearest to the onset first.

    A change after the interval cannot have brought the onset and is never listed. The same change from two sources
    (an announcement and the first sight in the traffic) is listed once, as announced.
    """
    near = [c for c in changes if onset.earliest_us - NEAR_US <= micros(c) <= onset.latest_us]
    announced = [c for c in near if c.source != SEEN]
    near = [c for c in near if c.source != SEEN or not any(_same(c, other) for other in announced)]
    near.sort(key=lambda c: (_distance(micros(c), onset), abs(micros(c) - onset.at_us), c.kind))
    kept: list[Change] = []
    for change in near:
        if not any(_same(change, other) for other in kept):
            kept.append(change)
    return kept[:MOST]


def micros(change: Change) -> int:
    """When a change was made, in microseconds since 1970."""
    return round(change.at.timestamp() * 1e6)


def _distance(at_us: int, onset: Onset) -> int:
    return max(onset.earliest_us - at_us, 0)


def _same(a: Change, b: Change) -> bool:
    return a.after == b.after and abs(micros(a) - micros(b)) <= SAME_US
