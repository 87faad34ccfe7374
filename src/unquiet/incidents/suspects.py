"""Suspects: changes that were made near the onset. Consistent with the change, never its cause.

A change is the more telling the nearer it lies to the onset, the rarer changes of its kind are, and the more the sessions
that were reached are those that it touched. The first two give the chance that changes of that kind, made at any time
(a Poisson process), bring one so near: `1 - exp(-rate x width)`. Of k kinds the best one has k tries (Sidak 1967).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unquiet.incidents.wording import percent
from unquiet.model.changes import SEEN, Change
from unquiet.model.incidents import Onset
from unquiet.model.slices import Slice
from unquiet.model.wording import counted
from unquiet.stats.intervals import wilson

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
NEAR_US = DAY_US
SAME_US = 6 * HOUR_US
MOST = 5

LIKELY = 0.05
"""A change is likely where the chance of a coincidence, over all kinds of changes, is smaller than this."""

ERROR = 0.25
"""An interval of 95 % is four standard errors wide: an onset is not told more exactly than one of them."""

LEAST_SESSIONS = 10
"""Sessions that must have been reached and not reached before the shares of them say anything."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Of the sessions since a change that were reached (`n`), and of the others (`other_n`), those that it touched (`x`)."""

    n: int
    x: int
    other_n: int
    other_x: int

    @property
    def share(self) -> float:
        """Of the reached."""
        return self.x / self.n if self.n else 0.0

    @property
    def other_share(self) -> float:
        """Of the others."""
        return self.other_x / self.other_n if self.other_n else 0.0

    @property
    def tells(self) -> bool:
        """Whether there are enough sessions."""
        return self.n >= LEAST_SESSIONS

    @property
    def contradicts(self) -> bool:
        """Whether most of the reached were surely not touched, or surely fewer of them than of the others."""
        _, high = _interval(self.x, self.n)
        other_low, _ = _interval(self.other_x, self.other_n)
        return self.tells and (high < 0.5 or (self.other_n >= LEAST_SESSIONS and high < other_low))


@dataclass(frozen=True, slots=True)
class Suspect:
    """A change near an onset, and what speaks for it.

    `chance` (0 to 1) is that of a coincidence as close as this, over all kinds of changes; `score` (0 to 1) ranks suspects.
    `why` are sentences. `likely` is never more than "hard to call a coincidence".
    """

    change: Change
    score: float
    chance: float
    likely: bool
    why: tuple[str, ...]
    overlap: Overlap | None = None


@dataclass(frozen=True, slots=True)
class Routine:
    """How often changes of each kind are made: their numbers in `days` days."""

    counts: Mapping[str, int]
    days: float

    @staticmethod
    def of(changes: Sequence[Change], begin_us: int, end_us: int) -> Routine:
        """Of the changes up to a moment; the time before the traffic began counts as far as changes of it are known."""
        known = [change for change in changes if micros(change) <= end_us]
        begin_us = min([begin_us, *(micros(change) for change in known)])
        counts: dict[str, int] = {}
        for change in known:
            counts[change.kind] = counts.get(change.kind, 0) + 1
        return Routine(counts, max(math.ceil((end_us - begin_us) / DAY_US), 1))

    def chance(self, kind: str, width_us: float) -> float:
        """The chance that the kind with the rarest such coincidence, of all kinds, has one in `width_us`."""
        rate = max(self.counts.get(kind, 0), 1) / self.days
        return -math.expm1(-rate * width_us / DAY_US * max(len(self.counts), 1))


def near_changes(changes: Sequence[Change], onset: Onset) -> list[Change]:
    """Changes from a day before the onset interval to its end, in order of time.

    A change after the interval cannot have brought the onset and is never listed. The same change from two sources
    (an announcement and the first sight in the traffic) is listed once, as announced.
    """
    near = [c for c in changes if onset.earliest_us - NEAR_US <= micros(c) <= onset.latest_us]
    return merged(near)


def merged(changes: Sequence[Change]) -> list[Change]:
    """Changes in order of time, each once: what was announced stands for its first sight in the traffic."""
    kept: list[Change] = []
    by_version: dict[str | None, list[Change]] = {}
    for change in sorted(changes, key=lambda change: (change.source == SEEN, change.at)):
        alike = by_version.setdefault(change.after, [])
        if not any(_same(change, other) for other in alike):
            kept.append(change)
            alike.append(change)
    return sorted(kept, key=lambda change: (change.at, change.kind))


