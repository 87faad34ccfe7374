"""The monitor itself dies (D19): a part of unquiet falls silent. These drills change nothing of the traffic.

They are not judged by what is raised in the traffic but by the watch of unquiet over itself; see `unquiet.service.dying`.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from unquiet.model.drills import Before, Dose, Preset


class PartDies:
    """A part of unquiet stops, without an error and without a word. `condition` is what must tell it."""

    control = False
    signals: tuple[str, ...] = ()

    def __init__(self, part: str, says: str, condition: str) -> None:
        self.name, self.says, self.condition = f"{part}_dies", says, condition

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """The turns as they are."""
        return turns


JUDGE = PartDies("judge", "is not judged any more: the judgement of unquiet stands still", "detection-stalled")
DOOR = PartDies("door", "is not heard any more: a door of unquiet gives no sign of life", "door-dead")
SINK = PartDies("sink", "is judged, and the alert does not arrive", "sink-failing")

DEATHS: tuple[PartDies, ...] = (JUDGE, DOOR, SINK)

DEATH_PRESETS: tuple[Preset, ...] = (
    Preset("D19-judge", "the evaluator stands still and everything stays green", JUDGE.name, Dose(1.0)),
    Preset("D19-door", "the door for traffic gives no sign of life", DOOR.name, Dose(1.0)),
    Preset("D19-sink", "a receiver takes no alerts while one is due", SINK.name, Dose(1.0)),
)


def death_of(preset: Preset) -> PartDies | None:
    """The part that dies in a drill; None where it is a drill of the traffic."""
    return next((each for each in DEATHS if each.name == preset.failure), None)
