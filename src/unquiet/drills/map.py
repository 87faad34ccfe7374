"""What the detectability map says of a failure that was or was not heard."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from unquiet.model.detectability import DetectabilityMap, Direction, Point
from unquiet.model.slices import Slice
from unquiet.model.wording import counted, percent

SURELY = "9 times in 10"


def explains(
    map_: DetectabilityMap,
    where: Slice,
    signals: Sequence[str],
    share: float,
    days: float,
    direction: Direction = "up",
) -> str:
    """Whether and why a failure that was missed lies below the map, as a sentence.

    The failure was in `where`, met `share` of the slice's sessions in [0, 1], shows in `signals` in each of them (the one that
    hears it best counts) and was listened for during `days`. Where it should have been heard, the sentence says so.
    """
    met = f"met {percent(share)} of {_of(where)}"
    points = [point_of(map_, where, signal, direction) for signal in signals]
    known = [point for point in points if point is not None and point.smallest is not None]
    if not known:
        return f"{met}; {_unknown(where, signals, points)}"
    best = min(known, key=lambda point: _least(point, days) or math.inf)
    least, within = _least(best, days), f"within {counted(round(days, 1), 'day')}"
    if least is None:
        return f"{met}; {within} not even a failure in all of its sessions is heard by {best.signal} {SURELY}"
    smallest = f"{within} the smallest that {best.signal} hears {SURELY} is {percent(least)}"
    if share < least:
        return f"{met}; {smallest}"
    return f"{met}; {smallest}, so it should have been heard: the map does not explain this miss"


def point_of(map_: DetectabilityMap, where: Slice, signal: str, direction: Direction = "up") -> Point | None:
    """The point of a slice and signal; None where the map has none."""
    found = [p for p in map_.points if (p.slice, p.signal) == (where, signal)]
    return next((p for p in found if p.direction == direction), next((p for p in found if p.why), None))


def _least(point: Point, days: float) -> float | None:
    """The smallest share within some days: between two times of the map on a line in logarithms, before the first that of it."""
    known = {at: share for at, share in (point.smallest or {}).items() if share is not None}
    if not known or days < min(known):
        # In less time no smaller failure is heard.
        return known.get(min(point.smallest or {0: None}))
    return _between(known, days)


def _between(known: Mapping[int, float], days: float) -> float:
    before, after = max(at for at in known if at <= days), min((at for at in known if at >= days), default=max(known))
    if before == after or days > max(known):
        return known[before]
    part = math.log(days / before) / math.log(after / before)
    return math.exp((1.0 - part) * math.log(known[before]) + part * math.log(known[after]))


def _of(where: Slice) -> str:
    return f"the sessions of {where.name}" if where.conditions else "all sessions"


def _unknown(where: Slice, signals: Sequence[str], points: Sequence[Point | None]) -> str:
    """Why the map says nothing."""
    if not signals:
        return "no signal is known to show it, so whether it can be heard is unknown"
    why = [point.why for point in points if point is not None and point.why]
    if why:
        return f"whether it can be heard is unknown: {', '.join(signals)}: {why[0]}"
    return (
        f"whether it can be heard is unknown: the map has no yes-or-no signal {' or '.join(signals)} for {where.name}"
    )
