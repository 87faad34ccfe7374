"""What the usual charts show of the story: errors, latency and tokens over all traffic, before its failure and since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Chart:
    """A line of a dashboard: its value before the failure began and since, as written on it."""

    name: str
    before: str
    since: str


def draw_charts(rows: Sequence[Mapping[str, Any]], onset: str) -> tuple[Chart, ...]:
    """The charts of turn rows; `onset` is written as their `time` is."""
    parts = [row for row in rows if row["time"] < onset], [row for row in rows if row["time"] >= onset]
    before, since = (_values(part) for part in parts)
    return tuple(Chart(name, before[name], since[name]) for name in before)


def _values(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    calls = [call for row in rows for call in row["tool_calls"]]
    failed_turns = float(np.mean([row["error"] is not None for row in rows]))
    failed_calls = float(np.mean([call["error"] is not None for call in calls]))
    latency_s = np.array([row["latency_ms"] for row in rows]) / 1000.0
    return {
        "failed turns": f"{100 * failed_turns:.1f} %",
        "failed tool calls": f"{100 * failed_calls:.1f} %",
        "median latency": f"{np.median(latency_s):.1f} s",
        "p95 latency": f"{np.percentile(latency_s, 95):.1f} s",
        "tokens per answer": f"{np.mean([row['output_tokens'] for row in rows]):.0f}",
    }
