"""Which turns are known: 64-bit keys of turn ids in sorted runs, searched without loading them.

Runs are merged like the levels of a log-structured merge tree (O'Neil et al. 1996, "The log-structured
merge-tree"), so a look-up costs a few binary searches however long the history is, and memory holds only what
the search touches. Two different ids share a key with probability n^2 / 2^65: 7e-5 for 50 million turns.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]

RUN_KEYS_MAX = 8_000_000
"""Runs do not grow beyond this (64 MB), which bounds the memory of a merge."""


@dataclass(slots=True)
class Run:
    """Sorted distinct keys; `file` is the manifest name of a stored run, None for one in memory."""

    keys: Keys
    file: str | None = None


class TurnKeys:
    """A set of 64-bit keys. Changes become durable when the owner stores `unstored()` and commits."""

    def __init__(self, runs: list[Run]) -> None:
        self._committed = sorted(runs, key=lambda run: -len(run.keys))
        self._runs = list(self._committed)

    def unknown(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """True where a key is neither in the set nor earlier in `keys`; shape (len(keys),)."""
        distinct, first = np.unique(keys, return_index=True)
        fresh = np.ones(len(distinct), dtype=np.bool_)
        for run in self._runs:
            place = np.searchsorted(run.keys, distinct)
            inside = place < len(run.keys)
            fresh[inside] &= run.keys[place[inside]] != distinct[inside]
        mask = np.zeros(len(keys), dtype=np.bool_)
        mask[first[fresh]] = True
        return mask

    def add(self, keys: Keys) -> None:
        """Add keys that `unknown` said are new."""
        if not len(keys):
            return
        merged = np.sort(keys)
        while self._runs and self._mergeable(len(self._runs[-1].keys), len(merged)):
            merged = np.sort(np.concatenate([self._runs.pop().keys, merged]))
        self._runs.append(Run(merged))

    @staticmethod
    def _mergeable(last: int, new: int) -> bool:
        return last < 2 * new and last + new <= RUN_KEYS_MAX

    def unstored(self) -> list[Run]:
        """Runs that are only in memory; the caller stores each and sets its `file`."""
        return [run for run in self._runs if run.file is None]

    def superseded(self) -> list[str]:
        """Files of committed runs that were merged into others: to be taken out of the manifest."""
        kept = {run.file for run in self._runs}
        return [run.file for run in self._committed if run.file is not None and run.file not in kept]

    def commit(self) -> None:
        """What was added is stored."""
        self._committed = list(self._runs)

    def rollback(self) -> None:
        """What was added since the last commit never was."""
        self._runs = list(self._committed)


def load_run(path: Path, file: str) -> Run:
    """A stored run, mapped and not read."""
    return Run(np.load(path, mmap_mode="r", allow_pickle=False), file)
