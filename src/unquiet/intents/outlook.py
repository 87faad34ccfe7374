"""Requests sorted by how they are usually answered, learned from the traffic itself.

Two requests on one subject may be treated quite differently, and rates within kinds of request then move when only the mix
within the kind did. What predicts the answer makes finer strata than the words do: "prognostic scores" (Hansen 2008, "The
prognostic analogue of the propensity score"). The behaviours are regressed on the vector of the request (ridge), and
requests are grouped by what is predicted of them (k-means). Predictions for the sessions that were learned from are made
without them, by cross-fitting (Chernozhukov et al. 2018): in sample, predictions are too good, and rates within their
groups would seem to move as soon as the learning is over.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.cluster.vq import kmeans2, vq

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]

ABSENT = -1
"""The group of a request without text, and of all requests where there was too little to learn from."""

_GROUPS = 24
_FOLDS = 5
_RIDGE = 10.0
_LEAST_SD = 0.05
_LEAST_SESSIONS = 400
_FIT_ROWS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """Frozen groups: `weights` (d, e) predict the e behaviours, standardised; `centres` (k, e) are those of the groups."""

    weights: Vectors
    centres: Vectors

    @classmethod
    def fit(cls, vectors: Vectors, y: npt.NDArray[np.int8], *, seed: int = 0) -> tuple[Outlook, IntArray]:
        """Learn from sessions: `vectors` (n, d), zero without text, and `y` (n, e) in 0, 1, -1 (does not apply).

        Gives the groups and that of each session, predicted without it. With fewer than 400 sessions that have text
        there are no groups.
        """
        rows = np.flatnonzero(vectors.any(axis=1))
        codes = np.full(len(vectors), ABSENT, np.int64)
        if len(rows) < _LEAST_SESSIONS:
            return cls(np.zeros((vectors.shape[1], 0), np.float32), np.zeros((0, 0), np.float32)), codes
        x, target = vectors[rows].astype(np.float64), _standardised(y[rows])
        weights, predicted = _cross_fitted(x, target)
        sample = predicted
        if len(sample) > _FIT_ROWS:
            sample = sample[np.sort(np.random.default_rng(seed).choice(len(sample), _FIT_ROWS, replace=False))]
        distinct = len(np.unique(sample.round(6), axis=0))
        start = np.random.default_rng(seed)
        centres = kmeans2(sample, min(_GROUPS, distinct), minit="++", iter=30, rng=start, missing="warn")[0]
        centres = centres.astype(np.float32)
        codes[rows] = vq(predicted.astype(np.float32), centres)[0]
        return cls(weights.astype(np.float32), centres), codes

    def assign(self, vectors: Vectors) -> IntArray:
        """The group of each request (n, d)."""
        codes = np.full(len(vectors), ABSENT, np.int64)
        rows = np.flatnonzero(vectors.any(axis=1)) if len(self.centres) else np.zeros(0, np.int64)
        if len(rows):
            codes[rows] = vq(vectors[rows] @ self.weights, self.centres)[0]
        return codes

    def to_bytes(self) -> bytes:
        """The groups as bytes, the same for the same groups."""
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, weights=self.weights, centres=self.centres)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Outlook:
        """The groups that `to_bytes` wrote."""
        arrays = np.load(io.BytesIO(data), allow_pickle=False)
        return cls(arrays["weights"], arrays["centres"])


def _standardised(y: npt.NDArray[np.int8]) -> FloatArray:
    """Behaviours of mean 0 and deviation 1 (rare ones less); what does not apply is 0, the mean."""
    applies = y >= 0
    count = np.maximum(applies.sum(axis=0), 1)
    mean = np.where(applies, y, 0).sum(axis=0) / count
    sd = np.sqrt(mean * (1.0 - mean))
    return np.where(applies, (y - mean) / np.maximum(sd, _LEAST_SD), 0.0)


def _cross_fitted(x: FloatArray, target: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ridge weights from all rows, and for each row the prediction of weights that had not seen its fold."""
    fold = np.arange(len(x)) % _FOLDS
    own = [(x[fold == f].T @ x[fold == f], x[fold == f].T @ target[fold == f]) for f in range(_FOLDS)]
    gram, moment = (sum((part[i] for part in own), np.zeros(own[0][i].shape)) for i in (0, 1))
    ridge = _RIDGE * np.eye(x.shape[1])
    predicted = np.empty_like(target)
    for f, (g, m) in enumerate(own):
        predicted[fold == f] = x[fold == f] @ np.linalg.solve(gram - g + ridge, moment - m)
    return np.linalg.solve(gram + ridge, moment).astype(np.float64, copy=False), predicted
