"""A change that somebody announced: a deploy, a new prompt, a model swapped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Change:
    """One announced change.

    `at` is aware (UTC); `before` and `after` are versions, None where not told; `source` names the place it
    was read from (file and line).
    """

    at: datetime
    kind: str
    before: str | None
    after: str | None
    source: str
