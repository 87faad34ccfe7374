"""The change ledger: the first sight of every value of a version-like facet, kept from the traffic itself."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from unquiet.model.changes import Change
from unquiet.slices import FacetColumn

IntArray = npt.NDArray[np.int64]

WATCHED = ("version", "constant")
MOST_VALUES = 200


@dataclass(slots=True)
class Ledger:
    """First sight and number of sessions of each value, per facet; grows as sessions are seen."""

    first_us: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    counts: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])

    def see(self, columns: Mapping[str, FacetColumn], roles: Mapping[str, str], started_us: IntArray) -> None:
        """Take note of the facets of sessions that began at `started_us`."""
        for facet, column in columns.items():
            if roles.get(facet, "constant") not in WATCHED:
                continue
            first, counts = self.first_us.setdefault(facet, {}), self.counts.setdefault(facet, {})
            for code in np.unique(column.codes[column.codes >= 0]):
                value, rows = column.values[code], column.codes == code
                if value not in first and len(first) >= MOST_VALUES:
                    continue
                at = int(started_us[rows].min())
                first[value] = min(first.get(value, at), at)
                counts[value] = counts.get(value, 0) + int(rows.sum())

    def changes(self) -> list[Change]:
        """Every first sight after the facet's first, in order of time; "before" is the value that was newest then."""
        found: list[Change] = []
        for facet, first in self.first_us.items():
            if len(first) >= MOST_VALUES:
                continue
            order = sorted(first.items(), key=lambda item: item[1])
            for (before, _), (after, at) in itertools.pairwise(order):
                moment = datetime.fromtimestamp(at / 1e6, UTC)
                found.append(Change(moment, facet, before, after, "first seen in traffic"))
        return sorted(found, key=lambda change: change.at)
