"""What a PromQL expression is evaluated on, and to: series over a grid of times, with what is present told from what is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

Labels = tuple[tuple[str, str], ...]
"""Labels of a series without its name, by name ascending."""


class NotEvaluated(ValueError):
    """An expression, or a rule, that cannot be evaluated here; the text says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Series of one name as they were scraped: S series at N moments.

    `at_s` (N,) in seconds since 1970, ascending; `values` and `present` (S, N). `knows`: the labels that the series could have;
    matchers on others are taken to hold. None: there are no others.
    """

    at_s: FloatArray
    labels: Sequence[Labels]
    values: FloatArray
    present: BoolArray
    knows: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Vector:
    """An instant vector at T moments: S series, `values` and `present` (S, T)."""

    labels: Sequence[Labels]
    values: FloatArray
    present: BoolArray

    def kept(self, rows: Sequence[int]) -> Vector:
        """Only some of the series."""
        place = np.array(rows, np.int64)
        return Vector([self.labels[row] for row in rows], self.values[place], self.present[place])

    def under(self, labels: Sequence[Labels]) -> Vector:
        """The same series under other labels; those of equal labels become one.

        Raises:
            NotEvaluated: two series of equal labels are present at the same moment.
        """
        rows = grouped(labels)
        if len(rows) == len(labels):
            return Vector(labels, self.values, self.present)
        values, present = (
            np.full((len(rows), self.values.shape[1]), np.nan),
            np.zeros((len(rows), self.values.shape[1]), bool),
        )
        for place, (key, mine) in enumerate(rows.items()):
            if bool((self.present[mine].sum(axis=0) > 1).any()):
                raise NotEvaluated(f"several series have the labels {shown(key)} at the same time")
            for row in mine:
                values[place] = np.where(self.present[row], self.values[row], values[place])
                present[place] |= self.present[row]
        return Vector(list(rows), values, present)


Value = Vector | FloatArray | str
"""An instant vector, a scalar (T,), or a text."""


def nothing(moments: int) -> Vector:
    """A vector without series."""
    return Vector([], np.zeros((0, moments)), np.zeros((0, moments), bool))


def grouped(labels: Sequence[Labels]) -> dict[Labels, list[int]]:
    """The rows of every set of labels, in order of their first."""
    found: dict[Labels, list[int]] = {}
    for row, each in enumerate(labels):
        found.setdefault(each, []).append(row)
    return found


def only(labels: Labels, names: Sequence[str]) -> Labels:
    """The labels of some names."""
    return tuple(each for each in labels if each[0] in names)


def without(labels: Labels, names: Sequence[str]) -> Labels:
    """The labels but those of some names."""
    return tuple(each for each in labels if each[0] not in names)


def labelled(told: Mapping[str, str]) -> Labels:
    """Labels of a mapping; a label with an empty value is none."""
    return tuple(sorted((name, value) for name, value in told.items() if value))


def shown(labels: Labels) -> str:
    """Labels as PromQL writes them."""
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels) + "}"
