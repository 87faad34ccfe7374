"""Aggregation of series: sum by (...), topk and the like."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from unquiet.promql.values import BoolArray, FloatArray, NotEvaluated, Vector, grouped, only, without

Aggregation = Callable[[FloatArray, BoolArray], FloatArray]
"""Values and presence (G, T) of a group -> its value (T,) where any is present."""


def aggregated(
    name: str, vector: Vector, parameter: FloatArray | None, names: Sequence[str], *, leaving: bool
) -> Vector:
    """An aggregation over groups by labels, or with `leaving` by all labels but these.

    Raises:
        NotEvaluated: it is not known.
    """
    keys = [without(each, names) if leaving else only(each, names) for each in vector.labels]
    groups = grouped(keys)
    if name in ("topk", "bottomk") and parameter is not None:
        return _highest(vector, list(groups.values()), parameter, lowest=name == "bottomk")
    if name == "quantile" and parameter is not None:
        function: Aggregation = lambda values, present: quantile(parameter, values, present)  # noqa: E731
    elif name in AGGREGATIONS:
        function = AGGREGATIONS[name]
    else:
        raise NotEvaluated(f"{name}() is not known here")
    size = (len(groups), vector.values.shape[1])
    values, present = np.full(size, np.nan), np.zeros(size, bool)
    for place, rows in enumerate(groups.values()):
        with np.errstate(all="ignore"):
            values[place] = function(vector.values[rows], vector.present[rows])
        present[place] = vector.present[rows].any(axis=0)
    return Vector(list(groups), values, present)


def quantile(share: FloatArray, values: FloatArray, present: BoolArray) -> FloatArray:
    """The quantile at shares (T,) among the series that are present, between the two nearest in proportion."""
    ordered = np.sort(np.where(present, values, np.inf), axis=0)
    count = present.sum(axis=0)
    spot = np.clip(share, 0.0, 1.0) * np.maximum(count - 1, 0)
    low = np.floor(spot).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    columns = np.arange(values.shape[1])
    part = spot - low
    result = ordered[low, columns] * (1 - part) + ordered[high, columns] * part
    return np.where(share < 0, -np.inf, np.where(share > 1, np.inf, result))


def _highest(vector: Vector, groups: Sequence[Sequence[int]], count: FloatArray, *, lowest: bool) -> Vector:
    kept = np.zeros(vector.present.shape, bool)
    for rows in groups:
        sign = 1.0 if lowest else -1.0
        # NaN comes after all else, what is absent after that.
        rank_by = np.where(vector.present[rows], np.nan_to_num(sign * vector.values[rows], nan=1e300), np.inf)
        order = np.argsort(np.argsort(rank_by, axis=0, kind="stable"), axis=0, kind="stable")
        kept[rows] = (order < count) & vector.present[rows]
    return Vector(vector.labels, vector.values, kept)


def _sum(values: FloatArray, present: BoolArray) -> FloatArray:
    return np.where(present, values, 0.0).sum(axis=0)


def _mean(values: FloatArray, present: BoolArray) -> FloatArray:
    return _sum(values, present) / present.sum(axis=0)


def _variance(values: FloatArray, present: BoolArray) -> FloatArray:
    return _mean((values - _mean(values, present)) ** 2, present)


AGGREGATIONS: Mapping[str, Aggregation] = {
    "sum": _sum,
    "avg": _mean,
    "max": lambda values, present: np.fmax.reduce(np.where(present, values, np.nan), axis=0),
    "min": lambda values, present: np.fmin.reduce(np.where(present, values, np.nan), axis=0),
    "count": lambda _values, present: present.sum(axis=0).astype(np.float64),
    "group": lambda _values, present: np.ones(present.shape[1]),
    "stdvar": _variance,
    "stddev": lambda values, present: np.sqrt(_variance(values, present)),
}
