"""What the parts of a running service say of themselves, for those that watch them. Every field is set by one thread."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Pulse:
    """Moments are microseconds since 1970, None before it happened the first time.

    `round_us`: the loop went round. `progress_us`: the drain took something from the log or found nothing to take.
    `tick_us`: nothing was due to be judged, or was judged. `counts` are those since the beginning of the folder.
    `unreadable` is where reading failed last, empty where it never did since the start.
    `sums` are figures of the judgement for metrics. `error` is why the loop stands still, empty while it runs.
    """

    started_us: int
    round_us: int | None = None
    progress_us: int | None = None
    tick_us: int | None = None
    ticks: int = 0
    tick_s: float = 0.0
    failures: int = 0
    error: str = ""
    store_failed: bool | None = None
    doing: str = "starting"
    unreadable: str = ""
    counts: Counter[str] = field(default_factory=Counter[str])
    sums: dict[str, Any] = field(default_factory=dict[str, Any])
    documents: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    status: dict[str, Any] = field(default_factory=dict[str, Any])
