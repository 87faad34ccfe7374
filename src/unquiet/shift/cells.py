"""Cells: a slice's sessions of one stratum, and how many of them there were."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from unquiet.stats.shrinkage import F

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

TICKS_A_DAY = 288
MOST_CELLS = 2_000
"""Cells beyond this many are not watched, but for those of all traffic: a stratum that turns up late has only this one."""


class Cells:
    """The cells of S slices, numbered as they are met.

        `row_of` (S, strata) is -1 where a cell was not met; `where` and `stratum` (cells,) tell what each is. `sessions`
        (cells,) were learned from; `today` (TICKS_A_DAY + 1, cells) are the running sums of the day, of which the rows up to `tick`
    are filled.
    """

    def __init__(self, slice_count: int) -> None:
        self.slice_count = slice_count
        self.row_of = np.full((slice_count, 0), -1, np.int64)
        self.where = np.zeros(0, np.int64)
        self.stratum = np.zeros(0, np.int64)
        self.sessions = np.zeros(0, np.float64)
        self.today = np.zeros((TICKS_A_DAY + 1, 0), np.float32)
        self.tick = 0

    def __len__(self) -> int:
        return len(self.where)

    def rows(self, where: IntArray, stratum: IntArray) -> IntArray:
        """The cell of each membership, -1 where there is no room for another."""
        self._widen(int(stratum.max(initial=-1)) + 1)
        flat = self.row_of.reshape(-1)
        keys = np.concatenate([where * self.row_of.shape[1] + stratum, stratum])
        new = np.unique(keys[flat[keys] < 0])
        new = np.concatenate(
            [new[new < self.row_of.shape[1]], new[new >= self.row_of.shape[1]][: max(MOST_CELLS - len(self), 0)]]
        )
        if len(new):
            flat[new] = np.arange(len(self), len(self) + len(new))
            self.where = np.append(self.where, new // self.row_of.shape[1])
            self.stratum = np.append(self.stratum, new % self.row_of.shape[1])
            self.sessions = np.append(self.sessions, np.zeros(len(new)))
            blank = np.zeros((len(self.today), len(new)), np.float32)
            self.today = np.concatenate([self.today, blank], axis=1)
        return self.row_of[where, stratum]

    def add(self, rows: IntArray) -> None:
        """Count the memberships of a tick."""
        self.tick += 1
        self.today[self.tick] = self.today[self.tick - 1] + np.bincount(rows, minlength=len(self))

    @property
    def now(self) -> FloatArray:
        """Sessions of today so far, (cells,)."""
        return self.today[self.tick]

    def settle(self) -> None:
        """The day is over: its sessions have been learned from."""
        self.sessions += self.now
        self.today[:] = 0.0
        self.tick = 0

    def by_slice(self) -> tuple[IntArray, IntArray]:
        """Cells in order of their slice, and where each slice begins in them, (S + 1,)."""
        order = np.argsort(self.where, kind="stable")
        return order, np.searchsorted(self.where[order], np.arange(self.slice_count + 1))

    def _widen(self, strata: int) -> None:
        if strata > self.row_of.shape[1]:
            wider = np.full((self.slice_count, strata), -1, np.int64)
            wider[:, : self.row_of.shape[1]] = self.row_of
            self.row_of = wider


def sums_by_slice(values: F, order: IntArray, begins: IntArray) -> F:
    """Sums (k, S) over the cells of each slice of values (k, cells); `order` and `begins` as `Cells.by_slice` gives them."""
    members = csr_array((np.ones(len(order), values.dtype), order, begins), shape=(len(begins) - 1, values.shape[1]))
    return cast("F", (members @ values.T).T)
