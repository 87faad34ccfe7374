"""What would make smaller failures visible: the map again with more traffic, less tolerance, more budget, finer slices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from unquiet.app.map_streams import Stream
from unquiet.model.detectability import Remedy
from unquiet.model.slices import Slice
from unquiet.stats.heard import Heard

FloatArray = npt.NDArray[np.float64]
Smallest = Callable[[Sequence[Stream], int], FloatArray]
"""The smallest share of each stream's sessions that is heard within so many days."""

HELPED_SLICES, HELPED_STREAMS = 4, 16
"""Slices with most sessions on which it is computed what would help, and how many of their streams, evenly chosen."""

TRAFFIC, TOLERANCE, BUDGET = "twice the traffic", "half the tolerance", "twice the alarm budget"
FINER = "a facet that names who is met"


def remedies(streams: Sequence[Stream], smallest: Smallest, within: Sequence[int], delta: float) -> tuple[Remedy, ...]:
    """What would help, on the events that become more frequent in the slices with most sessions; `delta` is the tolerance."""
    largest = list(dict.fromkeys(each.slice for each in streams))[:HELPED_SLICES]
    own = [each for each in streams if each.slice in largest and each.direction == "up"]
    own = own[:: max(len(own) // HELPED_STREAMS, 1)]
    changed: dict[str, list[Stream]] = {
        TRAFFIC: [replace(each, cells=_busier(each.cells)) for each in own],
        TOLERANCE: [replace(each, cells=_stricter(each.cells, delta / 2.0)) for each in own],
        BUDGET: [replace(each, cells=_louder(each.cells)) for each in own],
    }
    now = {days: smallest(own, days) for days in within}
    return tuple(
        Remedy(what, {days: _median(smallest(then, days) / now[days]) for days in within})
        for what, then in changed.items()
    )


def finer(streams: Sequence[Stream], shares: Sequence[FloatArray], within: Sequence[int]) -> Remedy:
    """How many sessions a failure must meet that is in one facet value only, as a part of those that all traffic asks for.

    `shares` are, for each of `within`, the smallest of all streams. It is the median over single facet values and signals.
    """
    ratio: dict[int, float | None] = {}
    for days, share in zip(within, shares, strict=True):
        met = {
            (each.slice, each.signal): share[i] * each.sessions_per_day
            for i, each in enumerate(streams)
            if each.direction == "up" and len(each.slice.conditions) < 2
        }
        ratio[days] = _median(
            np.array(
                [
                    value / met.get((Slice(), signal), np.nan)
                    for (where, signal), value in met.items()
                    if where.conditions
                ]
            )
        )
    return Remedy(FINER, ratio)


def _busier(cells: Heard) -> Heard:
    return replace(cells, per_day=2.0 * cells.per_day, sessions=2.0 * cells.sessions)


def _stricter(cells: Heard, less: float) -> Heard:
    return replace(cells, delta=cells.delta - less, frozen_delta=cells.frozen_delta - less)


def _louder(cells: Heard) -> Heard:
    return replace(cells, share=2.0 * cells.share, frozen_share=2.0 * cells.frozen_share)


def _median(ratio: FloatArray) -> float | None:
    known = ratio[~np.isnan(ratio)]
    return round(float(np.median(known)), 3) if len(known) else None
