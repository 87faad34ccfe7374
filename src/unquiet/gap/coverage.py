"""The coverage map: which kinds of request production has, which of them the eval cases touch, and what would add most.

Whether a kind is covered is held against a suite that is spread over the traffic as the traffic itself is: of such a suite a
kind would have its share of the cases, and a request of it would find the nearest of these at some distance that the kind
itself tells. The gap of a request is how much farther away the nearest case of the real suite is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

UNTOLD = -1
"""The kind of a case that does not tell it."""

VOTERS = 15
"""Nearest production requests that say which kind a case is of."""

DRAWS = 0.9
"""A request is touched if a case is as near as the nearest of a proportionate suite would be in this share of the draws."""

MOST_MATES = 400
MOST_CANDIDATES = 2_000
BLOCK_ROWS = 512
NOTHING = -1.0
"""The similarity of a request to the nearest of no cases."""


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """What m cases touch of n requests of k kinds.

    `touched` (n,) marks requests that have a near case; `best` (n,) is the similarity to the nearest case, NOTHING without
    one. `case_kind` (m,) is the kind of each case, told or voted for by the requests nearest to it. Per kind (k,):
    `requests`, `cases`, `untouched_share` of its requests, `gap`, how much nearer a proportionate suite would come, in units
    of cosine, and `short`, the share of the cases of a proportionate suite that it lacks.
    """

    touched: BoolArray
    best: FloatArray
    case_kind: IntArray
    requests: IntArray
    cases: IntArray
    untouched_share: FloatArray
    gap: FloatArray
    short: FloatArray

    @property
    def lack(self) -> FloatArray:
        """How much a request of each kind lacks cases (k,): 0 where they are as near, or as many, as the traffic asks for."""
        return np.maximum(self.gap, 0.0) * self.short

    @property
    def order(self) -> IntArray:
        """The kinds, those first whose traffic lacks most, then the larger ones."""
        return np.lexsort((-self.requests, -self.lack * self.requests))


def cover(requests: Vectors, kind: IntArray, kind_count: int, cases: Vectors, told: IntArray) -> Coverage:
    """What the cases touch: unit vectors of requests (n, d) with their kinds (n,), and of cases (m, d) with told kinds (m,).

    A case that tells its kind touches no request of another one.
    """
    best = _best(requests, kind, cases, told)
    case_kind = np.where(told == UNTOLD, _voted(cases, requests, kind), told)
    gap, touched = np.zeros(len(requests)), np.zeros(len(requests), bool)
    count = np.bincount(kind, minlength=kind_count)
    for each in np.flatnonzero(count):
        rows = np.flatnonzero(kind == each)
        expected, least = _expected(requests[rows], len(cases) * len(rows) / len(requests))
        gap[rows] = expected - best[rows]
        touched[rows] = best[rows] >= least
    sums = np.bincount(kind, weights=gap, minlength=kind_count)
    untouched = np.bincount(kind, weights=~touched, minlength=kind_count)
    divisor = np.maximum(count, 1)
    cases_of = np.bincount(case_kind[case_kind >= 0], minlength=kind_count)
    wanted = len(cases) * count / max(len(requests), 1)
    short = np.where(wanted > 0, np.clip(1.0 - cases_of / np.maximum(wanted, 1e-9), 0.0, 1.0), 1.0)
    return Coverage(touched, best, case_kind, count, cases_of, untouched / divisor, sums / divisor, short)


def most_adding(
    requests: Vectors, kind: IntArray, coverage: Coverage, count: int, rng: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """The requests that would add most as cases, the first of them most, and the share of the traffic each would touch anew.

    Greedy maximisation of a facility-location function (Nemhauser, Wolsey, Fisher 1978: at least 63 % of the best), over
    requests weighted by the lack of their kind, among the `count` kinds that lack most: of each one, then of each another.
    At most `count`; fewer where nothing is left to add.
    """
    weight = coverage.lack[kind]
    candidates = np.flatnonzero((weight > 0) & np.isin(kind, coverage.order[:count]))
    if len(candidates) > MOST_CANDIDATES:
        candidates = np.sort(rng.choice(candidates, MOST_CANDIDATES, replace=False))
    similarity = (requests @ requests[candidates].T).astype(np.float64)
    best, free = coverage.best.copy(), np.ones(len(candidates), bool)
    chosen: list[int] = []
    shares: list[float] = []
    while len(chosen) < min(count, len(candidates)):
        if not free.any():
            free = ~np.isin(candidates, chosen)
        gain = np.where(free, weight @ np.maximum(similarity - best[:, None], 0.0), NOTHING)
        pick = int(gain.argmax())
        if gain[pick] <= 0:
            break
        row = int(candidates[pick])
        nearer = (similarity[:, pick] > best) & ~coverage.touched & (kind == kind[row])
        chosen.append(row)
        shares.append(float(nearer.mean()))
        best = np.maximum(best, similarity[:, pick])
        free &= kind[candidates] != kind[row]
    return np.array(chosen, np.int64), np.array(shares)


def _best(requests: Vectors, kind: IntArray, cases: Vectors, told: IntArray) -> FloatArray:
    """Similarity of each request to the nearest case that may touch it."""
    out = np.full(len(requests), NOTHING)
    if not len(cases):
        return out
    for at in range(0, len(requests), BLOCK_ROWS):
        similarity = requests[at : at + BLOCK_ROWS] @ cases.T
        other = (told != UNTOLD) & (told != kind[at : at + BLOCK_ROWS, None])
        out[at : at + BLOCK_ROWS] = np.where(other, NOTHING, similarity).max(axis=1)
    return out


def _voted(cases: Vectors, requests: Vectors, kind: IntArray) -> IntArray:
    """The kind that most of the requests nearest to each case are of; of several the first."""
    out = np.full(len(cases), UNTOLD, np.int64)
    voters = min(VOTERS, len(requests))
    if not voters:
        return out
    for at in range(0, len(cases), BLOCK_ROWS):
        similarity = cases[at : at + BLOCK_ROWS] @ requests.T
        first = kind[np.argpartition(-similarity, voters - 1, axis=1)[:, :voters]]
        votes = (first[:, :, None] == first[:, None, :]).sum(axis=2) - first / (first.max() + 1.0)
        out[at : at + BLOCK_ROWS] = first[np.arange(len(first)), votes.argmax(axis=1)]
    return out


def _expected(mates: Vectors, share: float) -> tuple[FloatArray, FloatArray]:
    """What requests of one kind would find in a proportionate suite of `share` cases of their kind, at least one.

    The expected similarity to the nearest, and that which it reaches in DRAWS of the draws. Without mates, that of an equal.
    """
    step = max(1, -(-len(mates) // MOST_MATES))
    pool = np.arange(0, len(mates), step)
    similarity = (mates @ mates[pool].T).astype(np.float64)
    similarity[pool, np.arange(len(pool))] = np.nan
    ranked = np.sort(similarity, axis=1)
    draws = max(1.0, share)
    known = np.isfinite(ranked).sum(axis=1, keepdims=True)
    if not known.any():
        return np.ones(len(mates)), np.ones(len(mates))
    # The nearest of `draws` is at most the i-th smallest of N with probability (i / N) ** draws.
    upto = np.minimum(np.arange(1, len(pool) + 1) / np.maximum(known, 1), 1.0) ** draws
    weight = np.diff(upto, axis=1, prepend=0.0)
    place = (upto < 1.0 - DRAWS).sum(axis=1, keepdims=True)
    least = np.take_along_axis(ranked, np.minimum(place, np.maximum(known - 1, 0)), axis=1)[:, 0]
    return np.nansum(np.nan_to_num(ranked) * weight, axis=1), least
