"""Which assertions tell the answers before an onset from those of the incident.

What is expected of an answer is what all answers before the onset to the nearest requests do, or none of them does. How
often such an expectation is wrong is measured on the answers before the onset themselves, each held against those of other
sessions; what it finds, on answers of the incident.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from unquiet.regression.answers import Answers, Feature, IntArray
from unquiet.regression.checking import script
from unquiet.regression.suite import Rule, Share
from unquiet.stats.intervals import wilson

BoolArray = npt.NDArray[np.bool_]

FACTORS = (1.5, 2.0, 3.0)
"""An answer is too long, or too short, if it is so many times beyond the longest, or shortest, of its neighbours."""

MOST_WRONG = 0.05
LEAST_FOUND = 0.1
LEVEL = 0.999
"""A rule is kept if it fails at most this share of sessions before, at least that of the incident, and clearly more."""

MOST_RULES = 4
LEAST_GAIN = 0.04
WRONG_WEIGHT = 3.0
WORDS, PORTABLE, GONE = 0.05, 0.08, 0.15
"""So much more must a rule find: of learned words, for the next failure says others; that needs unquiet where it is checked; of
words that are missing, which mostly go with something else."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An expectation: whether it applies to each answer and fails, before and after; `want` is what all neighbours do.

    `factor` is set for lengths, with `want` True for answers that are too short.
    """

    said: str
    assertion: Mapping[str, Any]
    before: BoolArray
    after: BoolArray
    factor: float | None = None

    def of(self, request: str, outputs: Sequence[str]) -> dict[str, Any]:
        """The assertion for a request with these answers of its neighbours."""
        if self.factor is None:
            same = {"script": script(request)} if self.assertion["kind"] == "script" else {}
            said = f"{self.said} ({same['script']})" if same else self.said
            return {**self.assertion, **same, "said": said}
        sizes = [len(text) for text in outputs]
        if self.assertion["want"]:
            least = _rounded(min(sizes) / self.factor, up=False)
            return {"kind": "length", "least": least, "said": f"at least {least} characters"}
        most = _rounded(max(sizes) * self.factor, up=True)
        return {"kind": "length", "most": most, "said": f"at most {most} characters"}


def candidates(
    before: Answers, after: Answers, found: Sequence[Feature], near_before: IntArray, near_after: IntArray
) -> Iterator[Candidate]:
    """All expectations. `near_before` and `near_after` (n, k) are rows of `before`: the neighbours of each answer."""
    for feature in found:
        around_before, around_after = feature.before[near_before], feature.before[near_after]
        for want in (1, 0):
            said = feature.does if want else feature.does_not
            yield Candidate(
                said,
                {**feature.assertion, "want": bool(want)},
                (around_before == want).all(axis=1) & (feature.before == 1 - want),
                (around_after == want).all(axis=1) & (feature.after == 1 - want),
            )
    size, size_after = (np.array([len(text) for text in side.outputs], np.float64) for side in (before, after))
    around_before, around_after = size[near_before], size[near_after]
    for factor in FACTORS:
        short = (size < around_before.min(axis=1) / factor, size_after < around_after.min(axis=1) / factor)
        yield Candidate("is not much shorter", {"kind": "length", "want": True}, *short, factor)
        long = (size > around_before.max(axis=1) * factor, size_after > around_after.max(axis=1) * factor)
        yield Candidate("is not much longer", {"kind": "length", "want": False}, *long, factor)


def choose(every: Sequence[Candidate], before: IntArray, after: IntArray) -> list[tuple[Candidate, Rule]]:
    """The candidates that separate, at most MOST_RULES that together find the most, with what was measured.

    `before` and `after` number the session of each answer; -1 leaves an answer out of the measurement.
    """
    tables = [(_by_session(each.before, before), _by_session(each.after, after)) for each in every]
    kept = [i for i, (wrong, right) in enumerate(tables) if _separates(wrong, right)]
    free, left = (np.ones(len(side), bool) for side in (tables[0] if tables else (np.zeros(0), np.zeros(0))))
    chosen: list[int] = []
    while kept and len(chosen) < MOST_RULES:
        gains = [_gain(every[i], tables[i], free, left) for i in kept]
        best = int(np.argmax(gains))
        if gains[best] < LEAST_GAIN:
            break
        chosen.append(kept[best])
        free &= ~tables[kept[best]][0]
        left &= ~tables[kept[best]][1]
        kept = [i for i in kept if not _same_kind(every[i], every[chosen[-1]])]
    return [(every[i], _rule(every[i], *tables[i])) for i in chosen]


def together(chosen: Sequence[Candidate], before: IntArray, after: IntArray) -> tuple[Share, Share]:
    """Sessions that fail any of the chosen, before and after; sessions numbered -1 are left out."""
    shares: list[Share] = []
    for session, side in ((before, [each.before for each in chosen]), (after, [each.after for each in chosen])):
        table = _by_session(np.any(side, axis=0), session)
        shares.append(Share(int(table.sum()), len(table)))
    return shares[0], shares[1]


def _by_session(fails: BoolArray, session: IntArray) -> BoolArray:
    """Whether any answer of each session fails, sessions in the order of their numbers."""
    known = session >= 0
    _, place = np.unique(session[known], return_inverse=True)
    return np.bincount(place, weights=fails[known], minlength=int(place.max(initial=-1)) + 1) > 0


def _separates(wrong: BoolArray, right: BoolArray) -> bool:
    if not len(wrong) or not len(right):
        return False
    clear = _bounds(right)[0] > _bounds(wrong)[1]
    return bool(clear and wrong.mean() <= MOST_WRONG and right.mean() >= LEAST_FOUND)


def _bounds(fails: BoolArray) -> tuple[float, float]:
    low, high = wilson(np.array([float(fails.sum())]), np.array([float(len(fails))]), LEVEL)
    return float(low[0]), float(high[0])


def _gain(candidate: Candidate, table: tuple[BoolArray, BoolArray], free: BoolArray, left: BoolArray) -> float:
    wrong, right = (table[0] & free).mean(), (table[1] & left).mean()
    return float(right - WRONG_WEIGHT * wrong - _handicap(candidate.assertion))


def _handicap(assertion: Mapping[str, Any]) -> float:
    if assertion["kind"] == "terms":
        return GONE if assertion["want"] else WORDS
    return PORTABLE if assertion["kind"] == "signal" else 0.0


def _same_kind(one: Candidate, other: Candidate) -> bool:
    """Whether both say the same of the same: a length in the same direction, whatever the factor."""
    return one is other or (one.factor is not None and one.said == other.said)


def _rule(candidate: Candidate, wrong: BoolArray, right: BoolArray) -> Rule:
    name = str(candidate.assertion.get("signal") or candidate.assertion["kind"])
    times = "" if candidate.factor is None else f" (by {candidate.factor:g} times) than answers before"
    before, after = (Share(int(side.sum()), len(side)) for side in (wrong, right))
    return Rule(name, candidate.said + times, candidate.assertion, before, after)


def _rounded(value: float, *, up: bool) -> int:
    """Two digits, away from the answers, so that no length is that of a single one."""
    step = 10 ** max(len(str(int(value))) - 2, 0)
    return int(np.ceil(value / step) * step) if up else int(value // step * step)
