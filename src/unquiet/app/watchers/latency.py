"""The latency rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unquiet.app.watchers.watching import LEAST_TURNS, Heard, Record, Replay, Watch, ends, learned

PANEL = "p95_latency"
TIMES = 1.5


class Latency:
    """Rings where answers are slow."""

    name = "latency"
    says = (
        f"rings after an hour with at least {LEAST_TURNS} turns whose p95 latency is more than {TIMES:g} times that of the usual "
        "hour of the learning period"
    )

    def over(self, record: Record) -> Watch | str:
        """The limit, from the hours of the learning period."""
        panel = record.as_it_is().hours[PANEL]
        known = panel.value[learned(panel, record)]
        return _Limit(self.name, TIMES * float(np.median(known))) if len(known) else "no latency was recorded"


@dataclass(frozen=True, slots=True)
class _Limit:
    name: str
    limit_ms: float

    def heard(self, replay: Replay) -> Heard:
        panel, volume = replay.hours[PANEL], replay.hours["volume"].value
        enough = np.nan_to_num(volume) >= LEAST_TURNS
        return {self.name: ends(panel, enough & (np.nan_to_num(panel.value) > self.limit_ms))}
