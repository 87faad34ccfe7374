"""Fixed thresholds on the panels of the usual dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unquiet.app.watchers.watching import LEAST_TURNS, Heard, IntArray, Record, Replay, Watch, ends, learned

Limits = tuple[float, float]

UNKNOWN = "it has no value in the learning period"
MARGIN = 0.2
"""How far beyond what was seen a threshold is set."""


class Thresholds:
    """Rings where a panel leaves what the learning period saw."""

    name = "fixed thresholds"
    says = (
        f"a threshold on each panel of the dashboard, {MARGIN:.0%} beyond its highest (and lowest) hour of the learning period; "
        f"other panels than that of volume are looked at in hours with at least {LEAST_TURNS} turns"
    )

    def over(self, record: Record) -> Watch | str:
        """The thresholds, from the hours of the learning period."""
        hours = record.as_it_is().hours
        busy = np.nan_to_num(hours["volume"].value) >= LEAST_TURNS
        limits: dict[str, Limits | str] = {}
        for panel in hours.values():
            known = panel.value[learned(panel, record) & (busy | (panel.kind.name == "volume"))]
            limits[panel.kind.title] = _around(known, panel.kind.harm) if len(known) else UNKNOWN
        return _Limits(limits)


@dataclass(frozen=True, slots=True)
class _Limits:
    limits: Mapping[str, Limits | str]

    def heard(self, replay: Replay) -> Heard:
        busy = np.nan_to_num(replay.hours["volume"].value) >= LEAST_TURNS
        found: dict[str, IntArray | str] = {}
        for panel in replay.hours.values():
            limits = self.limits[panel.kind.title]
            if isinstance(limits, str):
                found[panel.kind.title] = limits
                continue
            outside = (panel.value < limits[0]) | (panel.value > limits[1])
            found[panel.kind.title] = ends(panel, outside & (busy | (panel.kind.name == "volume")))
        return found


def _around(known: npt.NDArray[np.float64], harm: int) -> Limits:
    low, high = (1 - MARGIN) * float(known.min()), (1 + MARGIN) * float(known.max())
    return low if harm <= 0 else -np.inf, high if harm >= 0 else np.inf
