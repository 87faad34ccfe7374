"""Strata: the kinds of request within which rates are compared, chosen by what they explain.

If a kind of request that is often refused doubles its traffic, the overall rate rises though the agent did not change.
Rates are therefore compared within cells of the traffic (Kitagawa 1955, direct standardisation). The cells are grown
greedily from the baseline: the facet (or part of the week) that explains most of the behaviour is added while it explains
more than its degrees of freedom would by chance (the Bayesian information criterion).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unquiet.slices.facets import FacetColumn
from unquiet.stats.runs import run_sums

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Answers = npt.NDArray[np.int8]

MOST_CELLS = 80
CELL_SUPPORT = 40
OTHER = "(other)"
ABSENT = "(none)"
WEEK_PART = "(part of week)"
DAY_PART = "(part of day)"
TURN_PART = "(turns)"
HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Strata:
    """The facets whose joint values are the cells; `rare` holds, per facet, the baseline values that share one cell.

    A value that the baseline did not know makes a cell of its own, which learns before it is judged.
    """

    facets: tuple[str, ...] = ()
    rare: tuple[frozenset[str], ...] = ()

    def names(self, columns: dict[str, FacetColumn], started_us: IntArray, turn_count: IntArray) -> list[str]:
        """The name of the cell of every session; values never seen in the baseline make cells of their own."""
        n = len(started_us)
        every = with_parts(columns, started_us, turn_count)
        parts = [self._part(i, every, n) for i in range(len(self.facets))]
        return [" | ".join(cell) for cell in zip(*parts, strict=True)] if parts else ["all"] * n

    def _part(self, i: int, columns: dict[str, FacetColumn], n: int) -> list[str]:
        column = columns.get(self.facets[i])
        if column is None:
            return [ABSENT] * n
        rare = self.rare[i]
        names = np.array([*(OTHER if value in rare else value for value in column.values), ABSENT], dtype=object)
        return list(names[column.codes])


def with_parts(columns: dict[str, FacetColumn], started_us: IntArray, turn_count: IntArray) -> dict[str, FacetColumn]:
    """The facets and, as three more, the part of the week, that of the day (UTC), and how many turns a session has.

    How much users ask in a session is theirs, and the more they ask the more often anything happens in it.
    """
    hours = started_us // HOUR_US
    weekday = (hours // 24 + 3) % 7
    return columns | {
        WEEK_PART: FacetColumn(["weekday", "weekend"], (weekday >= 5).astype(np.int64)),
        DAY_PART: FacetColumn(["0-6h", "6-12h", "12-18h", "18-24h"], (hours % 24) // 6),
        TURN_PART: FacetColumn(["1", "2-3", "4 or more"], np.searchsorted([2, 4], turn_count, side="right")),
    }


def choose_strata(
    columns: dict[str, FacetColumn], candidates: list[str], started_us: IntArray, turn_count: IntArray, y: Answers
) -> Strata:
    """Grow the strata from baseline sessions; y (sessions, events) holds 0, 1 or -1 (does not apply)."""
    every = with_parts(columns, started_us, turn_count)
    pool = [*candidates, WEEK_PART, DAY_PART, TURN_PART]
    grouped = {facet: _group_rare(every[facet]) for facet in pool}
    chosen: list[str] = []
    cells = np.zeros(len(started_us), np.int64)
    current = _deviance(cells, y)
    while len(chosen) < 5:
        best: tuple[float, str, IntArray, FloatArray] | None = None
        for facet in pool:
            if facet in chosen:
                continue
            joint = _compact(cells * (len(grouped[facet].values) + 1) + grouped[facet].codes + 1)
            count = int(joint.max()) + 1
            if count > min(MOST_CELLS, len(joint) // CELL_SUPPORT) or count == int(cells.max()) + 1:
                continue
            deviance = _deviance(joint, y)
            added = count - int(cells.max()) - 1
            gain = float(np.maximum(current - deviance - added * np.log(len(joint)), 0.0).sum())
            if gain > 0 and (best is None or gain > best[0]):
                best = (gain, facet, joint, deviance)
        if best is None:
            break
        chosen.append(best[1])
        cells, current = best[2], best[3]
    rare = tuple(frozenset(every[facet].values) - set(grouped[facet].values) for facet in chosen)
    return Strata(tuple(chosen), rare)


def _group_rare(column: FacetColumn) -> FacetColumn:
    counts = column.counts()
    floor = max(CELL_SUPPORT, 0.01 * counts.sum())
    keep = np.flatnonzero(counts >= floor)
    rank = np.full(len(counts) + 1, len(keep))
    rank[keep] = np.arange(len(keep))
    rank[-1] = -1
    return FacetColumn([*(column.values[i] for i in keep), OTHER], rank[column.codes])


def _compact(codes: IntArray) -> IntArray:
    return np.unique(codes, return_inverse=True)[1]


def _deviance(cells: IntArray, y: Answers) -> FloatArray:
    """Twice the negative log-likelihood of each event with one rate per cell, shape (events,)."""
    order = np.argsort(cells, kind="stable")
    _, starts = np.unique(cells[order], return_index=True)
    n, x = run_sums(y, order, starts)
    rate = np.clip(x / np.maximum(n, 1), 1e-6, 1 - 1e-6)
    return -2.0 * (x * np.log(rate) + (n - x) * np.log1p(-rate)).sum(axis=0)
