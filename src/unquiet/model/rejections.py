"""What could not be read: counted and shown, never fatal, never silent."""

from __future__ import annotations

from dataclasses import dataclass, field

UNREADABLE = "unreadable file"
DAMAGED = "damaged file"
DUPLICATE = "duplicate turn"
"""Kinds of rejections that are no rows: a file of which nothing, or not all, could be read, and turns known already."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """One row, line or span that could not become a turn.

    `where` names the place a person can open (file and line, or file and span id); `reason` says what
    was got and what is allowed.
    """

    where: str
    reason: str


@dataclass(slots=True)
class ReadReport:
    """What happened while a source was read.

    `rows` counts every row, span or run seen, `turns` the turns made of them. `rejected` counts all
    rejections by reason; `examples` keeps the first few of each with their place. `notes` are facts that the
    reader of the result must know (a column not used, a clock in the future). `verdicts` counts what judges said of the
    turns: it is read by the evals door.
    """

    rows: int = 0
    turns: int = 0
    rejected: dict[str, int] = field(default_factory=dict[str, int])
    examples: list[Rejection] = field(default_factory=list[Rejection])
    notes: list[str] = field(default_factory=list[str])
    verdicts: int = 0

    EXAMPLES_PER_REASON = 3

    def reject(self, where: str, reason: str, kind: str | None = None, *, count: int = 1) -> None:
        """Count `count` rejections under `kind` (default: the reason) and keep one as an example while there is room."""
        kind = kind or reason
        seen = self.rejected.get(kind, 0)
        self.rejected[kind] = seen + count
        if seen < self.EXAMPLES_PER_REASON:
            self.examples.append(Rejection(where, reason))

    @property
    def rejected_count(self) -> int:
        """All rejections."""
        return sum(self.rejected.values())

    @property
    def lost_rows(self) -> int:
        """Rows that could not become turns."""
        return sum(count for kind, count in self.rejected.items() if kind not in (UNREADABLE, DAMAGED, DUPLICATE))

    def merge(self, other: ReadReport) -> None:
        """Add the counts of another report to this one."""
        self.rows += other.rows
        self.turns += other.turns
        self.verdicts += other.verdicts
        for kind, count in other.rejected.items():
            self.rejected[kind] = self.rejected.get(kind, 0) + count
        self.examples.extend(other.examples)
        self.notes.extend(other.notes)
