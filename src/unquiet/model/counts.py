"""What a tick holds: additive counts of sessions and events per slice, stratum and information weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

TICK_US = 300_000_000
"""A tick is five minutes."""


@dataclass(frozen=True, slots=True)
class TickCounts:
    """Counts of the sessions that closed in one tick.

    `tick_us` is the end of the tick (microseconds since 1970). Row g stands for the sessions of slice `slice[g]` in
    stratum `stratum[g]` with weight level `weight[g]`; `n` and `x` (G, E) count the sessions to which an event applies
    and those in which it happened. Rows are sorted by slice.
    """

    tick_us: int
    slice: IntArray
    stratum: IntArray
    weight: IntArray
    n: FloatArray
    x: FloatArray
