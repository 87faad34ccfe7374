"""Runs of a suite over time: when, how many cases, what became of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unquiet.model.evals import ERROR, FAILED, NOT_RUN, PASSED

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a suite, at its first result; counts of results by status."""

    name: str
    at_us: int
    passed: int
    failed: int
    errors: int
    not_run: int

    @property
    def judged(self) -> int:
        """Cases that came to a result, good or bad."""
        return self.passed + self.failed

    @property
    def count(self) -> int:
        """All results."""
        return self.judged + self.errors + self.not_run


def runs_of(names: npt.NDArray[np.object_], time_us: IntArray, status: npt.NDArray[np.object_]) -> list[Run]:
    """The runs of results (n,) in order of time."""
    if not len(names):
        return []
    known, code = np.unique(names.astype(str), return_inverse=True)
    counts = {
        each: np.bincount(code[status == each], minlength=len(known)) for each in (PASSED, FAILED, ERROR, NOT_RUN)
    }
    first = np.full(len(known), np.iinfo(np.int64).max)
    np.minimum.at(first, code, time_us)
    return [
        Run(str(known[i]), int(first[i]), *(int(counts[each][i]) for each in (PASSED, FAILED, ERROR, NOT_RUN)))
        for i in np.lexsort((known, first))
    ]


def usual_gap_us(runs: list[Run]) -> int | None:
    """The median time between runs, microseconds; None with fewer than two."""
    at = np.array([run.at_us for run in runs], np.int64)
    gaps = np.diff(at)
    gaps = gaps[gaps > 0]
    return int(np.median(gaps)) if len(gaps) else None
