"""What a change is made of: the features that sessions after it have more or less often than those before it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from unquiet.shift.log import Log

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

CLEAR = 8.0
"""Nats that a feature must show to be named."""

ALIKE = 0.6
"""Of features whose sessions overlap by this much (Jaccard), the clearest one is named."""

NEARLY = 0.7
"""Of these, those with at least so much of its evidence may say it better, the MOST_LIKE clearest of them."""

MOST_LOOKED_AT, MOST_LIKE = 200, 6


@dataclass(frozen=True, slots=True)
class Moved:
    """One feature: sessions that have it and sessions looked at, before and after, and session numbers that show it.

    `score` is the log-likelihood ratio of two rates against one; `shown` are sessions of the side on which it is frequent.
    `like` are features that nearly the same sessions have, with nearly as much evidence.
    """

    key: int
    before_x: int
    before_n: int
    after_x: int
    after_n: int
    score: float
    shown: IntArray
    like: tuple[Moved, ...] = ()

    @property
    def rose(self) -> bool:
        """Whether it became more frequent."""
        return self.after_x * self.before_n >= self.before_x * self.after_n


def moved_features(log: Log, before: IntArray, after: IntArray, most: int = 8) -> list[Moved]:
    """The clearest features, at most `most`, that differ between two sets of session numbers; the clearest first."""
    if not len(before) or not len(after):
        return []
    side = np.zeros(int(max(before.max(), after.max())) + 1, np.int8)
    side[before], side[after] = 1, 2
    keys, session, which = _entries(log, side)
    sizes = [_known(log, side, value) for value in (1, 2)]
    if not min(sizes):
        return []
    order = np.argsort(keys, kind="stable")
    unique, starts = np.unique(keys[order], return_index=True)
    x0, x1 = (np.add.reduceat((which[order] == value).astype(np.int64), starts) for value in (1, 2))
    score = likelihood_ratio(x0, sizes[0], x1, sizes[1])
    ends = np.append(starts[1:], len(order))
    groups: list[list[Moved]] = []
    sets: list[set[int]] = []
    for i in np.argsort(-score, kind="stable")[:MOST_LOOKED_AT]:
        if score[i] < CLEAR:
            break
        mine = order[starts[i] : ends[i]]
        rose = x1[i] * sizes[0] >= x0[i] * sizes[1]
        shown = np.sort(session[mine[which[mine] == (2 if rose else 1)]])
        one = Moved(int(unique[i]), int(x0[i]), sizes[0], int(x1[i]), sizes[1], float(score[i]), shown)
        _sort_in(one, groups, sets, most)
    return [replace(group[0], like=tuple(group[1:])) for group in groups]


def _sort_in(one: Moved, groups: list[list[Moved]], sets: list[set[int]], most: int) -> None:
    """Add a feature to the group whose sessions it has, or let it begin one while there are fewer than `most`."""
    having = set(one.shown.tolist())
    for group, other in zip(groups, sets, strict=True):
        if len(having & other) >= ALIKE * len(having | other):
            if one.score >= NEARLY * group[0].score and len(group) <= MOST_LIKE:
                group.append(one)
            return
    if len(groups) < most:
        groups.append([one])
        sets.append(having)


def likelihood_ratio(x0: IntArray, n0: int, x1: IntArray, n1: int) -> FloatArray:
    """Log-likelihood ratio of two binomial rates against a common one (Wilks 1938), any shape."""
    pooled = _log_likelihood(x0 + x1, n0 + n1)
    return _log_likelihood(x0, n0) + _log_likelihood(x1, n1) - pooled


def _log_likelihood(count: IntArray, n: int) -> FloatArray:
    x = count.astype(np.float64)
    rate = np.clip(x / n, 1e-12, 1.0 - 1e-12)
    return x * np.log(rate) + (n - x) * np.log1p(-rate)


def _entries(log: Log, side: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.uint32], IntArray, npt.NDArray[np.int8]]:
    keys = [np.zeros(0, np.uint32)]
    sessions, sides = [np.zeros(0, np.int64)], [np.zeros(0, np.int8)]
    for day in (*log.days, *log.open):
        number = day.first + day.session.astype(np.int64)
        inside = number < len(side)
        inside[inside] = side[number[inside]] > 0
        keys.append(day.keys[inside])
        sessions.append(number[inside])
        sides.append(side[number[inside]])
    return np.concatenate(keys), np.concatenate(sessions), np.concatenate(sides)


def _known(log: Log, side: npt.NDArray[np.int8], value: int) -> int:
    """Sessions of a side whose answers have text."""
    count = 0
    for day in (*log.days, *log.open):
        part = side[day.first : day.first + len(day.known)]
        count += int(((part == value) & day.known[: len(part)]).sum())
    return count
