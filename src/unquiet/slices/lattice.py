"""The slices that are watched: all traffic, single facets and pairs of facets with support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from unquiet.model.slices import Slice
from unquiet.slices.facets import MIN_SUPPORT, MOST_VALUES, FacetColumn

IntArray = npt.NDArray[np.int64]

MOST_PAIRS = 400
SAME_SLICE = 0.9
"""A pair that holds more than this share of one of its two facets says nothing of its own."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """The watched slices; slice 0 is all traffic, then single facets, then pairs.

    The first `planned_count` were chosen at the end of the learning period; those after it turned up later and have one
    condition each. `decided` are the facet values that were looked at then, also those that were not taken;
    `sizes` the baseline sessions of the planned slices.
    """

    slices: tuple[Slice, ...]
    planned_count: int
    decided: frozenset[tuple[str, str]] = frozenset()
    sizes: tuple[int, ...] = ()

    @property
    def single(self) -> npt.NDArray[np.bool_]:
        """Which slices have at most one condition."""
        return np.array([len(where.conditions) <= 1 for where in self.slices])

    def grown(self, newcomers: Sequence[Slice]) -> Lattice:
        """The same slices and some more."""
        return replace(self, slices=(*self.slices, *newcomers))

    def members(self, columns: dict[str, FacetColumn], n: int) -> tuple[IntArray, IntArray]:
        """Which of n sessions are in which slice: parallel arrays (session, slice), sorted by slice."""
        codes = {facet: _lookup(column) for facet, column in columns.items()}
        sessions, slices = [np.arange(n)], [np.zeros(n, np.int64)]
        cache: dict[tuple[str, str], IntArray] = {}
        for index, where in enumerate(self.slices[1:], start=1):
            parts = [_rows(columns, codes, cache, pair) for pair in where.conditions]
            rows = parts[0] if len(parts) == 1 else np.intersect1d(parts[0], parts[1], assume_unique=True)
            sessions.append(rows)
            slices.append(np.full(len(rows), index))
        return np.concatenate(sessions), np.concatenate(slices)


def build_lattice(columns: dict[str, FacetColumn], sliced: list[str], n: int) -> Lattice:
    """Choose the slices by looking at n baseline sessions: supported values of the given facets, and their pairs."""
    singles: list[tuple[Slice, IntArray]] = []
    decided: set[tuple[str, str]] = set()
    for facet in sliced:
        column = columns[facet]
        counts = column.counts()
        floor = support(n)
        decided |= {(facet, column.values[code]) for code in np.flatnonzero(counts >= floor)}
        for code in np.argsort(-counts, kind="stable")[:MOST_VALUES]:
            if floor <= counts[code] < 0.98 * n:
                rows = np.flatnonzero(column.codes == code)
                singles.append((Slice(((facet, column.values[code]),)), rows))
    singles = _distinct(singles, n)
    pairs = _distinct(_pairs(singles, n), n)[:MOST_PAIRS]
    slices = (Slice(), *(where for where, _ in singles), *(where for where, _ in pairs))
    sizes = (n, *(len(rows) for _, rows in (*singles, *pairs)))
    return Lattice(slices, len(slices), frozenset(decided), sizes)


def support(n: int) -> int:
    """Sessions that a value needs to be a slice, given the n sessions of the baseline."""
    return max(MIN_SUPPORT, int(0.002 * n))


def _pairs(singles: list[tuple[Slice, IntArray]], n: int) -> list[tuple[Slice, IntArray]]:
    member = np.zeros((len(singles), n), np.float32)
    for i, (_, rows) in enumerate(singles):
        member[i, rows] = 1.0
    both = member @ member.T
    size = member.sum(axis=1)
    found: list[tuple[float, Slice, IntArray]] = []
    floor = max(MIN_SUPPORT, 0.005 * n)
    for i, j in np.argwhere(np.triu(both >= floor, k=1)):
        a, b = singles[i][0].conditions[0], singles[j][0].conditions[0]
        if a[0] == b[0] or both[i, j] > SAME_SLICE * min(size[i], size[j]):
            continue
        found.append((-float(both[i, j]), Slice(tuple(sorted((a, b)))), np.flatnonzero(member[i] * member[j])))
    found.sort(key=lambda item: (item[0], item[1]))
    return [(where, rows) for _, where, rows in found]


def _distinct(slices: list[tuple[Slice, IntArray]], n: int) -> list[tuple[Slice, IntArray]]:
    """Drop slices that hold exactly the sessions of an earlier one (two facets that say the same)."""
    marks = np.random.default_rng(0).integers(1, 2**40, n)
    seen: set[tuple[int, int]] = set()
    kept: list[tuple[Slice, IntArray]] = []
    for where, rows in slices:
        key = (len(rows), int(marks[rows].sum()))
        if key not in seen:
            seen.add(key)
            kept.append((where, rows))
    return kept


def _lookup(column: FacetColumn) -> dict[str, int]:
    return {value: code for code, value in enumerate(column.values)}


def _rows(
    columns: dict[str, FacetColumn],
    codes: dict[str, dict[str, int]],
    cache: dict[tuple[str, str], IntArray],
    pair: tuple[str, str],
) -> IntArray:
    if pair not in cache:
        code = codes.get(pair[0], {}).get(pair[1])
        cache[pair] = np.flatnonzero(columns[pair[0]].codes == code) if code is not None else np.zeros(0, np.int64)
    return cache[pair]
