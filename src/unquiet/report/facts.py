"""What a report is written from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a report is written from.

    `document` is the incident with what people did about it; `turns` are the turns of the sessions of its evidence, in order
    of time; `beside` is its entry of `unquiet.gap/1`, None where the dashboards were not drawn.
    `eval_runs` are `{"run", "at", "passed", "ran"}`. `why_green` is `{"causes": [{"cause", "says", "evidence"}]}`; `voices` is
    `{"count", "joined_by", "first_at", "alarm_at", "days_won", "examples"}`; None where they were not looked at, and the counts
    say how many of each the folder holds, None where that is not known either.
    `option` is how commands find the folder, `commands` the names of those there are.
    """

    document: Document
    turns: Sequence[Document]
    beside: Document | None = None
    eval_runs: Sequence[Document] = ()
    eval_results: int | None = None
    voice_count: int | None = None
    why_green: Document | None = None
    voices: Document | None = None
    budget: float | None = None
    option: str = ""
    commands: Collection[str] = field(default_factory=frozenset[str])
