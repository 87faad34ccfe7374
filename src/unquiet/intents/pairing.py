"""The nearest request: cosine similarity in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

_ROWS = 512
_SMALL_PRODUCT = 2**18
_POOL_ROWS = 4_096


def nearest(query_vectors: Vectors, pool_vectors: Vectors) -> tuple[npt.NDArray[np.int64], Vectors]:
    """For each query the most similar row of the pool: its index, and the cosine in [-1, 1].

    Both inputs are unit vectors of shape `[n, d]` (zero vectors are allowed and have similarity 0). Of
    equally similar rows the first wins. With an empty pool the index is -1 and the similarity NaN. Memory:
    about 32 MB.
    """
    index = np.full(len(query_vectors), -1, np.int64)
    best = np.full(len(query_vectors), np.nan, np.float32)
    for at in range(0, len(pool_vectors), _POOL_ROWS):
        pool = pool_vectors[at : at + _POOL_ROWS]
        for rows, similarity in similarity_blocks(query_vectors, pool):
            column = similarity.argmax(axis=1)
            found = similarity[np.arange(len(column)), column]
            better = np.isnan(best[rows]) | (found > best[rows])
            index[rows] = np.where(better, at + column, index[rows])
            best[rows] = np.where(better, found, best[rows])
    return index, best


def similarity_blocks(vectors: Vectors, against: Vectors, *, exact: bool = True) -> Iterator[tuple[slice, Vectors]]:
    """Row blocks of `vectors @ against.T`, float32.

    Exact: multiplied in double precision and rounded. A matrix library adds in another order for another
    shape, and in single precision (half the time) the batch that a row came in would show in its last bit.
    """
    precision = np.float64 if exact else np.float32
    columns = np.ascontiguousarray(against.T, dtype=precision)
    # Below about this many multiplications the libraries do not start threads, whose waiting for each other
    # costs more than the work where processors are shared.
    small = _SMALL_PRODUCT // max(columns.size, 1)
    step = small if small >= 8 else _ROWS
    for at in range(0, len(vectors), step):
        block = vectors[at : at + step].astype(precision, copy=False)
        yield slice(at, at + len(block)), (block @ columns).astype(np.float32, copy=False)
