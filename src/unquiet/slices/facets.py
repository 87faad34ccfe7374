"""Facets as columns, and the decision what each of them is good for."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.slices import FacetRole

IntArray = npt.NDArray[np.int64]

DAY_US = 86_400_000_000
MIN_SUPPORT = 30
"""Sessions of the baseline that a value needs to be reported on."""

MOST_VALUES = 400
VERSION_NAME = re.compile(r"version|release|build|commit|revision|\bsha\b|hash|fingerprint|deploy", re.IGNORECASE)


class FacetColumn:
    """One facet of n sessions as codes into its values; code -1 where the facet is absent."""

    def __init__(self, values: Sequence[str], codes: IntArray) -> None:
        self.values = list(values)
        self.codes = codes

    def counts(self) -> IntArray:
        """Sessions per value."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.values))


def facet_columns(visits: pa.Table) -> dict[str, FacetColumn]:
    """Every facet of a visit table as a column, in alphabetical order."""
    maps = visits.column("facets").combine_chunks()
    lists = maps.cast(pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())])))
    owner = pc.list_parent_indices(lists).to_numpy()
    entries = pc.list_flatten(lists)
    keys = entries.field("key").dictionary_encode()
    key_codes = keys.indices.to_numpy()
    columns: dict[str, FacetColumn] = {}
    for code, key in sorted(enumerate(keys.dictionary.to_pylist()), key=lambda pair: pair[1]):
        rows = np.flatnonzero(key_codes == code)
        values = entries.field("value").take(pa.array(rows)).dictionary_encode()
        order = np.argsort(np.array(values.dictionary.to_pylist(), dtype=object))
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        codes = np.full(visits.num_rows, -1, np.int64)
        codes[owner[rows]] = rank[values.indices.to_numpy()]
        names = values.dictionary.to_pylist()
        columns[key] = FacetColumn([names[i] for i in order], codes)
    return columns


def decide_roles(columns: dict[str, FacetColumn], started_us: IntArray) -> list[FacetRole]:
    """Look at every facet of the baseline sessions and say what it is good for."""
    return [_role(name, column, started_us) for name, column in columns.items()]


def _role(name: str, column: FacetColumn, started_us: IntArray) -> FacetRole:
    counts = column.counts()
    known = int(counts.sum())
    distinct = len(column.values)
    supported = int((counts >= MIN_SUPPORT).sum())
    mean_length = float(np.mean([len(value) for value in column.values])) if column.values else 0.0
    if distinct == 1:
        return FacetRole(name, "constant", f"only one value in the baseline: {column.values[0][:60]}")
    if distinct > 20 and distinct > known / 3:
        return FacetRole(name, "id", f"{distinct} different values in {known} sessions: an id")
    if mean_length > 80:
        return FacetRole(name, "text", f"values of {mean_length:.0f} characters on average: free text")
    if not supported:
        return FacetRole(name, "rare", f"no value has {MIN_SUPPORT} sessions in the baseline")
    if _values_replace_each_other(name, column, started_us):
        return FacetRole(name, "version", "its values replace each other in time: watched as a change, not as a slice")
    if supported > MOST_VALUES:
        return FacetRole(name, "slice", f"{MOST_VALUES} most frequent of {distinct} values")
    return FacetRole(name, "slice", f"{supported} of {distinct} values have {MIN_SUPPORT} sessions or more")


def _values_replace_each_other(name: str, column: FacetColumn, started_us: IntArray) -> bool:
    """Whether one value has nearly all the traffic on nearly every day, but not the same one throughout.

    A name that says "version" needs less proof: one value dominating most days is enough.
    """
    have = column.codes >= 0
    days = (started_us[have] - started_us[have].min()) // DAY_US
    table = np.zeros((int(days.max()) + 1, len(column.values)))
    np.add.at(table, (days, column.codes[have]), 1.0)
    table = table[table.sum(axis=1) >= 5]
    if not len(table):
        return False
    shares = table / table.sum(axis=1, keepdims=True)
    dominated = float((shares.max(axis=1) >= 0.9).mean())
    leaders = len(np.unique(shares.argmax(axis=1)))
    needed = 0.5 if VERSION_NAME.search(name) else 0.7
    return dominated >= needed and leaders > 1
