"""Values that turn up after the learning period: a new tenant, a new language. They become slices once they have support."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from unquiet.model.slices import Slice
from unquiet.slices.facets import FacetColumn

MOST_NEW = 200


@dataclass(slots=True)
class Newcomers:
    """Sessions of every value of the sliced facets that is no slice yet; `floor` is the support that makes it one."""

    floor: int
    counts: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    made: int = 0

    def see(self, columns: Mapping[str, FacetColumn], sliced: Sequence[str], known: set[tuple[str, str]]) -> None:
        """Count the sessions of a batch."""
        for facet in sliced:
            column = columns.get(facet)
            if column is None:
                continue
            waiting = self.counts.setdefault(facet, {})
            for value, count in zip(column.values, column.counts().tolist(), strict=True):
                if count and (facet, value) not in known:
                    waiting[value] = waiting.get(value, 0) + count

    def ripe(self) -> list[Slice]:
        """The values that have support by now, the most frequent first; they are forgotten here."""
        found = [
            (-count, facet, value)
            for facet, values in self.counts.items()
            for value, count in values.items()
            if count >= self.floor
        ]
        chosen = sorted(found)[: MOST_NEW - self.made]
        self.made += len(chosen)
        for _, facet, value in chosen:
            del self.counts[facet][value]
        return [Slice(((facet, value),)) for _, facet, value in chosen]
