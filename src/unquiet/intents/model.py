"""Kinds of request: frozen cells of the space of request vectors, with ids that persist.

Refitting k-means renames its cells, and a stratum that changes its meaning breaks every baseline. So a fit is
frozen, and growth only appends: a later generation of cells is asked only for what is novel to the earlier
ones.
"""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from unquiet.intents.kmeans import spherical_kmeans
from unquiet.intents.labels import label_cells
from unquiet.intents.pairing import similarity_blocks
from unquiet.model.errors import StoreError

Vectors = npt.NDArray[np.float32]
Texts = Sequence[str | None] | pa.Array

NOVEL = -1
"""The cell of a request that is far from every known kind."""

NO_TEXT = -2
"""The cell of a turn whose request was not captured or is empty."""

_FORMAT = 1
_MEMBERS_PER_CELL = 20
_FIT_ROWS = 10_000
_NOVEL_QUANTILE = 0.995
_NOVEL_SLACK = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class IntentModel:
    """Frozen cells. Cell id = row of `centroids`; it never changes its meaning.

    `centroids` are unit vectors `[k, d]`; `reach` is the distance (1 - cosine) up to which a request belongs
    to a cell; `generation` counts the fits: 0 for the first one, 1 for the first extension and so on; `sizes`
    are the members at the time of the fit.
    """

    centroids: Vectors
    reach: npt.NDArray[np.float32]
    generation: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int64]
    labels: tuple[str, ...]

    @classmethod
    def fit(cls, vectors: Vectors, *, texts: Texts | None = None, k_coarse: int = 24, seed: int = 0) -> IntentModel:
        """Cells of the vectors `[n, d]` (unit length; zero vectors are left out), largest cell first.

        There are `k_coarse` cells, or fewer: one for every 20 requests, at least one. Of more than 10,000
        vectors a random sample is used. With `texts`, parallel to `vectors`, the cells are named by their
        words. With no usable vector the model has no cells, and every request is novel to it.
        """
        nothing = cls(
            np.zeros((0, vectors.shape[1]), np.float32),
            np.zeros(0, np.float32),
            np.zeros(0, np.int32),
            np.zeros(0, np.int64),
            (),
        )
        return nothing.extend(vectors, texts=texts, k_new=k_coarse, seed=seed)

    def extend(self, vectors: Vectors, *, texts: Texts | None = None, k_new: int = 8, seed: int = 0) -> IntentModel:
        """The same cells and up to `k_new` more, fitted on those of the vectors that are novel to this model.

        Whatever had a cell keeps it, exactly. Fewer novel vectors than 20 leave the model as it is, except
        that the first fit always makes a cell.
        """
        rows = np.flatnonzero(self.assign(vectors) == NOVEL)
        if len(rows) == 0 or (len(self.centroids) and len(rows) < _MEMBERS_PER_CELL):
            return self
        rng = np.random.default_rng(seed)
        if len(rows) > _FIT_ROWS:
            rows = np.sort(rng.choice(rows, _FIT_ROWS, replace=False))
        new = vectors[rows]
        k = max(1, min(k_new, len(rows) // _MEMBERS_PER_CELL, len({row.tobytes() for row in new})))
        centroids, cell, distance = _largest_first(new, spherical_kmeans(new, k, rng))
        first = len(self.centroids)
        labels = [f"cell {first + i}" for i in range(k)]
        if texts is not None:
            labels = _names(pa.array(texts, pa.large_string()), rows, cell, k, rng)
        return dataclasses.replace(
            self,
            centroids=np.concatenate([self.centroids, centroids]),
            reach=np.concatenate([self.reach, _reach(cell, distance, k)]),
            generation=np.concatenate([self.generation, np.full(k, self.generations, np.int32)]),
            sizes=np.concatenate([self.sizes, np.bincount(cell, minlength=k)]),
            labels=(*self.labels, *labels),
        )

    @property
    def generations(self) -> int:
        """How many fits made this model: 1 after `fit`, one more for each `extend` that added cells."""
        return int(self.generation.max()) + 1 if len(self.generation) else 0

    def assign(self, vectors: Vectors) -> npt.NDArray[np.int32]:
        """The cell of each vector: an id of 0 and more, `NOVEL`, or `NO_TEXT` for a zero vector."""
        return self.locate(vectors)[0]

    def locate(self, vectors: Vectors) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """The cell of each vector, and its distance (1 - cosine) to the nearest centroid of any cell.

        The distance is NaN where there is no text or no cell at all.
        """
        cells = np.full(len(vectors), NOVEL, np.int32)
        distances = np.full(len(vectors), np.nan, np.float32)
        if len(self.centroids):
            for rows, similarity in similarity_blocks(vectors, self.centroids):
                cells[rows], distances[rows] = self._locate_block(1.0 - similarity)
        blank = ~vectors.any(axis=1)
        cells[blank] = NO_TEXT
        distances[blank] = np.nan
        return cells, distances

    def _locate_block(self, distance: Vectors) -> tuple[npt.NDArray[np.int32], Vectors]:
        cells = np.full(len(distance), NOVEL, np.int32)
        for generation in range(self.generations):
            ids = np.flatnonzero(self.generation == generation)
            nearest = distance[:, ids].argmin(axis=1)
            within = distance[np.arange(len(distance)), ids[nearest]] <= self.reach[ids[nearest]]
            cells = np.where((cells == NOVEL) & within, ids[nearest], cells).astype(np.int32)
        return cells, distance.min(axis=1)

    def label(self, cell: int) -> str:
        """The name of a cell, also of `NOVEL` and `NO_TEXT`."""
        if cell == NOVEL:
            return "new kind of request"
        return "no text" if cell == NO_TEXT else self.labels[cell]

    def to_bytes(self) -> bytes:
        """The model as a compressed numpy archive without pickled objects."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            format=np.array(_FORMAT),
            centroids=self.centroids,
            reach=self.reach,
            generation=self.generation,
            sizes=self.sizes,
            labels=np.array(self.labels, dtype=np.str_),
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> IntentModel:
        """The model that `to_bytes` wrote.

        Raises:
            StoreError: the bytes are something else, or of a newer format.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                found = {name: archive[name] for name in archive.files}
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise StoreError(f"The kinds of request cannot be read ({error}). Scan again to fit them.") from error
        if int(found.get("format", np.array(0))) != _FORMAT:
            raise StoreError(
                f"The kinds of request are stored in format {found.get('format')}; this version reads format "
                f"{_FORMAT}. Update unquiet, or scan into a new folder."
            )
        fields = {name: found[name] for name in ("centroids", "reach", "generation", "sizes")}
        return cls(**fields, labels=tuple(str(label) for label in found["labels"]))


def _largest_first(
    vectors: Vectors, centroids: Vectors
) -> tuple[Vectors, npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """The centroids with the largest cell first; for each vector its cell and its distance."""
    distance = 1.0 - vectors @ centroids.T
    sizes = np.bincount(distance.argmin(axis=1), minlength=len(centroids))
    order = np.argsort(-sizes, kind="stable")
    distance = distance[:, order]
    cell = distance.argmin(axis=1).astype(np.int32)
    return centroids[order], cell, distance[np.arange(len(cell)), cell]


def _names(
    texts: pa.Array,
    rows: npt.NDArray[np.int64],
    cell: npt.NDArray[np.int32],
    k: int,
    rng: np.random.Generator,
) -> list[str]:
    """Labels of the cells of `rows`, in contrast to the other requests too (a sample of them, if many)."""
    others = np.setdiff1d(np.arange(len(texts)), rows, assume_unique=True)
    if len(others) > _FIT_ROWS:
        others = np.sort(rng.choice(others, _FIT_ROWS, replace=False))
    cells = np.concatenate([cell, np.full(len(others), NOVEL, np.int32)])
    return label_cells(texts.take(pa.array(np.concatenate([rows, others]))), cells, k)


def _reach(cell: npt.NDArray[np.int32], distance: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.float32]:
    """How far a cell reaches: the 99.5 % quantile of its members' distances plus 0.05 for the unseen.

    A cell with few members has no tail to look at: none reaches less far than the median cell.
    """
    own = [float(np.quantile(distance[cell == i], _NOVEL_QUANTILE)) for i in range(k) if (cell == i).any()]
    middle = float(np.median(own))
    reach = [
        max(float(np.quantile(distance[cell == i], _NOVEL_QUANTILE)), middle) if (cell == i).any() else middle
        for i in range(k)
    ]
    return np.array(reach, np.float32) + np.float32(_NOVEL_SLACK)
