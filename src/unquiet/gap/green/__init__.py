"""Why the evals were green: the causes, each in a file of its own, and what they say together.

A cause is a class of the protocol `Cause` and a line in `CAUSES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unquiet.gap.green.metric_insensitive import MetricInsensitive
from unquiet.gap.green.not_running import NotRunning
from unquiet.gap.green.other_path import OtherPath, evaluated_path, path_name
from unquiet.gap.green.scene import (
    HOLDS,
    MOOT,
    NO,
    NOT,
    UNKNOWN,
    UNTOLD,
    YES,
    Answers,
    Cause,
    Condition,
    Finding,
    Place,
    Scene,
)
from unquiet.gap.green.slice_absent import SliceAbsent
from unquiet.gap.green.topic_absent import TopicAbsent
from unquiet.model.evals import FAILED, PASSED

__all__ = [
    "CAUSES",
    "HOLDS",
    "MOOT",
    "NO",
    "NOT",
    "UNKNOWN",
    "UNTOLD",
    "YES",
    "Answers",
    "Condition",
    "Finding",
    "Place",
    "Saw",
    "Scene",
    "evaluated_path",
    "judge_all",
    "path_name",
    "saw_it",
]

CAUSES: tuple[Cause, ...] = (TopicAbsent(), SliceAbsent(), MetricInsensitive(), OtherPath(), NotRunning())
"""The causes; where two hold equally, the first is told first."""


def judge_all(scene: Scene) -> list[Finding]:
    """What is said of every cause: those that hold first, the strongest first, then the unknown, then the others."""
    order = (HOLDS, UNKNOWN, NOT, MOOT)
    found = [cause.judge(scene) for cause in CAUSES]
    return sorted(found, key=lambda each: (order.index(each.verdict), -each.strength))


@dataclass(frozen=True, slots=True)
class Saw:
    """Cases that had passed before the onset and failed since; `near` of them are near the affected requests.

    `first_us` is when the first of them (of the near ones, if there are any) failed.
    """

    failed: Sequence[str]
    near: Sequence[str]
    first_us: int


def saw_it(scene: Scene) -> Saw | None:
    """Whether the evals were not green: what failed since the onset and had not failed at the last run before; None if nothing.

    A case that was not known before the onset counts if it is near the affected requests.
    """
    if not scene.results.num_rows:
        return None
    status, early = scene.status, scene.time_us < scene.onset.at_us
    # Results are in order of time, so the last one of a case wins.
    last = {int(case): str(each) for case, each in zip(scene.case[early], status[early], strict=True)}
    near = set(scene.near_cases.tolist())
    first: dict[int, int] = {}
    for row in np.flatnonzero(scene.after & (status == FAILED)).tolist():
        case = int(scene.case[row])
        if last.get(case) == PASSED or (case not in last and case in near):
            first.setdefault(case, int(scene.time_us[row]))
    if not first:
        return None
    close = {case: at for case, at in first.items() if case in near}
    names = scene.case_names
    return Saw([names[case] for case in first], [names[case] for case in close], min((close or first).values()))
