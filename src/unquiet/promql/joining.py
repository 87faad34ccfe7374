"""Operators between vectors and scalars: arithmetic, comparison, sets, and how series of two sides find each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unquiet.promql.values import (
    BoolArray,
    FloatArray,
    Labels,
    NotEvaluated,
    Vector,
    grouped,
    labelled,
    nothing,
    only,
    shown,
    without,
)

Arithmetic = Callable[[FloatArray, FloatArray], FloatArray]
Comparison = Callable[[FloatArray, FloatArray], BoolArray]

ARITHMETIC: Mapping[str, Arithmetic] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
COMPARISONS: Mapping[str, Comparison] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}
SETS = ("and", "or", "unless")


@dataclass(frozen=True, slots=True)
class Matching:
    """How the series of two sides find each other: by `names` alone (`on`), or by all labels but them.

    `many` is the side of which several may find the same one: "left", "right", or none. `brought`: labels that come from the
    other side. `as_bool`: a comparison answers 0 or 1.
    """

    on: bool = False
    names: tuple[str, ...] = ()
    many: str = ""
    brought: tuple[str, ...] = ()
    as_bool: bool = False

    def key(self, labels: Labels) -> Labels:
        """The labels by which a series is found."""
        return only(labels, self.names) if self.on else without(labels, self.names)


def combined(operator: str, left: FloatArray, right: FloatArray) -> tuple[FloatArray, BoolArray]:
    """The values of an operation on arrays of one shape, and what a comparison lets through; all else lets all through."""
    with np.errstate(all="ignore"):
        if operator in COMPARISONS:
            return left, COMPARISONS[operator](left, right)
        return ARITHMETIC[operator](left, right), np.ones(left.shape, bool)


def scalars(operator: str, left: FloatArray, right: FloatArray) -> FloatArray:
    """Two scalars; a comparison answers 0 or 1."""
    values, passed = combined(operator, left, right)
    return passed.astype(np.float64) if operator in COMPARISONS else values


def with_scalar(operator: str, vector: Vector, scalar: FloatArray, *, swapped: bool, as_bool: bool) -> Vector:
    """A vector and a scalar (T,), which stands on the left where they are `swapped`."""
    wide = np.broadcast_to(scalar, vector.values.shape)
    values, passed = combined(operator, *((wide, vector.values) if swapped else (vector.values, wide)))
    if operator not in COMPARISONS:
        return Vector(vector.labels, values, vector.present)
    if as_bool:
        return Vector(vector.labels, passed.astype(np.float64), vector.present)
    return Vector(vector.labels, vector.values, vector.present & passed)


def vectors(operator: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    """Two vectors.

    Raises:
        NotEvaluated: a series of the one side finds several of the other at the same moment.
    """
    if operator in SETS:
        return _sets(operator, left, right, matching)
    swapped = matching.many == "right"
    many, one = (right, left) if swapped else (left, right)
    ones = one.under([matching.key(each) for each in one.labels])
    place = {key: row for row, key in enumerate(ones.labels)}
    rows = [(row, place[key]) for row, each in enumerate(many.labels) if (key := matching.key(each)) in place]
    if not rows:
        return nothing(left.values.shape[1])
    mine, theirs = (np.array(each, np.int64) for each in zip(*rows, strict=True))
    sides = (many.values[mine], ones.values[theirs])
    values, passed = combined(operator, *(reversed(sides) if swapped else sides))
    present = many.present[mine] & ones.present[theirs]
    if operator in COMPARISONS and matching.as_bool:
        values = passed.astype(np.float64)
    elif operator in COMPARISONS:
        present = present & passed
    if not matching.many:
        # Whether one finds one is asked before a comparison filters.
        _one_each(many, mine, ones, theirs)
        labels: list[Labels] = [ones.labels[row] for row in theirs]
    else:
        brought = _brought(one, matching)
        labels = [_with(many.labels[a], brought[ones.labels[b]], matching.brought) for a, b in rows]
    return Vector(labels, values, present).under(labels)


def _one_each(many: Vector, mine: np.ndarray, ones: Vector, theirs: np.ndarray) -> None:
    for row in np.unique(theirs).tolist():
        same = mine[theirs == row]
        if len(same) > 1 and bool(((many.present[same].sum(axis=0) > 1) & ones.present[row]).any()):
            raise NotEvaluated(
                f"several series on the left match {shown(ones.labels[row])} on the right: it needs group_left"
            )


def _brought(one: Vector, matching: Matching) -> dict[Labels, Labels]:
    """By key, the labels that come from the side of one."""
    found: dict[Labels, Labels] = {}
    for key, rows in grouped([matching.key(each) for each in one.labels]).items():
        told = {only(one.labels[row], matching.brought) for row in rows}
        if len(told) > 1:
            raise NotEvaluated(f"group_left finds several values of {', '.join(matching.brought)} for {shown(key)}")
        found[key] = told.pop()
    return found


def _with(labels: Labels, brought: Labels, names: Sequence[str]) -> Labels:
    return labelled({**dict(without(labels, names)), **dict(brought)})


def _sets(operator: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    here = _any(left, matching)
    there = _any(right, matching)
    never = np.zeros(left.values.shape[1], bool)
    if operator == "or":
        covered = [here.get(matching.key(each), never) for each in right.labels]
        present = right.present & ~np.array(covered, bool).reshape(right.present.shape)
        labels = [*left.labels, *right.labels]
        joined = Vector(labels, np.concatenate([left.values, right.values]), np.concatenate([left.present, present]))
        return joined.under(labels)
    found = np.array([there.get(matching.key(each), never) for each in left.labels], bool).reshape(left.present.shape)
    return Vector(left.labels, left.values, left.present & (found if operator == "and" else ~found))


def _any(vector: Vector, matching: Matching) -> dict[Labels, BoolArray]:
    """By key, at which moments any series is present."""
    keys = grouped([matching.key(each) for each in vector.labels])
    return {key: np.atleast_1d(vector.present[rows].any(axis=0)) for key, rows in keys.items()}