def rank_suspects(
    changes: Sequence[Change], onset: Onset, where: Slice, routine: Routine, overlaps: Mapping[Change, Overlap]
) -> list[Suspect]:
    """The changes near an onset in slice `where`, the most telling first, at most MOST.

    `overlaps` has what was measured of a change: which of the sessions were touched by it. What is missing there is not
    known, and speaks neither for nor against.
    """
    found = [_suspect(change, onset, where, routine, overlaps.get(change)) for change in near_changes(changes, onset)]
    found.sort(key=lambda each: (-each.score, abs(micros(each.change) - onset.at_us), each.change.kind))
    return found[:MOST]


def micros(change: Change) -> int:
    """When a change was made, in microseconds since 1970."""
    return round(change.at.timestamp() * 1e6)


def _suspect(change: Change, onset: Onset, where: Slice, routine: Routine, overlap: Overlap | None) -> Suspect:
    elsewhere = _elsewhere(change, where)
    contradicted = bool(elsewhere) or (overlap is not None and overlap.contradicts)
    chance = routine.chance(change.kind, _width_us(micros(change), onset))
    if overlap is not None and overlap.tells and overlap.other_n >= LEAST_SESSIONS and not contradicted:
        # That a change of a part of the traffic meets the part that was reached has a chance of its own.
        _, most = _interval(overlap.other_x, overlap.other_n)
        chance *= min(1.0, most / max(overlap.share, 0.5))
    why = [_when(micros(change), onset), *([elsewhere] if elsewhere else []), *_touched(overlap)]
    why += [_how_routine(change.kind, routine), f"chance of a coincidence as close as this: {percent(chance)}"]
    score = 0.0 if contradicted else 1.0 - chance
    return Suspect(change, round(score, 4), round(chance, 4), chance < LIKELY and not contradicted, tuple(why), overlap)


def _width_us(at_us: int, onset: Onset) -> float:
    """How wide the moments are that are as near to the onset as `at_us`: twice the distance, cut off where changes are not listed.

    It is at least a standard error of the onset.
    """
    apart = max(abs(at_us - onset.at_us), 1)
    ahead, behind = apart, min(apart, max(onset.latest_us - onset.at_us, 0))
    return max(float(ahead + behind), ERROR * (onset.latest_us - onset.earliest_us))


def _elsewhere(change: Change, where: Slice) -> str:
    """Why the scope of a change and the slice exclude each other; empty where they do not."""
    values = where.as_dict()
    apart = [(facet, value, values[facet]) for facet, value in change.scope if values.get(facet, value) != value]
    return "; ".join(f"made only for {facet}={value}, seen in {facet}={own}" for facet, value, own in apart)


def _when(at_us: int, onset: Onset) -> str:
    if at_us < onset.earliest_us:
        return f"{_span(onset.earliest_us - at_us)} before the earliest onset"
    side = "before" if at_us <= onset.at_us else "after"
    apart = abs(onset.at_us - at_us)
    return (
        f"inside the onset interval, {_span(apart)} {side} its most likely moment" if apart else "at the onset itself"
    )


def _touched(overlap: Overlap | None) -> list[str]:
    if overlap is None or not overlap.tells:
        return ["which sessions it touched cannot be seen in the traffic"]
    text = f"{percent(overlap.share)} of {counted(overlap.n, 'affected session')} since carry it"
    if overlap.other_n:
        text += f", {percent(overlap.other_share)} of {counted(overlap.other_n, 'other')}"
    return [f"{text}: it cannot explain them" if overlap.contradicts else text]


def _interval(x: int, n: int) -> tuple[float, float]:
    low, high = wilson(np.array(float(x)), np.array(float(n)))
    return float(low), float(high)


def _how_routine(kind: str, routine: Routine) -> str:
    times = counted(max(routine.counts.get(kind, 0), 1), "time")
    return f"{kind} changed {times} in {counted(round(routine.days), 'day')}"


def _span(us: int) -> str:
    minutes = round(us / 60e6)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{minutes / 1440:.1f} days"


def _same(a: Change, b: Change) -> bool:
    seen = SEEN in (a.source, b.source)
    if a.kind != b.kind and (not seen or a.after is None):
        return False
    if a.after is None and a.before != b.before:
        return False
    return a.after == b.after and (seen or a.scope == b.scope) and abs(micros(a) - micros(b)) <= SAME_US
