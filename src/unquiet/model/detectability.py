"""The detectability map: how big a failure must be to be heard, by slice, signal and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from unquiet.model.slices import Slice

WITHIN_DAYS = (1, 7, 28)

Direction = Literal["up", "down"]
"""Whether the failure makes the event of a signal happen, or makes it stop."""


@dataclass(frozen=True, slots=True)
class Point:
    """The smallest failure of one signal in one slice.

    `sessions_per_day` are those that the signal applies to, `rate` the share in which its event usually happens. `smallest` is, by
    days, the smallest share of the slice's sessions that a failure must meet to be heard within them 9 times in 10; None where not
    even one that meets all of them is. `why` says why the point is unknown; then nothing else is known of it.
    """

    slice: Slice
    signal: str
    direction: Direction
    sessions_per_day: float = 0.0
    rate: float = 0.0
    smallest: Mapping[int, float | None] | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Remedy:
    """What would make more visible: `what` is done, and the median of new / old smallest share by days over the map's points."""

    what: str
    ratio: Mapping[int, float | None]


@dataclass(frozen=True, slots=True)
class DetectabilityMap:
    """All points, the slices with most sessions first; how it was computed, and what would help.

    `budget` is in false incidents per 30 days, `delta` the tolerance as it is set. `slices` are
    with their sessions a day.
    """

    points: tuple[Point, ...]
    slices: tuple[tuple[Slice, float], ...]
    budget: float
    delta: float
    remedies: tuple[Remedy, ...] = ()
