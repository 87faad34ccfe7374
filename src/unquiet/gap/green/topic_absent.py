"""No case asks what the affected requests ask."""

from __future__ import annotations

from typing import Any

import numpy as np

from unquiet.gap.green.scene import HOLDS, MISSED, NOT, UNKNOWN, Finding, Scene
from unquiet.gap.near import NEIGHBOURS, Topic
from unquiet.model.wording import counted, in_percent

MOST = 0.5
"""Share of the affected requests without a near case from which on the topic is absent."""

EXAMPLES = 3


class TopicAbsent:
    """The affected requests have no case near them, or so few that none of them would have met the change."""

    name = "topic absent"

    def judge(self, scene: Scene) -> Finding:
        """By the share of affected requests that have no near case, and by what the near cases could have met."""
        topic = scene.topic
        if topic is None:
            return Finding(self.name, UNKNOWN, scene.no_topic)
        evidence, without = _evidence(scene, topic), topic.without_share
        missed = scene.chance_missed(scene.near_cases)
        near = counted(len(scene.near_cases), "case")
        if without >= MOST:
            return Finding(self.name, HOLDS, _said(scene, topic), evidence, without)
        if missed >= MISSED:
            return Finding(self.name, HOLDS, _few(scene, missed), evidence, max(without, missed))
        verb = "lies" if len(scene.near_cases) == 1 else "lie"
        said = (
            f"{near} of the suite {verb} near the affected requests; {in_percent(without)} of these have none near them"
        )
        return Finding(self.name, NOT, said, evidence)


def _few(scene: Scene, missed: float) -> str:
    near, cases = len(scene.near_cases), counted(len(scene.asked), "case")
    each, every = ("it", "it") if near == 1 else ("each", "all")
    return (
        f"too few cases are near the affected requests: {near} of {cases}. Had {each} gone as the production requests next to "
        f"it, {every} would still have passed with a chance of {in_percent(missed)}"
    )


def _said(scene: Scene, topic: Topic) -> str:
    cases, near = counted(len(scene.asked), "case"), len(scene.near_cases)
    whole = "no case is" if not near else f"only {near} of {cases} {'is' if near == 1 else 'are'}"
    text = f"{whole} near the affected requests: {in_percent(topic.without_share)} of these have no near case"
    if not topic.has_topic:
        return text
    own, best = (in_percent(float(share)) for share in (topic.own_share.mean(), topic.case_share.max()))
    return (
        f"{text}. Of the requests next to an affected one {own} were affected too, next to the best placed case {best}"
    )


def _evidence(scene: Scene, topic: Topic) -> dict[str, Any]:
    order = np.argsort(topic.similarity, kind="stable")
    rows = order[np.linspace(0, len(order) - 1, min(EXAMPLES, len(order))).astype(np.int64)]
    return {
        "affected_requests": len(topic.nearest),
        "cases_with_input": len(scene.asked),
        "near_cases": len(scene.near_cases),
        "chance_that_near_cases_pass_anyway": round(scene.chance_missed(scene.near_cases), 4),
        "share_without_near_case": round(topic.without_share, 4),
        "median_distance_to_nearest_case": round(1.0 - float(np.median(topic.similarity)), 4),
        "neighbours": NEIGHBOURS,
        "affected_among_neighbours_of_affected": round(float(topic.own_share.mean()), 4),
        "affected_among_neighbours_of_best_case": round(float(topic.case_share.max()), 4),
        "affected_among_all": round(topic.base_share, 4),
        "near_from": round(topic.threshold, 4) if topic.has_topic else None,
        "nearest": [
            {
                "affected": int(row),
                "case": scene.case_names[int(scene.asked[topic.nearest[row]])],
                "case_input": scene.case_inputs[int(scene.asked[topic.nearest[row]])],
                "distance": round(1.0 - float(topic.similarity[row]), 4),
            }
            for row in rows.tolist()
        ],
    }
