"""The slice: a part of the traffic that is reported on."""

from __future__ import annotations

from dataclasses import dataclass

ALL_TRAFFIC = "all traffic"

NOBODY = "(forgotten)"
"""The value of a facet in place of the id of somebody who was forgotten."""


@dataclass(frozen=True, slots=True, order=True)
class Slice:
    """Sessions whose facets have the given values; no condition at all means all traffic.

    `conditions` is sorted by facet and holds each facet once.
    """

    conditions: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """`facet=value, facet=value`, or "all traffic"."""
        return ", ".join(f"{facet}={value}" for facet, value in self.conditions) or ALL_TRAFFIC

    def as_dict(self) -> dict[str, str]:
        """Facet to value."""
        return dict(self.conditions)

    def contains(self, other: Slice) -> bool:
        """Whether every session of `other` is, by definition, a session of this slice."""
        return set(self.conditions) <= set(other.conditions)


@dataclass(frozen=True, slots=True)
class FacetRole:
    """What was decided about a facet, and why.

    `role` is `slice` (cut by it), `version` (its values replace each other in time: a change candidate),
    `constant`, `id`, `text` or `rare`.
    """

    facet: str
    role: str
    reason: str
