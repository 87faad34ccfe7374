"""Spherical k-means: cells of unit vectors by cosine similarity.

Source: Dhillon and Modha (2001), "Concept decompositions for large sparse text data using clustering"; start
by greedy k-means++ (Arthur and Vassilvitskii 2007).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unquiet.intents.pairing import similarity_blocks

Vectors = npt.NDArray[np.float32]

_CANDIDATES = 6
_ITERATIONS = 30
_TOLERANCE = 1e-3


def spherical_kmeans(vectors: Vectors, k: int, rng: np.random.Generator, *, restarts: int = 2) -> Vectors:
    """Unit centroids `[k, d]` of unit vectors `[n, d]`, `1 <= k <= n`: the best of several starts."""
    best, best_score = vectors[:k], -np.inf
    for _ in range(restarts):
        centroids, score = _lloyd(vectors, _plus_plus(vectors, k, rng))
        if score > best_score:
            best, best_score = centroids, score
    return best


def _plus_plus(vectors: Vectors, k: int, rng: np.random.Generator) -> Vectors:
    chosen = [int(rng.integers(len(vectors)))]
    distance = np.maximum(1.0 - vectors @ vectors[chosen[0]], 0.0).astype(np.float64)
    for _ in range(k - 1):
        total = distance.sum()
        weights = distance / total if total > 0 else None
        candidates = rng.choice(len(vectors), _CANDIDATES, p=weights)
        further = np.maximum(1.0 - _similarity(vectors, vectors[candidates]), 0.0)
        closer = np.minimum(distance[:, None], further)
        pick = int(closer.sum(axis=0).argmin())
        chosen.append(int(candidates[pick]))
        distance = closer[:, pick]
    return vectors[chosen].copy()


def _lloyd(vectors: Vectors, centroids: Vectors) -> tuple[Vectors, float]:
    score = -np.inf
    for _ in range(_ITERATIONS):
        similarity = _similarity(vectors, centroids)
        cell = similarity.argmax(axis=1)
        own = similarity[np.arange(len(cell)), cell]
        score = float(own.mean())
        updated = _means(vectors, cell, own, len(centroids))
        moved = float(np.abs(updated - centroids).max())
        centroids = updated
        if moved < _TOLERANCE:
            break
    return centroids, score


def _similarity(vectors: Vectors, against: Vectors) -> Vectors:
    result = np.empty((len(vectors), len(against)), np.float32)
    for rows, block in similarity_blocks(vectors, against, exact=False):
        result[rows] = block
    return result


def _means(vectors: Vectors, cell: npt.NDArray[np.int64], own: Vectors, k: int) -> Vectors:
    """Unit means of the cells; an empty cell moves to the vector that fits its own cell worst."""
    # A product with the membership matrix would do, but threads on so thin a matrix make it ten times slower.
    sums = np.stack([vectors[cell == i].sum(axis=0) for i in range(k)])
    lengths = np.linalg.norm(sums, axis=1)
    empty = np.flatnonzero(lengths == 0)
    if len(empty):
        worst = np.argsort(own, kind="stable")[: len(empty)]
        sums[empty] = vectors[worst]
        lengths[empty] = np.linalg.norm(sums[empty], axis=1)
    return sums / lengths[:, None]
