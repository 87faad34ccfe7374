"""Cases cover what was affected, ran, and pass on the bad answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.gap.green.checks import run_check
from unquiet.gap.green.scene import HOLDS, MOOT, NOT, UNKNOWN, Finding, IntArray, Scene
from unquiet.model.evals import FAILED, PASSED
from unquiet.model.wording import counted, in_percent

TOO_SPECIAL = 0.2
"""A check that so few of the good answers to others pass looks for something of its own case: it tells nothing of others."""

SAME = 0.1
"""A check is blind if bad answers pass it as often as good ones, up to this share."""

SHOWN_SHARE = 0.5
MOVED = 0.02
"""Distance between two answers of a case beyond which they are different answers, where earlier runs gave equal ones."""

SCORE_MOVED = 0.1
"""Change of a mean score, as a part of the range of the scores, from which on it moved."""

MOST_CHECKS = 200


@dataclass(frozen=True, slots=True)
class Tried:
    """A check of a near case on the answers of production: shares that pass before the onset and after."""

    case: str
    kind: str
    expected: str | None
    before: float
    after: float

    @property
    def blind(self) -> bool:
        """Whether bad answers pass as often as good ones."""
        return self.after >= self.before - SAME


class MetricInsensitive:
    """The checks look at something that the change left as it was."""

    name = "metric insensitive"

    def judge(self, scene: Scene) -> Finding:
        """By recorded answers that passed though they show the change, checks tried on bad answers, and scores."""
        if scene.topic is None:
            return Finding(self.name, UNKNOWN, scene.no_topic)
        if not len(scene.covering):
            return Finding(self.name, MOOT, "no case covers the affected requests, so none could have judged them")
        rows = np.flatnonzero(scene.after & np.isin(scene.case, scene.covering))
        rows = rows[np.isin(scene.status[rows], (PASSED, FAILED))]
        if not len(rows):
            return Finding(
                self.name, MOOT, "the cases that cover the affected requests came to no result since the onset"
            )
        if (scene.status[rows] == FAILED).mean() >= SHOWN_SHARE:
            return Finding(self.name, NOT, "most of the cases that cover the affected requests failed since the onset")
        passed = rows[scene.status[rows] == PASSED]
        for look in (_by_answers, _by_checks, _by_scores):
            found = look(scene, passed)
            if found is not None:
                return found
        return Finding(self.name, UNKNOWN, _why_unknown(scene, passed))


def _by_answers(scene: Scene, passed: IntArray) -> Finding | None:
    """What the recorded answers show: the change, and the case passed."""
    shows = scene.shows[passed]
    known = ~np.isnan(shows)
    if not known.any():
        return None
    bad = int((shows[known] == 1).sum())
    evidence = {"recorded_answers": int(known.sum()), "that_show_the_change": bad}
    if bad < SHOWN_SHARE * known.sum():
        return None
    said = (
        f"the checks pass on bad answers: {bad} of {int(known.sum())} recorded answers that passed since the onset "
        f"{'shows' if bad == 1 else 'show'} the change ({scene.behaviour})"
    )
    return Finding(MetricInsensitive.name, HOLDS, said, evidence, bad / int(known.sum()))


def _by_checks(scene: Scene, passed: IntArray) -> Finding | None:
    """What the checks say of the answers that affected users got."""
    tried = [each for each in _tried(scene, passed) if each.before >= TOO_SPECIAL]
    if not tried:
        return None
    blind = [each for each in tried if each.blind]
    shown = max(tried, key=lambda each: (each.before - each.after, each.case))
    if len(blind) == len(tried):
        shown = max(blind, key=lambda each: (each.after, each.case))
    evidence: dict[str, Any] = {
        "checks_tried": len(tried),
        "blind": len(blind),
        "checks": [
            {
                "case": each.case,
                "kind": each.kind,
                "expected": each.expected,
                "pass_share_before": round(each.before, 4),
                "pass_share_after": round(each.after, 4),
            }
            for each in tried[:10]
        ],
    }
    rates = f"{in_percent(shown.before)} of good answers and {in_percent(shown.after)} of bad ones pass"
    if len(blind) < len(tried):
        said = f"its checks would tell: of the answers in production, {rates} `{shown.kind}` of {shown.case}"
        return Finding(MetricInsensitive.name, NOT, said, evidence)
    said = f"the checks pass on bad answers: tried on the answers in production, {rates} `{shown.kind}` of {shown.case}"
    return Finding(MetricInsensitive.name, HOLDS, said, evidence, 0.9)


def _tried(scene: Scene, passed: IntArray) -> list[Tried]:
    if scene.answers is None or scene.topic is None:
        return []
    column = {int(case): place for place, case in enumerate(scene.asked)}
    out: dict[tuple[int, str, str | None], Tried] = {}
    lists = scene.results.column("checks").take(pa.array(passed)).to_pylist()
    for row, checks in zip(passed.tolist(), lists, strict=True):
        case = int(scene.case[row])
        near = pa.array(np.flatnonzero(scene.topic.near[:, column[case]]))
        after, before = (side.take(near).drop_null() for side in (scene.answers.after, scene.answers.before))
        for check in checks or ():
            key = (case, check["kind"] or "", check["expected"])
            if key in out or len(out) >= MOST_CHECKS or not (len(after) and len(before)):
                continue
            good, bad = (run_check(key[1], key[2], side) for side in (before, after))
            if good is not None and bad is not None:
                out[key] = Tried(scene.case_names[case], key[1], key[2], float(good.mean()), float(bad.mean()))
    return list(out.values())


def _by_scores(scene: Scene, passed: IntArray) -> Finding | None:
    """Recorded scores that did not move though the recorded answers did."""
    mine = np.isin(scene.case, np.unique(scene.case[passed]))
    score = pc.cast(scene.results.column("score"), pa.float64()).to_numpy(zero_copy_only=False)
    early = mine & (scene.time_us < scene.onset.at_us) & ~np.isnan(score)
    late = mine & scene.after & ~np.isnan(score)
    told = ~np.isnan(scene.shift)
    moved, usual = (
        scene.shift[mine & scene.after & told],
        scene.shift[mine & (scene.time_us < scene.onset.at_us) & told],
    )
    if not early.any() or not late.any() or not len(moved):
        return None
    noise = max(2.0 * float(np.median(usual)) if len(usual) else 0.0, MOVED)
    if float(np.median(moved)) <= noise:
        return None
    known = score[~np.isnan(score)]
    span, change = max(float(np.ptp(known)), 1.0), float(score[late].mean() - score[early].mean())
    evidence = {
        "mean_score_before": round(float(score[early].mean()), 4),
        "mean_score_since": round(float(score[late].mean()), 4),
        "median_distance_of_answers": round(float(np.median(moved)), 4),
    }
    if abs(change) >= SCORE_MOVED * span:
        return None
    said = (
        f"the scores did not move though the answers did: {score[early].mean():.2f} before the onset, "
        f"{score[late].mean():.2f} since, in {counted(len(moved), 'recorded answer')}"
    )
    return Finding(MetricInsensitive.name, HOLDS, said, evidence, 0.8)


def _why_unknown(scene: Scene, passed: IntArray) -> str:
    lists = scene.results.column("checks").take(pa.array(passed)).to_pylist()
    kinds = sorted({check["kind"] or "unnamed" for checks in lists for check in checks or ()})
    if not kinds:
        return "the covering cases passed since the onset, and the reports do not tell what they check or what was answered"
    return (
        f"the covering cases passed since the onset; whether their checks ({', '.join(kinds[:5])}) see the change cannot be "
        "tried on the answers in production"
    )
