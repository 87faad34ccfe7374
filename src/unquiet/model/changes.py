"""What changed beside the behaviour: a deploy, a new prompt, a model swapped; announced, or seen in the traffic itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

SEEN = "first seen in traffic"
"""The source of a change that nobody had to announce: the ledger of first sights."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change, announced or seen.

    `at` is aware (UTC); `before` and `after` are versions, None where not told; `source` names the place it
    was read from (file and line). `scope` are facets and their values where only a part of the traffic was changed, sorted;
    `event_id` is the id that its sender gave it: the same id twice is one change.
    """

    at: datetime
    kind: str
    before: str | None
    after: str | None
    source: str
    scope: tuple[tuple[str, str], ...] = ()
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """When sessions with a value of a facet began first and last (microseconds since 1970), and how many there were."""

    facet: str
    value: str
    first_us: int
    last_us: int
    sessions: int
