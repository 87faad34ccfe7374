"""The incident: alarms with one cause, as it is kept and shown."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from unquiet.model.slices import Slice


@dataclass(frozen=True, slots=True)
class Onset:
    """When the change began (microseconds since 1970) and the interval that holds it."""

    at_us: int
    earliest_us: int
    latest_us: int

    def overlaps(self, other: Onset, slack_us: int = 0) -> bool:
        """Whether the two intervals, widened by `slack_us`, share a moment."""
        return self.earliest_us <= other.latest_us + slack_us and other.earliest_us <= self.latest_us + slack_us


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another stream that crossed for the same reason."""

    slice: Slice
    event: str
    direction: str
    tick_us: int


@dataclass(frozen=True, slots=True)
class Incident:
    """What was raised, and what became of it.

    `slice`, `event` and `direction` are those of the moment it was raised and never change, like `raised_us`: the moment in
    the data at which the alarm would have rung. `onset` is refined while the incident is open.
    `status` is open, resolved or reopened.
    """

    id: str
    slice: Slice
    event: str
    direction: str
    onset: Onset
    tick_us: int
    raised_us: int
    status: str = "open"
    resolved_us: int | None = None
    siblings: tuple[Sibling, ...] = field(default=())

    def with_sibling(self, sibling: Sibling) -> Incident:
        """The incident with one more stream, or a later crossing of one that it has."""
        stream = (sibling.slice, sibling.event, sibling.direction)
        others = tuple(s for s in self.siblings if (s.slice, s.event, s.direction) != stream)
        return replace(self, siblings=(*others, sibling))

    @property
    def last_us(self) -> int:
        """The tick at which one of its streams crossed last."""
        return max((s.tick_us for s in self.siblings), default=self.tick_us)
