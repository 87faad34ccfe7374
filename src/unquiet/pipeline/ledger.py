"""The change ledger: first and last sight of every value of a version-like facet, kept from the traffic itself."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from unquiet.model.changes import SEEN, Change, Sighting
from unquiet.slices import VERSION_NAME, FacetColumn

IntArray = npt.NDArray[np.int64]
Moments = dict[str, dict[str, int]]

WATCHED = ("version", "constant")
BESIDE = ("slice", "rare")
"""Roles of facets whose values stand beside each other: they are watched too where their name is that of a component."""

COMPONENT = re.compile(rf"(?:^|[._-])model$|{VERSION_NAME.pattern}", re.IGNORECASE)
MOST_VALUES = 200

EXPECTED_BEFORE = 5.0
"""A value is new if at its later rate so many sessions with it would have been expected before its first."""


@dataclass(slots=True)
class Ledger:
    """First and last sight and number of sessions of each value, per facet; grows as sessions are seen.

    Moments are microseconds since 1970.
    """

    first_us: Moments = field(default_factory=dict[str, dict[str, int]])
    last_us: Moments = field(default_factory=dict[str, dict[str, int]])
    counts: Moments = field(default_factory=dict[str, dict[str, int]])

    def see(self, columns: Mapping[str, FacetColumn], roles: Mapping[str, str], started_us: IntArray) -> None:
        """Take note of the facets of sessions that began at `started_us`."""
        for facet, column in columns.items():
            role = roles.get(facet, "constant")
            if role in WATCHED or (role in BESIDE and COMPONENT.search(facet)):
                self._see(facet, column, started_us)

    def _see(self, facet: str, column: FacetColumn, started_us: IntArray) -> None:
        first, last, counts = (each.setdefault(facet, {}) for each in (self.first_us, self.last_us, self.counts))
        for code in np.unique(column.codes[column.codes >= 0]):
            value, rows = column.values[code], column.codes == code
            if value not in first and len(first) >= MOST_VALUES:
                continue
            at, until = int(started_us[rows].min()), int(started_us[rows].max())
            first[value] = min(first.get(value, at), at)
            last[value] = max(last.get(value, until), until)
            counts[value] = counts.get(value, 0) + int(rows.sum())

    def changes(self) -> list[Change]:
        """Every first sight of a new value after the facet's first, in order of time.

        `before` is the value that was newest then.
        """
        found: list[Change] = []
        for facet, first in self.first_us.items():
            if len(first) >= MOST_VALUES:
                continue
            order = sorted(first.items(), key=lambda item: item[1])
            new = (
                [order[0], *(each for each in order[1:] if self._is_new(facet, each[0], order[0][1]))] if order else []
            )
            for (before, _), (after, at) in itertools.pairwise(new):
                moment = datetime.fromtimestamp(at / 1e6, UTC)
                found.append(Change(moment, facet, before, after, SEEN))
        return sorted(found, key=lambda change: change.at)

    def sightings(self) -> list[Sighting]:
        """Every value, by facet and first sight; of a judgement saved by an earlier version the last sight may be the first."""
        return [
            Sighting(facet, value, at, self.last_us.get(facet, {}).get(value, at), self.counts[facet][value])
            for facet, first in sorted(self.first_us.items())
            for value, at in sorted(first.items(), key=lambda item: (item[1], item[0]))
        ]

    def forget(self, facet: str, value: str) -> None:
        """Drop a value."""
        for kept in (self.first_us, self.last_us, self.counts):
            kept.get(facet, {}).pop(value, None)

    def _is_new(self, facet: str, value: str, begin_us: int) -> bool:
        """Whether a value would have been seen before its first sight if it had been there: rare values turn up late."""
        first, count = self.first_us[facet][value], self.counts[facet][value]
        last = self.last_us.get(facet, {}).get(value)
        if last is None:
            return True
        return (count - 1) * (first - begin_us) >= EXPECTED_BEFORE * (last - first) and count > 1
