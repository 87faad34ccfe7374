"""Which requests stand for the others: each like many that are not covered yet, none like one that is chosen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

ALIKE = 0.95
"""Requests of this cosine or more are the same one again."""


def representatives(vectors: Vectors, count: int) -> list[int]:
    """Rows of up to `count` unit vectors (n, d), the widest first: greedy facility location (Nemhauser et al. 1978).

    Memory: n * n doubles. Fewer come where all others are like a chosen one.
    """
    cosine = np.round(vectors.astype(np.float64) @ vectors.T.astype(np.float64), 6)
    covered, free = np.zeros(len(cosine)), np.ones(len(cosine), bool)
    chosen: list[int] = []
    while len(chosen) < count and free.any():
        gain = np.where(free, np.maximum(cosine - covered, 0.0).sum(axis=1), -1.0)
        best = int(gain.argmax())
        chosen.append(best)
        covered = np.maximum(covered, cosine[best])
        free &= cosine[best] < ALIKE
        free[best] = False
    return chosen
