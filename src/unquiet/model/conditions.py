"""How unquiet itself is: one condition a thing that can go wrong. What is not known is unknown, never ok."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "failing", "unknown"]
Severity = Literal["critical", "error", "warning"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that unquiet watches about itself.

    `name` is short, kebab-case and stable: it is a metric label and a dedup key. `severity` says how bad it is when it
    fails. `detail` says what was seen and `todo` what to do next, both empty while it is ok. `since_us` is when the
    state began, microseconds since 1970.
    """

    name: str
    state: State
    severity: Severity
    detail: str = ""
    todo: str = ""
    since_us: int = 0
