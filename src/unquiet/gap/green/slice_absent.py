"""The topic is covered, but not under the condition that the incident has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from unquiet.gap.green.scene import HOLDS, MISSED, MOOT, NO, NOT, UNKNOWN, YES, Condition, Finding, Place, Scene
from unquiet.model.wording import counted, in_percent


class SliceAbsent:
    """Near cases exist, and none is under the incident's condition."""

    name = "slice condition absent"

    def judge(self, scene: Scene) -> Finding:
        """By what is known of the near cases: their own facets, and those of production requests like them."""
        if scene.topic is None:
            return Finding(self.name, UNKNOWN, scene.no_topic)
        near = scene.near_cases
        if not len(near):
            return Finding(self.name, MOOT, "no case is near the affected requests, under whatever condition")
        places = [place for place in scene.places if place.conditions]
        if not places or len(places) < len(scene.places):
            return Finding(self.name, NOT, "the incident has no condition that a case could lack: it is in all traffic")
        covering = scene.covering
        evidence = {"near_cases": len(near), "under_the_condition": len(covering), "conditions": _table(scene, places)}
        missed = scene.chance_missed(covering)
        # Where even all near cases are too few, the topic is what lacks.
        thin = missed >= MISSED > scene.chance_missed(near)
        if len(covering) and thin:
            few = f"only {len(covering)} of {counted(len(near), 'near case')} {_are(len(covering))} under {_names(places)}"
            said = (
                f"{few}: had it gone as production went, that would have passed with a chance of {in_percent(missed)}"
            )
            return Finding(self.name, HOLDS, said, evidence, missed)
        if len(covering):
            said = f"{len(covering)} of {counted(len(near), 'near case')} {_are(len(covering))} under {_names(places)}"
            return Finding(self.name, NOT, said, evidence)
        return Finding(self.name, HOLDS, _said(scene, places), evidence, 1.0 - scene.topic.without_share / 2)


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _names(places: Sequence[Place]) -> str:
    return " or ".join(dict.fromkeys(" and ".join(c.shown for c in place.conditions) for place in places))


def _said(scene: Scene, places: Sequence[Place]) -> str:
    near = scene.near_cases
    lacking = [(c, s[near]) for place in places for c, s in zip(place.conditions, place.status, strict=True)]
    missing = list(dict.fromkeys(c.shown for c, s in lacking if not (s == YES).any() and (s == NO).any()))
    untold = list(dict.fromkeys(c.facet for c, s in lacking if not ((s == YES) | (s == NO)).any()))
    head = f"{counted(len(near), 'case')} ask{'s' if len(near) == 1 else ''} about this topic, none of them under {_names(places)}"
    parts = [head]
    if missing:
        parts.append(f"none has {', '.join(missing)}")
    if untold:
        parts.append(f"no case tells its {', '.join(untold)}, so the suite cannot set it")
    return "; ".join(parts)


def _table(scene: Scene, places: Sequence[Place]) -> list[dict[str, Any]]:
    near = scene.near_cases
    rows: dict[Condition, dict[str, Any]] = {}
    for place in places:
        for condition, status in zip(place.conditions, place.status[:, near], strict=True):
            yes, no = int((status == YES).sum()), int((status == NO).sum())
            rows[condition] = {
                "facet": condition.facet,
                "value": condition.value,
                "cases_under": yes,
                "cases_not_under": no,
                "cases_that_do_not_tell": len(status) - yes - no,
                "can_be_set": bool(np.any(status != -1)),
            }
    return list(rows.values())
