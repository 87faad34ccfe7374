"""A change that somebody made, or that the traffic shows was made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Change:
    """One change: `kind` says of what (model, prompt, app_version ...), `before` and `after` its values, as text.

    `source` says how it is known: a file and line, or "first seen in traffic".
    """

    at: datetime
    kind: str
    before: str
    after: str
    source: str
