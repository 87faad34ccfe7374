"""What a user may set. There is one knob that matters: the alarm budget."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the judgement.

    `budget` is the number of false incidents accepted per 30 days (> 0). `learn` is the length of the learning period:
    facets, slices, strata and thresholds are chosen from it and nothing is judged before it ends. `least_sessions` is the
    number of sessions without which learning goes on. `idle` closes a session. `delta` says which relative changes
    are too small to be a reason to wake somebody. `seed` feeds every random choice. `end_marker` names a facet: a turn that
    has it, with a value other than "false", "no" or "0", ends its session.
    """

    budget: float = 1.0
    learn: timedelta = timedelta(days=7)
    least_sessions: int = 200
    idle: timedelta = timedelta(minutes=30)
    delta: float = 0.07
    seed: int = 20260302
    end_marker: str | None = None

    @property
    def budget_per_day(self) -> float:
        """False incidents accepted per day."""
        return self.budget / 30.0
