"""What is near: which eval cases lie where the affected requests lie, by what happened to the traffic around them.

A similarity of texts means nothing by itself: two requests of one kind may be less alike than two of different kinds
elsewhere. So a place in the space of requests is judged by its nearest neighbours in production. Where a kind of request was
affected, many of the neighbours of an affected request were affected too; a case is on the topic if as many of its own
neighbours were (k-nearest-neighbour estimate of a local rate: Loftsgaarden and Quesenberry 1965). The threshold is where the
affected and the other requests part best (Youden 1950).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

Vectors = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

NEIGHBOURS = 25
FEWEST = 5
"""Affected requests below which no topic can be told."""

APART = 0.25
"""The affected requests have a topic of their own if their neighbourhoods part from those of others by so much, 0 to 1."""

AS_A_SAMPLE = 0.9
"""Affected requests without a topic: a case is near if it is as near as the nearest of a sample of the traffic would be, of
the size of the suite, in this share of the draws."""

CHANCE = 0.05
"""A case is not on the topic if so many of its neighbours would be affected this often anywhere in the traffic."""

BLOCK_ROWS = 512


@dataclass(frozen=True, slots=True, eq=False)
class Topic:
    """Which of c cases are near which of a affected requests.

    `near` (a, c); `on_topic` (c,) are the cases that lie where the affected requests lie. `nearest` (a,) is the most similar
    case of each request and `similarity` (a,) its cosine. `own_share` (a,), `other_share` (o,) and `case_share` (c,) tell
    which share of the production requests nearest to affected ones, to other traffic and to cases was affected, `threshold`
    from where that is the topic; `base_share` is that of all. `case_hit` (c,) is `case_share` among traffic under the
    conditions of the incident alone: how likely a case, asked under them, would have met the change. `apart` (0 to 1) says
    how well the affected requests are told from others by their neighbourhoods; with less than APART they have no topic of
    their own, and near means: as near as a random sample of the traffic would come.
    """

    near: BoolArray
    on_topic: BoolArray
    nearest: IntArray
    similarity: FloatArray
    own_share: FloatArray
    other_share: FloatArray
    case_share: FloatArray
    case_hit: FloatArray
    threshold: float
    base_share: float
    apart: float

    @property
    def has_topic(self) -> bool:
        """Whether the affected requests have a topic of their own."""
        return self.apart >= APART

    @property
    def without_share(self) -> float:
        """Share of the affected requests that have no near case."""
        return 1.0 - float(self.near.any(axis=1).mean())


def topic_of(affected: Vectors, others: Vectors, cases: Vectors, inside: BoolArray | None = None) -> Topic:
    """Where the cases lie, from unit vectors of affected requests (a, d), of other traffic since the onset and of cases.

    `inside` (o,) marks the other traffic that is under the conditions of the incident; all of it by default.
    Needs at least FEWEST affected requests and one case; ValueError with fewer.
    """
    if len(affected) < FEWEST or not len(cases):
        raise ValueError(f"{len(affected)} affected requests and {len(cases)} cases: expected {FEWEST} and 1 at least")
    pool = np.concatenate([affected, others])
    marked = np.arange(len(pool)) < len(affected)
    k = min(NEIGHBOURS, len(affected) - 1)
    share = shares(pool, pool, marked, k, own=True)
    own, other = share[marked], share[~marked]
    case_share = shares(cases, pool, marked, k)
    within = np.concatenate([affected, others if inside is None else others[inside]])
    hit = shares(cases, within, np.arange(len(within)) < len(affected), k)
    threshold, apart = parting(own, other)
    similarity = (affected @ cases.T).astype(np.float64)
    if apart >= APART:
        # One affected neighbour may be chance.
        least = binom.ppf(1.0 - CHANCE, k, marked.mean()) / k
        on_topic = (case_share >= threshold) & (case_share > least)
        among = (affected @ affected.T).astype(np.float64)
        np.fill_diagonal(among, np.nan)
        near = on_topic & (similarity >= np.nanmedian(among, axis=1)[:, None])
    else:
        hit = np.full(len(cases), len(affected) / len(within))
        near = similarity >= _sample_reach(affected, others if len(others) else affected, len(cases))[:, None]
        on_topic: BoolArray = np.asarray(near.any(axis=0))
    return Topic(
        near,
        on_topic,
        similarity.argmax(axis=1),
        similarity.max(axis=1),
        own,
        other,
        case_share,
        hit,
        threshold,
        float(marked.mean()),
        apart,
    )


def shares(points: Vectors, pool: Vectors, marked: BoolArray, k: int, *, own: bool = False) -> FloatArray:
    """For each point the share of marked rows among its k nearest of the pool; `own`: the points are the pool itself.

    A point is not its own neighbour. With fewer than k rows, all of them.
    """
    k = min(k, len(pool) - own)
    out = np.zeros(len(points))
    if k <= 0:
        return out
    for at in range(0, len(points), BLOCK_ROWS):
        similarity = points[at : at + BLOCK_ROWS] @ pool.T
        if own:
            rows = np.arange(len(similarity))
            similarity[rows, rows + at] = -np.inf
        first = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        out[at : at + BLOCK_ROWS] = marked[first].mean(axis=1)
    return out


def parting(inside: FloatArray, outside: FloatArray) -> tuple[float, float]:
    """The value from which on `inside` and `outside` are told apart best, and how well: 0 (not at all) to 1 (always)."""
    values = np.unique(inside)
    above = 1.0 - np.searchsorted(np.sort(inside), values) / len(inside)
    false = 1.0 - np.searchsorted(np.sort(outside), values) / len(outside) if len(outside) else np.zeros(len(values))
    best = int((above - false).argmax())
    return float(values[best]), float(above[best] - false[best])


def _sample_reach(affected: Vectors, traffic: Vectors, size: int) -> FloatArray:
    """How near (a,) the nearest of a random sample of `size` requests comes to each request in AS_A_SAMPLE of the draws."""
    quantile = (1.0 - AS_A_SAMPLE) ** (1.0 / size)
    return np.quantile((affected @ traffic.T).astype(np.float64), quantile, axis=1)
